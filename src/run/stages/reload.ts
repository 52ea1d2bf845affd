/** reload: restart only this subsystem's process through Process Compose (V37). */

import { digestIfAny, digestOf } from "../../adapters/files.ts";
import { notStarted, type ReloadPlan } from "../../adapters/process-compose-plan.ts";
import { codeOf, SlipstreamError, StateError, WorkError } from "../../domain/errors.ts";
import type { RunContext } from "../../domain/run.ts";
import { requireSupervisor, type StageDefinition, type StageScope } from "../deps.ts";
import { type Backoff, backoffMs } from "../../kit/backoff.ts";
import { liveBinary } from "../install.ts";

/** Dependencies, stop, gone, start: each has its own deadline below this one. */
const RELOAD_MS = 30 * 60_000;
/** Process Compose may be away, or a dependency not Ready, for a moment; our process is down meanwhile, so giving up early is the worse end. */
const PATIENCE_MS = 90_000;
const BACKOFF: Backoff = { baseMs: 500, maxMs: 8_000 };

export const reload: StageDefinition = {
  name: "reload",
  critical: true,
  timeoutMs: () => RELOAD_MS,
  async run(scope, signal) {
    if (scope.run.kind === "reload" && (await digestIfAny(liveBinary(scope.subsystem))) === undefined) {
      throw new WorkError("artifact-invalid", `program ${liveBinary(scope.subsystem)} is missing, expected it there; put it back with: slipstream rollback ${scope.subsystem.name}, or build it`);
    }
    const done = await reloadProcess(scope, signal);
    if (scope.run.kind !== "reload") return done;
    return { ...done, context: { ...done.context, digest: await digestOf(liveBinary(scope.subsystem)) } };
  },
};

/** The plan a reload was made by, as it was journalled. */
export function planOf(context: RunContext): ReloadPlan | undefined {
  return context.reload?.plan as ReloadPlan | undefined;
}

/** Reloads, with the plan journalled before anything is touched: a process that we stopped ourselves must not look like one a person stopped. */
export async function reloadProcess(scope: StageScope, signal: AbortSignal): Promise<{ context: Pick<RunContext, "reload">; message: string }> {
  const { subsystem, deps, line } = scope;
  if (subsystem.process === null) throw new StateError("internal", `subsystem ${subsystem.name} has no process, expected no reload stage`);
  const earlier = planOf(scope.context);
  const plan = earlier === undefined || earlier.path === "none" ? await planned(scope, subsystem.process, signal) : await requireSupervisor(scope).replan(earlier, signal);
  const noted = { plan: { ...plan }, at: deps.clock.now() };
  scope.journal({ reload: noted });
  line(`reloading ${plan.process} (pid ${plan.oldPid}) by ${plan.path}`);
  await reloadWithPatience(scope, plan, signal);
  return { context: { reload: noted }, message: plan.path === "none" ? (plan.note ?? "process was not running and stays so") : `${plan.path}, old pid ${plan.oldPid}` };
}

/** A program that was not there before has no process to lose: it is started where Process Compose answers, and left alone where not. */
async function planned(scope: StageScope, process: string, signal: AbortSignal): Promise<ReloadPlan> {
  const isFirst = scope.context.swap !== undefined && scope.context.swap.oldDigest === undefined;
  if (!isFirst) return requireSupervisor(scope).plan(process, signal);
  try {
    return await requireSupervisor(scope).planFirst(process, signal);
  } catch (error) {
    if (codeOf(error) !== "supervisor-unreachable") throw error;
    return notStarted(process, "Process Compose is away: start it, and it starts the program");
  }
}

/** The same plan again after errors that may pass; `Supervisor.reload` may be repeated at any point. */
async function reloadWithPatience(scope: StageScope, plan: ReloadPlan, signal: AbortSignal): Promise<void> {
  if (plan.path === "none") return;
  const { clock } = scope.deps;
  const until = clock.monotonic() + PATIENCE_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      return await requireSupervisor(scope).reload(plan, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof SlipstreamError) || !error.retryable || clock.monotonic() > until) throw error;
      scope.line(`try ${attempt}: ${error.message}`);
      await clock.sleep(backoffMs(BACKOFF, attempt), signal);
    }
  }
}
