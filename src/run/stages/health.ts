/** health: a new pid, Running, Ready, no restarts for the soak time, and the running executable has the new digest (house: step 8). */

import { digestIfAny } from "../../adapters/files.ts";
import type { ReloadPlan } from "../../adapters/process-compose.ts";
import { PAUSE_MS } from "../../adapters/process-compose-health.ts";
import { codeOf, EvidenceError, HealthError, messageOf, StateError } from "../../domain/errors.ts";
import type { ReloadNote, RunContext } from "../../domain/run.ts";
import type { Subsystem } from "../../domain/subsystem.ts";
import { requireSupervisor, type StageDefinition, type StageScope } from "../deps.ts";
import { liveBinary } from "../install.ts";
import { keepNote, planIn, touched } from "../reload-notes.ts";

const MARGIN_MS = 30_000;

export type HealthResult = NonNullable<RunContext["health"]>;

export const health: StageDefinition = {
  name: "health",
  timeoutMs: (s, context) => Math.max(...[undefined, ...touched(context).map(planIn)].map((plan) => healthWithin(s, plan))),
  async run(scope, signal) {
    const digest = scope.context.swap?.newDigest ?? scope.context.digest;
    if (digest === undefined) throw new StateError("internal", `run ${scope.run.id} has no digest, expected one before health`);
    const result = await allHealthy(scope, digest, signal);
    return { context: { health: result }, message: result.pid === 0 ? result.proof : `pid ${result.pid}, ${result.proof}` };
  },
};

/** Longest time one process may take to be proved healthy, in ms; if Process Compose is restarted meanwhile, it begins anew. */
export function healthWithin(s: Subsystem, plan: ReloadPlan | undefined): number {
  return (readyWithin(s, plan) + s.health.soakMs) * 2 + PAUSE_MS + MARGIN_MS;
}

/** How long the process may take to get Ready: what the user allows, and never less than its own probe allows. */
function readyWithin(s: Subsystem, plan: ReloadPlan | undefined): number {
  return Math.max(s.health.timeoutMs, plan?.readyTimeoutMs ?? 0);
}

/** All that were reloaded, at the same time: they have to be well together. */
async function allHealthy(scope: StageScope, digest: string, signal: AbortSignal): Promise<HealthResult> {
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  let first: unknown;
  const notes = touched(scope.context);
  let left = notes.length;
  const watched = notes.map(async (note) => {
    try {
      return await awaitHealthy(scope, note, digest, both);
    } catch (error) {
      if (!both.aborted && left > 1 && (await isScaledAway(scope, note.plan.process, both)) && --left > 0) return undefined;
      first ??= error;
      failed.abort();
      return undefined;
    }
  });
  const results = (await Promise.all(watched)).filter((r) => r !== undefined);
  if (first !== undefined) throw first;
  return together(results);
}

/** Whether a replica was taken away while others stay; Process Compose goes on telling its last state. */
export async function isScaledAway(scope: StageScope, name: string, signal: AbortSignal): Promise<boolean> {
  const { process } = scope.subsystem;
  if (process === null) return false;
  try {
    return !(await requireSupervisor(scope).processes(process, signal)).includes(name);
  } catch {
    return false;
  }
}

/** One answer for one process or several replicas. */
export function together(results: readonly HealthResult[]): HealthResult {
  const [first, ...more] = results;
  if (first === undefined) return { pid: 0, digestProved: false, proof: "the process was not running, so nothing was started", healthyMs: 0 };
  if (more.length === 0) return first;
  return {
    pid: first.pid,
    digestProved: results.every((r) => r.digestProved),
    proof: `${results.length} replicas, each: ${results.map((r) => r.proof).join("; ")}`,
    healthyMs: Math.max(...results.map((r) => r.healthyMs)),
  };
}

/** Waits until a process that was reloaded is healthy with this digest, and keeps that in its note. @throws HealthError unhealthy · EvidenceError digest-mismatch when it was given another program meanwhile */
export async function awaitHealthy(scope: StageScope, note: ReloadNote, digest: string, signal: AbortSignal): Promise<HealthResult> {
  try {
    const result = await watch(scope, note, digest, signal);
    keepNote(scope, { ...note, healthy: digest });
    return result;
  } catch (error) {
    const { healthy: _, ...unproved } = note;
    if (codeOf(error) !== "unhealthy") throw error;
    keepNote(scope, unproved);
    await assertInstalled(scope.subsystem, digest, error);
    throw error;
  }
}

/** What somebody put in its place while it was on its way says nothing about the version. @throws EvidenceError digest-mismatch */
async function assertInstalled(subsystem: Subsystem, digest: string, cause: unknown): Promise<void> {
  const binary = liveBinary(subsystem);
  const live = await digestIfAny(binary).catch(() => "no regular file");
  if (live !== digest) throw new EvidenceError("digest-mismatch", `program ${binary} is ${live ?? "missing"}, expected ${digest}; somebody changed it meanwhile (${messageOf(cause)})`, { cause });
}

async function watch(scope: StageScope, note: ReloadNote, digest: string, signal: AbortSignal): Promise<HealthResult> {
  const { subsystem, deps, line } = scope;
  const plan = planIn(note);
  const wanted = subsystem.health.proof === "required";
  const seen = { proof: wanted ? "not looked at" : "not asked for (health.proof: off)", proved: false, unavailable: !wanted };
  const state = await requireSupervisor(scope).waitHealthy(
    plan,
    {
      soakMs: subsystem.health.soakMs,
      timeoutMs: readyWithin(subsystem, plan),
      ...(wanted && {
        prove: async (pid: number, proveSignal: AbortSignal) => {
          const found = await deps.prove({ pid, digest, binary: liveBinary(subsystem), sinceMs: note.at }, proveSignal);
          // Of what is brought back nobody asks for more than it could ever show.
          const unavailable = found.proof === "unavailable" || (found.proof === "hidden" && digest === scope.context.swap?.oldDigest);
          Object.assign(seen, { proof: `${found.proof}: ${found.detail}`, proved: found.proved, unavailable });
          return { ok: found.proved || unavailable, detail: seen.proof };
        },
      }),
    },
    signal,
  );
  line(`${plan.process} (pid ${state.pid}) is healthy; digest ${seen.proved ? "proved" : "not proved"} (${seen.proof})`);
  if (!seen.proved && !seen.unavailable) throw new HealthError("unhealthy", `running program of ${plan.process} is another than the installed one (${seen.proof}), expected ${digest}`);
  return { pid: state.pid, digestProved: seen.proved, proof: seen.proof, healthyMs: state.readyMs };
}
