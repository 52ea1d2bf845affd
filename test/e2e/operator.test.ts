/** What a person does with a running daemon: approvals, rollbacks, and stopping it in the middle of its work. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { RunView, StatusView, WhyView } from "../../src/domain/app.ts";
import { type DaemonForTest, startDaemon } from "../support/daemon.ts";
import { tagCreated, tagPushed } from "../support/github.ts";
import { leftoversOf } from "../support/leftovers.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, endOf, operatorOf, runOf, stampOf, told, verdictOn } from "../support/story.ts";
import { until } from "../support/wait.ts";
import { createWorkspace, type SubsystemName, type Workspace } from "../support/workspace.ts";
import { slipstreamYaml } from "../support/workspace-files.ts";
import type { CliResult } from "../support/workspace-io.ts";

const SOAK = "300ms";
/** GitHub and every supervisor wait longer than that. */
const STOPS_WITHIN_MS = 10_000;

let ws: Workspace;

/** Rewrites `slipstream.yaml`; the next start reads it. */
const configure = (more: Record<string, unknown> = {}) => writeFile(join(ws.dir, "slipstream.yaml"), slipstreamYaml(ws.places, { soak: SOAK, more }));
const runFrom = (result: CliResult): RunView => JSON.parse(result.stdout);
const released = async (name: SubsystemName, version: string) => {
  const { commit } = await ws.upstreams[name].release(version);
  return tagPushed(`acme/${name}`, version, commit);
};

