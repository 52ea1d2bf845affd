/**
 * Source mode's part of a batch where a subsystem has several upstreams: whatever the deliveries said, all of them are looked at once, and the newest version that may be
 * installed counts. Each delivery then hears what became of its own version.
 */

import { type Candidate, isPrerelease, sameCommit, type SourceCandidate, stepTo } from "../domain/decide.ts";
import { codeOf, SlipstreamError, UpstreamError } from "../domain/errors.ts";
import { fitsPin } from "../domain/pin.ts";
import { originsOf, type Subsystem } from "../domain/subsystem.ts";
import { parseVersion } from "../domain/version.ts";
import type { Store } from "../store/store.ts";
import type { Choice } from "./choose.ts";
import { decisionOn } from "./enqueue.ts";
import { asOurs, backed, candidateOf, type Decided, type Findings, type Group, type GroupDeps, sameOffer, UNPROVEN, type Wanted } from "./group.ts";
import type { RefOffer } from "./match.ts";
import { type Answer, from, only, rankVersions, type Silent, silencedBy, standingOf, versionsAcross } from "./origins.ts";

/** Offers that no list shows and that are looked up one by one per look: a tag that is no version, or a list that lags behind; not a burst of made-up ones. */
const UNSEEN = 3;
/** How often a delivery is put back, over about half a minute, before a lower upstream takes the place of a silent one (prefer order). */
const PATIENT_TRIES = 5;

/** What the offers come to: at most one run, and one newer that waits for a person. @throws what the first upstream throws where none answers */
export async function decideAcross(deps: GroupDeps, group: Group<RefOffer>, findings: Findings, signal: AbortSignal): Promise<readonly Decided[]> {
  const { subsystem } = group;
  await deps.adopt(subsystem);
  const standing = standingOf(deps.store, subsystem);
  const listed = await versionsAcross(deps.upstream, subsystem, standing, signal);
  const offers = await offered(deps, group, { answers: listed.answers, findings }, signal);
  const answers = withOffers(listed.answers, offers);
  const known = new Set(listed.answers.flatMap((a) => a.items));
  // A prerelease or a stray tag that somebody told about makes no upstream the one that decides.
  const found = rankVersions(subsystem, answers, standing, (c) => known.has(c) || (parseVersion(c.version, subsystem) !== null && !isPrerelease(subsystem, c)));
  // What has no order is taken from the first upstream that has anything, and only when somebody has just told about it.
  const top = new Set(answers.find((a) => a.items.length > 0)?.items);
  const loose = new Set([...offers.values()].filter((c) => parseVersion(c.version, subsystem) === null && top.has(c) && found.items.includes(c)));
  const choices = chooseBoth(deps.store, subsystem, found.items.filter((c) => !isDoubted(c, group.wanted, findings)), loose);
  heedSilence(deps, group, found.silent, choices);
  const decided = choices.map((c): Decided & { wanted: Wanted[] } => ({ subsystem, candidate: c.candidate, wanted: [] }));
  const aside: Wanted[] = [];
  for (const [w, candidate] of offers) {
    const mine = decided.find((d) => isSame(d.candidate, candidate));
    if (mine !== undefined) mine.wanted.push(w);
    else {
      const decision = decisionOn(deps.store, subsystem, candidate);
      const counts = loose.has(candidate) || (parseVersion(candidate.version, subsystem) !== null && found.items.some((c) => isSame(c, candidate)));
      const away = decision.verdict === "ignore" || counts ? undefined : silencedBy(subsystem, { silent: found.silent, standing }, candidate);
      if (away !== undefined) {
        findings.failed.set(w.claim.delivery.id, away);
        continue;
      }
      findings.verdicts.get(w.claim.delivery.id)?.set(subsystem.name, { reason: decision.verdict === "ignore" ? decision.reason : counts ? "superseded" : "lower-priority" });
      aside.push(w);
    }
  }
  // News missed before: whatever came now leads to the newest as well.
  for (const d of decided) if (d.wanted.length === 0) d.wanted.push(...(aside.length > 0 ? aside : [...offers.keys()].filter((w) => !findings.failed.has(w.claim.delivery.id))).map((w) => ({ ...w, older: true })));
  return decided;
}

/** Logs who did not answer. With prefer order a short silence is waited out before a lower upstream takes the place. @throws the silent one's error, retryable */
export function heedSilence(deps: GroupDeps, { subsystem, wanted }: Pick<Group, "subsystem" | "wanted">, silent: readonly Silent[], choices: readonly Choice[]): void {
  for (const { upstream, error } of silent) deps.log.warn({ subsystem: subsystem.name, upstream, code: error.code, err: error.message }, "upstream does not answer, looked at the others");
  if (subsystem.prefer !== "order" || wanted.every((w) => w.claim.fence > PATIENT_TRIES)) return;
  const places = originsOf(subsystem).map((o) => o.upstream);
  const chosen = Math.max(...choices.map((c) => places.indexOf(c.candidate.upstream ?? subsystem.upstream)));
  const higher = silent.find((s) => s.error.retryable && places.indexOf(s.upstream) < chosen);
  if (higher !== undefined) throw higher.error;
}

