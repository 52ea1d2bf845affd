/** The main job on real parts: signed webhooks, real builds, real processes under Process Compose; what is updated, and what stays untouched. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import type { App } from "../../src/domain/app.ts";
import { branchPushed, releasePublished, tagCreated, tagPushed } from "../support/github.ts";
import { serviceFiles } from "../support/service.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, binOf, operatorOf, runOf, stampOf, told, verdictOn } from "../support/story.ts";
import { createWorkspace, type Workspace } from "../support/workspace.ts";
import type { Sent } from "../support/workspace-io.ts";

const STAGES = ["update-source", "build", "verify", "swap", "reload", "health"];

describe("an update by webhook", { timeout: 240_000 }, () => {
  let ws: Workspace;
  let app: App;
  const sent: Sent[] = [];

  before(async () => {
    ws = await createWorkspace({ soak: "300ms", config: { subsystems: { web: { strategy: "commits", branch: "main" } } } });
    await ws.start({ daemon: true });
    app = operatorOf(ws);
  });
  after(() => ws.close());

  test("a tag push, its create and its release lead to one run that restarts exactly that program", async () => {
    const [first, was] = [await takeSnapshot(ws), await stampOf(ws, "api")];
    const neighbours = [await binOf(ws, "worker"), await binOf(ws, "web")];
    const { commit } = await ws.upstreams.api.release("v1.1.0");
    sent.push(...(await Promise.all([ws.deliver(tagPushed("acme/api", "v1.1.0", commit)), ws.deliver(tagCreated("acme/api", "v1.1.0")), ws.deliver(releasePublished("acme/api", "v1.1.0"))])));
    assert.deepEqual(sent.map((s) => s.answer.status), [202, 202, 202]);
    const runs = await Promise.all(sent.map((s) => runOf(app, s)));
    assert.equal(new Set(runs.map((r) => r.id)).size, 1, "one run for three deliveries");
    const run = await ws.json(["runs", runs[0]?.id ?? ""]);
    assert.equal(run.status, "succeeded", told(run));
    assert.deepEqual([run.fromVersion, run.toVersion, run.commit], ["v1.0.0", "v1.1.0", commit]);
    assert.deepEqual(run.stages.map((s: { name: string; outcome: string }) => `${s.name} ${s.outcome}`), STAGES.map((s) => `${s} success`));

    const now = await assertRestarted(ws, first, ["api"]);
    assert.notEqual(now.get("api")?.running, first.get("api")?.running, "another program runs");
    assert.equal(run.context.health.digestProved, true);
    assert.equal(run.context.digest, now.get("api")?.running, "the digest it proved is the one that runs");
    assert.equal(await ws.version("api"), "v1.1.0");
    assert.deepEqual([await binOf(ws, "worker"), await binOf(ws, "web")], neighbours, "nobody wrote into the neighbours' .bin");

    const stamp = await stampOf(ws, "api");
    assert.deepEqual({ ...stamp, timestamp: "" }, { commit: commit.slice(0, 7), timestamp: "", checksum: run.context.digest.slice("sha256:".length), version: "v1.1.0" });
    assert.match(stamp["timestamp"] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const old = first.get("api")?.running ?? "";
    const kept = `v1.0.0-${old.slice("sha256:".length, "sha256:".length + 12)}`;
    assert.deepEqual(await readdir(join(ws.dir, "api", ".bin", ".previous")), [kept]);
    assert.deepEqual(await stampOf(ws, "api", ".previous", kept), was, "the old stamp is kept beside the old program");
  });

  test("its journal tells the stages in order", async () => {
    const [run] = await app.runs({ subsystem: "api" });
    const events = await app.events({ after: 0, ...(run === undefined ? {} : { runId: run.id }) });
    const stages = STAGES.flatMap((s) => [`stage_started ${s}`, `stage_completed ${s}`]);
    assert.deepEqual(events.map((e) => `${e.type} ${e.stage ?? ""}`.trim()), ["run_queued", "build_started", ...stages, "build_completed", "run_ended"]);
    assert.deepEqual(events.map((e) => e.id), events.map((e) => e.id).sort((a, b) => a - b), "cursors only grow");
  });

  test("a redelivery is a duplicate, and the same news under another id is already current: nothing restarts", async () => {
    const first = await takeSnapshot(ws);
    const push = sent[0] as Sent;
    const again = await ws.redeliver(push.signed);
    assert.deepEqual([again.answer.status, again.answer.body.duplicate], [200, true]);
    const { commit } = await app.run((await verdictOn(app, push)).runId ?? "");
    const news = await ws.deliver(tagPushed("acme/api", "v1.1.0", commit ?? ""));
    assert.equal(news.answer.status, 202);
    const verdict = await verdictOn(app, news);
    assert.deepEqual([verdict.state, verdict.reason, verdict.runId], ["ignored", "already-current", undefined]);
    assert.equal((await app.runs({ subsystem: "api" })).length, 1);
    await assertRestarted(ws, first, []);
  });

  test("the path's suffix is only a hint, and a developer's uncommitted work in the live .src stays as it is", async () => {
    const src = join(ws.dir, "api", ".src");
    await appendFile(join(src, "main.go"), "\n// half an idea\n");
    await writeFile(join(src, "notes.txt"), "not committed\n");
    const look = async () => [await git(src, "status", "--porcelain"), await git(src, "rev-parse", "HEAD"), await readFile(join(src, "main.go"), "utf8"), await readFile(join(src, "notes.txt"), "utf8")];
    const [first, work] = [await takeSnapshot(ws), await look()];
    const { commit } = await ws.upstreams.api.release("v1.1.1");
    const run = await runOf(app, await ws.deliver(tagPushed("acme/api", "v1.1.1", commit, { annotated: true }), { suffix: "/web" }));
    assert.equal(run.status, "succeeded", told(run));
    assert.equal(run.subsystem, "api");
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v1.1.1");
    assert.deepEqual(await look(), work);
  });

  test("two programs are updated side by side, the one under another process name and with prefixed variables too", async () => {
    const first = await takeSnapshot(ws);
    const [api, worker] = [await ws.upstreams.api.release("v1.2.0"), await ws.upstreams.worker.release("v1.2.0")];
    const deliveries = await Promise.all([ws.deliver(tagPushed("acme/api", "v1.2.0", api.commit)), ws.deliver(tagPushed("acme/worker", "v1.2.0", worker.commit))]);
    const [a, b] = await Promise.all([runOf(app, deliveries[0]), runOf(app, deliveries[1])]);
    for (const run of [a, b]) assert.equal(run.status, "succeeded", told(run));
    assert.deepEqual([a.subsystem, b.subsystem], ["api", "worker"]);
    assert.ok((a.startedAt ?? 0) < (b.endedAt ?? 0) && (b.startedAt ?? 0) < (a.endedAt ?? 0), "their times overlap");
    await assertRestarted(ws, first, ["api", "jobs"]);
    assert.deepEqual([await ws.version("api"), await ws.version("worker")], ["v1.2.0", "v1.2.0"]);
  });

  test("a release whose build makes the installed program once more is an error, not a restart", async () => {
    const [first, bin] = [await takeSnapshot(ws), await binOf(ws, "worker")];
    const commit = await ws.upstreams.worker.commitFiles({ "README.md": "# worker\n\nOnly words changed.\n" }, "words");
    await ws.upstreams.worker.tag("v1.2.1");
    const run = await runOf(app, await ws.deliver(tagPushed("acme/worker", "v1.2.1", commit)));
    assert.deepEqual([run.status, run.code, run.failedStage], ["failed", "build-changed-nothing", "verify"], told(run));
    assert.equal(run.stages.at(-1)?.outcome, "error");
    await assertRestarted(ws, first, []);
    assert.deepEqual(await binOf(ws, "worker"), bin);
  });

  test("of thirty releases delivered at once the newest ends up running, after at most three builds, and every delivery has its verdict", async () => {
    const first = await takeSnapshot(ws);
    const releases: { tag: string; commit: string }[] = [];
    for (let n = 1; n <= 30; n++) releases.push({ tag: `v1.2.${n}`, ...(await ws.upstreams.api.release(`v1.2.${n}`)) });
    const burst = await Promise.all(releases.map((r) => ws.deliver(tagPushed("acme/api", r.tag, r.commit))));
    assert.deepEqual(burst.filter((s) => s.answer.status !== 202), []);
    const newest = await runOf(app, burst.at(-1) as Sent);
    assert.equal(newest.status, "succeeded", told(newest));
    const verdicts = await Promise.all(burst.map((s) => verdictOn(app, s)));
    const unexplained = verdicts.filter((v) => v.runId === undefined && v.reason === undefined);
    assert.deepEqual(unexplained, [], "every delivery has a run or a reason");
    const ours = (await app.runs({ subsystem: "api", limit: 100 })).filter((r) => releases.some((x) => x.tag === r.toVersion));
    assert.deepEqual(ours.filter((r) => !["succeeded", "skipped"].includes(r.status)), [], "no run is left or failed");
    const built = ours.filter((r) => r.startedAt !== undefined && r.status === "succeeded");
    assert.ok(built.length <= 3, `${built.length} builds`);
    assert.equal(await ws.version("api"), "v1.2.30");
    await assertRestarted(ws, first, ["api"]);
  });

  describe("of a subsystem that follows a branch", () => {
    const push = async (version: string) => ws.upstreams.web.commitFiles(serviceFiles({ name: "web", version }), version);
    let [older, newer] = ["", ""];

    test("a push to that branch, named by a configured fork, is installed", async () => {
      const first = await takeSnapshot(ws);
      const from = await ws.upstreams.web.git("rev-parse", "HEAD");
      const commit = await push("main-1");
      const run = await runOf(app, await ws.deliver(branchPushed("octo-forks/web", "main", from, commit)));
      assert.equal(run.status, "succeeded", told(run));
      assert.equal(run.toVersion, commit);
      await assertRestarted(ws, first, ["web"]);
      assert.equal(await ws.version("web"), "main-1");
    });

    test("a push to another branch, and a tag, are ignored", async () => {
      const first = await takeSnapshot(ws);
      const head = await ws.upstreams.web.git("rev-parse", "HEAD");
      await ws.upstreams.web.branch("next");
      const commit = await push("next-1");
      const other = await ws.deliver(branchPushed("acme/web", "next", head, commit));
      assert.equal((await verdictOn(app, other)).reason, "branch-not-tracked");
      const tagged = await ws.deliver(tagPushed("acme/web", "v9.0.0", commit));
      assert.equal((await verdictOn(app, tagged)).reason, "strategy-differs");
      await ws.upstreams.web.branch("main");
      await assertRestarted(ws, first, []);
    });

    test("a push that arrives after a newer one does not bring the older commit back", async () => {
      const from = await ws.upstreams.web.git("rev-parse", "HEAD");
      older = await push("main-2");
      newer = await push("main-3");
      const run = await runOf(app, await ws.deliver(branchPushed("acme/web", "main", older, newer)));
      assert.deepEqual([run.status, run.toVersion], ["succeeded", newer], told(run));
      const first = await takeSnapshot(ws);
      const late = await ws.deliver(branchPushed("acme/web", "main", from, older));
      assert.equal((await verdictOn(app, late)).reason, "already-current");
      assert.equal(await ws.version("web"), "main-3");
      await assertRestarted(ws, first, []);
    });

    test("a forced push waits for approval, also once an ordinary push has followed it", async () => {
      const first = await takeSnapshot(ws);
      await ws.upstreams.web.reset(older);
      const forced = await push("rewritten-1");
      const held = await runOf(app, await ws.deliver(branchPushed("acme/web", "main", newer, forced, { forced: true })));
      assert.deepEqual([held.status, held.rule], ["held", "rewritten"], told(held));
      const next = await push("rewritten-2");
      const after = await runOf(app, await ws.deliver(branchPushed("acme/web", "main", forced, next)));
      assert.deepEqual([after.status, after.rule, after.toVersion], ["held", "rewritten", next], told(after));
      assert.deepEqual([(await app.run(held.id)).status, (await app.run(held.id)).code], ["skipped", "superseded"]);
      await assertRestarted(ws, first, []);
    });

    test("a forced push and an ordinary one that arrive together wait for approval, and go once approved", async () => {
      const first = await takeSnapshot(ws);
      await ws.upstreams.web.reset(older);
      const forced = await push("rewritten-3");
      const next = await push("rewritten-4");
      const both = await Promise.all([ws.deliver(branchPushed("acme/web", "main", newer, forced, { forced: true })), ws.deliver(branchPushed("acme/web", "main", forced, next))]);
      const held = await runOf(app, both[1]);
      assert.deepEqual([held.status, held.rule, held.toVersion], ["held", "rewritten", next], told(held));
      await assertRestarted(ws, first, []);
      const approved = await ws.json(["approve", held.id]);
      assert.equal(approved.status, "succeeded", told(approved));
      await assertRestarted(ws, first, ["web"]);
      assert.equal(await ws.version("web"), "rewritten-4");
    });
  });
});

async function git(dir: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)("git", ["-C", dir, ...args])).stdout;
}
