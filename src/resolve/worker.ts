/** The resolve worker: claims deliveries, coalesces a burst, decides, and settles each with its verdict in one transaction with the run it leads to. */

import type { IgnoreReason } from "../domain/change.ts";
import { type Candidate, sameCommit } from "../domain/decide.ts";
import { codeOf, EvidenceError, messageOf, PolicyError, SlipstreamError, UpstreamError } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { type Backoff, backoffMs } from "../kit/backoff.ts";
import type { Bell } from "../kit/bell.ts";
import { type Clock, deadline } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Worker } from "../kit/worker.ts";
import type { Claimed } from "../store/inbox.ts";
import type { Store } from "../store/store.ts";
import { newestOffer } from "./coalesce.ts";
import { decisionOn, type Enqueued, enqueue, isBlocked } from "./enqueue.ts";
import { match, type Offer, type UpstreamChange } from "./match.ts";
import { decideRequest } from "./operator.ts";
import type { Upstream } from "./upstream.ts";

export interface ResolveDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly upstream: Upstream;
  readonly subsystems: () => readonly Subsystem[];
  /** Notes what is installed before a decision rests on it. */
  readonly adopt: (subsystem: Subsystem) => Promise<void>;
  readonly bell: Bell;
  /** Rung when a run was queued. */
  readonly queued: Bell;
}

/** Deliveries claimed at once: what a burst may fold into one run. */
const BATCH = 100;
/** Longest decision about one batch; shorter than the lease. */
const DECIDE_WITHIN_MS = 20_000;
const LEASE_MS = 120_000;
const LOOK_EVERY_MS = 30_000;
/** After the store failed. */
const PAUSE_MS = 5_000;
/** Tries before a delivery is given up, over about half a day; then a redelivery opens it again. GitHub itself does not retry. */
const TRIES = 80;
/** The same for a ref that is not there: a repository lags behind its webhook by seconds or minutes, not by hours. */
const MISSING_TRIES = 10;
const BACKOFF: Backoff = { baseMs: 1_000, maxMs: 15 * 60_000 };
/** A branch head that does not show the pushed commit yet is looked at again this often (API lag behind the webhook). */
const LAG_TRIES = 3;

interface Wanted {
  readonly claim: Claimed;
  readonly offer: Offer;
}
/** What is known about one delivery so far, per subsystem. */
type Verdicts = Map<string, Enqueued>;

export function createResolveWorker(deps: ResolveDeps): Worker {
  return {
    name: "resolve",
    async run(signal) {
      while (!signal.aborted) {
        try {
          const claims = deps.store.inbox.claim(BATCH, LEASE_MS);
          if (claims.length > 0) await resolveBatch(deps, claims, signal);
          else await deps.bell.wait(nextLook(deps), signal);
        } catch (error) {
          // The store could not be written (a full disk): the claims run out by themselves, and serving goes on.
          deps.log.error({ err: error }, "deliveries put off");
          await deps.clock.sleep(PAUSE_MS, signal);
        }
      }
    },
  };
}

/** Until the next retry is due, at most the ordinary look. */
function nextLook(deps: ResolveDeps): number {
  const due = deps.store.inbox.nextDue();
  return due === undefined ? LOOK_EVERY_MS : Math.max(10, Math.min(LOOK_EVERY_MS, due - deps.clock.now()));
}