/** Every offer that its own upstream backs, with what that has; the others end here. */
async function offered(deps: GroupDeps, { subsystem, wanted }: Group<RefOffer>, known: { readonly answers: readonly Answer<SourceCandidate>[]; readonly findings: Findings }, signal: AbortSignal): Promise<ReadonlyMap<Wanted<RefOffer>, SourceCandidate>> {
  const offers = new Map<Wanted<RefOffer>, SourceCandidate>();
  const looked = new Map<string, Promise<SourceCandidate>>();
  const refused = new Map<Wanted<RefOffer>, SlipstreamError>();
  for (const w of wanted) {
    const { offer } = w;
    if (offer.kind !== "tag") continue;
    const answer = known.answers.find((a) => a.origin.upstream === (offer.upstream ?? subsystem.upstream));
    const listed = answer?.items.find((c) => c.version === offer.tag);
    try {
      if (answer === undefined) throw new UpstreamError("version-not-found", `upstream ${offer.upstream} is no longer configured, expected the one whose tag ${offer.tag} is`);
      if (answer.error !== undefined) throw answer.error;
      const view = only(subsystem, answer.origin);
      const key = JSON.stringify([answer.origin.upstream, offer.tag, offer.commit]);
      if (listed === undefined && !looked.has(key) && looked.size >= UNSEEN) {
        const never = isPrerelease(subsystem, { version: offer.tag }) ? "prerelease" : fitsPin(subsystem, offer.tag) ? undefined : "pinned";
        if (never !== undefined) {
          known.findings.verdicts.get(w.claim.delivery.id)?.set(subsystem.name, { reason: never });
          continue;
        }
        throw new UpstreamError("version-not-found", `tag ${offer.tag} is not looked for at ${answer.origin.upstream} yet, because ${UNSEEN} others were; expected at the next look`, { retryable: true });
      }
      const found = listed !== undefined ? Promise.resolve(backed(deps, view, w, listed)) : (looked.get(key) ?? candidateOf(deps, view, w, signal));
      if (listed === undefined) looked.set(key, found);
      offers.set(w, listed === undefined ? from(subsystem, answer.origin, await found) : listed);
    } catch (error) {
      if (answer?.error !== error && !UNPROVEN.has(codeOf(error))) throw error;
      refused.set(w, error instanceof SlipstreamError ? error : asOurs(error, subsystem));
    }
  }
  for (const [w, error] of refused) {
    // The tag has moved at once, and the later news fit.
    const later = error.code === "commit-mismatch" ? [...offers].find(([o]) => sameOffer(o.offer, w.offer))?.[1] : undefined;
    if (later === undefined) known.findings.failed.set(w.claim.delivery.id, error);
    else offers.set(w, later);
  }
  return offers;
}

/** The answers with what deliveries named besides: tags that are no versions, or too new for the list. */
function withOffers(answers: readonly Answer<SourceCandidate>[], offers: ReadonlyMap<unknown, SourceCandidate>): readonly Answer<SourceCandidate>[] {
  return answers.map((answer, index) => {
    const more = new Map<string, SourceCandidate>();
    for (const c of offers.values()) if ((c.upstream ?? answers[0]?.origin.upstream) === answers[index]?.origin.upstream && !answer.items.some((i) => i.version === c.version)) more.set(c.version, c);
    return { ...answer, items: [...answer.items, ...more.values()] };
  });
}

/** The newest that may go by itself, and before it a newer one that has to wait for a person. */
function chooseBoth(store: Store, subsystem: Subsystem, candidates: readonly SourceCandidate[], loose: ReadonlySet<SourceCandidate>): readonly Choice[] {
  const current = store.versions.current(subsystem.name);
  let hold: Choice | undefined;
  let reached = false;
  for (const candidate of candidates) {
    const decision = decisionOn(store, subsystem, candidate);
    reached ||= decision.verdict === "ignore" && decision.reason === "already-current";
    // Behind what runs in the order of priority, and nothing else orders the two.
    if (decision.verdict === "ignore" || (reached && !loose.has(candidate) && stepTo(subsystem, current, candidate) === "unparsable")) continue;
    if (decision.verdict === "run") return [...(hold === undefined ? [] : [hold]), { candidate, decision }];
    hold ??= { candidate, decision };
  }
  return hold === undefined ? [] : [hold];
}

/** Whether a delivery says that a tag is at another commit than its upstream shows: one of the two is out of date, so it is not built before they agree. */
function isDoubted({ upstream, version }: SourceCandidate, wanted: readonly Wanted<RefOffer>[], { failed }: Findings): boolean {
  return wanted.some((w) => w.offer.kind === "tag" && w.offer.tag === version && w.offer.upstream === upstream && failed.get(w.claim.delivery.id)?.code === "commit-mismatch");
}

/** The same commit under the same tag is the same thing, whichever upstream told about it. */
function isSame(a: Candidate, b: SourceCandidate): boolean {
  return a.version === b.version && a.commit !== undefined && sameCommit(a.commit, b.commit);
}