describe("the operator of a daemon", { timeout: 240_000 }, () => {
  let daemon: DaemonForTest;
  let held: RunView;
  const restart = async () => {
    const ended = await daemon.stop();
    daemon = await startDaemon(ws);
    return ended;
  };

  before(async () => {
    ws = await createWorkspace({ soak: SOAK });
    await ws.start({ daemon: false });
    daemon = await startDaemon(ws);
  });
  after(async () => {
    daemon?.kill();
    await ws.close();
  });

  test("a second daemon is refused with 4, and the first goes on", async () => {
    const { exitCode, stderr } = await ws.cli(["watch", "--port", "0"]);
    assert.equal(exitCode, 4);
    assert.match(stderr, /in use by another slipstream/);
    const status: StatusView = await ws.json(["status"]);
    assert.deepEqual([status.daemon.running, status.daemon.pid], [true, daemon.pid]);
  });

  test("update goes through the daemon and ends with 0, 1 for a failed build, 3 for what needs approval", async () => {
    await ws.upstreams.web.release("v1.0.2");
    await ws.upstreams.worker.release("v1.0.2", "broken-build");
    await ws.upstreams.api.release("v2.0.0");
    const [good, failed] = await Promise.all([ws.cli(["update", "web"]), ws.cli(["update", "worker"])]);
    assert.equal(good.exitCode, 0, good.stdout);
    assert.match(good.stdout, /succeeded: web v1\.0\.0 → v1\.0\.2, running digest proved/);
    assert.equal(failed.exitCode, 1);
    assert.match(failed.stdout, /failed: worker v1\.0\.0 → v1\.0\.2: .*syntax error/);
    const waiting = await ws.cli(["update", "api", "--json"]);
    assert.equal(waiting.exitCode, 3);
    held = runFrom(waiting);
    assert.deepEqual([held.status, held.rule], ["held", "major"]);
  });

  test("a held run outlives a restart of the daemon, which ends with 0, and goes when approved", async () => {
    const { exitCode, ms } = await restart();
    assert.equal(exitCode, 0);
    assert.ok(ms < STOPS_WITHIN_MS, `${ms} ms`);
    const status: StatusView = await ws.json(["status"]);
    assert.equal(status.subsystems.find((s) => s.name === "api")?.heldRun?.id, held.id);
    const run: RunView = await ws.json(["approve", held.id]);
    assert.deepEqual([run.id, run.status, run.toVersion], [held.id, "succeeded", "v2.0.0"], told(run));
    assert.equal(await ws.version("api"), "v2.0.0");
  });

  test("told to stop in the middle of a build it ends at once with 0 and leaves no child; the next start finishes that run and the one behind it", async () => {
    await daemon.stop();
    await configure({ subsystems: { api: { build: { task: "api:bin:build", vars: { BUILD_CMD: "sleep 600" } } } } });
    daemon = await startDaemon(ws);
    const app = operatorOf(ws);
    const first = await takeSnapshot(ws);
    const building = (await verdictOn(app, await ws.deliver(await released("api", "v2.0.1")))).runId ?? "";
    const sleeping = async () => (await leftoversOf(ws.dir)).filter((p) => p.command === "sleep 600");
    await until(async () => (await sleeping()).length > 0, { what: "the build to be under way" });
    const queued = (await verdictOn(app, await ws.deliver(await released("api", "v2.0.2")))).runId ?? "";
    assert.deepEqual([(await app.run(building)).status, (await app.run(queued)).status], ["running", "queued"]);

    const { exitCode, ms } = await daemon.stop();
    assert.equal(exitCode, 0, daemon.output());
    assert.ok(ms < STOPS_WITHIN_MS, `${ms} ms`);
    assert.deepEqual(await sleeping(), []);
    await assertRestarted(ws, first, []);
    await configure();
    daemon = await startDaemon(ws);
    for (const id of [building, queued]) {
      const run = await endOf(app, id);
      assert.equal(run.status, "succeeded", told(run));
    }
    assert.equal((await app.run(building)).recoveries, 0, "a clean stop is no crash");
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v2.0.2");
  });

  test("a delivery it was still asking the upstream about when it was told to stop is decided after the next start", async () => {
    await daemon.stop();
    const silent = createServer();
    const asked = once(silent, "connection");
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const upstream = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/acme/web.git`;
    await configure({ subsystems: { web: { upstream } } });
    daemon = await startDaemon(ws);
    await ws.upstreams.web.release("v1.0.3");
    const sent = await ws.deliver(tagCreated("acme/web", "v1.0.3"));
    const [connection] = (await asked) as [Socket];
    const { exitCode, ms } = await daemon.stop();
    connection.destroy();
    silent.close();
    assert.equal(exitCode, 0, daemon.output());
    assert.ok(ms < STOPS_WITHIN_MS, `${ms} ms`);
    await configure();
    daemon = await startDaemon(ws);
    const run = await runOf(operatorOf(ws), sent);
    assert.deepEqual([run.status, run.toVersion], ["succeeded", "v1.0.3"], told(run));
  });

  test("rollback brings the previous version back and quarantines the one it replaced", async () => {
    const first = await takeSnapshot(ws);
    const run: RunView = await ws.json(["rollback", "api"]);
    assert.deepEqual([run.kind, run.status, run.fromVersion, run.toVersion], ["rollback", "succeeded", "v2.0.2", "v2.0.1"], told(run));
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v2.0.1");
    assert.equal((await stampOf(ws, "api"))["version"], "v2.0.1");
    const why: WhyView = await ws.json(["why", "api"]);
    assert.deepEqual([why.current?.version, why.quarantined.map((q) => q.version)], ["v2.0.1", ["v2.0.2"]]);
    const again = await ws.cli(["update", "api", "--json"]);
    assert.deepEqual([again.exitCode, JSON.parse(again.stdout).reason], [0, "quarantined"], "it does not come back by itself");
  });

  test("rollback --to brings a kept version back, and a version named by a person may come back from quarantine", async () => {
    const to: RunView = await ws.json(["rollback", "api", "--to", "2.0.0"]);
    assert.deepEqual([to.status, to.toVersion], ["succeeded", "v2.0.0"], told(to));
    assert.equal(await ws.version("api"), "v2.0.0");
    const unknown = await ws.cli(["rollback", "api", "--to", "v7.0.0"]);
    assert.equal(unknown.exitCode, 1);
    assert.match(unknown.stdout, /version v7\.0\.0 of api is not kept, expected one of: /);
    const named: RunView = await ws.json(["update", "api", "--version", "v2.0.2"]);
    assert.equal(named.status, "succeeded", told(named));
    assert.equal(await ws.version("api"), "v2.0.2");
    assert.deepEqual((await ws.json(["why", "api"]) as WhyView).quarantined.map((q) => q.version), ["v2.0.1"]);
  });

  test("every verb that shows prints JSON when asked and no colours into a pipe, with the daemon up and down", async () => {
    const run = await runOf(operatorOf(ws), await ws.deliver(await released("web", "v1.0.4")));
    const verbs: readonly (readonly [string, ...string[]])[] = [["status"], ["runs"], ["runs", run.id], ["logs", run.id], ["why", "web"], ["check"], ["update", "web", "--dry-run"]];
    const plain = async (verb: readonly [string, ...string[]]) => {
      const { exitCode, stdout, stderr } = await ws.cli(verb);
      assert.deepEqual([exitCode, stdout === "", stdout.includes("\u001b"), stderr], [0, false, false, ""], verb.join(" "));
      return stdout;
    };
    const parsed = (): Promise<unknown[]> => Promise.all(verbs.map((verb) => ws.json(verb)));
    await Promise.all(verbs.map(plain));
    const up = await parsed();
    await daemon.stop();
    assert.match(await plain(["status"]), /daemon: not running/);
    const down = await parsed();
    assert.deepEqual([(up[0] as StatusView).daemon.running, (down[0] as StatusView).daemon.running], [true, false]);
    assert.deepEqual(down.slice(1), up.slice(1), "all but the daemon's own state reads the same");
    assert.match((down[3] as { log: string }).log, /== build\n/);
  });

  for (const [stage, version, behaviour, blamed] of [
    ["health", "v1.0.5", "never-ready", false],
    ["rollback", "v1.0.6", "crash", true],
  ] as const) {
    test(`when Process Compose goes away in the ${stage} of a bad release, the old program is put back and ${blamed ? "the release is not tried again" : "the record says so"}`, async () => {
      // Longer than any machine takes to end the project: a soak that is over first would rightly call the old program healthy.
      await configure({ subsystems: { web: { health: { soak: "60s" } } } });
      daemon = await startDaemon(ws);
      const app = operatorOf(ws);
      const current = async () => ((await ws.json(["status"])) as StatusView).subsystems.find((s) => s.name === "web")?.current;
      const [was, installed] = [await current(), await ws.digest("web")];
      const { commit } = await ws.upstreams.web.release(version, behaviour);
      const sent = await ws.deliver(tagPushed("acme/web", version, commit));
      const { runId = "" } = await verdictOn(app, sent);
      // Not before the program of that stage runs: one that is started while the project stops keeps Process Compose alive.
      const watched = async () => (await app.run(runId)).stages.some((s) => s.name === stage) && (await ws.version("web")) === (blamed ? was?.version : version);
      await until(watched, { what: `the program to be watched in stage ${stage}` });
      await stopProject(ws.places.socket);
      const run = await endOf(app, runId);
      assert.deepEqual([run.status, run.code, run.failedStage], ["failed", "rollback-failed", "health"], told(run));
      assert.equal(await ws.digest("web"), installed);
      assert.deepEqual([(await current())?.version, (await current())?.digest], [was?.version, installed]);
      if (blamed) {
        const again = await ws.redeliver(sent.signed);
        assert.deepEqual([again.answer.status, (await verdictOn(app, again)).reason], [202, "quarantined"]);
      }
      await daemon.stop();
      await ws.start({ daemon: false });
      assert.equal(await ws.version("web"), was?.version);
    });
  }
});

/** Ends Process Compose and all it runs, as an operator would. */
function stopProject(socketPath: string): Promise<void> {
  return new Promise((done, fail) => {
    const req = request({ socketPath, path: "/project/stop", method: "POST", agent: false }, (res) => res.resume().on("end", done));
    req.on("error", fail).end();
  });
}
