/** swap: make the verified binary current by rename; intent journalled first, `.version` last (house: step 8). */

import { relative } from "node:path";
import { isMissing } from "../../adapters/files.ts";
import { StateError } from "../../domain/errors.ts";
import type { StageDefinition } from "../deps.ts";
import { adoptBeforeSwap } from "../adopt.ts";
import { install, planSwap } from "../install.ts";
import { assertReloadable } from "../reloadable.ts";

export const swap: StageDefinition = {
  name: "swap",
  critical: true,
  timeoutMs: () => 120_000,
  async run(scope, signal) {
    const { run, subsystem, deps, line } = scope;
    const { built, digest } = scope.context;
    if (built === undefined || digest === undefined) throw new StateError("internal", `run ${run.id} has nothing verified, expected stage verify before swap`);
    if (scope.context.swap === undefined) {
      await assertReloadable(scope, signal);
      await adoptBeforeSwap(deps, subsystem);
    }
    const current = deps.store.versions.current(subsystem.name);
    const journal = scope.context.swap ?? (await planSwap(subsystem, run.id, digest, current));
    scope.journal({ swap: journal });
    const version = scope.context.version ?? run.toVersion;
    const origin = run.artifact === undefined ? {} : { tag: run.toVersion, artifact: run.artifact.identity };
    try {
      await install(subsystem, journal, built, { version, at: deps.clock.now(), ...(scope.context.commit === undefined ? {} : { commit: scope.context.commit }) });
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
          deps.store.versions.keepPrevious({ subsystem: subsystem.name, version: old?.version ?? "unknown", digest: journal.oldDigest, path: relative(subsystem.dir, journal.previousDir), ...(old?.commit === undefined ? {} : { commit: old.commit }) });
        }
        deps.store.versions.setCurrent({ subsystem: subsystem.name, version, digest, ...origin, ...(scope.context.commit === undefined ? {} : { commit: scope.context.commit }) });
      },
    };
  },
};
