/** Drives one run through its stages. Every step is persisted before the next begins, so that recovery can finish or revert it. */

import { join, relative } from "node:path";
import { removeTree } from "../adapters/files.ts";
import { endLeftovers } from "../adapters/leftovers.ts";
import { openLogFile } from "../adapters/log-file.ts";
import { codeOf, HealthError, messageOf, SlipstreamError, StateError, WorkError } from "../domain/errors.ts";
import type { Outcome, Run, RunContext } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Clock } from "../kit/clock.ts";
import type { RunDeps, StageDefinition, StageResult, StageScope } from "./deps.ts";
import { type Ending, finishFailed, finishHeld, finishNotBack, finishRolledBack, finishSkipped, finishSucceeded } from "./ending.ts";
import { planFor } from "./plan.ts";
import { toBlame } from "./reload-notes.ts";
import { rollback } from "./stages/rollback.ts";
import { placeOf } from "./workspace.ts";

export interface Engine {
  /** Takes a running run to its end. Returns without an end only when `signal` fires: then recovery goes on at the next start. */
  execute(run: Run, subsystem: Subsystem, signal: AbortSignal): Promise<void>;
}

/** How often a run says that it is alive (B37). */
export const HEARTBEAT_MS = 25_000;

export function createEngine(deps: RunDeps): Engine {
  return {
    async execute(run, subsystem, signal) {
      const stop = new AbortController();
      const beating = heartbeat(deps, run, AbortSignal.any([signal, stop.signal]));
      try {
        await drive({ deps, run, subsystem, context: run.context }, signal);
        await deps.manifest.changed();
      } finally {
        stop.abort();
        await beating;
        await dropDownload(deps, run, subsystem);
        // What a build started in a session of its own outlives its group; it must not outlive the run.
        await endLeftovers(run.id, deps.clock);
      }
    },
  };
}

/** What was unpacked for a run that is over helps nobody, and counts against the disk. */
async function dropDownload(deps: RunDeps, run: Run, subsystem: Subsystem): Promise<void> {
  if (subsystem.mode !== "release" || deps.store.runs.get(run.id)?.status === "running") return;
  try {
    await removeTree(placeOf(deps, subsystem).root);
  } catch (error) {
    deps.log.warn({ run: run.id, err: messageOf(error) }, "download not removed");
  }
}

async function heartbeat(deps: RunDeps, run: Run, signal: AbortSignal): Promise<void> {
  for (;;) {
    await deps.clock.sleep(HEARTBEAT_MS, signal);
    if (signal.aborted) return;
    try {
      deps.store.tx(() => {
        // Tidying up comes after the end: what has ended is not alive.
        if (deps.store.runs.get(run.id)?.status !== "running") return;
        deps.store.runs.beat(run.id);
        deps.store.events.append({ type: "heartbeat", runId: run.id, subsystem: run.subsystem });
      });
    } catch (error) {
      deps.log.warn({ run: run.id, err: messageOf(error) }, "heartbeat not written");
    }
  }
}

async function drive(ending: Ending, signal: AbortSignal): Promise<void> {
  const { deps, run, subsystem } = ending;
  if (ending.context.failure !== undefined) return takeBack(ending, signal);
  const done = finishedStages(deps, run, ending.context);
  for (const stage of remaining(run, subsystem, ending.context)) {
    if (done.has(stage.name)) continue;
    if (signal.aborted) return deps.store.runs.rest(run.id);
    const failed = await runStage(ending, stage, signal);
    if (failed === "stopped") return;
    if (failed instanceof Ended) return finishSkipped(ending, failed.why);
    if (failed === undefined) continue;
    if (ending.context.swap === undefined) return isLimit(failed) ? finishHeld(ending, stage.name, failed) : finishFailed(ending, stage.name, failed);
    ending.context = { ...ending.context, failure: { code: codeOf(failed), message: deps.mask(messageOf(failed)), stage: stage.name, lastLines: await lastLines(ending, signal) } };
    deps.store.runs.saveContext(run.id, ending.context);
    return takeBack(ending, signal);
  }
  await finishSucceeded(ending);
}

/** Once the swap has begun, what made the program is not asked for again, even where the mode has changed since. */
function remaining(run: Run, subsystem: Subsystem, context: RunContext): readonly StageDefinition[] {
  const plan = planFor(run.kind, subsystem, run);
  return context.swap === undefined ? plan : plan.slice(Math.max(0, plan.findIndex((s) => s.name === "swap")));
}

/** A stage that found that there is nothing more to do. */
class Ended {
  readonly why: NonNullable<StageResult["end"]>;
  constructor(why: NonNullable<StageResult["end"]>) {
    this.why = why;
  }
}

function isLimit(error: unknown): error is SlipstreamError & { readonly retryAt: number } {
  return error instanceof SlipstreamError && error.code === "rate-limited" && error.retryAt !== undefined;
}

/** Stages that need no second time: all that finished well, but only once the swap has begun; before that a fresh start is safer than half a shadow. */
function finishedStages(deps: RunDeps, run: Run, context: RunContext): ReadonlySet<string> {
  if (context.swap === undefined) return new Set();
  return new Set(deps.store.stages.of(run.id).filter((s) => s.outcome === "success").map((s) => s.name));
}

