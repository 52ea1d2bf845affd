/** Turns a candidate into a run, a hold, or a reason why neither; one transaction with the delivery's verdict. */

import type { InstalledVersion } from "../domain/artifact.ts";
import type { IgnoreReason } from "../domain/change.ts";
import { type Candidate, type Decision, decide, isNewer, sameCommit } from "../domain/decide.ts";
import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
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
  if (running !== undefined && isSame(running, candidate)) return { runId: running.id, reason: "already-queued" };
  // While a run is under way, "already current" is about to be untrue; only an equal or newer run in front makes the candidate pointless.
  if (decision.verdict === "ignore") return { reason: decision.reason };
  if (running !== undefined && candidate.explicit !== true && !isNewer(subsystem, candidate, { version: running.toVersion })) return { reason: "superseded" };
  const status = decision.verdict === "run" ? "queued" : "held";
  const waiting = store.runs.of(name, status);
  if (waiting !== undefined) {
    if (isSame(waiting, candidate)) return { runId: waiting.id, reason: "already-queued" };
    if (isAskedFor(waiting) && candidate.explicit !== true) return { defer: true };
    if (candidate.explicit !== true && !isNewer(subsystem, candidate, { version: waiting.toVersion })) return { reason: "superseded" };
    supersede(store, waiting, candidate.version);
  }
  if (candidate.explicit === true) store.versions.release(name, candidate.version);
  const run = store.runs.create(newRun(subsystem, candidate, origin, current?.version, decision));
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
  return candidate.explicit !== true && waiting !== undefined && isAskedFor(waiting) && !isSame(waiting, candidate) && decisionOn(store, subsystem, candidate).verdict === "run";
}

/** The decision about a candidate as the store stands. */
export function decisionOn(store: Store, subsystem: Subsystem, candidate: Candidate): Decision {
  const { name } = subsystem;
  const current = store.versions.current(name);
  const quarantined = store.versions.isQuarantined(name, candidate.version, candidate.commit);
  const forced = candidate.forced === true || isRewritten(store, subsystem, current);
  const rejected = store.approvals.isRejected(name, candidate.commit);
  return decide({ subsystem, current, quarantined, rejected, candidate: { ...candidate, forced } });
}

/** Whether the branch was rewritten since the current version was installed: an ordinary push on top of a forced one still carries what nobody has approved. */
function isRewritten(store: Store, subsystem: Subsystem, current: InstalledVersion | undefined): boolean {
  if (subsystem.strategy !== "commits" || current === undefined) return false;
  return store.runs.list({ subsystem: subsystem.name, limit: LOOKED_BACK }).some((run) => run.rule === "rewritten" && run.createdAt >= current.at);
}

function newRun(subsystem: Subsystem, candidate: Candidate, origin: Origin, from: string | undefined, decision: { verdict: "run" | "hold"; rule: string }): NewRun {
  const hold = decision.verdict === "hold" ? { holdReason: "approval" as const, holdUntil: origin.now + subsystem.policy.approvalWaitMs } : {};
  return {
    kind: "update",
    subsystem: subsystem.name,
    status: decision.verdict === "hold" ? "held" : "queued",
    trigger: origin.trigger,
    rule: decision.rule,
    toVersion: candidate.version,
    commit: candidate.commit,
    ref: candidate.ref,
    ...hold,
    ...(origin.actor === undefined ? {} : { actor: origin.actor }),
    ...(from === undefined ? {} : { fromVersion: from }),
  };
}

/** Ends a waiting run in favour of a newer one. */
export function supersede(store: Store, run: Run, by: string): void {
  store.endRun(run.id, { status: "skipped", deliveries: "done", code: "superseded", message: `superseded by ${by}` });
}

export function announce(store: Store, run: Run): void {
  if (run.status === "held") {
    store.events.append({ type: "run_held", runId: run.id, subsystem: run.subsystem, message: run.toVersion, data: { reason: run.holdReason, rule: run.rule } });
    store.events.append({ type: "approval_wanted", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
  } else {
    store.events.append({ type: "run_queued", runId: run.id, subsystem: run.subsystem, message: run.toVersion });
  }
}

function isSame(run: Run, candidate: Candidate): boolean {
  return run.kind === "update" && run.toVersion === candidate.version && run.commit !== undefined && sameCommit(run.commit, candidate.commit);
}
