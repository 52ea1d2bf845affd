/** What must not be installed, or not stay: bad releases, broken builds, majors, forged and foreign news. Real builds and processes. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { App, RunView, StatusView, WhyView } from "../../src/domain/app.ts";
import { ping, tagCreated, tagPushed } from "../support/github.ts";
import type { Behaviour } from "../support/service.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, binOf, operatorOf, runOf, told, verdictOn } from "../support/story.ts";
import { createWorkspace, type SubsystemName, type Workspace } from "../support/workspace.ts";
import type { Sent } from "../support/workspace-io.ts";

/** Longer than a release that `dies` lives. */
const LONG_SOAK = "4s";

describe("what must not be installed", { timeout: 240_000 }, () => {
  let ws: Workspace;
  let app: App;

  before(async () => {
    const subsystems = { worker: { health: { soak: LONG_SOAK } }, web: { test: { task: "web:test" } } };
    ws = await createWorkspace({ soak: "300ms", config: { subsystems } });
    await ws.start({ daemon: true });
    app = operatorOf(ws);
  });
  after(() => ws.close());

  const pushed = async (name: SubsystemName, version: string, behaviour: Behaviour = "good"): Promise<Sent> => {
    const { commit } = await ws.upstreams[name].release(version, behaviour);
    return ws.deliver(tagPushed(`acme/${name}`, version, commit));
  };
  const journal = async (run: RunView) => (await app.events({ after: 0, runId: run.id })).map((e) => e.type);

  for (const [name, version, behaviour, said] of [
    ["api", "v1.0.1", "crash", /cannot load the catalogue/],
    ["api", "v1.0.2", "never-ready", /listening on/],
    ["worker", "v1.0.1", "dies", /lost the connection to its store/],
  ] as const) {
    test(`a release that is ${behaviour} is taken back, its last words are kept, and it is not tried again`, async () => {
      const first = await takeSnapshot(ws);
      const { process } = ws.subsystems[name];
      const run = await runOf(app, await pushed(name, version, behaviour));
      assert.deepEqual([run.status, run.code, run.failedStage], ["rolled_back", "unhealthy", "health"], told(run));
      assert.match(run.context.failure?.lastLines.join("\n") ?? "", said);
      assert.deepEqual(run.stages.slice(-2).map((s) => `${s.name} ${s.outcome}`), ["health failure", "rollback success"]);
      const now = await assertRestarted(ws, first, [process]);
      assert.equal(now.get(process)?.running, first.get(process)?.running, "the old program is back");
      assert.equal(await ws.version(name), "v1.0.0");
      assert.deepEqual((await journal(run)).slice(-3), ["quarantined", "rolled_back", "run_ended"]);

      const again = await verdictOn(app, await ws.deliver(tagCreated(`acme/${name}`, version)));
      assert.deepEqual([again.state, again.reason], ["ignored", "quarantined"]);
      const why: WhyView = await ws.json(["why", name]);
      assert.equal(why.current?.version, "v1.0.0");
      assert.ok(why.quarantined.some((q) => q.version === version));
      await assertRestarted(ws, now, []);
    });
  }

  test("a newer release than the quarantined ones is installed", async () => {
    const first = await takeSnapshot(ws);
    const run = await runOf(app, await pushed("api", "v1.0.3"));
    assert.deepEqual([run.status, run.fromVersion], ["succeeded", "v1.0.0"], told(run));
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v1.0.3");
  });

  test("a release that does not build ends at build and touches nothing; redelivered, it is tried again", async () => {
    const [first, bin] = [await takeSnapshot(ws), await binOf(ws, "web")];
    const sent = await pushed("web", "v1.0.1", "broken-build");
    const run = await runOf(app, sent);
    assert.deepEqual([run.status, run.code, run.failedStage], ["failed", "build-failed", "build"], told(run));
    assert.match(await app.logs(run.id), /syntax error/, "the compiler's words are in the log");
    assert.deepEqual((await journal(run)).slice(-2), ["build_failed", "run_ended"]);
    const again = await ws.redeliver(sent.signed);
    assert.equal(again.answer.status, 202);
    const second = await runOf(app, again);
    assert.notEqual(second.id, run.id, "a new run");
    assert.deepEqual([second.status, second.failedStage], ["failed", "build"], told(second));
    await assertRestarted(ws, first, []);
    assert.deepEqual(await binOf(ws, "web"), bin);
  });

  test("a release whose test fails ends at test and touches nothing", async () => {
    const [first, bin] = [await takeSnapshot(ws), await binOf(ws, "web")];
    const run = await runOf(app, await pushed("web", "v1.0.2", "broken-test"));
    assert.deepEqual([run.status, run.code, run.failedStage], ["failed", "test-failed", "test"], told(run));
    assert.equal(run.stages.find((s) => s.name === "build")?.outcome, "success");
    await assertRestarted(ws, first, []);
    assert.deepEqual(await binOf(ws, "web"), bin);
  });

  describe("a major release", () => {
    let held: RunView;

    test("waits for approval, and status and why say so", async () => {
      const first = await takeSnapshot(ws);
      held = await runOf(app, await pushed("api", "v2.0.0"));
      assert.deepEqual([held.status, held.holdReason, held.rule], ["held", "approval", "major"], told(held));
      const status: StatusView = await ws.json(["status"]);
      assert.equal(status.subsystems.find((s) => s.name === "api")?.heldRun?.id, held.id);
      const why: WhyView = await ws.json(["why", "api"]);
      assert.deepEqual(why.gates.map((g) => [g.runId, g.reason, g.rule]), [[held.id, "approval", "major"]]);
      for (const verb of [["status"], ["why", "api"]] as const) assert.match((await ws.cli(verb)).stdout, new RegExp(`slipstream approve ${held.id}`));
      assert.deepEqual(await journal(held), ["run_held", "approval_wanted"]);
      await assertRestarted(ws, first, []);
    });

    test("does not keep a patch of the installed one from being installed", async () => {
      const run = await runOf(app, await pushed("api", "v1.0.4"));
      assert.equal(run.status, "succeeded", told(run));
      assert.equal((await app.run(held.id)).status, "held");
    });

    test("is not installed when its tag was moved after it was held, though approved", async () => {
      const [first, bin] = [await takeSnapshot(ws), await binOf(ws, "api")];
      const { commit } = await ws.upstreams.api.release("v2.0.0");
      assert.notEqual(commit, held.commit);
      const { exitCode, stdout } = await ws.cli(["approve", held.id, "--json"]);
      const run: RunView = JSON.parse(stdout);
      assert.deepEqual([exitCode, run.status, run.code, run.failedStage], [1, "failed", "commit-mismatch", "update-source"], told(run));
      await assertRestarted(ws, first, []);
      assert.deepEqual(await binOf(ws, "api"), bin);
    });

    test("goes once exactly its commit is approved", async () => {
      const first = await takeSnapshot(ws);
      const { commit } = await ws.upstreams.api.release("v2.1.0");
      const waiting = await runOf(app, await ws.deliver(tagPushed("acme/api", "v2.1.0", commit)));
      const approved: RunView = await ws.json(["approve", waiting.id]);
      assert.deepEqual([approved.id, approved.status, approved.commit, approved.context.commit], [waiting.id, "succeeded", commit, commit], told(approved));
      await assertRestarted(ws, first, ["api"]);
      assert.equal(await ws.version("api"), "v2.1.0");
    });

    test("ends when it is rejected, and a newer one waits again", async () => {
      const first = await takeSnapshot(ws);
      const waiting = await runOf(app, await pushed("web", "v2.0.0"));
      assert.equal(waiting.status, "held");
      const { exitCode, stdout } = await ws.cli(["reject", waiting.id, "--json"]);
      assert.deepEqual([exitCode, JSON.parse(stdout).status, JSON.parse(stdout).code], [0, "skipped", "rejected"]);
      assert.equal((await ws.cli(["approve", waiting.id])).exitCode, 1, "what was rejected cannot be approved");
      const newer = await runOf(app, await pushed("web", "v2.0.1"));
      assert.equal(newer.status, "held");
      await assertRestarted(ws, first, []);
    });
  });

  test("an older release is ignored", async () => {
    const verdict = await verdictOn(app, await pushed("api", "v1.0.9"));
    assert.deepEqual([verdict.state, verdict.reason], ["ignored", "older-than-current"]);
  });

  test("a forged delivery is refused and leaves nothing; a foreign one is ignored; a ping is answered", async () => {
    const first = await takeSnapshot(ws);
    const before = (await app.events({ after: 0 })).length;
    const { commit } = await ws.upstreams.api.release("v2.1.1");
    const news = tagPushed("acme/api", "v2.1.1", commit);
    for (const secret of ["another secret", null]) {
      const { answer } = await ws.deliver(news, { secret });
      assert.deepEqual([answer.status, answer.body.error.code], [401, "signature-refused"]);
    }
    assert.equal((await app.events({ after: 0 })).length, before, "no row is written for a stranger");
    const foreign = await ws.deliver(tagPushed("somebody/else", "v9.9.9", commit));
    assert.deepEqual([foreign.answer.status, foreign.answer.body.state, foreign.answer.body.reason], [202, "ignored", "repository-not-configured"]);
    const hello = await ws.deliver(ping("acme/api"));
    assert.deepEqual([hello.answer.status, hello.answer.body.reason], [200, "ping"]);
    assert.equal((await app.runs({ subsystem: "api", limit: 1 }))[0]?.toVersion, "v2.1.0", "no run began");
    await assertRestarted(ws, first, []);
    const run = await runOf(app, await ws.deliver(news));
    assert.equal(run.status, "succeeded", `the same news, signed: ${told(run)}`);
  });
});
