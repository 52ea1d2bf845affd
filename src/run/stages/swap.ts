/** swap: make the verified binary current by rename; intent journalled first, `.version` last (house: step 8). */

import { isMissing } from "../../adapters/files.ts";
import { StateError } from "../../domain/errors.ts";
import { requireSupervisor, type StageDefinition, type StageScope } from "../deps.ts";
import { install, planSwap } from "../install.ts";

export const swap: StageDefinition = {
  name: "swap",
  critical: true,
  timeoutMs: () => 120_000,
  async run(scope, signal) {
    const { run, subsystem, deps, line } = scope;
    const { built, digest } = scope.context;
    if (built === undefined || digest === undefined) throw new StateError("internal", `run ${run.id} has nothing verified, expected stage verify before swap`);
    if (scope.context.swap === undefined) await assertReloadable(scope, signal);
    const current = deps.store.versions.current(subsystem.name);
    const journal = scope.context.swap ?? (await planSwap(subsystem, run.id, digest, current));
    scope.journal({ swap: journal });
    try {
      await install(subsystem, journal, built, { version: run.toVersion, at: deps.clock.now(), ...(scope.context.commit === undefined ? {} : { commit: scope.context.commit }) });
    } catch (error) {
      if (isMissing(error)) throw new StateError("interrupted", `file ${built} is gone, expected it to wait for the swap`, { cause: error });
      throw error;
    }
    line(`${journal.target} is ${digest}`);
    return {
      context: { swap: journal },
      settle: () => {
        if (journal.oldDigest !== undefined && journal.previousDir !== undefined) {
          const old = current?.digest === journal.oldDigest ? current : undefined;
          deps.store.versions.keepPrevious({ subsystem: subsystem.name, version: old?.version ?? "unknown", digest: journal.oldDigest, path: journal.previousDir, ...(old?.commit === undefined ? {} : { commit: old.commit }) });
        }
        deps.store.versions.setCurrent({ subsystem: subsystem.name, version: run.toVersion, digest, ...(scope.context.commit === undefined ? {} : { commit: scope.context.commit }) });
      },
    };
  },
};

/** Before anything is touched: may this process be reloaded at all? @throws SupervisorError unsafe-process-config, supervisor-unreachable, process-unknown */
async function assertReloadable(scope: StageScope, signal: AbortSignal): Promise<void> {
  const { subsystem, deps, line } = scope;
  if (subsystem.process === null) return;
  const plan = await requireSupervisor(scope).plan(subsystem.process, signal);
  line(`process ${plan.process} is pid ${plan.oldPid}, reload by ${plan.path}${plan.note === undefined ? "" : ` (${plan.note})`}`);
  if (plan.note !== undefined) deps.log.warn({ subsystem: subsystem.name, note: plan.note }, "process configuration noted");
}
