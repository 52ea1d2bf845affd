/** Every kind of process there is under Process Compose, each updated by the real engine: real swap, real reload, the running digest looked at. One project per version holds them all. */

import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createSupervisor } from "../../src/adapters/process-compose.ts";
import { atLeast } from "../../src/adapters/process-compose-plan.ts";
import type { Run } from "../../src/domain/run.ts";
import type { Subsystem } from "../../src/domain/subsystem.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { createEngine } from "../../src/run/engine.ts";
import { ensureTools } from "../../tools/install.ts";
import { BAD, binaryOf, eventsOf, type Kind, kindsBench, type KindsBench, never, NEW, noted, OLD, program } from "../support/kinds-bench.ts";
import { type UnderTest, VERSIONS } from "../support/supervisor-bench.ts";
import { until } from "../support/wait.ts";

const READY = (name: string) => ({ readiness_probe: { exec: { command: `test -e ${name}.ready` }, period_seconds: 1, timeout_seconds: 3, failure_threshold: 100 } });
const ODD = "a b?c#d%e+f&g=ü";
const SLASH = "a/b";

const SUBSYSTEMS: Readonly<Record<string, Partial<Subsystem>>> = {
  web: {},
  poor: {},
  late: {},
  pair: {},
  daemon: {},
  off: {},
  fore: {},
  sched: {},
  odd: { process: ODD },
  slash: { process: SLASH },
  blue: {},
  db: { process: null },
  skip: {},
  wrapped: {},
  ghost: {},
  shy: { health: { soakMs: 300, timeoutMs: 10_000, proof: "off" } },
  left: {},
  still: {},
};

function processes(task: string): Record<string, object> {
  return {
    web: { ...noted("web"), replicas: 3 },
    "web-7": { command: "exec sleep 1000" },
    poor: { ...noted("poor", "1"), replicas: 3 },
    late: { ...noted("late", "0", true), replicas: 2 },
    pair: { ...noted("pair"), replicas: 2 },
    daemon: { command: `${binaryOf("daemon")} 1000 >/dev/null 2>&1 & echo $$! > daemon.pid`, is_daemon: true, shutdown: { command: "kill $$(cat daemon.pid)", timeout_seconds: 3 } },
    off: program("off", { disabled: true }),
    fore: program("fore", { is_foreground: true }),
    sched: program("sched", { schedule: { interval: "1h" } }),
    [ODD]: program("odd"),
    [SLASH]: program("slash"),
    blue: program("blue", { namespace: "blue sky/1" }),
    db: program("db", READY("db")),
    skip: program("skip", { depends_on: { db: { condition: "process_healthy" } }, availability: { exit_on_skipped: true } }),
    wrapped: { command: `"${task}" -t wrapped/Taskfile.yml run`, shutdown: { timeout_seconds: 5 } },
    // Not the subsystem's program at all, as where a wrapper unpacks another file and runs that.
    shy: { command: "exec sleep 1000", shutdown: { timeout_seconds: 5 } },
    left: program("left"),
    still: program("still", { shutdown: { timeout_seconds: 1 } }),
  };
}

describe("every kind of process", { concurrency: VERSIONS.length }, () => {
  for (const under of VERSIONS) describe(under.title, { concurrency: 5 }, () => suite(under));
});

/** The fields of v1.122.0 by its source (types/process.go), where it may not be had to run. */
const STATE_1_122 = { name: "web", namespace: ["blue", "green"], status: "Running", system_time: "1m0s", age: 60_000_000_000, is_ready: "Ready", has_ready_probe: true, restarts: 0, exit_code: 0, success_exit_codes: [0, 3], pid: 4711, is_elevated: false, password_provided: false, mem: 1024, cpu: 0.1, is_running: true, is_watched: true, watch_trigger_path: "web/.bin/web", watch_trigger_time: "2026-08-18T12:00:00Z", process_start_time: "2026-08-18T12:00:00Z", process_ready_time: "2026-08-18T12:00:01Z" };
const REPLIES_1_122: Readonly<Record<string, object>> = {
  "/processes": { data: [STATE_1_122, { ...STATE_1_122, name: "db", namespace: "default", is_watched: false }] },
  "/process/web": STATE_1_122,
  "/process/info/web": { name: "web", command: "exec web/.bin/web", namespace: ["blue", "green"], restartPolicy: { restart: 2, backoffSeconds: 1 }, shutDownParams: { shutDownTimeout: 10, signal: 15 }, replicas: 1, replicaName: "web", watch: { paths: [{ path: "web/.bin" }], debounce: "300ms" } },
  "/project/state": { version: "v1.122.0", startTime: "2026-08-18T12:00:00Z", upTime: 60_000_000_000, processNum: 2, runningProcessNum: 2 },
};