async function takeBack(ending: Ending, signal: AbortSignal): Promise<void> {
  const failed = await runStage(ending, rollback, signal);
  if (failed === "stopped") return;
  const failure = ending.context.failure as NonNullable<RunContext["failure"]>;
  if (failed === undefined) return finishRolledBack(ending, failure);
  const both = new StateError(failed instanceof SlipstreamError ? failed.code : "rollback-failed", `${failure.message}; ${messageOf(failed)}`, { cause: failed });
  finishNotBack(ending, failure, both);
}

/** Runs one stage: undefined when it succeeded, "stopped" when the daemon is going down, else what it threw. */
async function runStage(ending: Ending, stage: StageDefinition, signal: AbortSignal): Promise<unknown | "stopped" | undefined> {
  const { deps, run, subsystem } = ending;
  const { store, clock } = deps;
  const timeoutMs = Math.min(stage.timeoutMs(subsystem, ending.context), LONGEST_TIMER_MS);
  const started = clock.monotonic();
  const seq = store.tx(() => {
    const n = store.stages.start(run.id, stage.name);
    store.events.append({ type: "stage_started", runId: run.id, subsystem: run.subsystem, stage: stage.name });
    return n;
  });
  const log = openLogFile(join(deps.stateDir, "logs", run.id, `${String(seq).padStart(2, "0")}-${stage.name}.log`), deps.mask);
  const limit = AbortSignal.timeout(timeoutMs);
  const scope: StageScope = {
    run,
    subsystem,
    get context() {
      return ending.context;
    },
    deps,
    line: (text) => log.line(text),
    stopping: signal,
    journal: (patch) => {
      ending.context = { ...ending.context, ...patch };
      store.runs.saveContext(run.id, ending.context);
    },
  };
  const close = (outcome: Outcome, message: string | undefined, settle?: () => void) => {
    const kept = log.close();
    store.tx(() => {
      settle?.();
      store.stages.saveLog(run.id, { seq, path: relative(deps.stateDir, log.path), ...kept });
      store.stages.finish(run.id, seq, outcome, message);
      store.runs.saveContext(run.id, ending.context);
      store.events.append({ type: "stage_completed", runId: run.id, subsystem: run.subsystem, stage: stage.name, durationMs: clock.monotonic() - started, data: { outcome }, ...(message === undefined ? {} : { message }) });
    });
  };
  try {
    const work = stage.run(scope, stage.critical === true ? limit : AbortSignal.any([limit, signal]));
    const result = await atMost(work, timeoutMs + OVERRUN_MS, deps.clock);
    ending.context = { ...ending.context, ...result.context };
    close("success", result.message, result.settle);
    return result.end === undefined ? undefined : new Ended(result.end);
  } catch (thrown) {
    if (signal.aborted && (stage.critical !== true || (codeOf(thrown) === "cancelled" && !limit.aborted))) {
      store.runs.rest(run.id);
      log.line("stopped with the daemon; goes on at the next start");
      log.close();
      return "stopped";
    }
    const error = limit.aborted && codeOf(thrown) !== "unhealthy" ? new StateError("timed-out", `stage ${stage.name} is still running after ${Math.round(timeoutMs / 1000)} s, expected it to end`, { cause: thrown }) : thrown;
    log.line(`error: ${messageOf(error)}`);
    close(outcomeOf(error), deps.mask(messageOf(error)));
    deps.log.warn({ run: run.id, subsystem: run.subsystem, stage: stage.name, code: codeOf(error), err: codeOf(error) === "internal" ? error : undefined }, "stage failed");
    return error;
  }
}

/** Longer timers fire at once (Node.js: 2^31 - 1 ms). */
const LONGEST_TIMER_MS = 0x7fffffff - 120_000;
/** Longest time a stage gets to obey the end of its time. */
const OVERRUN_MS = 60_000;

/** The result, or an error when the work ignores its signal. @throws StateError timed-out */
async function atMost<T>(work: Promise<T>, ms: number, clock: Clock): Promise<T> {
  const stop = new AbortController();
  const late = clock.sleep(ms, stop.signal).then(() => {
    throw new StateError("timed-out", "stage does not end, expected it to obey its deadline");
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    late.catch(() => undefined); // lost the race: nobody waits for it any more
    stop.abort();
  }
}

/** failure: the work failed; error: slipstream, its tools or its surroundings failed. */
function outcomeOf(error: unknown): Outcome {
  if (codeOf(error) === "cancelled") return "cancelled";
  if (codeOf(error) === "build-changed-nothing") return "error";
  return error instanceof WorkError || error instanceof HealthError ? "failure" : "error";
}

/** What the program said last, for the record of a failed version. */
async function lastLines(ending: Ending, signal: AbortSignal): Promise<readonly string[]> {
  const { deps, subsystem } = ending;
  const failed = toBlame(ending.context)?.plan.process;
  if (subsystem.process === null || deps.supervisor === null || failed === undefined) return [];
  try {
    return (await deps.supervisor.lastLines(failed, 20, signal)).map((l) => deps.mask(l).slice(0, 500));
  } catch (error) {
    deps.log.warn({ run: ending.run.id, err: messageOf(error) }, "last lines of the failed program not available");
    return [];
  }
}
