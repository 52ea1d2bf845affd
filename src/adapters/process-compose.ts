/** The supervisor: what runs the programs slipstream swaps. The only implementation speaks to Process Compose (1.85 to 1.122). */

import { codeOf, SupervisorError } from "../domain/errors.ts";
import { isReplicaName } from "../domain/replica.ts";
import type { Clock } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import { createProcessComposeApi, type ProcessComposeApi, type ProcessState, type SupervisorAddress } from "./process-compose-api.ts";
import { type Baseline, type Healthy, type HealthOptions, watchHealth } from "./process-compose-health.ts";
import { atLeast, decidePlan, type ReloadPlan } from "./process-compose-plan.ts";
import { runReload } from "./process-compose-reload.ts";

export type { ProcessState, SupervisorAddress } from "./process-compose-api.ts";
export type { Healthy, HealthOptions } from "./process-compose-health.ts";
export type { Need, NeedCondition, ReloadPlan } from "./process-compose-plan.ts";

/** Every method throws SupervisorError supervisor-unreachable (retryable) when Process Compose is away, and StateError cancelled when the signal fires. */
export interface Supervisor {
  /** As it calls itself, for example `v1.122.0`; may be empty or `undefined` for a development build. */
  version(signal: AbortSignal): Promise<string>;
  list(signal: AbortSignal): Promise<readonly ProcessState[]>;
  /** @throws SupervisorError process-unknown */
  state(process: string, signal: AbortSignal): Promise<ProcessState>;
  /** What runs a process of the process file: itself, or its replicas in their order. @throws SupervisorError process-unknown */
  processes(name: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Reads project and process info and decides, before anything is touched, how this process may be reloaded. @throws SupervisorError unsafe-process-config · process-unknown */
  plan(process: string, signal: AbortSignal): Promise<ReloadPlan>;
  /** The same right after the first install of its program: a process that has failed for want of it is started. */
  planFirst(process: string, signal: AbortSignal): Promise<ReloadPlan>;
  /** The plan for reloading once more, after a rollback: today's pid and restarts, the path as before, even if the process died meanwhile. */
  replan(plan: ReloadPlan, signal: AbortSignal): Promise<ReloadPlan>;
  /** Dependencies Ready first, then stop, wait until really gone, start (or restart). Does nothing for path `none`. Safe to run again after a crash in the middle. @throws SupervisorError dependency-not-ready · stop-timed-out · supervisor-refused */
  reload(plan: ReloadPlan, signal: AbortSignal): Promise<void>;
  /** Waits for the instance after `plan.oldPid` to be Running (and Ready), then watches it for the soak. For path `none` answers pid 0 at once. @throws HealthError unhealthy as soon as that is certain, or at the deadline */
  waitHealthy(plan: ReloadPlan, options: HealthOptions, signal: AbortSignal): Promise<Healthy>;
  /** The last lines the process wrote; `[]` when they are not to be had. */
  lastLines(process: string, count: number, signal: AbortSignal): Promise<readonly string[]>;
}

export interface SupervisorDeps {
  readonly address: SupervisorAddress;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a reload waits for the dependencies of a process. */
  readonly dependencyWaitMs?: number;
}

const DEPENDENCY_WAIT_MS = 30_000;
/** From this version on every start has a state of its own. */
const FRESH_STATE_SINCE = [1, 122] as const;

export function createSupervisor(deps: SupervisorDeps): Supervisor {
  const api = createProcessComposeApi(deps);
  const reloadDeps = { api, clock: deps.clock, log: deps.log, dependencyWaitMs: deps.dependencyWaitMs ?? DEPENDENCY_WAIT_MS };
  /** What each process's last reload saw right before the start. Lost in a crash; then the plan's numbers count. */
  const baselines = new Map<string, Baseline>();
  return {
    version: api.version,
    list: api.list,
    state: api.state,
    processes: (name, signal) => processesOf(api, name, signal),
    plan: (process, signal) => makePlan(api, { process, first: false }, signal),
    planFirst: (process, signal) => makePlan(api, { process, first: true }, signal),
    async replan(plan, signal) {
      const s = await api.state(plan.process, signal);
      return { ...plan, oldPid: s.pid, restarts: s.restarts };
    },
    async reload(plan, signal) {
      if (plan.path === "none") return;
      const fresh = atLeast(await api.version(signal), FRESH_STATE_SINCE);
      const before = await runReload(reloadDeps, plan, signal);
      baselines.set(plan.process, { restarts: before.restarts, staleReady: !fresh && plan.path === "stop-start" && before.ready === "Ready" });
    },
    async waitHealthy(plan, options, signal) {
      if (plan.path === "none") return { pid: 0, readyMs: 0 };
      const baseline = baselines.get(plan.process) ?? { restarts: plan.restarts, staleReady: false };
      return watchHealth({ api, clock: deps.clock }, { plan, baseline, options }, signal);
    },
    async lastLines(process, count, signal) {
      try {
        return await api.logs(process, count, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        deps.log.debug({ err: error, process }, "no log lines from the supervisor");
        return [];
      }
    },
  };
}

/** `replicas: 3` makes web-0, web-1 and web-2 of a process web (CalculateReplicaName), and no process web. */
async function processesOf(api: ProcessComposeApi, name: string, signal: AbortSignal): Promise<readonly string[]> {
  const all = await api.list(signal);
  if (all.some((p) => p.name === name)) return [name];
  const found: string[] = [];
  for (const p of all.filter((other) => isReplicaName(other.name, name))) {
    if ((await api.info(p.name, signal)).name === name) found.push(p.name);
  }
  if (found.length === 0) throw unknownAmong(name, all);
  const number = (replica: string) => Number(replica.slice(name.length + 1));
  return found.sort((a, b) => number(a) - number(b));
}

async function makePlan(api: ProcessComposeApi, { process, first }: { process: string; first: boolean }, signal: AbortSignal): Promise<ReloadPlan> {
  const all = await api.list(signal);
  const state = all.find((p) => p.name === process) ?? (await unknown(api, process, all, signal));
  const [info, version] = [await api.info(process, signal), await api.version(signal)];
  return decidePlan({ state, others: all, info, version, first });
}

/** @throws SupervisorError process-unknown, naming what there is */
async function unknown(api: ProcessComposeApi, process: string, all: readonly ProcessState[], signal: AbortSignal): Promise<ProcessState> {
  try {
    return await api.state(process, signal);
  } catch (cause) {
    if (codeOf(cause) !== "process-unknown") throw cause;
    throw unknownAmong(process, all, cause);
  }
}

function unknownAmong(process: string, all: readonly ProcessState[], cause?: unknown): SupervisorError {
  const names = all.map((p) => p.name).sort();
  return new SupervisorError("process-unknown", `process ${process} is unknown to Process Compose, expected one of: ${names.join(", ")}`, { cause });
}