describe("what Process Compose v1.122.0 answers", () => {
  it("is read with several namespaces to a process, and its watch on the program is noted in the plan", async (t) => {
    const server = createServer((req, res) => res.end(JSON.stringify(REPLIES_1_122[req.url ?? ""])));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const supervisor = createSupervisor({ address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port }, clock: systemClock, log: silentLog() });
    assert.deepEqual((await supervisor.list(never)).map((p) => [p.name, p.status, p.successExitCodes]), [["web", "Running", [0, 3]], ["db", "Running", [0, 3]]]);
    const plan = await supervisor.plan("web", never);
    assert.deepEqual([plan.path, plan.oldPid, plan.stopTimeoutMs], ["stop-start", 4711, 16_000]);
    assert.match(plan.note ?? "", /Process Compose watches files for it \(watch\) and may restart it a second time/);
  });
});

function suite(under: UnderTest): void {
  let b: KindsBench;
  let kinds: ReadonlyMap<string, Kind>;
  const kind = (name: string) => kinds.get(name) as Kind;
  const pidOf = async (process: string) => (await b.supervisor.state(process, never)).pid;
  const running = (process: string) => until(async () => (await b.supervisor.state(process, never)).isRunning, { what: `${process} to run` });

  before(async () => {
    const binary = await under.binary();
    const { task } = await ensureTools();
    const bench = await kindsBench(processes(task), SUBSYSTEMS, {
      binary,
      prepare: async (dir) => {
        await writeFile(join(dir, "db.ready"), "");
        await mkdir(join(dir, "wrapped"), { recursive: true });
        await writeFile(join(dir, "wrapped", "Taskfile.yml"), "version: '3'\ntasks:\n  run:\n    cmds: ['./.bin/wrapped 1000']\n");
      },
    });
    b = bench;
    kinds = bench.kinds;
  });
  after(() => b.close());

  it("replicas are reloaded one after the other, and all run the new program; a process that is only called like one is left alone", async () => {
    await running("web-7");
    const like = await pidOf("web-7");
    await until(() => eventsOf(b, "web").length === 3, { what: "three replicas" });
    const run = await kind("web").change(NEW);
    assert.equal(run.status, "succeeded", run.message);
    assert.deepEqual(eventsOf(b, "web").slice(3), ["down-0", "up-0", "down-1", "up-1", "down-2", "up-2"]);
    assert.equal(run.context.health?.digestProved, true);
    assert.equal(run.context.health?.proof.split(kind("web").digest(NEW)).length, 4, "a proof for each");
    assert.match(run.message ?? "", /3 replicas, each: exe: pid \d+/);
    assert.equal(await pidOf("web-7"), like);
  });

  it("replicas are all taken back when one of them fails, never all down at once", async () => {
    await until(() => eventsOf(b, "poor").length === 3, { what: "three replicas" });
    const run = await kind("poor").change(BAD);
    assert.deepEqual([run.status, run.code], ["rolled_back", "unhealthy"], run.message);
    assert.match(run.message ?? "", /process poor-1 .*exit code 5/);
    assert.deepEqual(eventsOf(b, "poor").slice(3), ["down-0", "up-0", "down-1", "fails-1", "up-1", "down-0", "up-0"], "the third is never touched");
    assert.equal(run.context.health?.proof.split(kind("poor").digest(OLD)).length, 3);
    assert.ok((await Promise.all([0, 1, 2].map((n) => b.supervisor.state(`poor-${n}`, never)))).every((s) => s.isRunning));
    assert.equal(await kind("poor").installed(), kind("poor").digest(OLD));
    assert.equal(b.store.versions.isQuarantined("poor", { version: BAD }), true);
  });

  it("of replicas the one that is down is taken back first, where one dies after its turn", async () => {
    await until(() => eventsOf(b, "late").length === 2, { what: "two replicas" });
    const run = await kind("late").change(BAD);
    assert.deepEqual([run.status, run.code, run.failedStage], ["rolled_back", "unhealthy", "health"], run.message);
    assert.deepEqual(eventsOf(b, "late").slice(2), ["down-0", "up-0", "down-1", "up-1", "fails-0", "up-0", "down-1", "up-1"]);
  });

  it("a replica that a person stopped stays stopped", async () => {
    await running("pair-0");
    await running("pair-1");
    await b.api.stop("pair-0", 5_000, never);
    await until(async () => (await b.supervisor.state("pair-0", never)).status === "Completed", { what: "pair-0 to end" });
    const run = await kind("pair").change(NEW);
    assert.equal(run.status, "succeeded", run.message);
    assert.equal((await b.supervisor.state("pair-0", never)).isRunning, false);
    assert.deepEqual(eventsOf(b, "pair").slice(-2), ["down-1", "up-1"]);
  });

  it("a daemon is refused before anything is touched, with the mend", async () => {
    await until(async () => (await b.supervisor.state("daemon", never)).status === "Launched", { what: "the daemon to be launched" });
    const run = await kind("daemon").change(NEW);
    assert.deepEqual([run.status, run.code, run.context.swap], ["failed", "unsafe-process-config", undefined], run.message);
    assert.match(run.message ?? "", /is_daemon, expected a process in the foreground.*remove is_daemon/);
    assert.equal(await kind("daemon").installed(), kind("daemon").digest(OLD));
  });

  for (const [name, status] of [["off", "Disabled"], ["fore", "Foreground"]] as const) {
    it(`a process that is ${status} gets its new program and is not started`, async () => {
      const run = await kind(name).change(NEW);
      assert.equal(run.status, "succeeded", run.message);
      const s = await b.supervisor.state(name, never);
      assert.deepEqual([s.isRunning, s.status], [false, status]);
      assert.equal(await kind(name).installed(), kind(name).digest(NEW));
    });
  }

  it("a process on a schedule gets its new program for the next run, and where Process Compose knows no schedule it is reloaded like any other", async () => {
    const known = atLeast(await b.supervisor.version(never), [1, 120]);
    if (!known) await running("sched");
    const run = await kind("sched").change(NEW);
    assert.equal(run.status, "succeeded", run.message);
    assert.equal((await b.supervisor.state("sched", never)).status, known ? "Scheduled" : "Running");
    assert.deepEqual([run.context.health?.digestProved, await kind("sched").installed()], [!known, kind("sched").digest(NEW)]);
  });

  it("a name that needs escaping in a URL is no obstacle", async () => {
    await running(ODD);
    const old = await pidOf(ODD);
    const run = await kind("odd").change(NEW);
    assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], run.message);
    assert.notEqual(await pidOf(ODD), old);
  });

  it("a name with a slash is reloaded where Process Compose finds it (1.122), and else refused before anything is touched, with the mend", async () => {
    const run = await kind("slash").change(NEW);
    if (atLeast(await b.supervisor.version(never), [1, 122])) return assert.equal(run.status, "succeeded", run.message);
    assert.deepEqual([run.status, run.code, run.context.swap], ["failed", "unsafe-process-config", undefined]);
    assert.match(run.message ?? "", /process a\/b has a slash in its name.*rename the process/);
  });

  it("a process of another namespace is reloaded like one of the default", async () => {
    await running("blue");
    const run = await kind("blue").change(NEW);
    assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], run.message);
  });

  it("exit_on_skipped does not end the project: the dependency is waited for", async () => {
    await running("skip");
    await rm(join(b.dir, "db.ready"));
    await until(async () => (await b.supervisor.state("db", never)).ready === "Not Ready", { what: "db to lose readiness" });
    const done = kind("skip").change(NEW);
    await until(() => b.store.runs.list({ subsystem: "skip", limit: 1 })[0]?.context.reload !== undefined, { what: "the reload to begin" });
    await writeFile(join(b.dir, "db.ready"), "");
    const run = await done;
    assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], run.message);
    assert.equal(b.pc().isRunning(), true);
  });

  it("a process started by a task is proved by the program below Task", async () => {
    await running("wrapped");
    const run = await kind("wrapped").change(NEW);
    assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], run.message);
    assert.equal(run.context.health?.pid, await pidOf("wrapped"));
    assert.doesNotMatch(run.context.health?.proof ?? "", new RegExp(`pid ${run.context.health?.pid} runs`));
  });

  it("a process that Process Compose does not know is refused before anything is touched", async () => {
    const run = await kind("ghost").change(NEW);
    assert.deepEqual([run.status, run.code, run.context.swap], ["failed", "process-unknown", undefined]);
    assert.match(run.message ?? "", /expected one of: .*web-0, web-1, web-2/);
  });

  it("a program that hides its file is taken without the proof where health.proof is off", async () => {
    await running("shy");
    const run = await kind("shy").change(NEW);
    assert.deepEqual([run.status, run.context.health?.digestProved, run.context.health?.proof], ["succeeded", false, "not asked for (health.proof: off)"], run.message);
    assert.equal(run.context.health?.pid, await pidOf("shy"));
  });

  it("a process that the run is to leave alone keeps running, and Process Compose is not asked", async () => {
    await running("left");
    const pid = await pidOf("left");
    const { subsystem, claim } = kind("left");
    const run = claim(NEW, { noReload: true });
    await createEngine({ ...b.deps, supervisor: null }).execute(run, subsystem, never);
    const ended = b.store.runs.get(run.id) as Run;
    assert.deepEqual([ended.status, ended.noReload], ["succeeded", true], ended.message);
    assert.match(ended.message ?? "", /process left was left alone: slipstream reload left restarts it/);
    assert.deepEqual([await kind("left").installed(), await pidOf("left")], [kind("left").digest(NEW), pid]);
    assert.deepEqual(b.store.stages.of(run.id).map((s) => s.name), ["restore", "swap"]);
  });

  it("answers 400 to a start while it runs, to a stop when it is stopped, and now and then to a stop that worked: the state is what counts", async () => {
    await running("still");
    assert.equal(await b.api.start("still", never), "registered");
    await b.api.stop("still", 5_000, never);
    await until(async () => (await b.supervisor.state("still", never)).status === "Completed", { what: "still to end" });
    assert.match((await b.api.stop("still", 5_000, never)).refused ?? "", /still/);
    assert.equal(await b.api.start("still", never), "started");
    await running("still");
    const run = await kind("still").change(NEW);
    assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], run.message);
  });
}
