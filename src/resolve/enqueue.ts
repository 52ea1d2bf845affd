/** Turns a candidate into a run, a hold, or a reason why neither; one transaction with the delivery's verdict. */

import type { InstalledVersion } from "../domain/artifact.ts";
import type { IgnoreReason } from "../domain/change.ts";
import { awaitedCandidate, type Candidate, type Decision, decide, identityOf, isNewer, isSameAim, isSameVersion, releasedAs } from "../domain/decide.ts";
import type { Run } from "../domain/run.ts";
import { originAt, type Subsystem, tracksCommits } from "../domain/subsystem.ts";
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
  /** Install it and leave its process alone. */
  readonly noReload?: boolean;
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
  const limited = store.runs.held(name, "rate-limit");
  if (limited !== undefined && isUpdateTo(limited, candidate)) return known(store, limited, candidate);
  // One that is to run puts itself in front of whatever waits to run; one that is held for a person only replaces another of its kind.
  const ahead = decision.verdict === "run" ? [store.runs.of(name, "queued"), limited] : [store.runs.held(name, "approval")];
  for (const waiting of ahead) {
    if (waiting === undefined) continue;
    if (isUpdateTo(waiting, candidate)) return known(store, waiting, candidate);
    if (isAskedFor(waiting) && candidate.explicit !== true) return { defer: true };
    if (candidate.explicit !== true && !isAheadOf(subsystem, candidate, waiting)) return { reason: "superseded" };
    supersede(store, waiting, candidate.version);
  }
  if (candidate.explicit === true) store.versions.release(name, candidate.version);
  const awaited = completed(store, subsystem, candidate, { origin, decision });
  if (awaited !== undefined) return { runId: awaited.id };
  const run = store.runs.create(newRun(subsystem, candidate, origin, current?.version, decision));
  announce(store, run);
  return { runId: run.id };
}

/** The same bytes may have got another address since: published anew, or uploaded again. */
function known(store: Store, run: Run, { artifact, upstream }: Candidate): Enqueued {
  // An address counts at its own upstream only.
  if (artifact !== undefined && run.upstream === upstream && artifact.assetId !== run.artifact?.assetId) store.runs.readdress(run.id, artifact);
  return { runId: run.id, reason: "already-queued" };
}

/** The run that waited for this release's assets, now under way; one that waits for an older release ends. */
function completed(store: Store, subsystem: Subsystem, candidate: Candidate, { origin, decision }: { origin: Origin; decision: { verdict: "run" | "hold"; rule: string } }): Run | undefined {
  const awaited = store.runs.held(subsystem.name, "assets");
  if (awaited === undefined || candidate.artifact === undefined) return undefined;
  const same = awaited.toVersion === candidate.version;
  if (!same || awaited.upstream !== candidate.upstream) {
    // The same version of another upstream has other files: it is a run of its own.
    if (same || (decision.verdict === "run" && isNewer(subsystem, candidate, { version: awaited.toVersion }))) supersede(store, awaited, candidate.version);
    return undefined;
  }
  const run = store.runs.complete(awaited.id, { artifact: candidate.artifact, rule: decision.rule, ...(decision.verdict === "hold" ? { hold: approvalHold(subsystem, origin) } : {}) });
  announce(store, run);
  return run;
}

