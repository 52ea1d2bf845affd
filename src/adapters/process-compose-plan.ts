/** Decides, before anything is touched, how a process may be reloaded under Process Compose without ending the project or overlapping old and new. Pure. */

import { SupervisorError } from "../domain/errors.ts";
import type { ProcessInfo, ProcessState } from "./process-compose-api.ts";

export type NeedCondition = "completed" | "completed-successfully" | "healthy" | "started" | "log-ready";

/** What has to hold of another process before this one may be started again (`depends_on`). */
export interface Need {
  readonly process: string;
  readonly condition: NeedCondition;
}

/** Plain data: journal it before the first reload, and use the same one after a crash; a new plan made while the process is down would say `none`. */
export interface ReloadPlan {
  readonly process: string;
  /** `none`: it was not running by a person's wish (or runs on a schedule): swap only, do not start it. */
  readonly path: "stop-start" | "restart" | "none";
  readonly oldPid: number;
  readonly restarts: number;
  /** From the stop until the old instance must be gone. */
  readonly stopTimeoutMs: number;
  /** What Process Compose itself allows until Ready, and a margin. */
  readonly readyTimeoutMs: number;
  /** By then the first readiness probe has answered; 0 without one. */
  readonly firstProbeMs: number;
  /** A readiness probe or `ready_log_line`; a liveness probe never makes a process Ready. */
  readonly hasReadiness: boolean;
  readonly needs: readonly Need[];
  /** What a person should know: why this path, or what in the process file may disturb. */
  readonly note?: string;
}

export interface PlanFacts {
  readonly state: ProcessState;
  readonly others: readonly ProcessState[];
  readonly info: ProcessInfo;
  readonly version: string;
  /** Its program was missing until now: that it ended with an error is nobody's wish, so it is started. */
  readonly first?: boolean;
}

const MARGIN_MS = 5_000;
/** Without `shutdown.timeout_seconds` Process Compose waits for nobody and kills nobody (process.go, stopProcess). */
const UNBOUNDED_STOP_MS = 30_000;
const LOG_LINE_READY_MS = 60_000;
const PLAIN_READY_MS = 10_000;
const RESTART_EXIT_ON_FAILURE = 3;
/** `doRestart` waits at least this long between stop and launch. */
const MIN_BACKOFF_S = 1;

const CONDITIONS: readonly NeedCondition[] = ["completed", "completed-successfully", "healthy", "started", "log-ready"];
const STOPPED = new Set(["Disabled", "Foreground", "Completed", "Skipped", "Scheduled"]);
const ALIVE = new Set(["Running", "Launching", "Launched"]);

/** The plan for a process that nobody can reload now. */
export function notStarted(process: string, note: string): ReloadPlan {
  return { process, path: "none", oldPid: 0, restarts: 0, stopTimeoutMs: 0, readyTimeoutMs: 0, firstProbeMs: 0, hasReadiness: false, needs: [], note };
}

/** @throws SupervisorError unsafe-process-config */
export function decidePlan(facts: PlanFacts): ReloadPlan {
  const { state, info } = facts;
  const base = {
    process: state.name,
    oldPid: state.pid,
    restarts: state.restarts,
    stopTimeoutMs: stopTimeoutMs(info),
    readyTimeoutMs: readyTimeoutMs(info),
    firstProbeMs: firstProbeMs(info),
    hasReadiness: info.readinessProbe != null || info.readyLogLine !== "",
    needs: Object.entries(info.dependsOn ?? {}).map(([process, d]) => ({ process, condition: conditionOf(d.condition) })),
  };
  if (info.schedule != null) return { ...base, path: "none", note: "it runs on a schedule: its next run takes the new binary" };
  const neverHadOne = facts.first === true && state.status === "Completed" && state.exitCode !== 0;
  if (STOPPED.has(state.status) && !neverHadOne) return { ...base, path: "none", note: `it is ${state.status}${state.status === "Completed" ? ` with exit code ${state.exitCode}` : ""} and is not started` };
  if (info.isDaemon) throw unsafe(state.name, "is_daemon", "a process in the foreground: Process Compose does not know the pid of a daemon; remove is_daemon and let its command run the program itself");
  const ends = endsProject(facts);
  const notes = [ends?.why, ...warnings(info)].filter((n) => n !== undefined);
  const note = notes.length === 0 ? {} : { note: notes.join("; ") };
  if (ends === undefined) return { ...base, path: "stop-start", ...note };
  requireSafeRestart(facts, ends);
  return { ...base, path: "restart", ...note };
}

