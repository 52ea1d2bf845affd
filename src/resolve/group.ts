/** One subsystem's part of a batch: what its offers come to, and the runs they lead to. */

import type { IgnoreReason } from "../domain/change.ts";
import { type Candidate, sameCommit, type SourceCandidate } from "../domain/decide.ts";
import { codeOf, EvidenceError, messageOf, PolicyError, SlipstreamError, UpstreamError } from "../domain/errors.ts";
import type { Look } from "../domain/manifest.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { namedTags } from "../domain/tags.ts";
import type { Clock } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Claimed } from "../store/inbox.ts";
import type { Store } from "../store/store.ts";
import { newestOffer } from "./coalesce.ts";
import { awaitAssets, decisionOn, type Enqueued, enqueue, isBlocked } from "./enqueue.ts";
import type { Feed } from "./feed.ts";
import type { Offer, RefOffer } from "./match.ts";
import type { Upstream } from "./upstream.ts";

export interface GroupDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly upstream: Upstream;
  readonly feed: Feed;
  /** Told what a look found. */
  readonly looked: (found: ReadonlyMap<string, Look>) => Promise<void>;
  readonly subsystems: () => readonly Subsystem[];
  /** Notes what is installed before a decision rests on it. */
  readonly adopt: (subsystem: Subsystem) => Promise<void>;
}

/** Longest decision about one batch; shorter than the lease. */
export const DECIDE_WITHIN_MS = 20_000;
/** A branch head that does not show the pushed commit yet is looked at again this often (API lag behind the webhook). */
const LAG_TRIES = 3;

export interface Wanted<O extends Offer = Offer> {
  readonly claim: Claimed;
  readonly offer: O;
  /** It only led to the look; what was found is another version. */
  readonly older?: boolean;
}
/** What is known about one delivery so far, per subsystem. */
export type Verdicts = Map<string, Enqueued>;
export interface Group<O extends Offer = Offer> {
  readonly subsystem: Subsystem;
  readonly wanted: readonly Wanted<O>[];
}
export interface Decided extends Group {
  /** The offer that is the candidate; missing when every one not marked older is. */
  readonly newest?: Wanted;
  readonly candidate: Candidate;
}
/** A release that ought to have an asset for this subsystem and has none yet. */
export interface Awaited extends Group {
  readonly awaiting: { readonly tag: string; readonly upstream?: string; readonly missing: string; readonly lookAt: number };
}

/** An offer the repository does not back: it ends alone, and the next newest of the batch is looked at. */
export const UNPROVEN = new Set(["version-not-found", "commit-mismatch"]);
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
export async function decideGroup(deps: GroupDeps, group: Group<RefOffer>, findings: Findings, signal: AbortSignal): Promise<readonly Decided[]> {
  const { subsystem } = group;
  await deps.adopt(subsystem);
  const forced = group.wanted.some((w) => w.offer.kind === "branch" && w.offer.forced);
  const decided: Decided[] = [];
  let left = group.wanted;
  while (left.length > 0) {
    const newest = left[newestOffer(subsystem, left.map((w) => w.offer))] as Wanted<RefOffer>;
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

/** Enqueues the candidate; all older offers of the batch end as superseded by it. Trouble with another subsystem of the same repository is no reason to wait: what is decided again later is known to be queued already. */
export function judge(deps: GroupDeps, d: Decided | Awaited, { verdicts }: Findings): void {
  const now = deps.clock.now();
  const result = "awaiting" in d ? awaitAssets(deps.store, d.subsystem, d.awaiting, now) : enqueue(deps.store, d.subsystem, d.candidate, { trigger: "delivery", now });
  if ("defer" in result) return;
  const isIt = (w: Wanted) => w.older !== true && ("awaiting" in d || d.newest === undefined || w === d.newest || sameOffer(w.offer, d.newest.offer));
  for (const w of d.wanted) {
    const mine = verdicts.get(w.claim.delivery.id);
    const before = mine?.get(d.subsystem.name);
    // What it names has a run of its own already, which waits.
    if (w.older === true && before !== undefined && "runId" in before) continue;
    mine?.set(d.subsystem.name, isIt(w) ? result : { ...result, reason: "superseded" });
  }
}

/** Puts back what has to wait behind something a person asked for. */
export function defer(deps: GroupDeps, d: Decided | Awaited, failed: Map<string, SlipstreamError>): void {
  if ("awaiting" in d || !isBlocked(deps.store, d.subsystem, d.candidate)) return;
  const later = new PolicyError("policy-refused", `subsystem ${d.subsystem.name} has a run waiting that a person asked for, expected that to go first`, { retryable: true });
  for (const w of d.wanted) failed.set(w.claim.delivery.id, later);
}

export function sameOffer(a: Offer, b: Offer): boolean {
  if (a.kind === "branch" || b.kind === "branch") return a.kind === b.kind && "commit" in a && "commit" in b && a.commit === b.commit;
  return a.kind === b.kind && a.tag === b.tag && a.upstream === b.upstream;
}

/** The candidate as the repository has it. @throws UpstreamError version-not-found · EvidenceError commit-mismatch */
export async function candidateOf(deps: GroupDeps, subsystem: Subsystem, wanted: Wanted<RefOffer>, signal: AbortSignal): Promise<SourceCandidate> {
  return backed(deps, subsystem, wanted, await deps.upstream.candidate(subsystem, wanted.offer, signal));
}

/** The same candidate if it is what the delivery says. A webhook can be ahead of the refs, so what does not fit yet gets a few more looks. */
export function backed(deps: GroupDeps, subsystem: Subsystem, wanted: Wanted<RefOffer>, candidate: SourceCandidate): SourceCandidate {
  const { offer } = wanted;
  if (offer.commit === undefined || sameCommit(offer.commit, candidate.commit)) return candidate;
  const retryable = wanted.claim.fence <= LAG_TRIES;
  if (offer.kind === "tag" && !namedTags(subsystem).includes(offer.tag)) throw new EvidenceError("commit-mismatch", `tag ${offer.tag} is at ${candidate.commit} in ${subsystem.upstream}, expected ${offer.commit} as the delivery says`, { retryable });
  // A branch, or a tag that is followed by its name, has usually moved on, and where it is now counts; but one that is still what we run has not caught up.
  const current = deps.store.versions.current(subsystem.name)?.commit;
  if (retryable && current !== undefined && sameCommit(current, candidate.commit)) throw new UpstreamError("version-not-found", `${candidate.ref} is at ${candidate.commit}, expected ${offer.commit} or newer`, { retryable });
  return candidate;
}

/** What our own deadline cut off is the upstream's slowness, and is tried again. */
export function asOurs(error: unknown, subsystem: Subsystem | undefined): SlipstreamError {
  if (codeOf(error) === "cancelled") return new UpstreamError("timed-out", `upstream ${subsystem?.upstream ?? ""} is silent for ${DECIDE_WITHIN_MS / 1000} s, expected an answer`, { cause: error, retryable: true });
  return error instanceof SlipstreamError ? error : new SlipstreamError("internal", messageOf(error), { cause: error });
}