/** Holds a run until the release has the asset this subsystem needs. Call inside a transaction. */
export function awaitAssets(store: Store, subsystem: Subsystem, release: { readonly tag: string; readonly upstream?: string; readonly missing: string; readonly lookAt: number }, now: number): Enqueued {
  const { name } = subsystem;
  const held = store.runs.held(name, "assets");
  if (held?.toVersion === release.tag && held.upstream === release.upstream) return { runId: held.id, reason: "already-queued" };
  // The same version of another upstream: whoever asks has found that this one goes before it.
  const instead = held !== undefined && held.upstream !== release.upstream && isSameVersion(subsystem, held.toVersion, release.tag);
  if (held !== undefined && !instead && !isNewer(subsystem, { version: release.tag }, { version: held.toVersion })) return { reason: "superseded" };
  if (held !== undefined && wouldRun(store, subsystem, held.toVersion) && !wouldRun(store, subsystem, release.tag)) return { reason: "superseded" };
  if (held !== undefined) supersede(store, held, release.tag);
  const from = store.versions.current(name)?.version;
  const run = store.runs.create({
    ...{ kind: "update", subsystem: name, status: "held", trigger: "delivery", rule: "assets", toVersion: release.tag, ref: `refs/tags/${release.tag}` },
    ...{ holdReason: "assets", holdUntil: now + (originAt(subsystem, release.upstream)?.release?.assetWaitMs ?? 0), lookAt: release.lookAt, message: release.missing },
    ...(from === undefined ? {} : { fromVersion: from }),
    ...(release.upstream === undefined ? {} : { upstream: release.upstream }),
  });
  announce(store, run);
  return { runId: run.id };
}

/** Whether a release would go by itself once it has its asset. */
function wouldRun(store: Store, subsystem: Subsystem, tag: string): boolean {
  return decisionOn(store, subsystem, awaitedCandidate({ tag })).verdict === "run";
}

/** What a person asked for by name, a rollback above all, is not undone by a delivery that happens to come before it started. */
function isAskedFor(run: Run): boolean {
  return run.kind !== "update" || run.rule === "asked-for";
}

/** Whether `enqueue` would put the candidate off. */
export function isBlocked(store: Store, subsystem: Subsystem, candidate: Candidate): boolean {
  const inFront = [store.runs.of(subsystem.name, "queued"), store.runs.held(subsystem.name, "rate-limit")];
  return candidate.explicit !== true && inFront.some((run) => run !== undefined && isAskedFor(run) && !isUpdateTo(run, candidate)) && decisionOn(store, subsystem, candidate).verdict === "run";
}

/** The decision about a candidate as the store stands. */
export function decisionOn(store: Store, subsystem: Subsystem, candidate: Candidate): Decision {
  const { name } = subsystem;
  const current = store.versions.current(name);
  const quarantined = store.versions.isQuarantined(name, candidate) || isUnnamedBad(store, subsystem, candidate);
  const forced = candidate.forced === true || isRewritten(store, subsystem, current);
  const identity = identityOf(candidate);
  // A no to a release that had no asset yet is a no to the release.
  const rejected = (identity !== undefined && store.approvals.isRejected(name, identity)) || (candidate.artifact !== undefined && store.approvals.isRejected(name, candidate.version));
  const wentBackFrom = leftBehind(store, subsystem);
  return decide({ subsystem, current, quarantined, rejected, candidate: { ...candidate, forced }, ...(wentBackFrom === undefined ? {} : { wentBackFrom }) });
}

/** A quarantined version whose artifact nobody knows, installed by other hands: told by its version, in whatever tag style. */
function isUnnamedBad(store: Store, subsystem: Subsystem, { artifact, version }: Candidate): boolean {
  return artifact !== undefined && store.versions.list(subsystem.name, "quarantined").some((v) => v.artifact === undefined && isSameVersion(subsystem, releasedAs(v), version));
}

/** The release a person rolled back from, while that rollback is the last thing that was done. */
function leftBehind(store: Store, subsystem: Subsystem): string | undefined {
  if (tracksCommits(subsystem)) return undefined;
  const last = store.runs.list({ subsystem: subsystem.name, limit: LOOKED_BACK }).filter((r) => r.status === "succeeded" && r.kind !== "reload").sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0))[0];
  if (last?.kind !== "rollback" || last.fromVersion === undefined) return undefined;
  const left = store.versions.list(subsystem.name, "quarantined").find((v) => v.version === last.fromVersion);
  return left === undefined ? undefined : releasedAs(left);
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
    ...(candidate.upstream === undefined ? {} : { upstream: candidate.upstream }),
    ...hold,
    ...(origin.actor === undefined ? {} : { actor: origin.actor }),
    ...(origin.noReload === true ? { noReload: true } : {}),
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
