/** Watches a new instance until it is proved healthy, or is certain not to be. */

import { codeOf, HealthError, StateError } from "../domain/errors.ts";
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
/** A project that is restarted while we watch: how long it may take to end, and how long nobody may answer until it is back. What is started then has to get healthy anew. */
const GONE_WITHIN_MS = { leaving: 30_000, away: 15_000 } as const;
/** The longest such a pause, in ms. */
export const PAUSE_MS = GONE_WITHIN_MS.leaving + GONE_WITHIN_MS.away;
/** When a project ends, our process may be stopped before the others: what looks like its own end is looked at again. */
const CONFIRM_MS = 1_000;
/** One that was ended by a signal may be the first to go of a project that is being stopped, whose others take longer on a busy machine. */
const SIGNALLED_CONFIRM_MS = 6_000;
/** As Process Compose tells an end by a signal, a shell SIGTERM's, and Task a child's. */
const BY_SIGNAL = new Set([-1, 143, 201]);
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
  /** It ended by a signal, as far as its exit code tells. */
  signalled: boolean;
}

interface WatchJob {
  readonly plan: ReloadPlan;
  readonly baseline: Baseline;
  readonly options: HealthOptions;
}

type WatchDeps = { readonly api: ProcessComposeApi; readonly clock: Clock };

/** A restart of the whole project meanwhile is nobody's fault: the watch begins anew once it is back. @throws HealthError unhealthy · StateError cancelled · SupervisorError */
export async function watchHealth(deps: WatchDeps, job: WatchJob, signal: AbortSignal): Promise<Healthy> {
  const asked = deps.clock.monotonic();
  let project = await projectNow(deps.api, job.plan, signal);
  let watched = freshWatch(job, asked);
  let doubt: { readonly error: unknown; readonly since: number } | undefined;
  let gone: { readonly how: "leaving" | "away"; readonly since: number } | undefined;
  for (;;) {
    if (signal.aborted) throw new StateError("cancelled", `health check of ${job.plan.process} is cancelled, expected it to finish`);
    const now = deps.clock.monotonic();
    try {
      const pid = await look(await deps.api.state(job.plan.process, signal), watched, now, signal);
      if (pid !== undefined) return { pid, readyMs: Math.round((watched.w.firstReady ?? now) - asked) };
      gone = undefined;
      doubt = undefined;
    } catch (error) {
      const is = await projectIs(deps.api, { error, project, plan: job.plan }, signal);
      if (is === "there") {
        if (codeOf(error) !== "unhealthy") throw error;
        doubt ??= { error, since: now };
        if (now - doubt.since >= (watched.w.signalled ? SIGNALLED_CONFIRM_MS : CONFIRM_MS)) throw doubt.error;
      } else if (typeof is === "string") {
        if (gone?.how !== is) gone = { how: is, since: now };
        if (now - gone.since >= GONE_WITHIN_MS[is]) throw error;
      } else {
        project = is;
        gone = undefined;
        doubt = undefined;
        // What ran before is gone, and its counters with it.
        watched = freshWatch({ ...job, baseline: { restarts: 0, staleReady: false } }, now);
      }
    }
    await deps.clock.sleep(POLL_MS, signal);
  }
}

/** A project as it was when a watch began. */
interface Project {
  /** "" while Process Compose is away: then whatever comes is another project. */
  readonly startedAt: string;
  /** The other processes that were alive. */
  readonly others: ReadonlySet<string>;
}

async function projectNow(api: ProcessComposeApi, plan: ReloadPlan, signal: AbortSignal): Promise<Project> {
  try {
    const [startedAt, all] = [await api.startedAt(signal), await api.list(signal)];
    return { startedAt, others: aliveBeside(all, plan) };
  } catch (error) {
    if (codeOf(error) !== "supervisor-unreachable") throw error;
    return { startedAt: "", others: new Set() };
  }
}

function aliveBeside(all: readonly ProcessState[], { process }: ReloadPlan): ReadonlySet<string> {
  return new Set(all.filter((p) => p.name !== process && ALIVE.has(p.status)).map((p) => p.name));
}

/** Whether the project itself explains what went wrong: it is about to end, nobody answers, or it is another one by now. */
async function projectIs(api: ProcessComposeApi, seen: { error: unknown; project: Project; plan: ReloadPlan }, signal: AbortSignal): Promise<"there" | "leaving" | "away" | Project> {
  if (codeOf(seen.error) === "supervisor-unreachable") return "away";
  if (codeOf(seen.error) !== "unhealthy") return "there";
  const now = await projectNow(api, seen.plan, signal);
  if (now.startedAt === "") return "away";
  if (now.startedAt !== seen.project.startedAt) return now;
  // Where our own end ends the project (`restart`), an end of the project says nothing.
  if (seen.plan.path !== "stop-start") return "there";
  // Not all of them: an update of another program may start one even while the project ends.
  const { others } = seen.project;
  const ended = [...others].filter((name) => !now.others.has(name)).length;
  return ended > 0 && ended * 2 >= others.size ? "leaving" : "there";
}

const ALIVE = new Set(["Running", "Launching", "Launched", "Restarting", "Pending"]);

interface Watched {
  readonly job: WatchJob;
  readonly w: Watch;
  readonly soakMs: number;
  readonly begun: number;
}

function freshWatch(job: WatchJob, begun: number): Watched {
  const soakMs = job.baseline.staleReady ? Math.max(job.options.soakMs, job.plan.firstProbeMs) : job.options.soakMs;
  return { job, begun, soakMs, w: { pid: undefined, since: undefined, firstReady: undefined, endedSince: undefined, doubt: undefined, signalled: false } };
}

/** One look: the pid once all is proved, undefined while it may still come. @throws HealthError unhealthy */
async function look(s: ProcessState, { job, w, soakMs, begun }: Watched, now: number, signal: AbortSignal): Promise<number | undefined> {
  const { plan, options } = job;
  const bad = certainlyBad(s, job, w, now);
  if (bad !== undefined) throw unhealthy(plan, bad);
  observe(s, plan, w, now);
  if (w.since !== undefined && now - w.since >= soakMs) {
    const proof = await options.prove?.(s.pid, signal);
    if (proof?.ok !== false) return s.pid;
    w.doubt = proof.detail ?? "not proved";
  }
  const end = begun + options.timeoutMs + (w.firstReady === undefined ? 0 : soakMs);
  if (now >= end) throw unhealthy(plan, late(s, w, options));
  return undefined;
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
  w.signalled = BY_SIGNAL.has(s.exitCode);
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
