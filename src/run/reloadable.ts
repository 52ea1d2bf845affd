/** Before anything is touched, and before a long build is worth its time: may this process be reloaded at all? */

import { requireSupervisor, type StageScope } from "./deps.ts";

/** @throws SupervisorError unsafe-process-config, supervisor-unreachable, process-unknown */
export async function assertReloadable(scope: StageScope, signal: AbortSignal): Promise<void> {
  const { subsystem, deps, line } = scope;
  if (subsystem.process === null) return;
  const plan = await requireSupervisor(scope).plan(subsystem.process, signal);
  line(`process ${plan.process} is pid ${plan.oldPid}, reload by ${plan.path}${plan.note === undefined ? "" : ` (${plan.note})`}`);
  if (plan.note !== undefined) deps.log.warn({ subsystem: subsystem.name, note: plan.note }, "process configuration noted");
}
