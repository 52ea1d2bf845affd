/** The ends of a run: each is one transaction over run, deliveries, versions and events. */

import { below, removeTree } from "../adapters/files.ts";
import { codeOf, messageOf, type ErrorCode, type SlipstreamError } from "../domain/errors.ts";
import type { EventType } from "../domain/event.ts";
import type { Run, RunContext, RunStatus } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { RunDeps } from "./deps.ts";
import { placeOf } from "./workspace.ts";

export interface Ending {
  readonly deps: RunDeps;
  readonly run: Run;
  readonly subsystem: Subsystem;
  context: RunContext;
}

type Failure = NonNullable<RunContext["failure"]>;

export async function finishSucceeded(e: Ending): Promise<void> {
  const { run, deps, context } = e;
  const replaced = deps.store.versions.list(run.subsystem, "previous").find((v) => v.digest === context.swap?.oldDigest);
  const left = run.noReload === true && e.subsystem.process !== null ? `; process ${e.subsystem.process} was left alone: slipstream reload ${e.subsystem.process} restarts it` : "";
  const message = `${run.subsystem} ${run.toVersion}${context.health === undefined ? "" : `, ${context.health.proof}`}${left}`;
  end(e, "succeeded", { message }, "build_completed", () => {
    // What lies there now is what slipstream put or restarted there.
    deps.store.drifts.clear(run.subsystem);
    if (run.kind === "rollback" && replaced !== undefined) {
      deps.store.versions.quarantine({ subsystem: run.subsystem, version: replaced.version, digest: replaced.digest, reason: `rolled back by ${run.actor ?? "an operator"}`, ...(replaced.commit === undefined ? {} : { commit: replaced.commit }) });
      deps.store.events.append({ type: "quarantined", runId: run.id, subsystem: run.subsystem, message: replaced.version });
    }
  });
  await tidy(e);
}

/** Nothing was touched, and nothing has to be. */
export async function finishSkipped(e: Ending, why: { readonly code: string; readonly message: string }): Promise<void> {
  end(e, "skipped", why, "build_completed");
  await tidy(e);
}

/** The forge said when to come again: the run waits for that, and nothing has been touched. */
export function finishHeld(e: Ending, stage: string, limit: SlipstreamError & { readonly retryAt: number }): void {
  const { run, deps } = e;
  const { store } = deps;
  const holds = e.context.limits ?? 0;
  // Not from when it was made: it may have waited for a person much longer.
  const since = run.startedAt ?? run.createdAt;
  const lookAt = Math.max(limit.retryAt, deps.clock.now() + LEAST_WAIT_MS * 2 ** Math.min(holds, 6));
  if (lookAt > since + LIMIT_WAIT_MS) return finishFailed(e, stage, limit);
  store.tx(() => {
    const other = store.runs.held(run.subsystem, "rate-limit");
    if (other !== undefined) store.endRun(other.id, { status: "skipped", deliveries: "done", code: "superseded", message: `superseded by ${run.toVersion}` });
    store.runs.saveContext(run.id, { ...e.context, limits: holds + 1 });
    store.runs.hold(run.id, { reason: "rate-limit", until: since + LIMIT_WAIT_MS, lookAt });
    store.events.append({ type: "run_held", runId: run.id, subsystem: run.subsystem, message: limit.message, data: { reason: "rate-limit" } });
  });
  deps.log.info({ run: run.id, subsystem: run.subsystem, until: lookAt }, "run waits for the forge's rate limit");
}

/** A forge that limits us for longer is given up. */
const LIMIT_WAIT_MS = 3 * 24 * 60 * 60_000;
/** Whatever the other side says, each further wait is twice as long: it must not make us run in circles. */
const LEAST_WAIT_MS = 30_000;

export function finishFailed(e: Ending, stage: string, error: unknown): void {
  end(e, "failed", { code: codeOf(error), message: e.deps.mask(messageOf(error)), failedStage: stage }, "build_failed", () => {
    if (isUnfit(e, stage, codeOf(error))) refuseArtifact(e, messageOf(error));
  });
}

/** Past the download these are the very bytes that were meant, and what is wrong with them stays wrong. */
const UNFIT = new Set<ErrorCode>(["artifact-invalid", "digest-mismatch", "verify-failed", "policy-refused"]);
/** A download that cannot be unpacked may be the fault of the way here; so often it is not. */
const UNPACKS = 3;

