/** The resolve worker: claims deliveries, coalesces a burst, decides, and settles each with its verdict in one transaction with the run it leads to. */

import { codeOf, type SlipstreamError } from "../domain/errors.ts";
import type { Look } from "../domain/manifest.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { type Backoff, backoffMs } from "../kit/backoff.ts";
import type { Bell } from "../kit/bell.ts";
import { deadline } from "../kit/clock.ts";
import type { Worker } from "../kit/worker.ts";
import type { Claimed } from "../store/inbox.ts";
import type { Store } from "../store/store.ts";
import { decisionOn } from "./enqueue.ts";
import { asOurs, type Awaited, DECIDE_WITHIN_MS, type Decided, decideGroup, defer, type Findings, type Group, type GroupDeps, judge, type Verdicts, type Wanted } from "./group.ts";
import { decideAcross } from "./group-origins.ts";
import { decideReleases, lookForAssets } from "./group-release.ts";
import { match, type Offer, type RefOffer, type ReleaseOffer, type UpstreamChange } from "./match.ts";
import { decideRequest } from "./operator.ts";
import { hasSeveral } from "./origins.ts";

export interface ResolveDeps extends GroupDeps {
  readonly bell: Bell;
  /** Rung when a run was queued. */
  readonly queued: Bell;
}

/** Deliveries claimed at once: what a burst may fold into one run. */
const BATCH = 100;
const LEASE_MS = 120_000;
const LOOK_EVERY_MS = 30_000;
/** After the store failed. */
const PAUSE_MS = 5_000;
/** Tries before a delivery is given up, over about half a day; then a redelivery opens it again. GitHub itself does not retry. */
const TRIES = 80;
/** The same for a ref that is not there: a repository lags behind its webhook by seconds or minutes, not by hours. */
const MISSING_TRIES = 10;
const BACKOFF: Backoff = { baseMs: 1_000, maxMs: 15 * 60_000 };

