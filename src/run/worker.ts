/** The run worker: claims queued runs up to a limit, one per subsystem, and recovers what a crash left running. */

import { messageOf } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Bell } from "../kit/bell.ts";
import type { Worker } from "../kit/worker.ts";
import type { RunDeps } from "./deps.ts";
import { createEngine } from "./engine.ts";
import { checkGates } from "./gates.ts";
import { recover } from "./recover.ts";

export interface RunWorkerDeps extends RunDeps {
  readonly bell: Bell;
  /** Rung when a run ended, so that resolve looks again. */
  readonly ended: Bell;
  readonly subsystem: (name: string) => Subsystem | undefined;
  readonly parallel: number;
}

/** The look at the table when no bell rang. */
const LOOK_EVERY_MS = 30_000;

export function createRunWorker(deps: RunWorkerDeps): Worker {
  const engine = createEngine(deps);
  return {
    name: "run",
    async run(signal) {
      const active = new Map<string, Promise<void>>();
      // Rows that say running while nobody runs them: after a start, and after the engine itself failed (a full disk).
      let lost = true;
      const start = (run: Run, subsystem: Subsystem) => {
        const done = engine
          .execute(run, subsystem, signal)
          .catch((error: unknown) => {
            // The engine handles what stages throw; what reaches here is ours: the row stays running until recovery gets through.
            deps.log.error({ run: run.id, err: error }, "run interrupted");
            lost = true;
          })
          .finally(() => {
            active.delete(run.id);
            deps.bell.ring();
            deps.ended.ring();
          });
        active.set(run.id, done);
      };
      while (!signal.aborted) {
        if (lost) lost = !(await recoverLost(deps, active, start));
        while (active.size < deps.parallel && !lost && claimOne(deps, start)) {
          // claims until nothing is due or the limit is reached
        }
        await deps.bell.wait(LOOK_EVERY_MS, signal);
      }
      await Promise.all(active.values());
    },
  };
}

/** Hands every lost run back to the engine. Returns false when that was not possible yet. */
async function recoverLost(deps: RunWorkerDeps, active: ReadonlyMap<string, unknown>, start: (run: Run, subsystem: Subsystem) => void): Promise<boolean> {
  try {
    for (const { run, subsystem } of await recover(deps, active)) start(run, subsystem);
    return true;
  } catch (error) {
    deps.log.error({ err: error }, "recovery put off");
    return false;
  }
}

/** Claims one run and starts it, or ends it at a gate. Returns false when none is due. */
function claimOne(deps: RunWorkerDeps, start: (run: Run, subsystem: Subsystem) => void): boolean {
  const { store } = deps;
  const run = store.tx(() => {
    const claimed = store.runs.claim();
    if (claimed === undefined) return undefined;
    const subsystem = deps.subsystem(claimed.subsystem);
    const gate = checkGates(store, claimed, subsystem);
    if (gate.pass) {
      store.events.append({ type: "build_started", runId: claimed.id, subsystem: claimed.subsystem, message: claimed.toVersion });
      return claimed;
    }
    const ended = store.runs.move(claimed.id, "skipped", { code: gate.reason, message: `not started: ${gate.reason}` });
    store.inbox.runEnded(claimed.id, "done");
    store.events.append({ type: "run_ended", runId: claimed.id, subsystem: claimed.subsystem, data: { status: "skipped", code: gate.reason } });
    return ended;
  });
  if (run === undefined) return false;
  const subsystem = deps.subsystem(run.subsystem);
  if (run.status === "running" && subsystem !== undefined) start(run, subsystem);
  else deps.log.info({ run: run.id, subsystem: run.subsystem, reason: run.code ?? messageOf(run.message) }, "run skipped");
  return true;
}
