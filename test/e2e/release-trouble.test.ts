/** What goes wrong between a forge and a user's machine: nothing that is not the release gets near a running program. Real daemon, real processes, a forge with every fault. */

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { readdir, readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { App, RunView } from "../../src/domain/app.ts";
import type { AssetSpec, Fault } from "../support/forge.ts";
import { assetName, checksums, program, programAsset, sha256, stampFor } from "../support/release-programs.ts";
import { createReleaseWorkspace, type ReleaseWorkspace } from "../support/release-workspace.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, binOf, operatorOf, runOf, told, verdictOn } from "../support/story.ts";
import { until } from "../support/wait.ts";

const PLATFORM = "acme/platform";
const WORKER = "acme/worker";
/** ELF header: e_machine. */
const MACHINE_AT = 18;

describe("trouble with a release", { timeout: 240_000 }, () => {
  let ws: ReleaseWorkspace;
  let app: App;
  let stranger: Server;
  let visits = 0;
  let patch = 0;

  before(async () => {
    stranger = createServer((_req, res) => {
      visits++;
      res.end("#!/bin/sh\n");
    });
    await new Promise<void>((listening) => stranger.listen(0, "127.0.0.1", listening));
    ws = await createReleaseWorkspace({ soak: "300ms" });
    await ws.start({ daemon: true });
    app = operatorOf(ws);
  });
  after(async () => {
    await ws.close();
    stranger.close();
  });

  const asset = () => assetName("api");
  const requests = (name: string) => ws.forge.requests.filter((r) => r.host === "asset" && r.asset === name);

  /** A release of `api` with this asset, delivered. Returns its run. */
  async function released(spec: AssetSpec): Promise<RunView> {
    return runOf(app, await ws.announce(ws.publish(PLATFORM, `v1.1.${++patch}`, [spec])));
  }

  const elsewhere = () => `http://127.0.0.1:${(stranger.address() as AddressInfo).port}/api-server.tar.gz`;
  const faults: readonly (readonly [string, () => Promise<AssetSpec>, (() => Fault) | null, stage: string, code: string, said: RegExp])[] = [
    ["an asset that is a web page with status 200", () => programAsset("api", "v1.1.0"), () => ({ kind: "html200" }), "download", "digest-mismatch", /web page/],
    ["an asset that is cut short", () => programAsset("api", "v1.1.0"), () => ({ kind: "truncate", bytes: 100_000 }), "download", "artifact-invalid", /is 100000 bytes long, expected \d+/],
    ["other bytes than the forge's digest is of", () => programAsset("api", "v1.1.0", { digest: `sha256:${"0".repeat(64)}` }), null, "download", "digest-mismatch", /expected sha256:0{64}/],
    ["a forge that sends us to a host that nobody allowed", () => programAsset("api", "v1.1.0"), () => ({ kind: "redirect-elsewhere", url: elsewhere() }), "download", "download-failed", /leads to 127\.0\.0\.1:\d+, expected/],
    ["an archive of another program", () => programAsset("api", "v1.1.0", { member: "somebody-elses" }), null, "download", "artifact-invalid", /api-server/],
    ["a program for another machine", async () => programAsset("api", "v1.1.0", { content: await forOtherMachine() }), null, "verify", "artifact-invalid", /another machine/],
    ["a stamp that belongs to another binary", async () => programAsset("api", "v1.1.0", { stamp: stampFor("api", "v1.1.0", await program("api", "v1.0.0")) }), null, "verify", "digest-mismatch", /stamp does not belong/],
    ["an archive whose own stamp says an older version", async () => programAsset("api", "v1.1.0", { stamp: stampFor("api", "v0.9.0", await program("api", "v1.1.0")) }), null, "verify", "policy-refused", /v0\.9\.0 \(older\)/],
  ];
  for (const [what, make, fault, stage, code, said] of faults) {
    test(`${what} ends the run and touches nothing`, async () => {
      const [first, bin] = [await takeSnapshot(ws), await binOf(ws, "api")];
      ws.forge.fault(asset(), fault?.() ?? null);
      const run = await released(await make());
      ws.forge.fault(asset(), null);
      assert.deepEqual([run.status, run.code, run.failedStage], ["failed", code, stage], told(run));
      assert.match(run.message ?? "", said);
      const why = await app.why("api");
      assert.deepEqual([why.runs[0]?.code, why.current?.version], [code, "v1.0.0"]);
      await assertRestarted(ws, first, []);
      assert.deepEqual(await binOf(ws, "api"), bin);
      assert.equal(visits, 0, "nobody else was asked");
    });
  }

  test("an address that expired, a connection that breaks and a server that goes on at the wrong place still end in the right program", async () => {
    const first = await takeSnapshot(ws);
    const [name, other] = [asset(), assetName("worker")];
    const seen = requests(name).length;
    ws.forge.fault(name, { kind: "expired-once" });
    ws.forge.fault(other, { kind: "drop-after", bytes: 1_000_000 });
    const worker = ws.publish(WORKER, "v1.1.0", [await programAsset("worker", "v1.1.0")]);
    const api = ws.publish(PLATFORM, `v1.1.${++patch}`, [await programAsset("api", "v1.1.0")]);
    const runs = [runOf(app, await ws.announce(api)), runOf(app, await ws.announce(worker))];
    await nextFault(name, seen + 1, { kind: "drop-after", bytes: 1_000_000 });
    await nextFault(name, seen + 2, { kind: "wrong-range-start" });
    for (const run of await Promise.all(runs)) assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], told(run));
    ws.forge.fault(name, null);
    assert.deepEqual(requests(name).slice(seen).map((r) => r.range !== undefined), [false, false, true, false], "expired, broken, at the wrong place, whole");
    assert.match(requests(other).at(-1)?.range ?? "", /^bytes=[1-9]\d*-$/, "a connection that breaks is taken up where it broke");
    assert.deepEqual([await ws.version("api"), await ws.version("worker")], ["v1.1.0", "v1.1.0"]);
    await assertRestarted(ws, first, ["api", "jobs"]);
  });

  /** Sets the fault that the try after number `tries` meets. */
  async function nextFault(name: string, tries: number, fault: Fault): Promise<void> {
    await until(() => requests(name).length >= tries, { what: `try ${tries}`, everyMs: 5 });
    ws.forge.fault(name, fault);
  }

  test("while the API limits us nothing is asked of it, and a release it does not show yet is looked for again", async () => {
    const first = await takeSnapshot(ws);
    const id = ws.publish(WORKER, "v1.2.0", [await programAsset("worker", "v1.2.0")]);
    const resetAt = (Math.floor(Date.now() / 1000) + 2) * 1000;
    ws.forge.limitRate({ remaining: 0, resetInS: 2 });
    const asked = ws.forge.countApi();
    const sent = await ws.announce(id);
    const delivery = () => app.delivery(sent.answer.body.delivery);
    const limited = await until(async () => ((await delivery()).reason === undefined ? null : delivery()), { what: "the delivery to be put back" });
    assert.match(limited.reason ?? "", /^rate-limited: .* is rate-limited until /);
    assert.equal(limited.state, "received");
    const counts = new Set<number>();
    await until(() => Date.now() > resetAt - 150 || void counts.add(ws.forge.countApi()), { what: "the reset", everyMs: 20 });
    ws.forge.limitRate(null);
    ws.forge.lag("v1.2.0", 2);
    assert.deepEqual([...counts], [asked + 1], "one answer was enough");
    await until(async () => /^version-not-found/.test((await delivery()).reason ?? ""), { what: "the release not to be seen", everyMs: 20, onTimeout: async () => JSON.stringify(await delivery()) });
    const run = await runOf(app, sent);
    assert.equal(run.status, "succeeded", told(run));
    await assertRestarted(ws, first, ["jobs"]);
    assert.equal(await ws.version("worker"), "v1.2.0");
  });
});

