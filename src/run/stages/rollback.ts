/** rollback: the previous binary back, its process reloaded, and healthy again (V111). */

import { SlipstreamError, StateError } from "../../domain/errors.ts";
import type { RunContext } from "../../domain/run.ts";
import type { StageDefinition, StageScope } from "../deps.ts";
import { restore } from "../install.ts";
import { awaitHealthy } from "./health.ts";
import { reloadProcess } from "./reload.ts";

const ROLLBACK_MS = 60 * 60_000;

export const rollback: StageDefinition = {
  name: "rollback",
  critical: true,
  timeoutMs: () => ROLLBACK_MS,
  async run(scope, signal) {
    const { subsystem, line, run } = scope;
    const journal = scope.context.swap;
    if (journal === undefined) throw new StateError("internal", `run ${run.id} has no swap, expected one before rollback`);
    const done = await restore(subsystem, journal);
    line(`previous binary: ${done}`);
    if (done === "nothing-before") throw new StateError("no-previous-version", `subsystem ${subsystem.name} has no previous version, expected one to go back to; the failed one stays in place`);
    noteCurrent(scope, journal.oldDigest as string);
    const health = await bringBack(scope, journal.oldDigest as string, signal);
    return { ...(health === undefined ? {} : { context: { health } }), message: `${run.fromVersion ?? "previous version"} is back` };
  },
};

/** The files are the old version's again, whether or not its process comes back. */
function noteCurrent({ subsystem, deps }: StageScope, oldDigest: string): void {
  const { versions } = deps.store;
  const old = versions.list(subsystem.name, "previous").find((v) => v.digest === oldDigest);
  if (old !== undefined) versions.setCurrent({ subsystem: subsystem.name, version: old.version, digest: old.digest, ...(old.commit === undefined ? {} : { commit: old.commit }) });
}

/** Restarts the old program and waits for it, when the failed attempt got as far as touching the process. @throws StateError rollback-failed */
async function bringBack(scope: StageScope, oldDigest: string, signal: AbortSignal): Promise<RunContext["health"]> {
  if (scope.context.reload === undefined || scope.context.reload.plan.path === "none") return undefined;
  try {
    const { context } = await reloadProcess(scope, signal);
    return await awaitHealthy({ ...scope, context: { ...scope.context, ...context } }, oldDigest, signal);
  } catch (error) {
    if (error instanceof SlipstreamError && error.code === "cancelled") throw error;
    throw new StateError("rollback-failed", `previous version of ${scope.subsystem.name} is back in place but not healthy (${(error as Error).message}), expected it to run again`, { cause: error });
  }
}
