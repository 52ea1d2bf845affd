/** Release mode on real parts: signed release events, a forge with its asset host, real programs under Process Compose; what is downloaded and restarted, and what is not. */

import assert from "node:assert/strict";
import { copyFile, cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { App, CheckEntry, RunView, StatusView, UpdatePreview } from "../../src/domain/app.ts";
import type { Manifest } from "../../src/domain/manifest.ts";
import { type AssetSpec, type FakeForge, releaseDelivery, startForge } from "../support/forge.ts";
import { assetName, commitOf, programAsset, sha256 } from "../support/release-programs.ts";
import { createReleaseWorkspace, type ReleaseWorkspace } from "../support/release-workspace.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, binOf, endOf, operatorOf, runOf, stampOf, told, verdictOn } from "../support/story.ts";
import { until } from "../support/wait.ts";
import { runCli, type Sent } from "../support/workspace-io.ts";

const STAGES = ["download", "verify", "swap", "reload", "health"];
const NAMES = ["api", "worker", "web"] as const;
const PLATFORM = "acme/platform";

describe("an update by release", { timeout: 300_000 }, () => {
  let ws: ReleaseWorkspace;
  let app: App;
  /** Has the releases of `worker`. */
  let other: FakeForge;

  before(async () => {
    other = await startForge();
    other.publish("acme/worker", { tag: "v1.0.0", assets: [await programAsset("worker", "v1.0.0")] });
    const worker = { release: { api: other.api, asset_hosts: [other.assetHost] } };
    ws = await createReleaseWorkspace({ empty: true, soak: "300ms", config: { limits: { kept_versions: 2 }, subsystems: { worker } } });
    await ws.start({ daemon: true, missing: NAMES });
    app = operatorOf(ws);
  });
  after(async () => {
    await ws.close();
    await other.close();
  });

  const downloads = () => NAMES.map((name) => (name === "worker" ? other : ws.forge).downloadsOf(assetName(name)));
  const publishApi = async (tag: string, version: string) => ws.publish(PLATFORM, tag, [await programAsset("api", version)]);
  const publishWorker = (tag: string, ...assets: AssetSpec[]) => other.publish("acme/worker", { tag, assets }).id;
  const announceWorker = (id: string, action = "published"): Promise<Sent> => ws.deliver(releaseDelivery(other, id, action));
  const manifest = async (): Promise<Manifest> => JSON.parse(await readFile(join(ws.dir, ".version-manifest.json"), "utf8"));
  const previous = async (name: string) => (await readdir(join(ws.dir, name, ".bin", ".previous"))).map((folder) => folder.replace(/-[0-9a-f]{12}$/, "")).sort();

  test("one command installs every program of an empty machine out of its first release", async () => {
    const runs: RunView[] = await ws.json(["update", "--all"]);
    for (const run of runs) assert.deepEqual([run.status, run.rule, run.toVersion], ["succeeded", "first-install", "v1.0.0"], told(run));
    assert.deepEqual(runs.map((r) => r.subsystem).sort(), [...NAMES].sort());
    for (const name of NAMES) {
      assert.equal(await ws.version(name), "v1.0.0", name);
      const digest = await ws.digest(name);
      assert.deepEqual({ ...(await stampOf(ws, name)), timestamp: "" }, { commit: commitOf(name, "v1.0.0").slice(0, 7), timestamp: "", checksum: digest.slice("sha256:".length), version: "v1.0.0" });
    }
    assert.deepEqual(downloads(), [1, 1, 1]);
  });

  test("of two programs in one release only the changed one is downloaded, and only its process restarts", async () => {
    const [first, was, got] = [await takeSnapshot(ws), await stampOf(ws, "api"), downloads()];
    const neighbours = [await binOf(ws, "worker"), await binOf(ws, "web")];
    const id = ws.publish(PLATFORM, "v1.1.0", [await programAsset("api", "v1.1.0"), await programAsset("web", "v1.0.0")]);
    const sent = await ws.announce(id);
    assert.equal(sent.answer.status, 202);
    const run = await runOf(app, sent);
    assert.equal(run.status, "succeeded", told(run));
    assert.deepEqual([run.fromVersion, run.toVersion], ["v1.0.0", "v1.1.0"]);
    assert.deepEqual(run.stages.map((s) => `${s.name} ${s.outcome}`), STAGES.map((s) => `${s} success`));
    assert.deepEqual(downloads(), [(got[0] ?? 0) + 1, got[1], got[2]], "only its own asset");

    const now = await assertRestarted(ws, first, ["api"]);
    assert.notEqual(now.get("api")?.running, first.get("api")?.running, "another program runs");
    assert.deepEqual([run.context.health?.digestProved, run.context.digest], [true, now.get("api")?.running], "the digest it proved is the one that runs");
    assert.equal(await ws.version("api"), "v1.1.0");
    assert.deepEqual([await binOf(ws, "worker"), await binOf(ws, "web")], neighbours, "nobody wrote into the neighbours' .bin");
    const web = (await app.why("web")).deliveries.find((d) => d.externalId === sent.id);
    assert.deepEqual([web?.reason, web?.runId], ["already-current", undefined]);

    const stamp = await stampOf(ws, "api");
    assert.deepEqual(Object.keys(stamp), ["commit", "timestamp", "checksum", "version"]);
    assert.deepEqual({ ...stamp, timestamp: "" }, { commit: commitOf("api", "v1.1.0").slice(0, 7), timestamp: "", checksum: run.context.digest?.slice("sha256:".length), version: "v1.1.0" });
    assert.match(stamp["timestamp"] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual(await previous("api"), ["v1.0.0"]);
    const [kept = ""] = await readdir(join(ws.dir, "api", ".bin", ".previous"));
    assert.deepEqual(await stampOf(ws, "api", ".previous", kept), was, "the old stamp is kept beside the old program");
  });

  test("the manifest tells what is installed after an update, and what is new after a check", async () => {
    publishWorker("v1.1.0", await programAsset("worker", "v1.1.0"));
    const path = join(ws.dir, ".version-manifest.json");
    const before = await manifest();
    assert.deepEqual([before.subsystems["api"]?.current_tag, before.subsystems["api"]?.current_commit], ["v1.1.0", commitOf("api", "v1.1.0").slice(0, 7)]);
    const held = await open(path);
    const checked: Record<string, CheckEntry> = await ws.json(["check", "all"]);
    assert.deepEqual(checked, {
      api: { name: "api", current: "v1.1.0", latest: "v1.1.0", update_available: false, reason: "already-current" },
      web: { name: "web", current: "v1.0.0", latest: "v1.1.0", update_available: false, reason: "already-current" },
      worker: { name: "worker", current: "v1.0.0", latest: "v1.1.0", update_available: true },
    });
    assert.deepEqual(JSON.parse(await held.readFile("utf8")), before, "who reads the old file while it is replaced reads a whole one");
    assert.notEqual((await held.stat()).ino, (await stat(path)).ino);
    await held.close();
    const now = await manifest();
    const second = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
    assert.deepEqual(Object.keys(now), ["last_check", "subsystems"]);
    assert.match(now.last_check ?? "", second);
    const entry = (name: "api" | "worker" | "web", current: string, latest: string) => ({
      ...{ name, upstream_repo: `https://github.com/${ws.subsystems[name].repository}.git`, current_commit: commitOf(name, current).slice(0, 7), current_tag: current },
      ...{ latest_commit: current === latest ? commitOf(name, current).slice(0, 7) : null, latest_tag: latest, update_available: name === "worker", last_updated: now.subsystems[name]?.last_updated },
    });
    assert.deepEqual(now.subsystems, { api: entry("api", "v1.1.0", "v1.1.0"), web: entry("web", "v1.0.0", "v1.1.0"), worker: entry("worker", "v1.0.0", "v1.1.0") });
    for (const s of Object.values(now.subsystems)) assert.match(s.last_updated ?? "", second);
    assert.deepEqual((await readdir(ws.dir)).filter((name) => name.startsWith(".version-manifest") && name !== ".version-manifest.json"), [], "nothing half-written stays");
  });

  test("the same release, delivered five times under three actions, is one update and one download", async () => {
    const [first, got] = [await takeSnapshot(ws), downloads()];
    const { id } = other.publish("acme/worker", { tag: "worker-1.1.1", assets: [await programAsset("worker", "v1.1.1")] });
    const sent: Sent[] = [];
    for (const action of ["published", "released", "edited"]) sent.push(await announceWorker(id, action));
    sent.push(...(await Promise.all([announceWorker(id, "edited"), announceWorker(id)])));
    assert.equal(new Set(sent.map((s) => s.answer.body.delivery)).size, 5, "five deliveries");
    const run = await runOf(app, sent[0] as Sent);
    assert.equal(run.status, "succeeded", told(run));
    for (const one of sent) {
      const { runId, reason } = await verdictOn(app, one);
      assert.ok(runId === run.id || reason === "already-current", `${runId} ${reason}`);
    }
    assert.deepEqual((await app.runs({ subsystem: "worker" })).map((r) => [r.toVersion, r.status]), [["worker-1.1.1", "succeeded"], ["v1.0.0", "succeeded"]], "the older new release was left out");
    assert.equal(downloads()[1], (got[1] ?? 0) + 1);
    await assertRestarted(ws, first, ["jobs"]);
    assert.equal(await ws.version("worker"), "v1.1.1");
  });

  test("a tag that names a program is that program's alone", async () => {
    const first = await takeSnapshot(ws);
    const sent = await ws.announce(await publishApi("v1.2.0-api", "v1.2.0"));
    const run = await runOf(app, sent);
    assert.deepEqual([run.status, run.toVersion], ["succeeded", "v1.2.0-api"], told(run));
    assert.deepEqual([await ws.version("api"), (await stampOf(ws, "api"))["version"]], ["v1.2.0", "v1.2.0"], "the archive's own stamp says what it is");
    assert.equal((await app.why("web")).deliveries.find((d) => d.externalId === sent.id)?.reason, "other-subsystem");
    await assertRestarted(ws, first, ["api"]);
  });

  test("a release that comes before its asset waits for it, and its own run goes on", async () => {
    const first = await takeSnapshot(ws);
    const asset = await programAsset("worker", "v1.2.0");
    const id = publishWorker("v1.2.0");
    const held = await runOf(app, await announceWorker(id));
    assert.deepEqual([held.status, held.holdReason], ["held", "assets"], told(held));
    assert.ok((held.holdUntil ?? 0) > Date.now(), "it has a deadline");
    assert.match((await ws.cli(["status"])).stdout, /waiting for the assets of the release → v1\.2\.0/);
    other.addAsset(id, { ...asset, state: "starter" });
    const early = await verdictOn(app, await announceWorker(id, "edited"));
    assert.deepEqual([early.runId, (await app.run(held.id)).status], [held.id, "held"], "its upload is not finished");
    await assertRestarted(ws, first, []);
    other.replaceAsset(id, asset);
    const run = await runOf(app, await announceWorker(id, "edited"));
    assert.deepEqual([run.id, run.status], [held.id, "succeeded"], told(run));
    await assertRestarted(ws, first, ["jobs"]);
    assert.equal(await ws.version("worker"), "v1.2.0");
  });

  test("drafts and prereleases are ignored", async () => {
    const [first, runs] = [await takeSnapshot(ws), (await app.runs({})).length];
    const draft = other.publish("acme/worker", { tag: "v1.3.0", draft: true, assets: [await programAsset("worker", "v1.3.0")] }).id;
    const pre = other.publish("acme/worker", { tag: "v1.3.1", prerelease: true, assets: [await programAsset("worker", "v1.3.1")] }).id;
    const reasons = [];
    for (const sent of [await announceWorker(draft), await announceWorker(draft, "created"), await announceWorker(pre), await announceWorker(pre, "prereleased")]) reasons.push((await verdictOn(app, sent)).reason);
    assert.deepEqual([reasons[0], reasons[2]], ["draft", "prerelease"]);
    assert.equal((await app.runs({})).length, runs, `no run (${reasons})`);
    await assertRestarted(ws, first, []);
  });

  test("a dry run names the asset and touches nothing; a version can be asked for by name", async () => {
    const releaseId = await publishApi("v1.4.0", "v1.4.0");
    const [first, got] = [await takeSnapshot(ws), downloads()];
    const preview: UpdatePreview = await ws.json(["update", "api", "--dry-run"]);
    assert.deepEqual(preview, { subsystem: "api", from: "v1.2.0", to: "v1.4.0", commit: null, asset: assetName("api"), releaseId, stages: STAGES, restarts: "api", verdict: "update", reason: "minor" });
    assert.deepEqual(downloads(), got);
    const run: RunView = await ws.json(["update", "api", "--version", "1.4.0"]);
    assert.deepEqual([run.status, run.toVersion, run.rule], ["succeeded", "v1.4.0", "asked-for"], told(run));
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v1.4.0");
    assert.deepEqual(await previous("api"), ["v1.1.0", "v1.2.0"], "two are kept, the oldest is gone");
  });

  test("the installed program under a new tag restarts nothing, and from then on is known without a download", async () => {
    const first = await takeSnapshot(ws);
    const repacked = await programAsset("api", "v1.4.0", { beside: { "README.md": { content: Buffer.from("# api\n"), mode: 0o644 } } });
    const id = ws.publish(PLATFORM, "v1.4.1", [repacked]);
    const run = await runOf(app, await ws.announce(id));
    assert.deepEqual([run.status, run.code], ["skipped", "already-current"], told(run));
    assert.deepEqual(run.stages.map((s) => `${s.name} ${s.outcome}`), ["download success", "verify success"]);
    const got = downloads();
    const again = await verdictOn(app, await ws.announce(id, "edited"));
    assert.deepEqual([again.reason, again.runId], ["already-current", undefined]);
    assert.deepEqual(downloads(), got);
    await assertRestarted(ws, first, []);
  });

  test("a release that never gets ready is taken back, its neighbours are not touched, and it is not tried again", async () => {
    const first = await takeSnapshot(ws);
    const id = ws.publish(PLATFORM, "v1.5.0-web", [await programAsset("web", "v1.5.0", { behaviour: "never-ready" })]);
    const run = await runOf(app, await ws.announce(id));
    assert.deepEqual([run.status, run.code, run.failedStage], ["rolled_back", "unhealthy", "health"], told(run));
    const now = await assertRestarted(ws, first, ["web"]);
    assert.equal(now.get("web")?.running, first.get("web")?.running, "the old program is back");
    assert.deepEqual([await ws.version("web"), (await stampOf(ws, "web"))["version"]], ["v1.0.0", "v1.0.0"]);
    const again = await verdictOn(app, await ws.announce(id, "edited"));
    assert.deepEqual([again.state, again.reason], ["ignored", "quarantined"]);
    assert.deepEqual((await app.why("web")).quarantined.map((q) => q.version), ["v1.5.0"]);
    await assertRestarted(ws, now, []);
  });

  test("a rollback brings the version before back, or the kept one that is named", async () => {
    const first = await takeSnapshot(ws);
    const [back, named]: RunView[] = await Promise.all([ws.json(["rollback", "api"]), ws.json(["rollback", "worker", "--to", "1.0.0"])]);
    assert.ok(back !== undefined && named !== undefined);
    assert.deepEqual([back.status, back.kind, back.toVersion], ["succeeded", "rollback", "v1.2.0"], told(back));
    assert.deepEqual([named.status, named.toVersion], ["succeeded", "v1.0.0"], told(named));
    const now = await assertRestarted(ws, first, ["api", "jobs"]);
    assert.deepEqual([await ws.version("api"), await ws.version("worker")], ["v1.2.0", "v1.0.0"]);
    assert.equal(now.get("jobs")?.running, `sha256:${(await stampOf(ws, "worker"))["checksum"]}`);
    assert.equal((await ws.cli(["rollback", "worker", "--to", "0.9.0"])).exitCode, 1, "what is not kept cannot come back");
  });

  test("a major release waits for approval, which counts for the bytes that were there", async () => {
    const [first, bin] = [await takeSnapshot(ws), await binOf(ws, "web")];
    const id = ws.publish(PLATFORM, "v2.0.0-web", [await programAsset("web", "v2.0.0")]);
    const held = await runOf(app, await ws.announce(id));
    assert.deepEqual([held.status, held.holdReason, held.rule, held.toVersion], ["held", "approval", "major", "v2.0.0-web"], told(held));
    const remade = await programAsset("web", "v2.0.0", { beside: { "README.md": Buffer.from("# web\n") } });
    ws.forge.replaceAsset(id, remade);
    const { exitCode, stdout } = await ws.cli(["approve", held.id, "--json"]);
    const refused: RunView = JSON.parse(stdout);
    assert.deepEqual([exitCode, refused.status, refused.code, refused.failedStage], [1, "failed", "artifact-invalid", "download"], told(refused));
    await assertRestarted(ws, first, []);
    assert.deepEqual(await binOf(ws, "web"), bin);
    const again = await runOf(app, await ws.announce(id, "edited"));
    assert.deepEqual([again.status, again.artifact?.digest], ["held", `sha256:${sha256(remade.content)}`], told(again));
    const approved: RunView = await ws.json(["approve", again.id]);
    assert.deepEqual([approved.id, approved.status], [again.id, "succeeded"], told(approved));
    await assertRestarted(ws, first, ["web"]);
    assert.equal(await ws.version("web"), "v2.0.0");
  });

  test("a forge that fails hides nothing of the others, and check exits 0", async () => {
    other.breakApi({ status: 500, type: "text/html", body: "<h1>Unicorn</h1>" });
    const checked: Record<string, CheckEntry> = await ws.json(["check"]);
    other.breakApi(null);
    assert.deepEqual(Object.keys(checked).sort(), [...NAMES].sort());
    assert.match(checked["worker"]?.error ?? "", /500/);
    assert.deepEqual([checked["worker"]?.latest, checked["worker"]?.update_available], [null, false]);
    for (const name of ["api", "web"]) assert.deepEqual([checked[name]?.error, typeof checked[name]?.latest], [undefined, "string"], name);
  });

  test("kill -9 in the middle of a download leaves nothing half-made, and the next start finishes it", async () => {
    const first = await takeSnapshot(ws);
    const id = await publishApi("v1.6.0", "v1.6.0");
    ws.forge.fault(assetName("api"), { kind: "slow", bytesPerSecond: 200_000 });
    const { runId = "" } = await verdictOn(app, await ws.announce(id));
    await until(async () => ((await app.run(runId)).progress?.done ?? 0) > 0, { what: "some of the asset to be there", onTimeout: async () => JSON.stringify(await app.run(runId)) });
    const { daemon } = await app.status();
    process.kill(daemon.pid as number, "SIGKILL");
    ws.forge.fault(assetName("api"), null);
    assert.deepEqual([await ws.version("api"), (await ws.digest("api"))], ["v1.2.0", first.get("api")?.installed], "the old program is installed and runs");
    const status = await until(async () => {
      const seen = await app.status();
      return seen.daemon.pid === daemon.pid ? null : seen;
    }, { what: "the next daemon" });
    assert.equal(status.daemon.running, true);
    const run = await endOf(app, runId);
    assert.deepEqual([run.status, run.recoveries], ["succeeded", 1], told(run));
    await assertRestarted(ws, first, ["api", "slipstream"]);
    assert.equal(await ws.version("api"), "v1.6.0");
    assert.ok(!(await readdir(join(ws.dir, ".slipstream", "downloads"))).includes("api"));
    assert.deepEqual((await readdir(join(ws.dir, "api", ".bin"))).sort(), [".previous", ".version", "api-server"]);
  });

  test("a folder .src is all it takes to make a program one that is built here", async () => {
    const dir = await mkdtemp(join(tmpdir(), "slipstream-modes-"));
    try {
      for (const name of ["Taskfile.yml", "slipstream.yaml", "process-compose.yaml"]) await copyFile(join(ws.dir, name), join(dir, name));
      await cp(join(ws.dir, "taskfiles"), join(dir, "taskfiles"), { recursive: true });
      const modes = async () => {
        const { stdout } = await runCli(ws.places.launcher, ["status", "--json", "--workspace", dir]);
        return (JSON.parse(stdout) as StatusView).subsystems.map((s) => `${s.name} ${s.mode}`);
      };
      assert.deepEqual(await modes(), ["api release", "web release", "worker release"]);
      await mkdir(join(dir, "web", ".src"), { recursive: true });
      assert.deepEqual(await modes(), ["api release", "web source", "worker release"]);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
