/** Every kind of process there is under Process Compose, each updated by the real engine: real swap, real reload, the running digest looked at. One project per version holds them all. */

import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { atLeast } from "../../src/adapters/process-compose-plan.ts";
import type { Run } from "../../src/domain/run.ts";
import type { Subsystem } from "../../src/domain/subsystem.ts";
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
    poor: { ...noted("poor", "2"), replicas: 3 },
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
    still: program("still"),
  };
}

describe("every kind of process", { concurrency: VERSIONS.length }, () => {
  for (const under of VERSIONS) describe(under.title, { concurrency: 5 }, () => suite(under));
});

function suite(under: UnderTest): void {
  let b: KindsBench;
  let kinds: ReadonlyMap<string, Kind>;
  const kind = (name: string) => kinds.get(name) as Kind;
  const pidOf = async (process: string) => (await b.supervisor.state(process, never)).pid;
  const running = (process: string) => until(async () => (await b.supervisor.state(process, never)).isRunning, { what: `${process} to run` });
  const needs = async (t: TestContext, since: readonly [number, number], what: string) => {
    const version = await b.supervisor.version(never);
    if (!atLeast(version, since)) t.skip(`Process Compose ${version} knows no ${what}`);
    return atLeast(version, since);
  };

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

  it("replicas are reloaded one after the other, and all run the new program", async () => {
    await until(() => eventsOf(b, "web").length === 3, { what: "three replicas" });
    const run = await kind("web").change(NEW);
    assert.equal(run.status, "succeeded", run.message);
    assert.deepEqual(eventsOf(b, "web").slice(3), ["down-0", "up-0", "down-1", "up-1", "down-2", "up-2"]);
    assert.equal(run.context.health?.digestProved, true);
    assert.equal(run.context.health?.proof.split(kind("web").digest(NEW)).length, 4, "a proof for each");
    assert.match(run.message ?? "", /3 replicas, each: exe: pid \d+/);
  });

  it("replicas are all taken back when one of them fails, never all down at once", async () => {
    await until(() => eventsOf(b, "poor").length === 3, { what: "three replicas" });
    const run = await kind("poor").change(BAD);
    assert.deepEqual([run.status, run.code], ["rolled_back", "unhealthy"], run.message);
    assert.match(run.message ?? "", /process poor-2 .*exit code 5/);
    assert.deepEqual(eventsOf(b, "poor").slice(3), ["down-0", "up-0", "down-1", "up-1", "down-2", "fails-2", "up-2", "down-1", "up-1", "down-0", "up-0"]);
    assert.equal(run.context.health?.proof.split(kind("poor").digest(OLD)).length, 4);
    assert.equal(await kind("poor").installed(), kind("poor").digest(OLD));
    assert.equal(b.store.versions.isQuarantined("poor", { version: BAD }), true);
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

  for (const [name, status] of [["off", "Disabled"], ["fore", "Foreground"], ["sched", "Scheduled"]] as const) {
    it(`a process that is ${status} gets its new program and is not started`, async (t) => {
      if (name === "sched" && !(await needs(t, [1, 100], "schedule"))) return;
      const run = await kind(name).change(NEW);
      assert.equal(run.status, "succeeded", run.message);
      const s = await b.supervisor.state(name, never);
      assert.deepEqual([s.isRunning, s.status], [false, status]);
      assert.equal(await kind(name).installed(), kind(name).digest(NEW));
    });
  }

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
    assert.deepEqual([await kind("left").installed(), await pidOf("left")], [kind("left").digest(NEW), pid]);
    assert.deepEqual(b.store.stages.of(run.id).map((s) => s.name), ["restore", "swap"]);
  });

  it("answers 400 to the stop of a process that is stopped and to the start of one that runs, and both are understood", async () => {
    await running("still");
    assert.equal(await b.api.start("still", never), "registered");
    assert.deepEqual(await b.api.stop("still", 5_000, never), {});
    await until(async () => (await b.supervisor.state("still", never)).status === "Completed", { what: "still to end" });
    assert.match((await b.api.stop("still", 5_000, never)).refused ?? "", /still/);
    assert.equal(await b.api.start("still", never), "started");
  });
}
