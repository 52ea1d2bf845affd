/** reload: restart only this subsystem's process through Process Compose (V37), its replicas one after the other. */

import { digestIfAny, digestOf } from "../../adapters/files.ts";
import { notStarted, type ReloadPlan } from "../../adapters/process-compose-plan.ts";
import { codeOf, messageOf, SlipstreamError, StateError, WorkError } from "../../domain/errors.ts";
import type { ReloadNote } from "../../domain/run.ts";
import { type Backoff, backoffMs } from "../../kit/backoff.ts";
import { deadline } from "../../kit/clock.ts";
import { requireSupervisor, type StageDefinition, type StageScope } from "../deps.ts";
import { liveBinary } from "../install.ts";
import { keepNote, noteOn, notesOf, planIn } from "../reload-notes.ts";
import { awaitHealthy, type HealthResult, healthWithin, isScaledAway } from "./health.ts";

/** Dependencies, stop, gone, start of one process: each has its own deadline below this one. */
const RELOAD_MS = 30 * 60_000;
/** All replicas together; each has its own deadline below this one. */
export const ROLLING_MS = 12 * 60 * 60_000;
/** Process Compose may be away, or a dependency not Ready, for a moment; our process is down meanwhile, so giving up early is the worse end. */
const PATIENCE_MS = 90_000;
const BACKOFF: Backoff = { baseMs: 500, maxMs: 8_000 };

export const reload: StageDefinition = {
  name: "reload",
  critical: true,
  timeoutMs: () => ROLLING_MS,
  async run(scope, signal) {
    const { subsystem } = scope;
    if (subsystem.process === null) throw new StateError("internal", `subsystem ${subsystem.name} has no process, expected no reload stage`);
    const digest = await digestToRun(scope);
    const names = await processesToReload(scope, subsystem.process, signal);
    await oneByOne(scope, names, async (name) => {
      // A crash in the middle: those before it run the new program already.
      if (names.length > 1 && noteOn(scope.context, name)?.healthy === digest) return;
      if (name !== names[0]) restIfStopping(scope);
      const note = await reloadProcess(scope, name, signal);
      if (names.length > 1) await healthyBeforeNext(scope, note, digest, signal);
    }, signal);
    return { ...(scope.run.kind === "reload" && { context: { digest } }), message: told(notesOf(scope.context)) };
  },
};

async function digestToRun({ run, subsystem, context }: StageScope): Promise<string> {
  if (run.kind !== "reload" && context.swap !== undefined) return context.swap.newDigest;
  if ((await digestIfAny(liveBinary(subsystem))) === undefined) {
    throw new WorkError("artifact-invalid", `program ${liveBinary(subsystem)} is missing, expected it there; put it back with: slipstream rollback ${subsystem.name}, or build it`);
  }
  return digestOf(liveBinary(subsystem));
}

function told(notes: readonly ReloadNote[]): string {
  const all = notes.map((n) => {
    const { path, oldPid, note, process } = planIn(n);
    const did = path === "none" ? (note ?? "process was not running and stays so") : `${path}, old pid ${oldPid}`;
    return notes.length === 1 ? did : `${process}: ${did}`;
  });
  return all.join("; ");
}

/** Those an interrupted try has touched come first: one of them may be down. A replica that is no longer there is forgotten. */
export async function processesToReload(scope: StageScope, process: string, signal: AbortSignal): Promise<readonly string[]> {
  const noted = notesOf(scope.context).map((n) => n.plan.process);
  try {
    const there = await patiently(scope, signal, () => requireSupervisor(scope).processes(process, signal));
    const gone = noted.filter((name) => !there.includes(name));
    if (gone.length > 0) scope.journal({ reload: notesOf(scope.context).filter((n) => !gone.includes(n.plan.process)) });
    return [...noted.filter((name) => there.includes(name)), ...there.filter((name) => !noted.includes(name))];
  } catch (error) {
    if (codeOf(error) !== "supervisor-unreachable" || !isFirst(scope)) throw error;
    return [process];
  }
}

/** One step for each; a replica that is scaled away meanwhile is forgotten, as long as another one is left. */
export async function oneByOne(scope: StageScope, names: readonly string[], step: (name: string) => Promise<void>, signal: AbortSignal): Promise<void> {
  let left = names.length;
  for (const name of names) {
    try {
      await step(name);
    } catch (error) {
      if (codeOf(error) === "cancelled" || left === 1 || !(await isScaledAway(scope, name, signal))) throw error;
      left -= 1;
      scope.journal({ reload: notesOf(scope.context).filter((n) => n.plan.process !== name) });
      scope.line(`process ${name} is gone: ${messageOf(error)}`);
    }
  }
}