export function createResolveWorker(deps: ResolveDeps): Worker {
  return {
    name: "resolve",
    async run(signal) {
      while (!signal.aborted) {
        try {
          const claims = deps.store.inbox.claim(BATCH, LEASE_MS);
          if (claims.length > 0) await resolveBatch(deps, claims, signal);
          else if (await lookForAssets(deps, signal)) deps.queued.ring();
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
  const due = Math.min(deps.store.inbox.nextDue() ?? Number.POSITIVE_INFINITY, deps.store.runs.nextLook("assets") ?? Number.POSITIVE_INFINITY);
  return due === Number.POSITIVE_INFINITY ? LOOK_EVERY_MS : Math.max(10, Math.min(LOOK_EVERY_MS, due - deps.clock.now()));
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
    const led = claim.fence > 1 ? deps.store.inbox.ledTo(claim.delivery.id) : NOTHING;
    for (const m of match(change, deps.subsystems())) {
      const runId = led.get(m.subsystem.name);
      // An earlier look has led to a run already, while another subsystem had to wait: whatever became of it, it is not begun again.
      if (runId !== undefined) mine.set(m.subsystem.name, { runId });
      else if ("reason" in m) mine.set(m.subsystem.name, { reason: m.reason });
      else {
        const group = bySubsystem.get(m.subsystem.name) ?? { subsystem: m.subsystem, wanted: [] };
        group.wanted.push({ claim, offer: m.offer });
        bySubsystem.set(m.subsystem.name, group);
      }
    }
  }
  const failed = new Map<string, SlipstreamError>();
  const decided: (Decided | Awaited)[] = [];
  const groups = [...bySubsystem.values()].map((group) =>
    decideOne(deps, group, { verdicts, failed }, signal).then(
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
  const looks = looksOf(deps.store, decided);
  deps.store.tx(() => {
    for (const d of decided) defer(deps, d, failed);
    for (const d of decided) judge(deps, d, { verdicts, failed });
    for (const claim of claims) if (claim.delivery.change.kind !== "request") settle(deps, claim, verdicts.get(claim.delivery.id) ?? new Map(), failed.get(claim.delivery.id));
  });
  await deps.looked(looks);
  deps.queued.ring();
}

const NOTHING: ReadonlyMap<string, string> = new Map();

/** For the manifest: the newest of each subsystem that may be installed, as it stands before that begins. */
function looksOf(store: Store, decided: readonly (Decided | Awaited)[]): ReadonlyMap<string, Look> {
  const looks = new Map<string, Look>();
  for (const d of decided) {
    if ("awaiting" in d || looks.has(d.subsystem.name) || decisionOn(store, d.subsystem, d.candidate).verdict === "ignore") continue;
    const { version, commit, upstream } = d.candidate;
    looks.set(d.subsystem.name, { version, updateAvailable: true, ...(commit === undefined ? {} : { commit }), ...(upstream === undefined ? {} : { upstream }) });
  }
  return looks;
}

/** Each mode has its own way to find out what an offer is worth. */
function decideOne(deps: ResolveDeps, { subsystem, wanted }: Group, findings: Findings, signal: AbortSignal): Promise<readonly (Decided | Awaited)[]> {
  const isRelease = (w: Wanted): w is Wanted<ReleaseOffer> => w.offer.kind === "release";
  const isRef = (w: Wanted<Offer>): w is Wanted<RefOffer> => w.offer.kind !== "release";
  if (subsystem.mode === "release") return decideReleases(deps, { subsystem, wanted: wanted.filter(isRelease) }, findings, signal);
  return (hasSeveral(subsystem) ? decideAcross : decideGroup)(deps, { subsystem, wanted: wanted.filter(isRef) }, findings, signal);
}

/** Reasons that are left for last, in this order. */
const TELLS_LITTLE: readonly string[] = ["no-asset", "not-managed", "other-subsystem"];

/** One transaction: delivery resolved (with the run it led to), or put back for a later try. */
function settle(deps: ResolveDeps, claim: Claimed, verdicts: Verdicts, error: SlipstreamError | undefined): void {
  const { store, log } = deps;
  if (error !== undefined) return settleFailed(deps, claim, { error, verdicts });
  const subsystems = [...verdicts].map(([name, v]) => ({ name, ...v })).sort((a, b) => (a.name < b.name ? -1 : 1));
  const runs = subsystems.filter((s): s is typeof s & { runId: string } => "runId" in s);
  // The run it names itself, before one it only led to.
  const withRun = runs.find((s) => s.reason === undefined) ?? runs[0];
  const change = claim.delivery.change as UpstreamChange;
  if (withRun !== undefined) {
    const state = store.runs.get(withRun.runId)?.status === "failed" ? "failed" : "done";
    store.inbox.settle(claim, { state, runId: withRun.runId, subsystems, ...(withRun.reason === undefined ? {} : { reason: withRun.reason }) });
  } else {
    // Of a shared repository, what was decided says more than whom it does not concern.
    const [told] = subsystems.toSorted((a, b) => TELLS_LITTLE.indexOf(a.reason ?? "") - TELLS_LITTLE.indexOf(b.reason ?? ""));
    const reason = told?.reason ?? "repository-not-configured";
    store.inbox.settle(claim, { state: "ignored", reason, subsystems });
  }
  log.info({ delivery: claim.delivery.id, externalId: claim.delivery.externalId, event: claim.delivery.event, repository: change.repository, verdicts: subsystems }, "delivery resolved");
}

function settleFailed(deps: ResolveDeps, claim: Claimed, { error, verdicts }: { readonly error: SlipstreamError; readonly verdicts: Verdicts }): void {
  const { store, log, clock } = deps;
  const said = `${error.code}: ${error.message}`;
  const subsystems = (reason: string) => concerned(deps, claim).map((name) => ({ name, ...(verdicts.get(name) ?? { reason }) }));
  const tries = error.code === "version-not-found" ? MISSING_TRIES : TRIES;
  if (error.retryable && claim.fence < tries) {
    store.inbox.retryAt(claim, Math.max(error.retryAt ?? 0, clock.now() + backoffMs(BACKOFF, claim.fence)), `${said}; try ${claim.fence}`, subsystems(`${said}; try ${claim.fence}`));
    log.warn({ delivery: claim.delivery.id, externalId: claim.delivery.externalId, code: error.code, attempt: claim.fence, err: error.message }, "delivery put back for a later try");
    return;
  }
  store.inbox.settle(claim, { state: "failed", reason: said, subsystems: subsystems(said) });
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
    const decided = await decideRequest({ store, upstream: deps.upstream, feed: deps.feed, log: deps.log, now: () => clock.now(), subsystem }, change.request, signal);
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
