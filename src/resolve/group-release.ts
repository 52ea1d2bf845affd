/** Release mode's part of a batch: the feed is read again, whatever the deliveries said, and the newest release that may be installed counts (V10x). */

import { awaitedCandidate, isNewer, isSameVersion } from "../domain/decide.ts";
import type { IgnoreReason } from "../domain/change.ts";
import { EvidenceError, messageOf, SlipstreamError, UpstreamError } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import { originAt, originsOf, type Subsystem } from "../domain/subsystem.ts";
import { deadline } from "../kit/clock.ts";
import { type ChosenReleases, chooseRelease, hasAsset, isInstalled, lacking } from "./choose-release.ts";
import { decisionOn, enqueue } from "./enqueue.ts";
import type { Listed } from "./feed.ts";
import type { Awaited, Decided, Findings, Group, GroupDeps, Wanted } from "./group.ts";
import { heedSilence } from "./group-origins.ts";
import { type ReleaseOffer, tagOwners } from "./match.ts";
import { type Across, releasesAcross, silencedBy, standingOf } from "./origins.ts";

/** A release that its API does not show yet is looked for again this often (API lag behind the webhook). */
const LAG_TRIES = 9;
/** Looks at a release without its assets: soon at first, then less often; an `edited` delivery comes sooner than most of them. */
const LOOK_AFTER_MS = { least: 5_000, most: 5 * 60_000 } as const;

/** Longest look at one feed, and longest round of looks before new deliveries are attended to. */
const LOOK_WITHIN_MS = 10_000;
const LOOKS_WITHIN_MS = 5_000;
/** How long a release of a lower upstream waits for a silent one above, after its files are looked for (prefer order). */
const PATIENT_MS = 30_000;

/** What the offers come to: at most one run, one newer that waits for a person, and one that waits for its assets. */
export async function decideReleases(deps: GroupDeps, group: Group<ReleaseOffer>, findings: Findings, signal: AbortSignal): Promise<readonly (Decided | Awaited)[]> {
  const { subsystem, wanted } = group;
  await deps.adopt(subsystem);
  const found = await releasesAcross(deps.feed, subsystem, { standing: standingOf(deps.store, subsystem), ids: idsOf(subsystem, wanted) }, signal);
  const chosen = await chooseRelease(deps, subsystem, found.items, signal);
  heedSilence(deps, group, found.silent, chosen.choices);
  const decided = chosen.choices.map((c): Decided & { wanted: Wanted[] } => ({ subsystem, candidate: c.candidate, wanted: [] }));
  const awaited: Awaited[] = [];
  const aside: Wanted[] = [];
  for (const w of wanted) {
    const mine = decided.find((d) => d.candidate.version === w.offer.tag && d.candidate.upstream === w.offer.upstream);
    const about = mine === undefined ? judgeOne(deps, { subsystem, found, chosen }, w) : "chosen";
    if (about instanceof SlipstreamError) findings.failed.set(w.claim.delivery.id, about);
    else if (typeof about === "object" && "awaiting" in about) awaited.push({ subsystem, wanted: [w], awaiting: about.awaiting });
    else if (typeof about === "object") {
      findings.verdicts.get(w.claim.delivery.id)?.set(subsystem.name, about);
      aside.push(w);
    } else mine?.wanted.push(w);
  }
  // News missed before: whatever came now leads to the newest as well.
  for (const d of decided) if (d.wanted.length === 0) d.wanted.push(...(aside.length > 0 ? aside : wanted.filter((w) => !findings.failed.has(w.claim.delivery.id))).map((w) => ({ ...w, older: true })));
  return [...decided, ...awaited];
}

/** The releases that deliveries named, by the clone URL of their upstream. */
function idsOf(subsystem: Subsystem, wanted: readonly Wanted<ReleaseOffer>[]): ReadonlyMap<string, ReadonlySet<string>> {
  const ids = new Map<string, Set<string>>();
  for (const { offer } of wanted) {
    const upstream = offer.upstream ?? subsystem.upstream;
    ids.set(upstream, (ids.get(upstream) ?? new Set()).add(offer.releaseId));
  }
  return ids;
}

type About = { readonly reason: NonNullable<ReturnType<ChosenReleases["reasons"]["get"]>> } | Pick<Awaited, "awaiting"> | SlipstreamError;