/** Waits until one of several replicas is healthy before the next is touched; undefined for one that was not started. @throws HealthError unhealthy · StateError cancelled when the daemon is asked to stop */
export async function healthyBeforeNext(scope: StageScope, note: ReloadNote, digest: string, signal: AbortSignal): Promise<HealthResult | undefined> {
  if (note.plan.path === "none") return undefined;
  try {
    return await within(`health of ${note.plan.process}`, healthWithin(scope.subsystem, planIn(note)), AbortSignal.any([signal, scope.stopping]), (limit) => awaitHealthy(scope, note, digest, limit));
  } catch (error) {
    // It is up: nobody has to wait for it, and where the whole project goes down with us its end is no fault of the program.
    restIfStopping(scope);
    throw error;
  }
}

/** Where all replicas run a stage may be left: the notes say where to go on. @throws StateError cancelled */
export function restIfStopping({ stopping }: StageScope): void {
  if (stopping.aborted) throw new StateError("cancelled", "daemon is asked to stop, expected the rest to follow at the next start");
}

/** Reloads, with the plan journalled before anything is touched: a process that we stopped ourselves must not look like one a person stopped. */
export function reloadProcess(scope: StageScope, process: string, signal: AbortSignal): Promise<ReloadNote> {
  return within(`reload of ${process}`, RELOAD_MS, signal, (limit) => reloadOne(scope, process, limit));
}

/** One replica's share of a stage that may last for hours. @throws StateError timed-out */
async function within<T>(what: string, ms: number, signal: AbortSignal, step: (limit: AbortSignal) => Promise<T>): Promise<T> {
  const limit = deadline(ms, signal);
  try {
    return await step(limit);
  } catch (cause) {
    if (signal.aborted || !limit.aborted) throw cause;
    throw new StateError("timed-out", `${what} still lasts after ${Math.round(ms / 1000)} s, expected it to end`, { cause });
  }
}

async function reloadOne(scope: StageScope, process: string, limit: AbortSignal): Promise<ReloadNote> {
  const { deps, line } = scope;
  const earlier = noteOn(scope.context, process);
  const plan = earlier === undefined || earlier.plan.path === "none" ? await planned(scope, process, limit) : await patiently(scope, limit, () => requireSupervisor(scope).replan(planIn(earlier), limit));
  const note: ReloadNote = { plan: { ...plan }, at: deps.clock.now() };
  keepNote(scope, note);
  line(`reloading ${plan.process} (pid ${plan.oldPid}) by ${plan.path}${plan.note === undefined ? "" : ` (${plan.note})`}`);
  if (plan.path !== "none") await patiently(scope, limit, () => requireSupervisor(scope).reload(plan, limit));
  return note;
}

/** A program that was not there before has no process to lose: it is started where Process Compose answers, and left alone where not. */
async function planned(scope: StageScope, process: string, signal: AbortSignal): Promise<ReloadPlan> {
  if (!isFirst(scope)) return patiently(scope, signal, () => requireSupervisor(scope).plan(process, signal));
  try {
    return await requireSupervisor(scope).planFirst(process, signal);
  } catch (error) {
    if (codeOf(error) !== "supervisor-unreachable") throw error;
    return notStarted(process, "Process Compose is away: start it, and it starts the program");
  }
}

function isFirst({ context }: StageScope): boolean {
  return context.swap !== undefined && context.swap.oldDigest === undefined;
}

/** The same again after errors that may pass; every step may be repeated at any point. Where nothing was touched there is nothing to be patient for. */
export async function patiently<T>(scope: StageScope, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
  const { clock } = scope.deps;
  // Where that is why the version failed, it was waited for already.
  const until = clock.monotonic() + (scope.context.failure?.code === "supervisor-unreachable" ? 0 : PATIENCE_MS);
  for (let attempt = 1; ; attempt++) {
    try {
      return await step();
    } catch (error) {
      const mayPass = error instanceof SlipstreamError && error.retryable;
      const touched = scope.context.swap?.oldDigest !== undefined || notesOf(scope.context).length > 0;
      if (signal.aborted || !mayPass || !touched || clock.monotonic() > until) throw error;
      scope.line(`try ${attempt}: ${error.message}`);
      await clock.sleep(backoffMs(BACKOFF, attempt), signal);
    }
  }
}
