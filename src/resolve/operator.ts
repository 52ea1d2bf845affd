/** What a person asked for, decided like any other delivery: update, rollback, approve, reject. */

import type { OperatorRequest } from "../domain/change.ts";
import { identityOf, isNewer } from "../domain/decide.ts";
import { UsageError } from "../domain/errors.ts";
import { type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import { announce, type Enqueued, enqueue, supersede } from "./enqueue.ts";
import { type Lookup, namedFor, newestFor } from "./newest.ts";

export interface OperatorDeps extends Lookup {
  readonly now: () => number;
  readonly subsystem: (name: string) => Subsystem | undefined;
}

export type Settled = Enqueued & { readonly subsystem: string };

/** Returns a function to call inside the transaction that settles the delivery. @throws UsageError, UpstreamError */
export async function decideRequest(deps: OperatorDeps, request: OperatorRequest, signal: AbortSignal): Promise<() => Settled> {
  switch (request.verb) {
    case "update":
      return decideUpdate(deps, request, signal);
    case "rollback":
      return () => startRollback(deps, request);
    case "reload":
      return () => startReload(deps, request);
    case "approve":
    case "reject":
      return () => decideHeld(deps, request);
  }
}

async function decideUpdate(deps: OperatorDeps, request: Extract<OperatorRequest, { verb: "update" }>, signal: AbortSignal): Promise<() => Settled> {
  const subsystem = known(deps, request.subsystem);
  const candidate = request.version === undefined ? (await newestFor(deps, subsystem, signal))?.candidate : await namedFor(deps, subsystem, request.version, signal);
  if (candidate === undefined) throw new UsageError("version-not-found", `upstream ${subsystem.upstream} has no version yet, expected ${subsystem.mode === "release" ? `a release of ${subsystem.release?.repository} with an asset of ${subsystem.binary} for this machine` : tracksCommits(subsystem) ? `branch ${subsystem.branch}` : "a version tag"}`);
  return () => {
    const result = enqueue(deps.store, subsystem, candidate, { trigger: "operator", actor: request.actor, now: deps.now(), ...(request.reload === false ? { noReload: true } : {}) });
    return { subsystem: subsystem.name, ...("defer" in result ? ({ reason: "superseded" } as const) : result) };
  };
}

function startRollback(deps: OperatorDeps, request: Extract<OperatorRequest, { verb: "rollback" }>): Settled {
  const { store } = deps;
  const subsystem = known(deps, request.subsystem);
  if (subsystem.notManaged !== undefined) return { subsystem: subsystem.name, reason: "not-managed" };
  const kept = store.versions.list(subsystem.name, "previous").filter((v) => v.path !== undefined);
  const to = request.to === undefined ? kept[0] : kept.find((v) => [v.version, v.tag].some((name) => name === request.to || name === `v${request.to}`));
  if (to === undefined) {
    const have = kept.map((v) => v.version).join(", ");
    throw new UsageError("no-previous-version", have === "" ? `no earlier version of ${subsystem.name} is kept, so there is nothing to go back to; for another one: slipstream update ${subsystem.name} --version <version>` : `version ${request.to} of ${subsystem.name} is not kept, expected one of: ${have}`);
  }
  const waiting = store.runs.of(subsystem.name, "queued");
  if (waiting !== undefined) supersede(store, waiting, `rollback to ${to.version}`);
  const current = store.versions.current(subsystem.name);
  const run = store.runs.create({ kind: "rollback", subsystem: subsystem.name, status: "queued", trigger: "operator", actor: request.actor, toVersion: to.version, ...(current === undefined ? {} : { fromVersion: current.version }) });
  announce(store, run);
  return { subsystem: subsystem.name, runId: run.id };
}

function startReload(deps: OperatorDeps, request: Extract<OperatorRequest, { verb: "reload" }>): Settled {
  const { store } = deps;
  const subsystem = known(deps, request.subsystem);
  if (subsystem.notManaged !== undefined || subsystem.process === null) return { subsystem: subsystem.name, reason: "not-managed" };
  const waiting = store.runs.of(subsystem.name, "queued");
  if (waiting !== undefined) return { subsystem: subsystem.name, runId: waiting.id, reason: "already-queued" };
  const version = store.versions.current(subsystem.name)?.version ?? "unknown";
  const run = store.runs.create({ kind: "reload", subsystem: subsystem.name, status: "queued", trigger: "operator", actor: request.actor, toVersion: version, fromVersion: version });
  announce(store, run);
  return { subsystem: subsystem.name, runId: run.id };
}

function decideHeld(deps: OperatorDeps, request: Extract<OperatorRequest, { verb: "approve" | "reject" }>): Settled {
  const { store } = deps;
  const run = store.runs.get(request.runId);
  if (run === undefined) throw new UsageError("unknown-run", `run ${request.runId} is unknown; slipstream runs lists what there is`);
  if (run.status !== "held") throw new UsageError("not-held", `run ${run.id} is ${run.status}, expected one that waits for approval`);
  if (request.verb === "approve" && run.holdReason !== "approval") throw new UsageError("not-held", `run ${run.id} waits for ${run.holdReason === "assets" ? "the assets of its release" : "the forge's rate limit"}, expected one that waits for approval; it goes on by itself`);
  const verdict = request.verb === "approve" ? "approved" : "rejected";
  store.approvals.record({ runId: run.id, verdict, boundTo: identityOf(run) ?? run.toVersion, decidedBy: request.actor });
  store.events.append({ type: verdict, runId: run.id, subsystem: run.subsystem, message: run.toVersion, data: { by: request.actor } });
  if (verdict === "rejected") {
    store.endRun(run.id, { status: "skipped", deliveries: "done", code: "rejected", message: `rejected by ${request.actor}` });
    return { subsystem: run.subsystem, runId: run.id };
  }
  const waiting = store.runs.of(run.subsystem, "queued");
  if (waiting !== undefined) {
    if (!isNewer(known(deps, run.subsystem), { version: run.toVersion }, { version: waiting.toVersion })) throw new UsageError("not-held", `run ${waiting.id} to ${waiting.toVersion} is queued already, expected none newer than ${run.toVersion}`);
    supersede(store, waiting, run.toVersion);
  }
  announce(store, store.runs.move(run.id, "queued"));
  return { subsystem: run.subsystem, runId: run.id };
}

/** @throws UsageError unknown-subsystem */
function known(deps: OperatorDeps, name: string): Subsystem {
  const found = deps.subsystem(name);
  if (found === undefined) throw new UsageError("unknown-subsystem", `subsystem ${name} is unknown; slipstream status lists what there is`);
  return found;
}
