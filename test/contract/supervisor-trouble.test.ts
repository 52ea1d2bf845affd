/** What may go wrong while replicas are reloaded: a crash of slipstream, a restart of the whole project, a replica that ends by itself. On each version of Process Compose, by the real engine. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rename, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import type { Supervisor } from "../../src/adapters/process-compose.ts";
import { proveRunning } from "../../src/adapters/running-digest.ts";
import type { Run } from "../../src/domain/run.ts";
import type { Subsystem } from "../../src/domain/subsystem.ts";
import { createEngine } from "../../src/run/engine.ts";
import { recover } from "../../src/run/recover.ts";
import { notesOf } from "../../src/run/reload-notes.ts";
import type { Store } from "../../src/store/store.ts";
import { BAD, binaryOf, eventsOf, type Kind, kindsBench, type KindsBench, never, NEW, noted, OLD, program } from "../support/kinds-bench.ts";
import { type UnderTest, VERSIONS } from "../support/supervisor-bench.ts";
import { until } from "../support/wait.ts";

/** Ends 2 s after SIGTERM, and nothing bounds that. */
const stubborn = (name: string) => ({ command: `${binaryOf(name)} 1000 & p=$$!\ntrap 'sleep 2; kill $$p; exit 0' TERM\nwait $$p` });

const PROCESSES = {
  cut: { ...noted("cut"), replicas: 3 },
  rest: { ...noted("rest"), replicas: 3 },
  stray: { ...noted("stray", "0"), replicas: 2, availability: { restart: "always", backoff_seconds: 1 } },
  fewer: { ...noted("fewer"), replicas: 4 },
  swept: program("swept"),
  calm: program("calm"),
  slow: stubborn("slow"),
  solo: program("solo"),
};
const SUBSYSTEMS: Readonly<Record<string, Partial<Subsystem>>> = { cut: {}, rest: {}, stray: {}, fewer: {}, swept: {}, calm: { health: { soakMs: 2_500, timeoutMs: 10_000, proof: "required" } }, slow: {}, solo: {} };

describe("a reload that is disturbed", { concurrency: VERSIONS.length }, () => {
  for (const under of VERSIONS) describe(under.title, { concurrency: 1 }, () => suite(under));
});

/** How its own command line finds it. */
function cliOf(bench: KindsBench): string[] {
  const { address } = bench.pc();
  return "socket" in address ? ["-U", "-u", address.socket] : ["--address", address.host, "-p", String(address.port)];
}

/** Does a step for each text, the first time it is asked. */
function once(step: (text: string) => Promise<void>): (text: string) => Promise<void> {
  const done = new Map<string, Promise<void>>();
  return (text) => {
    const begun = done.get(text) ?? step(text);
    done.set(text, begun);
    return begun;
  };
}

/** A store that answers no more once the power is cut. */
function mortal(store: Store, life: { over: boolean }): Store {
  const tx: Store["tx"] = (work) => {
    if (life.over) throw new Error("the power is cut");
    return store.tx(work);
  };
  return { ...store, tx };
}

