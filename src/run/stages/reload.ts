/** reload: restart only this subsystem's process through Process Compose (V37). */

import { digestOf } from "../../adapters/files.ts";
import type { ReloadPlan } from "../../adapters/process-compose.ts";
import { StateError } from "../../domain/errors.ts";
import type { RunContext } from "../../domain/run.ts";
import type { StageDefinition, StageScope } from "../deps.ts";
import { liveBinary } from "../install.ts";
import { requireSupervisor } from "./swap.ts";

/** Dependencies, stop, gone, start: each has its own deadline below this one. */
const RELOAD_MS = 300_000;

export const reload: StageDefinition = {
  name: "reload",
  critical: true,
  timeoutMs: () => RELOAD_MS,
  async run(scope, signal) {
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
  const supervisor = requireSupervisor(scope);
  const earlier = planOf(scope.context);
  const plan = earlier === undefined || earlier.path === "none" ? await supervisor.plan(subsystem.process, signal) : await supervisor.replan(earlier, signal);
  const noted = { plan: { ...plan }, at: deps.clock.now() };
  scope.journal({ reload: noted });
  line(`reloading ${plan.process} (pid ${plan.oldPid}) by ${plan.path}`);
  await supervisor.reload(plan, signal);
  return { context: { reload: noted }, message: plan.path === "none" ? (plan.note ?? "process was not running and stays so") : `${plan.path}, old pid ${plan.oldPid}` };
}