/** What to say about a delivered release that was not chosen. */
function judgeOne(deps: GroupDeps, { subsystem, found, chosen }: { subsystem: Subsystem; found: Across<Listed>; chosen: ChosenReleases }, w: Wanted<ReleaseOffer>): About {
  const { tag, releaseId, upstream = subsystem.upstream } = w.offer;
  const answer = found.answers.find((a) => a.origin.upstream === upstream);
  // The others went on without it; its own news has to wait.
  if (answer?.error !== undefined) return answer.error;
  const one = answer?.items.find((l) => l.release.id === releaseId) ?? answer?.items.find((l) => l.release.tag === tag);
  if (one === undefined) {
    if (w.claim.fence > LAG_TRIES) return { reason: "withdrawn" };
    return new UpstreamError("version-not-found", `release ${tag} is not to be seen in ${originAt(subsystem, w.offer.upstream)?.release?.repository} yet, expected what the webhook named`, { retryable: true });
  }
  if (!found.items.includes(one)) return insteadOf(deps, subsystem, { one, found, chosen });
  const reason = chosen.reasons.get(one.release.tag);
  if (reason !== undefined) return { reason };
  // Another upstream has the same version, and for this machine: nobody waits for this one's files.
  if (!hasAsset(one) && chosen.choices.some((c) => isSameVersion(subsystem, c.candidate.version, one.release.tag))) return { reason: "no-asset" };
  if (isInstalled(subsystem, deps.store.versions.current(subsystem.name), one)) return { reason: "already-current" };
  const lack = chosen.unproven.get(one.release.tag)?.message ?? lacking(one, subsystem);
  if (lack === "") return { reason: "superseded" };
  if (one.found.kind === "several") return new EvidenceError("assets-missing", lack);
  if (one.found.kind === "none" && !isExpected(deps, subsystem, one)) {
    const held = deps.store.runs.held(subsystem.name, "assets");
    // It waited for a release that turned out to be others': the next look ends that.
    if (held?.toVersion === one.release.tag) deps.store.runs.lookAgain(held.id, deps.clock.now());
    return { reason: "no-asset" };
  }
  return whetherToWait(deps, subsystem, { one, chosen, lack });
}

/** What to say about a release that another upstream's takes the place of: where that has no files yet, they are waited for. */
function insteadOf(deps: GroupDeps, subsystem: Subsystem, { one, found, chosen }: { one: Listed; found: Across<Listed>; chosen: ChosenReleases }): About {
  const reason = behind(deps, subsystem, one);
  if (reason !== "lower-priority") return { reason };
  const away = silencing(deps, subsystem, one, found);
  if (away !== undefined) return away;
  const above = found.items.find((l) => l.upstream !== one.upstream && (l.found.kind === "none" || l.found.kind === "incomplete") && isSameVersion(subsystem, l.release.tag, one.release.tag));
  return above === undefined || !hasAsset(one) ? { reason } : whetherToWait(deps, subsystem, { one: above, chosen, lack: lacking(above, subsystem) });
}

function silencing({ store }: GroupDeps, subsystem: Subsystem, { release, upstream }: Listed, { silent }: Across<Listed>): SlipstreamError | undefined {
  return silencedBy(subsystem, { silent, standing: standingOf(store, subsystem) }, { version: release.tag, ...(upstream === undefined ? {} : { upstream }) });
}

/** Why a release counts for nothing that another upstream's takes the place of. */
function behind(deps: GroupDeps, subsystem: Subsystem, one: Listed): IgnoreReason {
  const decision = decisionOn(deps.store, subsystem, hasAsset(one) ? deps.feed.provisional(one) : awaitedCandidate(one.release));
  return decision.verdict === "ignore" ? decision.reason : "lower-priority";
}

/** Whether a release without our asset is one that ought to have it: it names us, is ours alone, or its uploads are not done. */
function isExpected(deps: GroupDeps, subsystem: Subsystem, { release, upstream }: Listed): boolean {
  const repository = originAt(subsystem, upstream)?.release?.repository;
  const owners = deps.subsystems().filter((s) => s.mode === "release" && originsOf(s).some((o) => o.release?.repository === repository));
  return release.assets.length === 0 || release.assets.some((a) => !a.complete) || owners.length === 1 || tagOwners(release.tag, owners).includes(subsystem.name);
}

function whetherToWait(deps: GroupDeps, subsystem: Subsystem, { one, chosen, lack }: { one: Listed; chosen: ChosenReleases; lack: string }): About {
  const { release, upstream } = one;
  const candidate = awaitedCandidate(release);
  const decision = decisionOn(deps.store, subsystem, candidate);
  if (decision.verdict === "ignore") return { reason: decision.reason };
  const goes = chosen.choices.find((c) => c.decision.verdict === "run");
  if (goes !== undefined && isNewer(subsystem, goes.candidate, candidate)) return { reason: "superseded" };
  return { awaiting: { tag: release.tag, ...(upstream === undefined ? {} : { upstream }), missing: lack, lookAt: deps.clock.now() + LOOK_AFTER_MS.least } };
}

