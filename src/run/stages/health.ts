/** health: a new pid, Running, Ready, no restarts for the soak time, and the running executable has the new digest (house: step 8). */

import type { ReloadPlan } from "../../adapters/process-compose.ts";
import { HealthError, StateError } from "../../domain/errors.ts";
import type { Subsystem } from "../../domain/subsystem.ts";
import { requireSupervisor, type StageDefinition, type StageScope } from "../deps.ts";
import { planOf } from "./reload.ts";

const MARGIN_MS = 30_000;

export const health: StageDefinition = {
  name: "health",
  timeoutMs: (s, context) => readyWithin(s, planOf(context)) * 2 + s.health.soakMs + MARGIN_MS,
  async run(scope, signal) {
    const digest = scope.context.swap?.newDigest ?? scope.context.digest;
    if (digest === undefined) throw new StateError("internal", `run ${scope.run.id} has no digest, expected one before health`);
    const result = await awaitHealthy(scope, digest, signal);
    return { context: { health: result }, message: `pid ${result.pid}, ${result.proof}` };
  },
};

/** How long the process may take to get Ready: what the user allows, and never less than its own probe allows. */
function readyWithin(s: Subsystem, plan: ReloadPlan | undefined): number {
  return Math.max(s.health.timeoutMs, plan?.readyTimeoutMs ?? 0);
}

/** Waits until the process that was reloaded is healthy with this digest. @throws HealthError unhealthy */
export async function awaitHealthy(scope: StageScope, digest: string, signal: AbortSignal): Promise<NonNullable<StageScope["context"]["health"]>> {
  const { subsystem, deps, line } = scope;
  const plan = planOf(scope.context);
  const at = scope.context.reload?.at ?? 0;
  if (plan === undefined || plan.path === "none") return { pid: 0, digestProved: false, proof: "the process was not running, so nothing was started", healthyMs: 0 };
  const supervisor = requireSupervisor(scope);
  let proof = "not looked at";
  let proved = false;
  const state = await supervisor.waitHealthy(
    plan,
    {
      soakMs: subsystem.health.soakMs,
      timeoutMs: readyWithin(subsystem, plan),
      prove: async (pid, proveSignal) => {
        const seen = await deps.prove({ pid, digest, binary: `${subsystem.dir}/.bin/${subsystem.binary}`, sinceMs: at }, proveSignal);
        proof = `${seen.proof}: ${seen.detail}`;
        proved = seen.proved;
        return { ok: seen.proved || seen.proof === "unavailable" };
      },
    },
    signal,
  );
  line(`pid ${state.pid} is healthy; digest ${proved ? "proved" : "not proved"} (${proof})`);
  if (!proved && !proof.startsWith("unavailable")) throw new HealthError("unhealthy", `running program of ${plan.process} is another than the installed one (${proof}), expected ${digest}`);
  return { pid: state.pid, digestProved: proved, proof, healthyMs: state.readyMs };
}
