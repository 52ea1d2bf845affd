/** The run worker: claims queued runs up to a limit, one per subsystem, and recovers what a crash left running. */

import { isNewer } from "../domain/decide.ts";
import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Bell } from "../kit/bell.ts";
import type { Worker } from "../kit/worker.ts";
import type { RunDeps, RunSettings } from "./deps.ts";
import { createEngine } from "./engine.ts";
import { checkGates } from "./gates.ts";
import { recover } from "./recover.ts";

export interface RunWorkerDeps extends Omit<RunDeps, keyof RunSettings> {
  /** Asked when a run starts. */
  readonly settings: () => RunSettings;
  readonly bell: Bell;
  /** Rung when a run ended, so that resolve looks again. */
  readonly ended: Bell;
  readonly subsystem: (name: string) => Subsystem | undefined;
  /** Looks at what is installed, once a run is over. */
  readonly look: (subsystem: Subsystem) => Promise<void>;
  readonly parallel: () => number;
}

/** The look at the table when no bell rang. */
const LOOK_EVERY_MS = 30_000;
/** After the store or the disk failed. */
const PAUSE_MS = 5_000;

export function createRunWorker(deps: RunWorkerDeps): Worker {
  return {
    name: "run",
    async run(signal) {
      const active = new Map<string, Promise<void>>();
      // Until everything of a run is done, its folders tidied too, its subsystem gets no other.
      const busy = new Map<string, string>();
      const lost: Lost = { any: true, crashed: true };
      const start = (run: Run, subsystem: Subsystem) => {
        const done = createEngine({ ...deps, ...deps.settings() })
          .execute(run, subsystem, signal)
          .then(() => (signal.aborted ? undefined : deps.look(deps.subsystem(run.subsystem) ?? subsystem)))
          .catch(async (error: unknown) => {
            // The engine handles what stages throw; what reaches here is ours (a full disk): the row stays running, and after a while recovery tries again.
            deps.log.error({ run: run.id, err: error }, "run interrupted");
            await deps.clock.sleep(PAUSE_MS, signal);
            lost.any = true;
            lost.crashed ||= !mayPass(error);
          })
          .finally(() => {
            active.delete(run.id);
            busy.delete(run.id);
            deps.bell.ring();
            deps.ended.ring();
          });
        active.set(run.id, done);
        busy.set(run.id, run.subsystem);
      };
      try {
        while (!signal.aborted) {
          if (await turn(deps, { active, busy, lost, start })) await deps.bell.wait(nextLook(deps), signal);
          else await deps.clock.sleep(PAUSE_MS, signal);
        }
      } finally {
        await Promise.all(active.values());
      }
    },
  };
}

/** Until a run that waits for a rate limit may go on, at most the ordinary look. */
function nextLook({ store, clock }: RunWorkerDeps): number {
  const due = store.runs.nextLook("rate-limit");
  return due === undefined ? LOOK_EVERY_MS : Math.max(10, Math.min(LOOK_EVERY_MS, due - clock.now()));
}

/** Runs whose wait for a rate limit is over are queued again; one that a newer run has overtaken ends. */
function releaseLimited({ store, clock }: RunWorkerDeps): void {
  for (const run of store.runs.dueLooks("rate-limit", clock.now())) {
    store.tx(() => {
      const queued = store.runs.of(run.subsystem, "queued");
      // A rollback or a reload goes first; it is looked at again after that.
      if (queued !== undefined && queued.kind !== "update") store.runs.lookAgain(run.id, clock.now() + LOOK_EVERY_MS);
      else if (queued === undefined) store.events.append({ type: "run_queued", runId: run.id, subsystem: run.subsystem, message: store.runs.move(run.id, "queued").toVersion });
      else store.endRun(run.id, { status: "skipped", deliveries: "done", code: "superseded", message: `superseded by ${queued.toVersion}` });
    });
  }
}

/** Rows that say running while nobody runs them: after a start, and after the engine itself failed. */
interface Lost {
  any: boolean;
  /** Whether the daemon died, or the run itself seems to break the engine: that counts against the run. */
  crashed: boolean;
}

/** A full disk or a busy machine is nobody's fault. */
const PASSING = new Set(["ENOSPC", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ERR_SQLITE_ERROR"]);
const mayPass = (error: unknown): boolean => PASSING.has(String((error as NodeJS.ErrnoException)?.code));

interface Turn {
  readonly active: ReadonlyMap<string, unknown>;
  /** Subsystem by run. */
  readonly busy: ReadonlyMap<string, string>;
  readonly lost: Lost;
  readonly start: (run: Run, subsystem: Subsystem) => void;
}

/** Recovers what is lost and claims what is due. Returns false when the store or the disk did not let it. */
async function turn(deps: RunWorkerDeps, { active, busy, lost, start }: Turn): Promise<boolean> {
  try {
    if (lost.any) {
      lost.any = false;
      const found = await recover(deps, active, lost.crashed).catch((error: unknown) => {
        lost.any = true;
        throw error;
      });
      lost.crashed = false;
      for (const { run, subsystem } of found) start(run, subsystem);
    }
    releaseLimited(deps);
    while (active.size < deps.parallel() && claimOne(deps, [...busy.values()], start)) {
      // claims until nothing is due or the limit is reached
    }
    return true;
  } catch (error) {
    deps.log.error({ err: error }, "runs put off");
    return false;
  }
}

/** Claims one run and starts it, holds it, or ends it at a gate. Returns false when none is due. */
function claimOne(deps: RunWorkerDeps, busy: readonly string[], start: (run: Run, subsystem: Subsystem) => void): boolean {
  const { store } = deps;
  const run = store.tx(() => {
    const next = store.runs.nextQueued(busy);
    return next === undefined ? undefined : pass(deps, next);
  });
  if (run === undefined) return false;
  const subsystem = deps.subsystem(run.subsystem);
  if (run.status === "running" && subsystem !== undefined) start(run, subsystem);
  else deps.log.info({ run: run.id, subsystem: run.subsystem, status: run.status, reason: run.code ?? run.rule }, "run stopped at a gate");
  return true;
}

/** The gate: the world may have moved since the run was queued. Call inside a transaction. */
function pass(deps: RunWorkerDeps, run: Run): Run {
  const { store } = deps;
  const gate = checkGates(store, run, deps.subsystem(run.subsystem));
  if (gate.verdict === "pass") {
    store.events.append({ type: "build_started", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
    const from = store.versions.current(run.subsystem)?.version;
    return store.runs.move(run.id, "running", from === undefined ? {} : { fromVersion: from });
  }
  const skip = (skipped: Run, reason: string) => store.endRun(skipped.id, { status: "skipped", deliveries: "done", code: reason, message: `not started: ${reason}` });
  if (gate.verdict === "hold") {
    const waiting = store.runs.held(run.subsystem, "approval");
    const subsystem = deps.subsystem(run.subsystem);
    if (waiting !== undefined && subsystem !== undefined && !isNewer(subsystem, { version: run.toVersion }, { version: waiting.toVersion })) return skip(run, "superseded");
    if (waiting !== undefined) skip(waiting, "superseded");
    store.events.append({ type: "run_held", runId: run.id, subsystem: run.subsystem, message: run.toVersion, data: { reason: "approval", rule: gate.rule } });
    store.events.append({ type: "approval_wanted", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
    return store.runs.hold(run.id, { reason: "approval", rule: gate.rule, until: deps.clock.now() + gate.waitMs });
  }
  return skip(run, gate.reason);
}
