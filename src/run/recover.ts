/** After a crash: ends what the dead daemon left running and hands its open runs back to the engine, which finishes or reverts them. */

import { join } from "node:path";
import { namesIn, removeTree } from "../adapters/files.ts";
import { endLeftovers } from "../adapters/leftovers.ts";
import { messageOf } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { RunDeps } from "./deps.ts";

/** After so many interrupted tries a run is given up: whatever it does seems to end us. */
export const RECOVERIES = 3;

export interface Recovered {
  readonly run: Run;
  readonly subsystem: Subsystem;
}

type RecoverDeps = Pick<RunDeps, "store" | "clock" | "log" | "stateDir">;

/** Every run that is running in the table and not in `active`. `crashed`: whether the daemon died, which counts against the run. */
export async function recover(deps: RecoverDeps & { subsystem: (name: string) => Subsystem | undefined }, active: ReadonlyMap<string, unknown>, crashed: boolean): Promise<readonly Recovered[]> {
  const open: Recovered[] = [];
  for (const run of deps.store.runs.byStatus("running")) {
    if (active.has(run.id)) continue;
    const ended = await endLeftovers(run.id, deps.clock);
    // It may have been under way after all, and have ended while we waited.
    if (active.has(run.id) || deps.store.runs.get(run.id)?.status !== "running") continue;
    const subsystem = deps.subsystem(run.subsystem);
    deps.log.warn({ run: run.id, subsystem: run.subsystem, leftovers: ended, recoveries: run.recoveries }, "recovering an interrupted run");
    if (subsystem === undefined || (run.recoveries >= RECOVERIES && run.context.swap === undefined)) {
      giveUp(deps, run, subsystem === undefined ? `subsystem ${run.subsystem} is no longer configured` : `interrupted ${run.recoveries} times`);
      continue;
    }
    open.push({ run: reopened(deps, run, crashed), subsystem });
  }
  if (open.length === 0 && active.size === 0) await sweep(deps);
  return open;
}

/** Marks the stage that was open as interrupted; a swapped version that kept interrupting us is taken back. */
function reopened(deps: RecoverDeps, run: Run, crashed: boolean): Run {
  const { store } = deps;
  return store.tx(() => {
    if (crashed && run.heartbeatAt !== undefined) store.runs.countRecovery(run.id);
    store.runs.beat(run.id);
    for (const stage of store.stages.of(run.id).filter((s) => s.status === "running")) store.stages.finish(run.id, stage.seq, "error", "interrupted");
    if (run.context.swap !== undefined && run.context.failure === undefined && run.recoveries >= RECOVERIES) {
      store.runs.saveContext(run.id, { ...run.context, failure: { code: "interrupted", message: `interrupted ${run.recoveries} times`, stage: "health", lastLines: [] } });
    }
    return store.runs.get(run.id) as Run;
  });
}

function giveUp(deps: RecoverDeps, run: Run, message: string): void {
  const { store } = deps;
  store.tx(() => {
    for (const stage of store.stages.of(run.id).filter((s) => s.status === "running")) store.stages.finish(run.id, stage.seq, "error", "interrupted");
    store.events.append({ type: "build_failed", runId: run.id, subsystem: run.subsystem, message });
    store.endRun(run.id, { status: "failed", deliveries: "failed", code: "interrupted", message });
  });
}

/** Removes shadow workspaces and downloads that no run owns. */
async function sweep(deps: RecoverDeps): Promise<void> {
  for (const folder of ["build", "downloads"]) await sweepFolder(deps, join(deps.stateDir, folder));
}

async function sweepFolder(deps: RecoverDeps, builds: string): Promise<void> {
  for (const name of await namesIn(builds)) {
    try {
      await removeTree(join(builds, name));
    } catch (error) {
      deps.log.warn({ folder: join(builds, name), err: messageOf(error) }, "leftover of a build not removed");
    }
  }
}
