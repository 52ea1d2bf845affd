/** rollback: the previous binary back, its process reloaded, and healthy again (V111). */

import { SlipstreamError, StateError } from "../../domain/errors.ts";
import type { RunContext } from "../../domain/run.ts";
import { requireSupervisor, type StageDefinition, type StageScope } from "../deps.ts";
import { liveBinary, restore } from "../install.ts";
import { noteOn, touched } from "../reload-notes.ts";
import { type HealthResult, together } from "./health.ts";
import { healthyBeforeNext, oneByOne, processesToReload, reloadProcess, restIfStopping, ROLLING_MS } from "./reload.ts";

export const rollback: StageDefinition = {
  name: "rollback",
  critical: true,
  timeoutMs: () => ROLLING_MS,
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

/** Restarts the old program and waits for it, when the failed attempt got as far as touching a process. @throws StateError rollback-failed */
async function bringBack(scope: StageScope, oldDigest: string, signal: AbortSignal): Promise<RunContext["health"]> {
  const { process } = scope.subsystem;
  if (process === null || touched(scope.context).length === 0) return undefined;
  try {
    const there = await processesToReload(scope, process, signal);
    const results: HealthResult[] = [];
    const names = [...inOrder(scope.context), ...(await strays(scope, { there, oldDigest }, signal))];
    await oneByOne(scope, names, async (name) => {
      if (results.length > 0) restIfStopping(scope);
      const kept = noteOn(scope.context, name);
      const note = kept?.healthy === oldDigest ? kept : await reloadProcess(scope, name, signal);
      const result = await healthyBeforeNext(scope, note, oldDigest, signal);
      if (result !== undefined) results.push(result);
    }, signal);
    return together(results);
  } catch (error) {
    if (error instanceof SlipstreamError && error.code === "cancelled") throw error;
    throw new StateError("rollback-failed", `previous version of ${scope.subsystem.name} is back in place but not healthy (${(error as Error).message}), expected it to run again`, { cause: error });
  }
}

/** What is down comes first, then the others from the last to the first; each is healthy before the next, so that never all are down. */
function inOrder(context: RunContext): readonly string[] {
  const notes = touched(context).toReversed();
  return [...notes.filter((n) => n.healthy === undefined), ...notes.filter((n) => n.healthy !== undefined)].map((n) => n.plan.process);
}

/** Replicas that nobody reloaded and that took up the new program all the same, because Process Compose restarted them meanwhile. */
async function strays(scope: StageScope, { there, oldDigest }: { there: readonly string[]; oldDigest: string }, signal: AbortSignal): Promise<readonly string[]> {
  const { deps, subsystem } = scope;
  const found: string[] = [];
  if (subsystem.health.proof === "off") return found;
  for (const name of there.filter((n) => noteOn(scope.context, n) === undefined)) {
    const { isRunning, pid } = await requireSupervisor(scope).state(name, signal);
    if (!isRunning) continue;
    const { proof } = await deps.prove({ pid, digest: oldDigest, binary: liveBinary(subsystem), sinceMs: 0 }, signal);
    if (proof === "different" || proof === "hidden") found.push(name);
  }
  return found;
}