/** Looks again at the releases that runs wait for. Returns whether anything was queued. */
export async function lookForAssets(deps: GroupDeps, stop: AbortSignal): Promise<boolean> {
  let queued = false;
  const once = { ...deps, feed: deps.feed.once() };
  const until = deps.clock.monotonic() + LOOKS_WITHIN_MS;
  for (const run of deps.store.runs.dueLooks("assets", deps.clock.now())) {
    // New deliveries and a person's requests come first; what is left stays due.
    if (stop.aborted || deps.clock.monotonic() >= until) break;
    const subsystem = deps.subsystems().find((s) => s.name === run.subsystem && s.mode === "release");
    if (subsystem === undefined) deps.store.endRun(run.id, { status: "skipped", deliveries: "done", code: "not-managed", message: "no longer in release mode" });
    else queued = (await lookOnce(once, run, subsystem, stop)) || queued;
  }
  return queued;
}

async function lookOnce(deps: GroupDeps, run: Run, subsystem: Subsystem, stop: AbortSignal): Promise<boolean> {
  const { store, clock } = deps;
  try {
    const signal = deadline(LOOK_WITHIN_MS, stop);
    await deps.adopt(subsystem);
    const found = await releasesAcross(deps.feed, subsystem, { standing: standingOf(store, subsystem) }, signal);
    const chosen = await chooseRelease(deps, subsystem, found.items, signal);
    const own = found.answers.find((a) => a.origin.upstream === (run.upstream ?? subsystem.upstream));
    heedSilence(deps, { subsystem, wanted: [] }, found.silent, chosen.choices);
    // Its forge may say when to come again; and with prefer order nothing is decided past a silence that has just begun.
    const patient = clock.now() - run.createdAt < PATIENT_MS ? found.silent.find((s) => s.error.retryable)?.error : undefined;
    const away = subsystem.prefer === "order" ? (own?.error ?? patient) : chosen.choices.length === 0 ? own?.error : undefined;
    if (away !== undefined) throw away;
    return store.tx(() => {
      for (const { candidate } of chosen.choices) enqueue(store, subsystem, candidate, { trigger: "delivery", now: clock.now() });
      const now = store.runs.get(run.id);
      if (now?.status !== "held" || now.holdReason !== "assets") return true;
      const one = own?.items.find((l) => l.release.tag === run.toVersion);
      const passed = one === undefined || found.items.includes(one) ? undefined : behind(deps, subsystem, one);
      const silenced = passed === "lower-priority" && one !== undefined && silencing(deps, subsystem, one, found) !== undefined;
      const other = own === undefined ? "withdrawn" : silenced ? undefined : passed;
      const reason = other ?? chosen.reasons.get(run.toVersion) ?? (one?.found.kind === "none" && !isExpected(deps, subsystem, one) ? "no-asset" : undefined);
      if (reason !== undefined) store.endRun(run.id, { status: "skipped", deliveries: "done", code: reason, message: `not started: ${reason}` });
      else store.runs.lookAgain(run.id, nextLook(run, clock.now()), chosen.unproven.get(run.toVersion)?.message ?? (one === undefined || one.found.kind === "found" ? undefined : lacking(one, subsystem)));
      return chosen.choices.length > 0;
    });
  } catch (error) {
    if (stop.aborted) return false;
    const retryAt = error instanceof SlipstreamError ? error.retryAt : undefined;
    // A forge that limits us for longer than the wait must not end it without another look.
    if (retryAt !== undefined) store.runs.hold(run.id, { reason: "assets", until: Math.max(run.holdUntil ?? 0, retryAt + LOOK_AFTER_MS.most), lookAt: retryAt });
    else store.runs.lookAgain(run.id, nextLook(run, clock.now()));
    deps.log.info({ run: run.id, subsystem: run.subsystem, err: messageOf(error) }, "release could not be looked at again");
    return false;
  }
}

/** Less often the longer it lasts, and once more exactly at the deadline. */
function nextLook(run: Run, now: number): number {
  const next = Math.round(now + Math.max(LOOK_AFTER_MS.least, Math.min(LOOK_AFTER_MS.most, (now - run.createdAt) / 2)));
  return run.holdUntil !== undefined && now < run.holdUntil ? Math.min(next, run.holdUntil) : next;
}
