/** Watches a new instance until it is proved healthy, or is certain not to be. */

import { HealthError, StateError } from "../domain/errors.ts";
import type { Clock } from "../kit/clock.ts";
import type { ProcessComposeApi, ProcessState } from "./process-compose-api.ts";
import type { ReloadPlan } from "./process-compose-plan.ts";

export interface HealthOptions {
  /** How long it must stay Ready without a break, in ms. */
  readonly soakMs: number;
  /** Longest wait for Ready, in ms. */
  readonly timeoutMs: number;
  /** A further proof, asked once the soak is over and, while it says no, again until the deadline. */
  readonly prove?: (pid: number, signal: AbortSignal) => Promise<{ readonly ok: boolean; readonly detail?: string }>;
}

export interface Healthy {
  readonly pid: number;
  /** From the call until it was first Ready. */
  readonly readyMs: number;
}

/** What the reload saw right before the start. */
export interface Baseline {
  readonly restarts: number;
  /** An old Ready may show until the first probe (v1.120 and older), so that must have passed. */
  readonly staleReady: boolean;
}

const POLL_MS = 250;
/** Up to v1.120 the old instance's last status shows for a moment after a start. */
const STALE_STATUS_MS = 2_000;
const ENDED = new Set(["Completed", "Skipped", "Error"]);

interface Watch {
  pid: number | undefined;
  /** Since when it is Ready without a break. */
  since: number | undefined;
  firstReady: number | undefined;
  endedSince: number | undefined;
  doubt: string | undefined;
}

/** @throws HealthError unhealthy · StateError cancelled · SupervisorError */
export async function watchHealth(deps: { api: ProcessComposeApi; clock: Clock }, job: { plan: ReloadPlan; baseline: Baseline; options: HealthOptions }, signal: AbortSignal): Promise<Healthy> {
  const { plan, options } = job;
  const soakMs = job.baseline.staleReady ? Math.max(options.soakMs, plan.firstProbeMs) : options.soakMs;
  const begun = deps.clock.monotonic();
  const w: Watch = { pid: undefined, since: undefined, firstReady: undefined, endedSince: undefined, doubt: undefined };
  for (;;) {
    if (signal.aborted) throw new StateError("cancelled", `health check of ${plan.process} is cancelled, expected it to finish`);
    const s = await deps.api.state(plan.process, signal);
    const now = deps.clock.monotonic();
    const bad = certainlyBad(s, job, w, now);
    if (bad !== undefined) throw unhealthy(plan, bad);
    observe(s, plan, w, now);
    if (w.since !== undefined && now - w.since >= soakMs) {
      const proof = await options.prove?.(s.pid, signal);
      if (proof?.ok !== false) return { pid: s.pid, readyMs: Math.round((w.firstReady ?? now) - begun) };
      w.doubt = proof.detail ?? "not proved";
    }
    const end = begun + options.timeoutMs + (w.firstReady === undefined ? 0 : soakMs);
    if (now >= end) throw unhealthy(plan, late(s, w, options));
    await deps.clock.sleep(POLL_MS, signal);
  }
}

function certainlyBad(s: ProcessState, { plan, baseline }: { plan: ReloadPlan; baseline: Baseline }, w: Watch, now: number): string | undefined {
  const isNew = s.pid !== 0 && s.pid !== plan.oldPid;
  if (s.status === "Restarting" || s.restarts > baseline.restarts) return `ended with exit code ${s.exitCode} and is restarted by itself (restarts ${s.restarts}, were ${baseline.restarts})`;
  if (w.pid !== undefined && isNew && s.pid !== w.pid) return `changed its pid from ${w.pid} to ${s.pid}`;
  if (!ENDED.has(s.status)) {
    w.endedSince = undefined;
    return undefined;
  }
  w.endedSince ??= now;
  return isNew || now - w.endedSince >= STALE_STATUS_MS ? `is ${s.status} with exit code ${s.exitCode}` : undefined;
}

function observe(s: ProcessState, plan: ReloadPlan, w: Watch, now: number): void {
  const running = s.status === "Running" && s.isRunning && s.pid !== 0 && s.pid !== plan.oldPid;
  if (running) w.pid ??= s.pid;
  if (!running || (plan.hasReadiness && s.ready !== "Ready")) {
    w.since = undefined;
    return;
  }
  w.since ??= now;
  w.firstReady ??= now;
}

function late(s: ProcessState, w: Watch, options: HealthOptions): string {
  const seen = `status ${s.status}, ${s.ready}, pid ${s.pid}`;
  if (w.doubt !== undefined) return `does not run the new program (${w.doubt})`;
  if (w.firstReady !== undefined) return `did not stay Ready for ${options.soakMs} ms (${seen})`;
  return `is not Ready after ${options.timeoutMs} ms (${seen})`;
}

function unhealthy(plan: ReloadPlan, what: string): HealthError {
  return new HealthError("unhealthy", `process ${plan.process} ${what}, expected a new instance that is running${plan.hasReadiness ? ", Ready" : ""} and stays so`);
}
