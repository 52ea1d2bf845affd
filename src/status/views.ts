/** Read models: rows in, views out. Works on a read-only store as well. */

import type { App, Progress, RunView, StatusView, SubsystemStatus, WhyView } from "../domain/app.ts";
import { UsageError, unknownSubsystem } from "../domain/errors.ts";
import type { Event } from "../domain/event.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Clock } from "../kit/clock.ts";
import type { Store } from "../store/store.ts";

export interface ViewDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly workspace: string;
  readonly version: string;
  readonly subsystems: () => readonly Subsystem[];
  readonly warnings: () => readonly string[];
  readonly daemon: () => StatusView["daemon"];
  readonly readLog: (path: string) => string;
  readonly frontDoor: () => StatusView["frontDoor"];
  readonly progress: (runId: string) => Progress | undefined;
}

export type Views = Pick<App, "status" | "runs" | "run" | "logs" | "events" | "delivery"> & { story(subsystem: string): WhyView };

/** Rows of each kind that one view shows at most. */
const SHOWN = 20;
const MAX_RUNS = 500;
const MAX_EVENTS = 1_000;
const MAX_WAIT_MS = 30_000;
const LOOK_EVERY_MS = 150;

export function createViews(deps: ViewDeps): Views {
  const { store } = deps;
  const mustRun = (id: string): RunView => {
    const run = store.runs.get(id);
    if (run === undefined) throw new UsageError("unknown-run", `run ${id} is unknown; slipstream runs lists what there is`);
    const progress = run.status === "running" ? deps.progress(id) : undefined;
    return { ...run, stages: store.stages.of(id), ...(progress === undefined ? {} : { progress }) };
  };
  return {
    status: async () => {
      const frontDoor = deps.frontDoor();
      return { daemon: deps.daemon(), workspace: deps.workspace, subsystems: deps.subsystems().map((s) => subsystemStatus(store, s)), problems: deps.warnings(), ...(frontDoor === undefined ? {} : { frontDoor }) };
    },
    runs: async (filter) => store.runs.list({ limit: Math.min(MAX_RUNS, filter.limit ?? SHOWN), ...(filter.subsystem === undefined ? {} : { subsystem: filter.subsystem }) }),
    run: async (id) => mustRun(id),
    logs: async (runId) => {
      const { stages } = mustRun(runId);
      return store.stages
        .logsOf(runId)
        .map((log) => `== ${stages.find((s) => s.seq === log.seq)?.name ?? log.seq}\n${deps.readLog(log.path)}`)
        .join("");
    },
    delivery: async (id) => {
      const found = store.inbox.get(id);
      if (found === undefined) throw new UsageError("unknown-run", `delivery ${id} is unknown, expected one that was accepted`);
      return found;
    },
    events: (filter) => eventsAfter(deps, filter),
    story: (subsystem) => story(store, mustSubsystem(deps, subsystem)),
  };
}

async function eventsAfter(deps: ViewDeps, filter: { after: number; runId?: string; waitMs?: number }): Promise<readonly Event[]> {
  const until = deps.clock.monotonic() + Math.min(MAX_WAIT_MS, filter.waitMs ?? 0);
  for (;;) {
    const found = deps.store.events.after(filter.after, MAX_EVENTS, filter.runId);
    if (found.length > 0 || deps.clock.monotonic() >= until) return found;
    await deps.clock.sleep(LOOK_EVERY_MS);
  }
}

/** @throws UsageError unknown-subsystem */
function mustSubsystem(deps: { subsystems: () => readonly Subsystem[] }, name: string): Subsystem {
  const found = deps.subsystems().find((s) => s.name === name);
  if (found === undefined) throw unknownSubsystem(name, deps.subsystems().map((s) => s.name));
  return found;
}

function subsystemStatus(store: Store, s: Subsystem): SubsystemStatus {
  const active = store.runs.of(s.name, "running") ?? store.runs.of(s.name, "queued");
  const held = store.runs.held(s.name, "approval") ?? store.runs.of(s.name, "held");
  const [last] = [...store.runs.list({ subsystem: s.name, limit: SHOWN })].sort((a, b) => (b.endedAt ?? b.createdAt) - (a.endedAt ?? a.createdAt));
  const current = currentOf(store, s.name);
  const drift = store.drifts.of(s.name);
  return {
    name: s.name,
    upstream: s.upstream,
    mode: s.mode,
    strategy: s.strategy,
    ...(s.mode === "release" && s.release !== undefined ? { releases: s.release.repository } : {}),
    process: s.process,
    managed: s.notManaged === undefined,
    ...(s.notManaged === undefined ? {} : { note: s.notManaged }),
    ...(s.others.length === 0 ? {} : { others: s.others.map((o) => o.upstream) }),
    ...(current === undefined ? {} : { current }),
    ...(drift === undefined ? {} : { drift }),
    ...(active === undefined ? {} : { activeRun: active }),
    ...(held === undefined ? {} : { heldRun: held }),
    ...(last === undefined ? {} : { lastRun: last }),
  };
}

function currentOf(store: Store, name: string): SubsystemStatus["current"] {
  const v = store.versions.current(name);
  if (v === undefined) return undefined;
  // Its own run says where it came from, as long as that is among the latest.
  const upstream = store.runs.list({ subsystem: name, limit: SHOWN }).find((r) => r.kind === "update" && r.status === "succeeded" && r.context.digest === v.digest)?.upstream;
  return { version: v.version, digest: v.digest, at: v.at, ...(v.commit === undefined ? {} : { commit: v.commit }), ...(upstream === undefined ? {} : { upstream }) };
}

function story(store: Store, s: Subsystem): WhyView {
  const current = currentOf(store, s.name);
  const runs = store.runs.list({ subsystem: s.name, limit: SHOWN });
  const drift = store.drifts.of(s.name);
  return {
    subsystem: s.name,
    ...(drift === undefined ? {} : { drift }),
    ...(current === undefined ? {} : { current }),
    quarantined: store.versions.list(s.name, "quarantined").map((v) => ({ version: v.version, digest: v.digest, at: v.at, ...(v.reason === undefined ? {} : { reason: v.reason }) })),
    deliveries: store.inbox.forSubsystem(s.name, SHOWN).map((d) => {
      const run = d.runId === undefined ? undefined : store.runs.get(d.runId);
      return run === undefined ? d : { ...d, run };
    }),
    runs: runs.map((r) => ({ ...r, stages: store.stages.of(r.id) })),
    gates: runs.filter((r) => r.status === "held").map((r) => ({ runId: r.id, reason: r.holdReason ?? "approval", ...(r.rule === undefined ? {} : { rule: r.rule }), ...(r.holdUntil === undefined ? {} : { until: r.holdUntil }) })),
  };
}
