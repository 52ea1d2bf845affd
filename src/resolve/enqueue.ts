/** Turns a candidate into a run, a hold, or a reason why neither; one transaction with the delivery's verdict. */

import type { InstalledVersion } from "../domain/artifact.ts";
import type { IgnoreReason } from "../domain/change.ts";
import { type Candidate, type Decision, decide, identityOf, isNewer, isSameAim } from "../domain/decide.ts";
import type { Run } from "../domain/run.ts";
import { type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import type { NewRun } from "../store/runs.ts";
import type { Store } from "../store/store.ts";

export type Enqueued = { readonly runId: string; readonly reason?: IgnoreReason } | { readonly reason: IgnoreReason };
/** Something a person asked for comes first; the candidate is to be looked at again afterwards. */
export interface Deferred {
  readonly defer: true;
}

export interface Origin {
  readonly trigger: "delivery" | "operator";
  readonly actor?: string;
  readonly now: number;
}

/** Each push to a rewritten branch is held by the same rule, so one of the latest runs shows it. */
const LOOKED_BACK = 20;

/** Call inside a transaction. */
export function enqueue(store: Store, subsystem: Subsystem, candidate: Candidate, origin: Origin): Enqueued | Deferred {
  const { name } = subsystem;
  const current = store.versions.current(name);
  const decision = decisionOn(store, subsystem, candidate);
  const running = store.runs.of(name, "running");
  if (running !== undefined && isUpdateTo(running, candidate)) return { runId: running.id, reason: "already-queued" };
  // While a run is under way, "already current" is about to be untrue; only an equal or newer run in front makes the candidate pointless.
  if (decision.verdict === "ignore") return { reason: decision.reason };
  if (running !== undefined && candidate.explicit !== true && !isAheadOf(subsystem, candidate, running)) return { reason: "superseded" };
  const waiting = decision.verdict === "run" ? store.runs.of(name, "queued") : store.runs.held(name, "approval");
  if (waiting !== undefined) {
    if (isUpdateTo(waiting, candidate)) return { runId: waiting.id, reason: "already-queued" };
    if (isAskedFor(waiting) && candidate.explicit !== true) return { defer: true };
    if (candidate.explicit !== true && !isAheadOf(subsystem, candidate, waiting)) return { reason: "superseded" };
    supersede(store, waiting, candidate.version);
  }
  const limited = store.runs.held(name, "rate-limit");
  if (limited !== undefined && isUpdateTo(limited, candidate)) return { runId: limited.id, reason: "already-queued" };
  if (limited !== undefined) supersede(store, limited, candidate.version);
  if (candidate.explicit === true) store.versions.release(name, candidate.version);
  const awaited = completed(store, subsystem, candidate, { origin, decision });
  if (awaited !== undefined) return { runId: awaited.id };
  const run = store.runs.create(newRun(subsystem, candidate, origin, current?.version, decision));
  announce(store, run);
  return { runId: run.id };
}

/** The run that waited for this release's assets, now under way; one that waits for an older release ends. */
function completed(store: Store, subsystem: Subsystem, candidate: Candidate, { origin, decision }: { origin: Origin; decision: { verdict: "run" | "hold"; rule: string } }): Run | undefined {
  const awaited = store.runs.held(subsystem.name, "assets");
  if (awaited === undefined || candidate.artifact === undefined) return undefined;
  if (awaited.toVersion !== candidate.version) {
    if (isNewer(subsystem, candidate, { version: awaited.toVersion })) supersede(store, awaited, candidate.version);
    return undefined;
  }
  const run = store.runs.complete(awaited.id, { artifact: candidate.artifact, rule: decision.rule, ...(decision.verdict === "hold" ? { hold: approvalHold(subsystem, origin) } : {}) });
  announce(store, run);
  return run;
}

/** Holds a run until the release has the asset this subsystem needs. Call inside a transaction. */
export function awaitAssets(store: Store, subsystem: Subsystem, release: { readonly tag: string; readonly missing: string; readonly lookAt: number }, now: number): Enqueued {
  const { name } = subsystem;
  const held = store.runs.held(name, "assets");
  if (held?.toVersion === release.tag) return { runId: held.id, reason: "already-queued" };
  if (held !== undefined && !isNewer(subsystem, { version: release.tag }, { version: held.toVersion })) return { reason: "superseded" };
  if (held !== undefined) supersede(store, held, release.tag);
  const from = store.versions.current(name)?.version;
  const run = store.runs.create({
    ...{ kind: "update", subsystem: name, status: "held", trigger: "delivery", rule: "assets", toVersion: release.tag, ref: `refs/tags/${release.tag}` },
    ...{ holdReason: "assets", holdUntil: now + (subsystem.release?.assetWaitMs ?? 0), lookAt: release.lookAt, message: release.missing },
    ...(from === undefined ? {} : { fromVersion: from }),
  });
  announce(store, run);
  return { runId: run.id };
}

/** What a person asked for by name, a rollback above all, is not undone by a delivery that happens to come before it started. */
function isAskedFor(run: Run): boolean {
  return run.kind !== "update" || run.rule === "asked-for";
}

/** Whether `enqueue` would put the candidate off. */
export function isBlocked(store: Store, subsystem: Subsystem, candidate: Candidate): boolean {
  const waiting = store.runs.of(subsystem.name, "queued");
  return candidate.explicit !== true && waiting !== undefined && isAskedFor(waiting) && !isUpdateTo(waiting, candidate) && decisionOn(store, subsystem, candidate).verdict === "run";
}

/** The decision about a candidate as the store stands. */
export function decisionOn(store: Store, subsystem: Subsystem, candidate: Candidate): Decision {
  const { name } = subsystem;
  const current = store.versions.current(name);
  const quarantined = store.versions.isQuarantined(name, candidate);
  const forced = candidate.forced === true || isRewritten(store, subsystem, current);
  const identity = identityOf(candidate);
  const rejected = identity !== undefined && store.approvals.isRejected(name, identity);
  return decide({ subsystem, current, quarantined, rejected, candidate: { ...candidate, forced } });
}

/** Whether the branch was rewritten since the current version was installed: an ordinary push on top of a forced one still carries what nobody has approved. */
function isRewritten(store: Store, subsystem: Subsystem, current: InstalledVersion | undefined): boolean {
  if (!tracksCommits(subsystem) || current === undefined) return false;
  return store.runs.list({ subsystem: subsystem.name, limit: LOOKED_BACK }).some((run) => run.rule === "rewritten" && run.createdAt >= current.at);
}

function newRun(subsystem: Subsystem, candidate: Candidate, origin: Origin, from: string | undefined, decision: { verdict: "run" | "hold"; rule: string }): NewRun {
  const { reason, until } = approvalHold(subsystem, origin);
  const hold = decision.verdict === "hold" ? { holdReason: reason, holdUntil: until } : {};
  return {
    kind: "update",
    subsystem: subsystem.name,
    status: decision.verdict === "hold" ? "held" : "queued",
    trigger: origin.trigger,
    rule: decision.rule,
    toVersion: candidate.version,
    ref: candidate.ref,
    ...(candidate.commit === undefined ? {} : { commit: candidate.commit }),
    ...(candidate.artifact === undefined ? {} : { artifact: candidate.artifact }),
    ...hold,
    ...(origin.actor === undefined ? {} : { actor: origin.actor }),
    ...(from === undefined ? {} : { fromVersion: from }),
  };
}

function approvalHold(subsystem: Subsystem, origin: Origin): { readonly reason: "approval"; readonly until: number } {
  return { reason: "approval", until: origin.now + subsystem.policy.approvalWaitMs };
}

/** Ends a waiting run in favour of a newer one. */
export function supersede(store: Store, run: Run, by: string): void {
  store.endRun(run.id, { status: "skipped", deliveries: "done", code: "superseded", message: `superseded by ${by}` });
}

export function announce(store: Store, run: Run): void {
  if (run.status === "held") {
    store.events.append({ type: "run_held", runId: run.id, subsystem: run.subsystem, message: run.toVersion, data: { reason: run.holdReason, rule: run.rule } });
    if (run.holdReason === "approval") store.events.append({ type: "approval_wanted", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
  } else {
    store.events.append({ type: "run_queued", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
  }
}

function isUpdateTo(run: Run, candidate: Candidate): boolean {
  return run.kind === "update" && isSameAim(run, candidate);
}

/** Newer, or the same version made anew. */
function isAheadOf(subsystem: Subsystem, candidate: Candidate, run: Run): boolean {
  return run.toVersion === candidate.version ? !isUpdateTo(run, candidate) : isNewer(subsystem, candidate, { version: run.toVersion });
}