function isUnfit({ deps, run }: Ending, stage: string, code: ErrorCode): boolean {
  if (stage === "verify") return UNFIT.has(code);
  if (stage !== "download" || code !== "artifact-invalid") return false;
  const same = deps.store.runs.list({ subsystem: run.subsystem, limit: 20 }).filter((r) => r.code === code && r.artifact?.identity === run.artifact?.identity);
  return same.length >= UNPACKS;
}

function refuseArtifact({ deps, run }: Ending, reason: string): void {
  if (run.artifact === undefined) return;
  const { identity } = run.artifact;
  deps.store.versions.quarantine({ subsystem: run.subsystem, version: run.toVersion, digest: identity, tag: run.toVersion, artifact: identity, reason: deps.mask(reason) });
  deps.store.events.append({ type: "quarantined", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
}

/** The previous version could not be brought back well; a version that was unhealthy is to blame all the same. */
export function finishNotBack(e: Ending, failure: Failure, error: unknown): void {
  const patch = { code: codeOf(error), message: e.deps.mask(messageOf(error)), failedStage: failure.stage };
  end(e, "failed", patch, "build_failed", () => {
    if (isToBlame(failure)) quarantine(e, failure);
  });
}

export function finishRolledBack(e: Ending, failure: Failure): void {
  // A failed swap that never became live touched nothing: nothing was rolled back, and the version is not to blame.
  if (failure.stage === "swap") return end(e, "failed", { code: failure.code, message: failure.message, failedStage: failure.stage }, "build_failed");
  end(e, "rolled_back", { code: failure.code, message: failure.message, failedStage: failure.stage }, "rolled_back", () => {
    if (isToBlame(failure)) quarantine(e, failure);
    // Process Compose or a dependency stood in the way: a redelivery may try the same version again.
    else e.deps.store.inbox.runEnded(e.run.id, "failed");
  });
}

/** Whether the version itself failed, and not what is around it. */
function isToBlame(failure: Failure): boolean {
  return failure.stage !== "swap" && (failure.code === "unhealthy" || failure.code === "interrupted");
}

function quarantine({ deps, run, context }: Ending, failure: Failure): void {
  const digest = context.swap?.newDigest;
  if (digest === undefined) return;
  deps.store.versions.quarantine({ subsystem: run.subsystem, version: context.version ?? run.toVersion, digest, reason: failure.message, ...(run.artifact === undefined ? {} : { tag: run.toVersion, artifact: run.artifact.identity }), ...(context.commit === undefined ? {} : { commit: context.commit }) });
  deps.store.events.append({ type: "quarantined", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
}

function end(e: Ending, status: RunStatus, patch: { code?: string; message?: string; failedStage?: string }, event: EventType, settle: () => void = () => undefined): void {
  const { run, deps } = e;
  const { store } = deps;
  store.tx(() => {
    store.runs.saveContext(run.id, e.context);
    const also = (ended: Run) => {
      settle();
      const durationMs = (ended.endedAt ?? 0) - (ended.startedAt ?? 0);
      store.events.append({ type: event, runId: run.id, subsystem: run.subsystem, durationMs, ...(patch.message === undefined ? {} : { message: patch.message }), ...(patch.failedStage === undefined ? {} : { stage: patch.failedStage }) });
    };
    // A version that was rolled back is settled (a redelivery finds it quarantined); a failed run may be tried again by a redelivery.
    store.endRun(run.id, { ...patch, status, deliveries: status === "failed" ? "failed" : "done", also });
  });
  deps.log[status === "succeeded" ? "info" : "error"]({ run: run.id, subsystem: run.subsystem, from: run.fromVersion, to: run.toVersion, status, ...patch }, "run ended");
}

/** Keeps the disk bounded (invariant I7): the shadow goes, and all but the newest previous versions. */
async function tidy(e: Ending): Promise<void> {
  const { deps, subsystem } = e;
  const remove = async (path: string) => {
    try {
      await removeTree(path);
    } catch (error) {
      deps.log.warn({ subsystem: subsystem.name, folder: path, err: messageOf(error) }, "folder not removed");
    }
  };
  await remove(placeOf(deps, subsystem).root);
  for (const bad of deps.store.versions.list(subsystem.name, "quarantined")) if (bad.path !== undefined) await remove(below(subsystem.dir, bad.path));
  const kept = deps.store.versions.list(subsystem.name, "previous").filter((v) => v.path !== undefined);
  for (const old of kept.slice(subsystem.keep)) {
    if (old.path !== undefined) await remove(below(subsystem.dir, old.path));
    deps.store.versions.forget(subsystem.name, old.version, old.digest);
  }
}