function suite(under: UnderTest): void {
  let b: KindsBench;
  let kinds: ReadonlyMap<string, Kind>;
  const kind = (name: string) => kinds.get(name) as Kind;
  const rowOf = (name: string) => b.store.runs.list({ subsystem: name, limit: 1 })[0] as Run;
  const stageOf = (run: Run) => b.store.stages.of(run.id).at(-1)?.name;

  before(async () => {
    const bench = await kindsBench(PROCESSES, SUBSYSTEMS, { binary: await under.binary() });
    b = bench;
    kinds = bench.kinds;
  });
  after(() => b.close());

  describe("while the project runs on", { concurrency: 4 }, () => {
    it("by a crash between the stop and the start of a replica goes on with that one, and leaves those before it alone", async () => {
      await until(() => eventsOf(b, "cut").length === 3, { what: "three replicas" });
      const { subsystem, claim } = kind("cut");
      const life = { over: false };
      const supervisor: Supervisor = {
        ...b.supervisor,
        async reload(plan, signal) {
          if (plan.process !== "cut-1") return b.supervisor.reload(plan, signal);
          void b.api.stop("cut-1", 5_000, signal);
          await until(async () => (await b.supervisor.state("cut-1", never)).status === "Completed", { what: "cut-1 to end" });
          life.over = true;
          throw new Error("slipstream is killed");
        },
      };
      const run = claim(NEW);
      await assert.rejects(createEngine({ ...b.deps, supervisor, store: mortal(b.store, life) }).execute(run, subsystem, never), /the power is cut/);
      assert.deepEqual(notesOf(rowOf("cut").context).map((n) => [n.plan.process, n.healthy !== undefined]), [["cut-0", true], ["cut-1", false]]);
      const runs = { ...b.store.runs, byStatus: () => [rowOf("cut")] };
      const [open] = await recover({ ...b.deps, store: { ...b.store, runs }, subsystem: () => subsystem }, new Map(), true);
      await createEngine(b.deps).execute((open as { run: Run }).run, subsystem, never);
      const ended = rowOf("cut");
      assert.deepEqual([ended.status, ended.context.health?.digestProved], ["succeeded", true], ended.message);
      assert.deepEqual(eventsOf(b, "cut").slice(3), ["down-0", "up-0", "down-1", "up-1", "down-2", "up-2"]);
    });

    it("by a stop of the daemon is left between two replicas, and goes on at the next start", async () => {
      await until(() => eventsOf(b, "rest").length === 3, { what: "three replicas" });
      const { subsystem, claim } = kind("rest");
      const run = claim(NEW);
      const stop = new AbortController();
      const supervisor: Supervisor = {
        ...b.supervisor,
        async reload(plan, signal) {
          if (plan.process === "rest-1") stop.abort();
          return b.supervisor.reload(plan, signal);
        },
        waitHealthy: (plan, options, signal) => b.supervisor.waitHealthy(plan, plan.process === "rest-1" ? { ...options, soakMs: 3_600_000 } : options, signal),
      };
      await createEngine({ ...b.deps, supervisor }).execute(run, subsystem, stop.signal);
      assert.deepEqual([rowOf("rest").status, eventsOf(b, "rest").slice(3)], ["running", ["down-0", "up-0", "down-1", "up-1"]]);
      await createEngine(b.deps).execute(rowOf("rest"), subsystem, never);
      const ended = rowOf("rest");
      assert.deepEqual([ended.status, ended.context.health?.digestProved], ["succeeded", true], ended.message);
      assert.deepEqual(eventsOf(b, "rest").slice(7), ["down-1", "up-1", "down-2", "up-2"], "the one that nobody saw healthy once more");
    });

    it("by a failure is taken back in a replica too that had taken up the new program by itself", async () => {
      await until(() => eventsOf(b, "stray").length === 2, { what: "two replicas" });
      const supervisor: Supervisor = {
        ...b.supervisor,
        async reload(plan, signal) {
          const { pid, restarts } = await b.supervisor.state("stray-1", never);
          if (restarts === 0) process.kill(-pid, "SIGKILL");
          await until(async () => ((await b.supervisor.state("stray-1", never)).restarts > 0 && (await b.supervisor.state("stray-1", never)).isRunning ? true : undefined), { what: "Process Compose to restart stray-1" });
          return b.supervisor.reload(plan, signal);
        },
      };
      const run = await kind("stray").change(BAD, { supervisor });
      assert.deepEqual([run.status, run.code], ["rolled_back", "unhealthy"], run.message);
      for (const name of ["stray-0", "stray-1"]) {
        const { pid } = await b.supervisor.state(name, never);
        const proof = await proveRunning({ pid, digest: kind("stray").digest(OLD), binary: `${kind("stray").subsystem.dir}/.bin/stray`, sinceMs: 0 }, never);
        assert.equal(proof.proved, true, proof.detail);
      }
    });

    it("by a scaling down goes on with the replicas that are left, in the reload as in the health check", async () => {
      await until(() => eventsOf(b, "fewer").length === 4, { what: "four replicas" });
      const scale = once(async (replicas: string) => {
        await promisify(execFile)(await under.binary(), ["process", "scale", "fewer-0", replicas, ...cliOf(b)]);
        await until(async () => (await b.supervisor.list(never)).filter((p) => p.name.startsWith("fewer-")).length === Number(replicas), { what: `${replicas} replicas` });
      });
      const supervisor: Supervisor = {
        ...b.supervisor,
        async waitHealthy(plan, options, signal) {
          await scale(stageOf(rowOf("fewer")) === "health" ? "2" : "3");
          return b.supervisor.waitHealthy(plan, options, signal);
        },
      };
      const run = await kind("fewer").change(NEW, { supervisor });
      assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], run.message);
      assert.match(run.context.health?.proof ?? "", /^2 replicas/);
      assert.deepEqual((await b.supervisor.list(never)).map((p) => p.name).filter((name) => name.startsWith("fewer")).sort(), ["fewer-0", "fewer-1"]);
    });

    it("by a person who puts another program in its place is taken back, and the version is not to blame", async () => {
      const { subsystem, digest, installed, change } = kind("swept");
      await until(async () => (await b.supervisor.state("swept", never)).isRunning, { what: "swept to run" });
      const byHand = once(async (path: string) => {
        await writeFile(`${path}.new`, "#!/bin/sh\nexit 7\n", { mode: 0o755 });
        await rename(`${path}.new`, path);
      });
      const supervisor: Supervisor = {
        ...b.supervisor,
        async reload(plan, signal) {
          await byHand(`${subsystem.dir}/.bin/swept`);
          return b.supervisor.reload(plan, signal);
        },
      };
      const run = await change(NEW, { supervisor });
      assert.deepEqual([run.status, run.code], ["rolled_back", "digest-mismatch"], run.message);
      assert.equal(b.store.versions.isQuarantined("swept", { version: NEW }), false);
      assert.equal(await installed(), digest(OLD));
      assert.equal(run.context.health?.digestProved, true, "the old one runs");
    });

    it("by an update of slipstream itself, whose older rows hold a single note", async () => {
      const { subsystem, claim } = kind("solo");
      await until(async () => (await b.supervisor.state("solo", never)).isRunning, { what: "solo to run" });
      const run = claim(NEW);
      const plan = await b.supervisor.plan("solo", never);
      void b.api.stop("solo", 5_000, never);
      await until(async () => (await b.supervisor.state("solo", never)).status === "Completed", { what: "solo to end" });
      b.store.runs.saveContext(run.id, { reload: { plan: { ...plan }, at: Date.now() } });
      await createEngine(b.deps).execute(b.store.runs.get(run.id) as Run, subsystem, never);
      const ended = rowOf("solo");
      assert.deepEqual([ended.status, ended.context.health?.digestProved], ["succeeded", true], ended.message);
    });
  });

  it("by a restart of the whole project goes on when Process Compose is back, in the reload as in the health check", async () => {
    const runs = ["calm", "slow"].map((name) => kind(name).change(NEW));
    await until(() => stageOf(rowOf("calm")) === "health" && stageOf(rowOf("slow")) === "reload", { what: "both to be in the middle", everyMs: 20 });
    await b.restartProject();
    for (const run of await Promise.all(runs)) assert.deepEqual([run.status, run.context.health?.digestProved], ["succeeded", true], `${run.subsystem}: ${run.message}`);
  });
}