/** Why a plain stop would end the whole project, and the first version whose own restart does not. */
interface Ends {
  readonly why: string;
  readonly setting: string;
  readonly since: readonly [number, number];
  readonly advice: string;
}

function endsProject({ state, others, info }: PlanFacts): Ends | undefined {
  const guarded = { since: [1, 122], advice: "remove it, or run Process Compose 1.122.0 or newer" } as const;
  if (info.restartPolicy.exitOnEnd) return { why: "a stop would end the project (exit_on_end)", setting: "availability.exit_on_end: true", ...guarded };
  if (info.restartPolicy.restart === RESTART_EXIT_ON_FAILURE) return { why: "a stop would end the project (exit_on_failure)", setting: "availability.restart: exit_on_failure", ...guarded };
  if (others.some((o) => o.name !== state.name && ALIVE.has(o.status))) return undefined;
  return { why: "a stop would end the project (no other process runs)", setting: "the only running process", since: [1, 100], advice: "run another process beside it, or Process Compose 1.100.0 or newer" };
}

/** Process Compose's own restart launches after a fixed wait, whether the old instance is gone or not; only a kill at a timeout makes that safe. */
function requireSafeRestart({ state, info, version }: PlanFacts, ends: Ends): void {
  if (!atLeast(version, ends.since)) throw unsafe(state.name, ends.setting, `one that Process Compose ${version === "" ? "of unknown version" : version} can restart without ending the project; ${ends.advice}`);
  if (info.shutDownParams.shutDownTimeout > 0 && info.shutDownParams.shutDownCommand === "") return;
  throw unsafe(state.name, `${ends.setting} without shutdown.timeout_seconds`, "a bounded stop, for old and new would overlap in a restart; set shutdown.timeout_seconds and no shutdown.command");
}

function unsafe(process: string, actual: string, expected: string): SupervisorError {
  return new SupervisorError("unsafe-process-config", `process ${process} is ${actual}, expected ${expected}`);
}

function warnings(info: ProcessInfo): readonly string[] {
  const found: string[] = [];
  if (info.watch != null) found.push("Process Compose watches files for it (watch) and may restart it a second time");
  if (info.shutDownParams.shutDownTimeout === 0) found.push("shutdown.timeout_seconds is not set: nothing kills it when it does not stop");
  if (info.shutDownParams.parentOnly) found.push("shutdown.parent_only is set: children of its first process get no signal");
  if (info.restartPolicy.exitOnSkipped) found.push("exit_on_skipped is set: the project ends if a dependency fails at the wrong moment");
  return found;
}

function conditionOf(n: number): NeedCondition {
  return CONDITIONS[n] ?? "healthy";
}

function stopTimeoutMs(info: ProcessInfo): number {
  const s = info.shutDownParams.shutDownTimeout;
  return (s > 0 ? s * 1_000 : UNBOUNDED_STOP_MS) + Math.max(MIN_BACKOFF_S, info.restartPolicy.backoffSeconds) * 1_000 + MARGIN_MS;
}

function readyTimeoutMs(info: ProcessInfo): number {
  const p = info.readinessProbe;
  if (p != null) return (p.initialDelay + p.failureThreshold * p.periodSeconds + p.timeoutSeconds) * 1_000 + MARGIN_MS;
  return info.readyLogLine === "" ? PLAIN_READY_MS : LOG_LINE_READY_MS;
}

function firstProbeMs({ readinessProbe: p }: ProcessInfo): number {
  return p == null ? 0 : (p.initialDelay + p.periodSeconds + p.timeoutSeconds + 1) * 1_000;
}

/** Whether Process Compose is at least `[major, minor]`; a version that is not a number (a development build) counts as the oldest. */
export function atLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const m = /^v?(\d+)\.(\d+)/.exec(version);
  if (m === null) return false;
  return Number(m[1]) > major || (Number(m[1]) === major && Number(m[2]) >= minor);
}