async function resolveBatch(deps: ResolveDeps, claims: readonly Claimed[], stop: AbortSignal): Promise<void> {
  const signal = deadline(DECIDE_WITHIN_MS, stop);
  const bySubsystem = new Map<string, { subsystem: Subsystem; wanted: Wanted[] }>();
  const verdicts = new Map<string, Verdicts>();
  const requests = claims.filter((c) => c.delivery.change.kind === "request");
  for (const claim of claims) {
    const { change } = claim.delivery;
    if (change.kind === "request") continue;
    const mine: Verdicts = new Map();
    verdicts.set(claim.delivery.id, mine);
    if (change.kind === "none") continue;
    for (const m of match(change, deps.subsystems())) {
      if ("reason" in m) mine.set(m.subsystem.name, { reason: m.reason });
      else {
        const group = bySubsystem.get(m.subsystem.name) ?? { subsystem: m.subsystem, wanted: [] };
        group.wanted.push({ claim, offer: m.offer });
        bySubsystem.set(m.subsystem.name, group);
      }
    }
  }
  const failed = new Map<string, SlipstreamError>();
  const decided: Decided[] = [];
  const groups = [...bySubsystem.values()].map((group) =>
    decideGroup(deps, group, { verdicts, failed }, signal).then(
      (d) => void decided.push(...d),
      (error: unknown) => {
        for (const w of group.wanted) if (!failed.has(w.claim.delivery.id)) failed.set(w.claim.delivery.id, asOurs(error, group.subsystem));
      },
    ),
  );
  // One upstream that hangs holds up only itself and this batch, never longer than the deadline.
  await Promise.all([...groups, ...requests.map((claim) => resolveRequest(deps, claim, { signal, stop }))]);
  // What a stop cut off stays claimed: the next start takes the claims back and decides afresh.
  if (stop.aborted) return;
  deps.store.tx(() => {
    for (const d of decided) defer(deps, d, failed);
    for (const d of decided) judge(deps, d, { verdicts, failed });
    for (const claim of claims) if (claim.delivery.change.kind !== "request") settle(deps, claim, verdicts.get(claim.delivery.id) ?? new Map(), failed.get(claim.delivery.id));
  });
  deps.queued.ring();
}

interface Group {
  readonly subsystem: Subsystem;
  readonly wanted: readonly Wanted[];
}
interface Decided extends Group {
  readonly newest: Wanted;
  readonly candidate: Candidate;
}

/** An offer the repository does not back: it ends alone, and the next newest of the batch is looked at. */
const UNPROVEN = new Set(["version-not-found", "commit-mismatch"]);
/** Reasons that hold for everything older as well. */
const REACHED = new Set<IgnoreReason>(["already-current", "older-than-current"]);

/** What is found out about a batch before anything is written. */
interface Findings {
  readonly verdicts: ReadonlyMap<string, Verdicts>;
  readonly failed: Map<string, SlipstreamError>;
}

/**
 * What of one subsystem's offers counts: the newest that its repository backs and that may run, and beside it a newer one that has to wait for a person.
 * One that nobody may install (quarantined, rejected, refused) hides nothing below it.
 */