async function forOtherMachine(): Promise<Buffer> {
  const copy = Buffer.from(await program("api", "v1.1.0"));
  const arm = copy.readUInt16LE(MACHINE_AT) === 0xb7;
  copy.writeUInt16LE(arm ? 0x3e : 0xb7, MACHINE_AT);
  return copy;
}

describe("a private repository on an older server", { timeout: 240_000 }, () => {
  const TOKEN = `ghp_${"Zq7".repeat(12)}`;
  let ws: ReleaseWorkspace;
  let app: App;

  before(async () => {
    ws = await createReleaseWorkspace({ soak: "300ms", forge: { style: "old-ghes" }, secrets: { GITHUB_TOKEN: TOKEN }, config: { subsystems: { web: { release: { trust: "none" } } } } });
    ws.forge.requireToken(TOKEN);
    await ws.start({ daemon: true });
    app = operatorOf(ws);
  });
  after(() => ws.close());

  test("says what is wrong when the token or the permission is, and a redelivery goes on once it is right", async () => {
    const first = await takeSnapshot(ws);
    const made = await programAsset("api", "v1.1.0");
    const id = ws.publish(PLATFORM, "v1.1.0-api", [made, checksums([made])]);
    ws.forge.requireToken("another");
    const sent = await ws.announce(id);
    const refused = await verdictOn(app, sent);
    assert.deepEqual([refused.state, refused.runId], ["failed", undefined]);
    assert.match(refused.reason ?? "", /^forge-refused: .*401/);
    ws.forge.requireToken(TOKEN);
    ws.forge.breakApi({ status: 403, body: JSON.stringify({ message: "Resource not accessible by personal access token" }) });
    const again = await verdictOn(app, await ws.redeliver(sent.signed));
    assert.match(again.reason ?? "", /^forge-refused: .*403/);
    ws.forge.breakApi(null);
    await assertRestarted(ws, first, []);
    const reopened = await ws.redeliver(sent.signed);
    assert.equal(reopened.answer.status, 202);
    const run = await runOf(app, reopened);
    assert.deepEqual([run.status, run.artifact?.digest], ["succeeded", `sha256:${sha256(made.content)}`], `${told(run)}: SHA256SUMS says the digest`);
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v1.1.0");
  });

  test("a release that states no digest waits until a checksum file does; trust: none installs without", async () => {
    const first = await takeSnapshot(ws);
    const made = await programAsset("worker", "v1.1.0");
    const worker = ws.publish(WORKER, "v1.1.0", [made]);
    const web = ws.publish(PLATFORM, "v1.1.0-web", [await programAsset("web", "v1.1.0")]);
    const [held, trusted] = await Promise.all([runOf(app, await ws.announce(worker)), runOf(app, await ws.announce(web))]);
    assert.deepEqual([held.status, held.holdReason], ["held", "assets"], told(held));
    assert.match(held.message ?? "", /digest of worker-\S+ in release v1\.1\.0 of acme\/worker is stated nowhere/);
    assert.deepEqual([ws.forge.downloadsOf(made.name), await ws.version("worker")], [0, "v1.0.0"]);
    assert.deepEqual([trusted.status, trusted.artifact?.digest, trusted.subsystem], ["succeeded", undefined, "web"], told(trusted));
    assert.equal(await ws.version("web"), "v1.1.0");
    ws.forge.addAsset(worker, { name: `${made.name}.sha256`, content: Buffer.from(`${sha256(made.content)}\n`) });
    const run = await runOf(app, await ws.announce(worker, "edited"));
    assert.deepEqual([run.id, run.status, run.artifact?.digest], [held.id, "succeeded", `sha256:${sha256(made.content)}`], told(run));
    await assertRestarted(ws, first, ["jobs", "web"]);
    assert.equal(await ws.version("worker"), "v1.1.0");
  });

  test("the token is told to the API's host alone, and nowhere else to be found", async () => {
    const { requests } = ws.forge;
    const hosts = (host: "api" | "asset") => requests.filter((r) => r.host === host).map((r) => r.authorization);
    assert.ok(hosts("api").length > 0 && hosts("api").every(Boolean), "the API is always told");
    assert.ok(hosts("asset").length > 0 && !hosts("asset").some(Boolean), "the asset host never is");
    for (const verb of [["status"], ["runs"], ["why", "api"]] as const) assert.ok(!(await ws.cli(verb)).stdout.includes(TOKEN), verb[0]);
    assert.ok(ws.output().includes("delivery resolved"), "the daemon's log is there");
    assert.ok(!ws.output().includes(TOKEN), "not in the daemon's log");
    const state = join(ws.dir, ".slipstream");
    const files = (await readdir(state, { recursive: true, withFileTypes: true })).filter((f) => f.isFile() && f.name !== "secrets.env");
    assert.ok(files.some((f) => f.name === "slipstream.db") && files.some((f) => f.name.endsWith("-download.log")));
    for (const f of files) assert.ok(!(await readFile(join(f.parentPath, f.name))).includes(TOKEN), f.name);
  });
});
