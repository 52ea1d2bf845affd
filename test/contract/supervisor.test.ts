/** What every supervisor must do, shown on the oldest and the newest real Process Compose. `PROCESS_COMPOSE=/path/of/another/version` runs it against that one. */

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { createSupervisor } from "../../src/adapters/process-compose.ts";
import { createProcessComposeApi } from "../../src/adapters/process-compose-api.ts";
import { atLeast } from "../../src/adapters/process-compose-plan.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { BOUNDED, health, NEIGHBOUR, never, onEachVersion, READY, reloadWell, service, TOGETHER, up } from "../support/supervisor-bench.ts";
import { until } from "../support/wait.ts";

/** The same supervisor, except that a stop is never answered; Process Compose itself does so for a whole timeout when a program ends too fast. */
async function withLateStops(t: TestContext, socketPath: string): Promise<{ host: string; port: number }> {
  const server = createServer((req, res) => {
    const onward = request({ socketPath, path: req.url, method: req.method, agent: false }, (answer) => {
      if (req.url?.startsWith("/process/stop/") === true) return void answer.resume();
      res.writeHead(answer.statusCode ?? 500);
      answer.pipe(res);
    });
    req.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

onEachVersion("a supervisor", (bench) => {
  describe("reload", TOGETHER, () => {
    it("replaces the process and leaves its neighbours' pids as they were", async (t) => {
      const b = await bench(t, { web: service("web", { ...READY("web"), ...BOUNDED }), other: NEIGHBOUR, third: { ...NEIGHBOUR, depends_on: { web: { condition: "process_healthy" } } } }, { ready: ["web"] });
      await up(b, "web");
      await until(async () => (await b.pc.states()).get("third")?.isRunning, { what: "the dependant to run" });
      const old = await b.pc.states();
      const plan = await reloadWell(b, "web");
      assert.equal(plan.path, "stop-start");
      assert.equal(plan.hasReadiness, true);
      const now = await b.pc.states();
      for (const name of ["other", "third"]) assert.deepEqual([now.get(name)?.pid, now.get(name)?.status], [old.get(name)?.pid, "Running"]);
      assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
    });

    it("waits for a program that takes 3 seconds to end within its shutdown timeout", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED, 3_000), other: NEIGHBOUR });
      await up(b, "web");
      await reloadWell(b, "web");
      assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
    });

    it("never runs old and new at once when nothing bounds the stop", async (t) => {
      const b = await bench(t, { web: service("web", {}, 3_000), other: NEIGHBOUR });
      await up(b, "web");
      const plan = await reloadWell(b, "web");
      assert.match(plan.note ?? "", /shutdown\.timeout_seconds is not set/);
      assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
    });

    it("waits for the whole group when a wrapper ends before its child", async (t) => {
      const wrapped = { command: `"${process.execPath}" program.mjs web 2000 >/dev/null 2>&1 & trap 'exit 0' TERM; while :; do sleep 0.2; done`, ...BOUNDED };
      const b = await bench(t, { web: wrapped, other: NEIGHBOUR });
      await up(b, "web");
      await reloadWell(b, "web");
      await until(() => b.journal("web").length >= 4, { what: "the second child to start" });
      assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
    });

    it("says stop-timed-out about a program that does not end, and leaves it running", async (t) => {
      const b = await bench(t, { web: service("web", {}, -1), other: NEIGHBOUR });
      await up(b, "web");
      const plan = { ...(await b.supervisor.plan("web", never)), stopTimeoutMs: 1_000 };
      await assert.rejects(b.supervisor.reload(plan, never), { code: "stop-timed-out", message: new RegExp(`pid ${plan.oldPid},.*still runs`) });
      process.kill(plan.oldPid, 0);
      assert.deepEqual(b.journal("web"), ["start", "term"]);
      process.kill(plan.oldPid, "SIGKILL");
    });

    it("finishes when it is run again after it was cut off between stop and start", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED, 2_000), other: NEIGHBOUR });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      const cut = new AbortController();
      const first = b.supervisor.reload(plan, cut.signal);
      await until(() => b.journal("web").includes("term"), { what: "the stop to arrive" });
      cut.abort();
      await assert.rejects(first, { code: "cancelled" });
      await b.supervisor.reload(plan, never);
      await b.supervisor.waitHealthy(plan, health, never);
      assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
    });

    it("starts a process that an earlier reload had stopped before it was cut off", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED), other: NEIGHBOUR });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      await createProcessComposeApi({ address: b.pc.address, clock: systemClock }).stop("web", 5_000, never);
      await until(async () => (await b.supervisor.state("web", never)).status === "Completed", { what: "web to end" });
      await b.supervisor.reload(plan, never);
      await b.supervisor.waitHealthy(plan, health, never);
      assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
    });

    it("goes on once the old instance is gone, though the answer to the stop comes late", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED), other: NEIGHBOUR });
      await up(b, "web");
      const late = await withLateStops(t, (b.pc.address as { socket: string }).socket);
      const supervisor = createSupervisor({ address: late, clock: systemClock, log: silentLog() });
      const plan = await supervisor.plan("web", never);
      await supervisor.reload(plan, never);
      await supervisor.waitHealthy(plan, health, never);
      assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
    });

    it("reloads a process that is in a crash loop, and finds the repaired one healthy", async (t) => {
      const b = await bench(t, { web: service("web", { ...BOUNDED, availability: { restart: "always", backoff_seconds: 1 } }), other: NEIGHBOUR });
      await up(b, "web");
      await writeFile(b.file("web.crash"), "");
      process.kill((await b.supervisor.state("web", never)).pid, "SIGKILL");
      await rm(b.file("web.lock"), { force: true });
      await until(async () => (await b.supervisor.state("web", never)).restarts >= 2, { what: "two restarts" });
      const plan = await b.supervisor.plan("web", never);
      assert.equal(plan.path, "stop-start");
      await until(async () => (await b.supervisor.state("web", never)).restarts > plan.restarts, { what: "one more restart" });
      await rm(b.file("web.crash"));
      await b.supervisor.reload(plan, never);
      await b.supervisor.waitHealthy(plan, health, never);
    });

    it("does not start a process that a person has disabled or stopped", async (t) => {
      const b = await bench(t, { off: service("off", { disabled: true }), done: { command: "true" }, other: NEIGHBOUR });
      await until(async () => (await b.pc.states()).get("done")?.status === "Completed", { what: "done to end" });
      for (const name of ["off", "done"]) {
        const plan = await b.supervisor.plan(name, never);
        assert.equal(plan.path, "none");
        await b.supervisor.reload(plan, never);
        assert.equal((await b.supervisor.waitHealthy(plan, health, never)).pid, 0);
        assert.equal((await b.supervisor.state(name, never)).isRunning, false);
      }
      assert.deepEqual(b.journal("off"), []);
    });
  });

  describe("a process whose stop would end the project", TOGETHER, () => {
    for (const [setting, availability] of [["exit_on_end", { exit_on_end: true }], ["exit_on_failure", { restart: "exit_on_failure" }]] as const) {
      it(`is restarted or refused, and the project lives (${setting})`, async (t) => {
        const b = await bench(t, { web: service("web", { ...BOUNDED, availability }), other: NEIGHBOUR });
        await up(b, "web");
        const old = await b.pc.states();
        if (atLeast(b.version, [1, 122])) assert.equal((await reloadWell(b, "web")).path, "restart");
        else {
          await assert.rejects(b.supervisor.plan("web", never), { code: "unsafe-process-config", message: new RegExp(`${setting}.*1\\.122\\.0`) });
          assert.deepEqual(b.journal("web"), ["start"]);
        }
        assert.equal(b.pc.isRunning(), true);
        assert.equal((await b.pc.states()).get("other")?.pid, old.get("other")?.pid);
      });
    }

    it("is refused when it has no shutdown timeout, before anything is touched", async (t) => {
      const b = await bench(t, { web: service("web", { availability: { exit_on_end: true } }), lone: { command: "true" } });
      await up(b, "web");
      await assert.rejects(b.supervisor.plan("web", never), { code: "unsafe-process-config" });
      assert.deepEqual(b.journal("web"), ["start"]);
    });

    it("is restarted or refused when it is the only one running, and the project lives", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED), done: { command: "true" }, off: { command: "true", disabled: true } });
      await up(b, "web");
      await until(async () => (await b.pc.states()).get("done")?.status === "Completed", { what: "done to end" });
      if (atLeast(b.version, [1, 100])) {
        assert.equal((await reloadWell(b, "web")).path, "restart");
        assert.deepEqual(b.journal("web"), ["start", "term", "end", "start"]);
      } else {
        await assert.rejects(b.supervisor.plan("web", never), { code: "unsafe-process-config", message: /only running process/ });
        assert.deepEqual(b.journal("web"), ["start"]);
      }
      assert.equal(b.pc.isRunning(), true);
    });
  });

  describe("dependencies", TOGETHER, () => {
    const PAIR = { db: service("db", { ...READY("db"), ...BOUNDED }), app: service("app", { ...BOUNDED, depends_on: { db: { condition: "process_healthy" } } }), other: NEIGHBOUR };

    it("that are not Ready stop a reload before the process is touched", async (t) => {
      const b = await bench(t, PAIR, { ready: ["db"] });
      await up(b, "db", "app");
      await rm(b.file("db.ready"));
      await until(async () => (await b.supervisor.state("db", never)).ready === "Not Ready", { what: "db to lose readiness" });
      const impatient = createSupervisor({ address: b.pc.address, clock: systemClock, log: silentLog(), dependencyWaitMs: 500 });
      await assert.rejects(impatient.reload(await impatient.plan("app", never), never), { code: "dependency-not-ready", retryable: true, message: /db.*Not Ready/ });
      assert.deepEqual(b.journal("app"), ["start"]);
      assert.equal((await b.supervisor.state("app", never)).status, "Running");
    });

    it("that come back in time let the reload go on, and the dependant is never skipped", async (t) => {
      const b = await bench(t, PAIR, { ready: ["db"] });
      await up(b, "db", "app");
      await rm(b.file("db.ready"));
      await until(async () => (await b.supervisor.state("db", never)).ready === "Not Ready", { what: "db to lose readiness" });
      const plan = await b.supervisor.plan("app", never);
      assert.deepEqual(plan.needs, [{ process: "db", condition: "healthy" }]);
      const reload = b.supervisor.reload(plan, never);
      await writeFile(b.file("db.ready"), "");
      await reload;
      await b.supervisor.waitHealthy(plan, health, never);
      assert.deepEqual(b.journal("app"), ["start", "term", "end", "start"]);
    });

    it("may be reloaded themselves, and their dependants after them", async (t) => {
      const b = await bench(t, PAIR, { ready: ["db"] });
      await up(b, "db", "app");
      await reloadWell(b, "db");
      await reloadWell(b, "app");
      await reloadWell(b, "db");
      await reloadWell(b, "app");
      assert.equal((await b.supervisor.state("app", never)).status, "Running");
    });

    it("that ended well count when completion is what is asked for", async (t) => {
      const b = await bench(t, { init: { command: "true" }, app: service("app", { ...BOUNDED, depends_on: { init: { condition: "process_completed_successfully" } } }), other: NEIGHBOUR });
      await up(b, "app");
      assert.deepEqual((await reloadWell(b, "app")).needs, [{ process: "init", condition: "completed-successfully" }]);
    });
  });
});