async function decideGroup(deps: ResolveDeps, group: Group, findings: Findings, signal: AbortSignal): Promise<readonly Decided[]> {
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
function judge(deps: ResolveDeps, d: Decided, { verdicts, failed }: Findings): void {
  // A delivery that is put back for another subsystem's sake is decided as a whole when it comes again.
  if (d.wanted.every((w) => failed.has(w.claim.delivery.id))) return;
  const result = enqueue(deps.store, d.subsystem, d.candidate, { trigger: "delivery", now: deps.clock.now() });
  if ("defer" in result) return;
  for (const w of d.wanted) verdicts.get(w.claim.delivery.id)?.set(d.subsystem.name, w === d.newest || sameOffer(w.offer, d.newest.offer) ? result : { ...result, reason: "superseded" });
}

/** Puts back what has to wait behind something a person asked for. */
function defer(deps: ResolveDeps, d: Decided, failed: Map<string, SlipstreamError>): void {
  if (!isBlocked(deps.store, d.subsystem, d.candidate)) return;
  const later = new PolicyError("policy-refused", `subsystem ${d.subsystem.name} has a run waiting that a person asked for, expected that to go first`, { retryable: true });
  for (const w of d.wanted) failed.set(w.claim.delivery.id, later);
}

function sameOffer(a: Offer, b: Offer): boolean {
  return a.kind === "tag" && b.kind === "tag" ? a.tag === b.tag : a.kind === b.kind && a.commit === b.commit;
}

/** The candidate as the repository has it. A webhook can be ahead of the refs, so what does not fit yet gets a few more looks. */
async function candidateOf(deps: ResolveDeps, subsystem: Subsystem, wanted: Wanted, signal: AbortSignal): Promise<Candidate> {
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

/** One transaction: delivery resolved (with the run it led to), or put back for a later try. */
function settle(deps: ResolveDeps, claim: Claimed, verdicts: Verdicts, error: SlipstreamError | undefined): void {
  const { store, log } = deps;
  if (error !== undefined) return settleFailed(deps, claim, error);
  const subsystems = [...verdicts].map(([name, v]) => ({ name, ...v }));
  const withRun = subsystems.find((s) => "runId" in s) as { runId: string; reason?: IgnoreReason } | undefined;
  const change = claim.delivery.change as UpstreamChange;
  if (withRun !== undefined) {
    const state = store.runs.get(withRun.runId)?.status === "failed" ? "failed" : "done";
    store.inbox.settle(claim, { state, runId: withRun.runId, subsystems, ...(withRun.reason === undefined ? {} : { reason: withRun.reason }) });
  } else {
    store.inbox.settle(claim, { state: "ignored", reason: subsystems[0]?.reason ?? "repository-not-configured", subsystems });
  }
  log.info({ delivery: claim.delivery.id, externalId: claim.delivery.externalId, event: claim.delivery.event, repository: change.repository, verdicts: subsystems }, "delivery resolved");
}

function settleFailed(deps: ResolveDeps, claim: Claimed, error: SlipstreamError): void {
  const { store, log, clock } = deps;
  const tries = error.code === "version-not-found" ? MISSING_TRIES : TRIES;
  if (error.retryable && claim.fence < tries) {
    store.inbox.retryAt(claim, clock.now() + backoffMs(BACKOFF, claim.fence), `${error.code}: ${error.message}; try ${claim.fence}`, concerned(deps, claim));
    log.warn({ delivery: claim.delivery.id, externalId: claim.delivery.externalId, code: error.code, attempt: claim.fence, err: error.message }, "delivery put back for a later try");
    return;
  }
  store.inbox.settle(claim, { state: "failed", reason: `${error.code}: ${error.message}`, subsystems: concerned(deps, claim).map((name) => ({ name, reason: `${error.code}: ${error.message}` })) });
  log.error({ delivery: claim.delivery.id, externalId: claim.delivery.externalId, code: error.code, err: error.message }, "delivery failed");
}

/** The subsystems a failed delivery was about, so that `why` can show it. */
function concerned(deps: ResolveDeps, claim: Claimed): readonly string[] {
  const { change } = claim.delivery;
  if (change.kind === "none") return [];
  if (change.kind !== "request") return match(change, deps.subsystems()).map((m) => m.subsystem.name);
  return "subsystem" in change.request ? [change.request.subsystem] : [];
}

async function resolveRequest(deps: ResolveDeps, claim: Claimed, { signal, stop }: { signal: AbortSignal; stop: AbortSignal }): Promise<void> {
  const { store, clock } = deps;
  const { change } = claim.delivery;
  if (change.kind !== "request") return;
  const subsystem = (name: string) => deps.subsystems().find((s) => s.name === name);
  const about = "subsystem" in change.request ? subsystem(change.request.subsystem) : undefined;
  try {
    if (about !== undefined) await deps.adopt(about);
    const decided = await decideRequest({ store, upstream: deps.upstream, now: () => clock.now(), subsystem }, change.request, signal);
    store.tx(() => {
      const result = decided();
      const one = { name: result.subsystem, ...("runId" in result ? { runId: result.runId } : {}), ...(result.reason === undefined ? {} : { reason: result.reason }) };
      store.inbox.settle(claim, { state: "runId" in result ? "done" : "ignored", subsystems: [one], ...one });
    });
  } catch (error) {
    if (stop.aborted) return;
    const ours = asOurs(error, about);
    store.inbox.settle(claim, { state: "failed", reason: `${ours.code}: ${ours.message}`, subsystems: concerned(deps, claim).map((name) => ({ name, reason: ours.code })) });
    if (codeOf(error) === "internal") deps.log.error({ err: error }, "operator request failed");
  }
}

/** What our own deadline cut off is the upstream's slowness, and is tried again. */
function asOurs(error: unknown, subsystem: Subsystem | undefined): SlipstreamError {
  if (codeOf(error) === "cancelled") return new UpstreamError("timed-out", `upstream ${subsystem?.upstream ?? ""} is silent for ${DECIDE_WITHIN_MS / 1000} s, expected an answer`, { cause: error, retryable: true });
  return error instanceof SlipstreamError ? error : new SlipstreamError("internal", messageOf(error), { cause: error });
}
