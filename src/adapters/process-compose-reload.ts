/** The reload itself: dependencies Ready, stop, wait until the old instance is really gone, start. Safe to run again from any point. */

import { StateError, SupervisorError } from "../domain/errors.ts";
import type { Clock } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import { type ProcEntry, readProcEntry, readProcTable } from "./proc.ts";
import type { ProcessComposeApi, ProcessState } from "./process-compose-api.ts";
import type { Need, ReloadPlan } from "./process-compose-plan.ts";

export interface ReloadDeps {
  readonly api: ProcessComposeApi;
  readonly clock: Clock;
  readonly log: Log;
  /** How long dependencies may take to get Ready. */
  readonly dependencyWaitMs: number;
}

const POLL_MS = 200;
/** Process Compose misses an end that comes too fast, and then answers a stop only after the whole `timeout_seconds` (process.go, forceKillOnTimeout: the signal is sent before the wait is set up). So its answer is not waited for once the old one is gone. */
const STOP_ANSWER_GRACE_MS = 300;

/** The state right before the new instance was started: what `restarts` counts from, and whether an old Ready can show through. */
export async function runReload(deps: ReloadDeps, plan: ReloadPlan, signal: AbortSignal): Promise<ProcessState> {
  await needsMet(deps, plan, signal);
  const before = await settled(deps, plan, signal);
  if (plan.path === "restart") {
    await restart(deps, plan, signal);
    return before;
  }
  await stop(deps, plan, before, signal);
  await needsMet(deps, plan, signal);
  const last = await deps.api.state(plan.process, signal);
  await startOnceGone(deps, plan, before, signal);
  return last;
}

/** A process still waiting for its own dependencies must not be stopped: up to v1.120 that wedges it (PC issue 530). */
async function settled(deps: ReloadDeps, plan: ReloadPlan, signal: AbortSignal): Promise<ProcessState> {
  const state = await until(deps, { withinMs: deps.dependencyWaitMs, signal }, async () => {
    const s = await deps.api.state(plan.process, signal);
    return s.status === "Pending" ? undefined : s;
  });
  if (state !== undefined) return state;
  throw new SupervisorError("dependency-not-ready", `process ${plan.process} is still Pending after ${deps.dependencyWaitMs} ms, expected its dependencies to let it start`, { retryable: true });
}

async function restart(deps: ReloadDeps, plan: ReloadPlan, signal: AbortSignal): Promise<void> {
  const { refused } = await deps.api.restart(plan.process, plan.stopTimeoutMs, signal);
  if (refused === undefined) return;
  // A stop that fails because the process died that instant ends the restart without a launch (project_runner.go, doRestart).
  deps.log.warn({ process: plan.process, refused }, "restart refused, starting instead");
  const state = await deps.api.state(plan.process, signal);
  if (!state.isRunning && (await deps.api.start(plan.process, signal)) === "started") return;
  throw new SupervisorError("supervisor-refused", `restart of process ${plan.process} is refused by Process Compose (${refused}), expected it to restart`);
}

async function stop(deps: ReloadDeps, plan: ReloadPlan, before: ProcessState, signal: AbortSignal): Promise<void> {
  const leader = ENDED.has(before.status) ? undefined : await readProcEntry(before.pid);
  const done = new AbortController();
  const both = AbortSignal.any([signal, done.signal]);
  try {
    const answer = deps.api.stop(plan.process, plan.stopTimeoutMs, both);
    if (leader === undefined) return void (await answer);
    let left: readonly number[] = [];
    const gone = until(deps, { withinMs: plan.stopTimeoutMs, signal: both }, async () => {
      left = await groupOf(leader);
      return left.length === 0 ? true : undefined;
    });
    await firstOf(answer, gone.then(() => deps.clock.sleep(STOP_ANSWER_GRACE_MS, both)));
    if ((await gone) !== true) throw await stillThere(deps, plan, { pids: left, leader: left.includes(leader.pid) }, signal);
  } finally {
    done.abort();
  }
}

/** Settles as the first one does; the other may fail later without anybody hearing of it. */
async function firstOf(a: Promise<unknown>, b: Promise<unknown>): Promise<void> {
  for (const p of [a, b]) p.catch(() => undefined);
  await Promise.race([a, b]);
}

