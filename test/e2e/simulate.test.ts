/** `simulate` proves the whole path of a webhook on real parts: signature, inbox, decision, build, swap, restart. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { WhyView } from "../../src/domain/app.ts";
import type { Finding } from "../../src/domain/examination.ts";
import { programAsset } from "../support/release-programs.ts";
import { createReleaseWorkspace, type ReleaseWorkspace } from "../support/release-workspace.ts";
import { serviceFiles } from "../support/service.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, operatorOf } from "../support/story.ts";
import { createWorkspace, type SubsystemName, type Workspace } from "../support/workspace.ts";

describe("simulate", { timeout: 240_000 }, () => {
  let ws: Workspace;
  const deliveriesOf = async (name: SubsystemName) => ((await ws.json(["why", name])) as WhyView).deliveries;
  const finding = async (check: string) => ((JSON.parse((await ws.cli(["doctor", "--json"])).stdout) as { findings: Finding[] }).findings).find((f) => f.check === check);

  before(async () => {
    ws = await createWorkspace({ soak: "300ms", config: { subsystems: { web: { strategy: "commits", branch: "main" } } } });
  });
  after(() => ws.close());

  test("without a daemon it says how to start one", async () => {
    const { exitCode, stderr } = await ws.cli(["simulate", "api"]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /daemon of .* is not running.*start it with: slipstream watch/);
    const json = await ws.cli(["simulate", "api", "--json"]);
    assert.equal(JSON.parse(json.stdout).error.code, "daemon-unreachable");
  });

  test("a tag push goes through the front door and ends with the new program running", async () => {
    await ws.start({ daemon: true });
    assert.equal((await finding("port"))?.message, `port ${ws.places.daemonPort} on 127.0.0.1 is this workspace's daemon`);
    const first = await takeSnapshot(ws);
    const { commit } = await ws.upstreams.api.release("v1.1.0");
    const { exitCode, stdout } = await ws.cli(["simulate", "api"]);
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /^sent push of tag v1\.1\.0 to http:\/\/127\.0\.0\.1:\d+\/webhook: 202 in \d+ ms\nsucceeded: api v1\.0\.0 → v1\.1\.0, running digest proved\n$/);
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v1.1.0");
    const [delivery] = await deliveriesOf("api");
    assert.deepEqual([delivery?.receiver, delivery?.event, delivery?.change], ["github", "push", { ...delivery?.change, kind: "tag", tag: "v1.1.0", commit }]);
    assert.match(delivery?.externalId ?? "", /^simulate-[a-z0-9]+$/);
    const { accepted, refused } = (await operatorOf(ws).status()).frontDoor ?? {};
    assert.deepEqual([accepted, refused], [1, {}]);
  });

  test("with nothing newer it says so, is taken as news each time, and changes nothing", async () => {
    const first = await takeSnapshot(ws);
    for (const _ of [1, 2]) {
      const { exitCode, stdout, stderr } = await ws.cli(["simulate", "api"]);
      assert.equal(exitCode, 0);
      assert.match(stderr, /nothing newer is upstream: v1\.1\.0 is installed/);
      assert.match(stdout, /: 202 in \d+ ms\nnothing to do: already-current\n$/);
    }
    const older = await ws.cli(["simulate", "api", "--version", "v1.0.0"]);
    assert.deepEqual([older.exitCode, /v1\.0\.0 is older than v1\.1\.0, which is installed/.test(older.stderr), /\nnothing to do: older-than-current\n$/.test(older.stdout)], [0, true, true], `${older.stdout}${older.stderr}`);
    assert.equal((await operatorOf(ws).status()).frontDoor?.duplicates, 0);
    await assertRestarted(ws, first, []);
  });

  test("a branch push for what follows commits, and a release when asked for one", async () => {
    const first = await takeSnapshot(ws);
    const commit = await ws.upstreams.web.commitFiles(serviceFiles({ name: "web", version: "main-1" }), "main-1");
    await ws.upstreams.worker.release("v1.1.0");
    const web = await ws.json(["simulate", "web"]);
    assert.deepEqual([web.sent.event, web.sent.version, web.run.status, web.run.commit], ["push", commit, "succeeded", commit]);
    assert.equal(await ws.version("web"), "main-1");
    const worker = await ws.json(["simulate", "worker", "--event", "release"]);
    assert.deepEqual([worker.delivery.change.kind, worker.run.status, worker.run.toVersion], ["release", "succeeded", "v1.1.0"]);
    await assertRestarted(ws, first, ["web", "jobs"]);
  });

  test("ends with 3 for what needs approval, and with 1 for a build that fails", async () => {
    const first = await takeSnapshot(ws);
    await ws.upstreams.api.release("v2.0.0");
    const held = await ws.cli(["simulate", "api"]);
    assert.deepEqual([held.exitCode, /waiting for approval: api v1\.1\.0 → v2\.0\.0/.test(held.stdout)], [3, true], held.stdout);
    await ws.upstreams.worker.release("v1.1.1", "broken-build");
    const failed = await ws.cli(["simulate", "worker", "--version", "v1.1.1"]);
    assert.deepEqual([failed.exitCode, /failed: worker v1\.1\.0 → v1\.1\.1/.test(failed.stdout)], [1, true], failed.stdout);
    await assertRestarted(ws, first, []);
  });

  test("a secret that the daemon does not have is refused, and doctor tells of refused signatures", async () => {
    // In the environment of this command alone: a changed secrets.env the daemon would take over.
    process.env["WEBHOOK_SECRET_GITHUB"] = "0".repeat(64);
    const { exitCode, stderr, stdout } = await ws.cli(["simulate", "api"]).finally(() => delete process.env["WEBHOOK_SECRET_GITHUB"]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /refused with 401.*another webhook secret/);
    assert.equal(`${stdout}${stderr}${ws.output()}`.includes("0".repeat(64)), false);
    const signatures = await finding("signatures");
    assert.deepEqual([signatures?.status, /1 delivery was refused/.test(signatures?.message ?? "")], ["warn", true]);
    assert.equal((await finding("webhook"))?.status, "warn", "a simulated delivery says nothing about GitHub");
  });
});

describe("simulate in release mode", { timeout: 240_000 }, () => {
  let ws: ReleaseWorkspace;

  before(async () => {
    ws = await createReleaseWorkspace({ soak: "300ms" });
    await ws.start({ daemon: true });
  });
  after(() => ws.close());

  test("sends the release that the forge has, and ends with its program running", async () => {
    const first = await takeSnapshot(ws);
    ws.publish(ws.subsystems.web.repository, "v1.1.0", [await programAsset("web", "v1.1.0")]);
    const { exitCode, stdout } = await ws.cli(["simulate", "web"]);
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /^sent release v1\.1\.0 to .*: 202 in \d+ ms\nsucceeded: web v1\.0\.0 → v1\.1\.0, running digest proved\n$/);
    assert.equal(await ws.version("web"), "v1.1.0");
    await assertRestarted(ws, first, ["web"]);
    const again = await ws.json(["simulate", "web"]);
    assert.deepEqual([again.delivery.state, again.delivery.reason, again.run], ["ignored", "already-current", undefined]);
    await assertRestarted(ws, first, ["web"]);
  });

  test("doctor needs no Task there and says what the forge says", async () => {
    const { exitCode, stdout } = await ws.cli(["doctor"]);
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /web is installed, downloaded from releases, and its upstream answers/);
    await ws.forge.close();
    const gone = await ws.cli(["doctor"]);
    assert.deepEqual([gone.exitCode, /FAIL {2}upstream of web could not be read: .*\n {6}look at the network, at upstream or release of web/.test(gone.stdout)], [1, true], gone.stdout);
  });
});
