/** One subsystem's part of a batch: what its offers come to, and the runs they lead to. */

import type { IgnoreReason } from "../domain/change.ts";
import { type Candidate, sameCommit } from "../domain/decide.ts";
import { codeOf, EvidenceError, messageOf, PolicyError, SlipstreamError, UpstreamError } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Clock } from "../kit/clock.ts";
import type { Claimed } from "../store/inbox.ts";
import type { Store } from "../store/store.ts";
import { newestOffer } from "./coalesce.ts";
import { decisionOn, type Enqueued, enqueue, isBlocked } from "./enqueue.ts";
import type { Offer } from "./match.ts";
import type { Upstream } from "./upstream.ts";

export interface GroupDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly upstream: Upstream;
  /** Notes what is installed before a decision rests on it. */
  readonly adopt: (subsystem: Subsystem) => Promise<void>;
}

/** Longest decision about one batch; shorter than the lease. */
export const DECIDE_WITHIN_MS = 20_000;
/** A branch head that does not show the pushed commit yet is looked at again this often (API lag behind the webhook). */
const LAG_TRIES = 3;

export interface Wanted {
  readonly claim: Claimed;
  readonly offer: Offer;
}
/** What is known about one delivery so far, per subsystem. */
export type Verdicts = Map<string, Enqueued>;
export interface Group {
  readonly subsystem: Subsystem;
  readonly wanted: readonly Wanted[];
}
export interface Decided extends Group {
  readonly newest: Wanted;
  readonly candidate: Candidate;
}

/** An offer the repository does not back: it ends alone, and the next newest of the batch is looked at. */
const UNPROVEN = new Set(["version-not-found", "commit-mismatch"]);
/** Reasons that hold for everything older as well. */
const REACHED = new Set<IgnoreReason>(["already-current", "older-than-current"]);

/** What is found out about a batch before anything is written. */
export interface Findings {
  readonly verdicts: ReadonlyMap<string, Verdicts>;
  readonly failed: Map<string, SlipstreamError>;
}

/**
 * What of one subsystem's offers counts: the newest that its repository backs and that may run, and beside it a newer one that has to wait for a person.
 * One that nobody may install (quarantined, rejected, refused) hides nothing below it.
 */
export async function decideGroup(deps: GroupDeps, group: Group, findings: Findings, signal: AbortSignal): Promise<readonly Decided[]> {
  const { subsystem } = group;
  await deps.adopt(subsystem);
  const forced = group.wanted.some((w) => w.offer.kind === "branch" && w.offer.forced);
  const decided: Decided[] = [];
  let left = group.wanted;
  while (left.length > 0) {
    const newest = left[newestOffer(subsystem, left.map((w) => w.offer))] as Wanted;
    const same = left.filter((w) => w === newest || sameOffer(w.offer, newest.offer));
    const found = await candidateOf(deps, subsystem, newest, signal).catch((error: unknown) => {
      if (!UNPROVEN.has(codeOf(error))) throw error;
      return asOurs(error, subsystem);
    });
    if (found instanceof SlipstreamError) {
      for (const w of same) findings.failed.set(w.claim.delivery.id, found);
    } else {
      const candidate = forced ? { ...found, forced } : found;
      const decision = decisionOn(deps.store, subsystem, candidate);
      if (decision.verdict === "run" || (decision.verdict === "ignore" && REACHED.has(decision.reason))) return [...decided, { subsystem, wanted: left, newest, candidate }];
      if (decision.verdict === "hold") decided.push({ subsystem, wanted: same, newest, candidate });
      else for (const w of same) findings.verdicts.get(w.claim.delivery.id)?.set(subsystem.name, { reason: decision.reason });
    }
    left = left.filter((w) => !same.includes(w));
  }
  return decided;
}

/** Enqueues the candidate; all older offers of the batch end as superseded by it. */
export function judge(deps: GroupDeps, d: Decided, { verdicts, failed }: Findings): void {
  // A delivery that is put back for another subsystem's sake is decided as a whole when it comes again.
  if (d.wanted.every((w) => failed.has(w.claim.delivery.id))) return;
  const result = enqueue(deps.store, d.subsystem, d.candidate, { trigger: "delivery", now: deps.clock.now() });
  if ("defer" in result) return;
  for (const w of d.wanted) verdicts.get(w.claim.delivery.id)?.set(d.subsystem.name, w === d.newest || sameOffer(w.offer, d.newest.offer) ? result : { ...result, reason: "superseded" });
}

/** Puts back what has to wait behind something a person asked for. */
export function defer(deps: GroupDeps, d: Decided, failed: Map<string, SlipstreamError>): void {
  if (!isBlocked(deps.store, d.subsystem, d.candidate)) return;
  const later = new PolicyError("policy-refused", `subsystem ${d.subsystem.name} has a run waiting that a person asked for, expected that to go first`, { retryable: true });
  for (const w of d.wanted) failed.set(w.claim.delivery.id, later);
}

function sameOffer(a: Offer, b: Offer): boolean {
  return a.kind === "tag" && b.kind === "tag" ? a.tag === b.tag : a.kind === b.kind && a.commit === b.commit;
}

/** The candidate as the repository has it. A webhook can be ahead of the refs, so what does not fit yet gets a few more looks. */
async function candidateOf(deps: GroupDeps, subsystem: Subsystem, wanted: Wanted, signal: AbortSignal): Promise<Candidate> {
  const { offer } = wanted;
  const candidate = await deps.upstream.candidate(subsystem, offer, signal);
  if (offer.commit === undefined || sameCommit(offer.commit, candidate.commit)) return candidate;
  const retryable = wanted.claim.fence <= LAG_TRIES;
  if (offer.kind === "tag") throw new EvidenceError("commit-mismatch", `tag ${offer.tag} is at ${candidate.commit} in ${subsystem.upstream}, expected ${offer.commit} as the delivery says`, { retryable });
  // A branch has usually moved on, and its head counts; but a head that is still what we run has not caught up.
  const current = deps.store.versions.current(subsystem.name)?.commit;
  if (retryable && current !== undefined && sameCommit(current, candidate.commit)) throw new UpstreamError("version-not-found", `branch ${subsystem.branch} is at ${candidate.commit}, expected ${offer.commit} or newer`, { retryable });
  return candidate;
}

/** What our own deadline cut off is the upstream's slowness, and is tried again. */
export function asOurs(error: unknown, subsystem: Subsystem | undefined): SlipstreamError {
  if (codeOf(error) === "cancelled") return new UpstreamError("timed-out", `upstream ${subsystem?.upstream ?? ""} is silent for ${DECIDE_WITHIN_MS / 1000} s, expected an answer`, { cause: error, retryable: true });
  return error instanceof SlipstreamError ? error : new SlipstreamError("internal", messageOf(error), { cause: error });
}