/** Process Compose forgets a process when its first one ended; the rest of its group may still hold the port (PC issue 520). */
async function groupOf(leader: ProcEntry): Promise<readonly number[]> {
  const table = (await readProcTable()) ?? new Map<number, ProcEntry>();
  const now = table.get(leader.pid);
  if (now !== undefined && now.startTicks !== leader.startTicks) return [];
  return [...table.values()].filter((p) => p.pid === leader.pid || p.pgrp === leader.pid).map((p) => p.pid);
}

/** Process Compose itself refuses a start while an instance is registered: the surest sign there is. */
async function startOnceGone(deps: ReloadDeps, plan: ReloadPlan, before: ProcessState, signal: AbortSignal): Promise<void> {
  const started = await until(deps, { withinMs: plan.stopTimeoutMs, signal }, async () => {
    if ((await deps.api.start(plan.process, signal)) === "started") return true;
    const s = await deps.api.state(plan.process, signal);
    return s.isRunning && s.status === "Running" && s.pid !== before.pid && s.pid !== plan.oldPid ? true : undefined;
  });
  if (started !== true) throw await stillThere(deps, plan, { pids: [before.pid], leader: true }, signal);
}

async function stillThere(deps: ReloadDeps, plan: ReloadPlan, left: { pids: readonly number[]; leader: boolean }, signal: AbortSignal): Promise<SupervisorError> {
  const { status } = await deps.api.state(plan.process, signal);
  const result = left.leader ? "the old program still runs, and Process Compose will not start it again when it ends" : "its first process ended and the rest of its group did not";
  return new SupervisorError("stop-timed-out", `process ${plan.process} is not gone ${plan.stopTimeoutMs} ms after the stop (pid ${left.pids.join(", ")}, status ${status}), expected it to end: ${result}; set shutdown.timeout_seconds`);
}

/** A start while a dependency is not Ready makes Process Compose skip the process for good (PC issue 544). */
async function needsMet(deps: ReloadDeps, plan: ReloadPlan, signal: AbortSignal): Promise<void> {
  const all = plan.needs.length === 0 ? [] : await deps.api.list(signal);
  for (const need of plan.needs) {
    let last: ProcessState | undefined;
    const met = await until(deps, { withinMs: deps.dependencyWaitMs, signal }, async () => {
      last = all.some((p) => p.name === need.process) ? await deps.api.state(need.process, signal) : undefined;
      return last === undefined || isMet(need, last) ? true : undefined;
    });
    if (met === true) continue;
    throw new SupervisorError("dependency-not-ready", `dependency ${need.process} of process ${plan.process} is ${last?.status} and ${last?.ready} after ${deps.dependencyWaitMs} ms, expected it to be ${need.condition}`, { retryable: true });
  }
}

const ENDED = new Set(["Disabled", "Foreground", "Completed", "Skipped", "Error", "Scheduled"]);
const NEVER_RUN = new Set(["Disabled", "Foreground"]);
const STARTED = new Set(["Running", "Launching", "Launched", "Restarting", "Completed"]);

/** Process Compose ignores a dependency that was never started or does not exist (`waitIfNeeded`), and so do we: the process was running without it. */
function isMet(need: Need, s: ProcessState): boolean {
  if (NEVER_RUN.has(s.status)) return true;
  switch (need.condition) {
    case "healthy":
    case "log-ready":
      return s.isRunning && s.ready === "Ready";
    case "started":
      return STARTED.has(s.status);
    case "completed":
      return s.status === "Completed";
    case "completed-successfully":
      return s.status === "Completed" && (s.exitCode === 0 || s.successExitCodes.includes(s.exitCode));
  }
}

/** Looks again and again until `look` answers; undefined when time is up. @throws StateError cancelled */
async function until<T>(deps: { clock: Clock }, wait: { withinMs: number; signal: AbortSignal }, look: () => Promise<T | undefined>): Promise<T | undefined> {
  const end = deps.clock.monotonic() + wait.withinMs;
  for (;;) {
    if (wait.signal.aborted) throw new StateError("cancelled", "reload is cancelled, expected it to finish");
    const found = await look();
    if (found !== undefined || deps.clock.monotonic() >= end) return found;
    await deps.clock.sleep(POLL_MS, wait.signal);
  }
}
