/** The janitor: the one worker for what time triggers here: hold deadlines and retention. It looks at nothing upstream. */

import type { Run } from "../domain/run.ts";
import type { Bell } from "../kit/bell.ts";
import type { Clock } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Worker } from "../kit/worker.ts";
import type { Store } from "../store/store.ts";

export interface JanitorDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly ended: Bell;
  /** Removes what a run left on disk. */
  readonly removeLogs: (runId: string) => Promise<void>;
}

const LOOK_EVERY_MS = 60_000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** GitHub redelivers within 3 days, GHES within 7; bodies are kept a little longer. */
const BODIES_KEPT_MS = 14 * DAY_MS;
/** Ids are kept long enough that a replayed delivery is still known (facts: keep 30 d). */
const DELIVERIES_KEPT_MS = 60 * DAY_MS;
const RUNS_KEPT_MS = 90 * DAY_MS;
const EVENTS_KEPT_MS = 90 * DAY_MS;
/** Rows per look, so that no look holds the database for long. */
const PER_LOOK = 500;

export function createJanitor(deps: JanitorDeps): Worker {
  return {
    name: "janitor",
    async run(signal) {
      while (!signal.aborted) {
        try {
          expireHolds(deps);
          await retain(deps);
        } catch (error) {
          deps.log.error({ err: error }, "housekeeping put off");
        }
        await deps.clock.sleep(LOOK_EVERY_MS, signal);
      }
    },
  };
}

/** Ends held runs nobody decided about in time. */
export function expireHolds(deps: JanitorDeps): void {
  const { store, clock, log } = deps;
  for (const run of store.runs.overdue(clock.now())) {
    store.endRun(run.id, { status: "skipped", deliveries: "failed", ...whyExpired(run) });
    log[run.holdReason === "approval" ? "warn" : "info"]({ run: run.id, subsystem: run.subsystem, to: run.toVersion, reason: run.holdReason }, "held run expired");
    deps.ended.ring();
  }
}

function whyExpired(run: Run): { code: string; message: string } {
  if (run.holdReason === "assets") return { code: "assets-missing", message: run.message ?? `release ${run.toVersion} has no asset` };
  if (run.holdReason === "rate-limit") return { code: "rate-limited", message: "the forge limits us for too long" };
  return { code: "approval-timeout", message: "nobody decided in time" };
}

async function retain(deps: JanitorDeps): Promise<void> {
  const { store, clock } = deps;
  const now = clock.now();
  store.inbox.prune(now - BODIES_KEPT_MS, now - DELIVERIES_KEPT_MS, PER_LOOK);
  store.events.prune(now - EVENTS_KEPT_MS, PER_LOOK);
  const old: readonly Run[] = store.runs.old(now - RUNS_KEPT_MS, PER_LOOK);
  for (const run of old) {
    await deps.removeLogs(run.id);
    store.runs.remove(run.id);
  }
}
