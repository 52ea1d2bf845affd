/** Of all releases, those that may be installed: the newest that may go by itself, and beside it a newer one that has to wait for a person (V10x). */

import type { InstalledVersion } from "../domain/artifact.ts";
import type { IgnoreReason } from "../domain/change.ts";
import { awaitedCandidate, type Candidate, type Decision, isSurelyNewer, releasedAs, stepTo } from "../domain/decide.ts";
import { EvidenceError } from "../domain/errors.ts";
import { withinPin } from "../domain/pin.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { isTracked, namedTags } from "../domain/tags.ts";
import type { Store } from "../store/store.ts";
import type { Choice } from "./choose.ts";
import { decisionOn } from "./enqueue.ts";
import { type Feed, type Listed, missing } from "./feed.ts";

export interface ChosenReleases {
  /** At most one that is held, and at most one that may run, in this order. */
  readonly choices: readonly Choice[];
  /** The newest there is, within the pin where one is, whatever is decided about it; one that runs already before one that never will. */
  readonly newest?: Choice;
  /** By tag: why it is not installed. */
  readonly reasons: ReadonlyMap<string, IgnoreReason>;
  /** By tag: releases whose asset may not be taken as it is, and why; they would come before what was chosen. */
  readonly unproven: ReadonlyMap<string, EvidenceError>;
}

/** Checksum files that one look reads at most of each upstream: whoever publishes releases must not use up the forge's limit, nor another one's looks. */
const PROOFS = 3;
const NOT_NEWEST = new Set<IgnoreReason>(["prerelease", "older-than-current", "rolled-back"]);

/** Releases come newest published first; where two can be ordered, the higher version counts whatever came later. @throws what the feed throws */
export async function chooseRelease(deps: { readonly store: Store; readonly feed: Feed }, subsystem: Subsystem, listed: readonly Listed[], signal: AbortSignal): Promise<ChosenReleases> {
  const best: { run?: Choice; hold?: Choice } = {};
  const reasons = new Map<string, IgnoreReason>();
  const unproven = new Map<string, EvidenceError>();
  const ignored: Choice[] = [];
  let passedCurrent = false;
  const proofs = new Map<string | undefined, number>();
  for (const one of listed) {
    const { tag } = one.release;
    const left = proofs.get(one.upstream) ?? PROOFS;
    const tracked = isTracked(tag, subsystem);
    if (!tracked) reasons.set(tag, "tag-not-tracked");
    if ((!tracked || !hasAsset(one)) && isInstalled(subsystem, deps.store.versions.current(subsystem.name), one)) {
      reasons.set(tag, "already-current");
      passedCurrent = true;
    }
    if (!tracked) continue;
    if (!hasAsset(one) && (one.found.kind !== "several" || reasons.has(tag))) continue;
    const first = judge(deps.store, subsystem, hasAsset(one) ? deps.feed.provisional(one) : awaitedCandidate(one.release), passedCurrent);
    if (first.decision.verdict === "ignore") {
      reasons.set(tag, first.decision.reason);
      ignored.push(first);
      passedCurrent ||= first.decision.reason === "already-current";
      continue;
    }
    if (!isBetter(subsystem, first, best)) {
      reasons.set(tag, "superseded");
      continue;
    }
    const choice = !hasAsset(one) ? new EvidenceError("assets-missing", lacking(one, subsystem)) : await proven(deps, subsystem, { one, first, passedCurrent, proofs: left }, signal);
    if (first.candidate.artifact?.digest === undefined && one.found.kind === "found") proofs.set(one.upstream, left - 1);
    if (choice instanceof EvidenceError) unproven.set(tag, choice);
    else if (choice.decision.verdict === "ignore") {
      reasons.set(tag, choice.decision.reason);
      ignored.push(choice);
      passedCurrent ||= choice.decision.reason === "already-current";
    } else best[choice.decision.verdict] = choice;
  }
  // Nobody is asked about what is behind the one that goes by itself.
  if (best.hold !== undefined && best.run !== undefined && isSurelyNewer(subsystem, best.run.candidate, best.hold.candidate)) delete best.hold;
  const choices = [best.hold, best.run].filter((c) => c !== undefined);
  const shown = withinPin(subsystem, ignored, (c) => c.candidate.version);
  const newest = choices[0] ?? shown.find((c) => c.decision.verdict === "ignore" && !NOT_NEWEST.has(c.decision.reason)) ?? shown[0];
  return { choices, reasons, unproven, ...(newest === undefined ? {} : { newest }) };
}

export function hasAsset(one: Listed): one is Listed & { readonly found: { readonly kind: "found" } & Listed["found"] } {
  return one.found.kind === "found";
}

/** Whether it is the release that runs, whatever became of its assets since; under a tag that is followed by its name there may be another release by now. */
export function isInstalled(subsystem: Subsystem, current: InstalledVersion | undefined, { release }: Listed): boolean {
  return current !== undefined && releasedAs(current) === release.tag && !namedTags(subsystem).includes(release.tag);
}

/** What a release without a usable asset lacks, for people. */
export function lacking({ release, found }: Listed, subsystem: Subsystem): string {
  return found.kind === "found" ? "" : `release ${release.tag} has ${missing(found, subsystem)}`;
}

function judge(store: Store, subsystem: Subsystem, candidate: Candidate, passedCurrent: boolean): Choice {
  const decision = decisionOn(store, subsystem, candidate);
  // Published before what runs, and nothing but that date orders the two.
  const unordered = passedCurrent && decision.verdict !== "ignore" && stepTo(subsystem, store.versions.current(subsystem.name), candidate) === "unparsable";
  const older: Decision = { verdict: "ignore", reason: "older-than-current" };
  return { candidate, decision: unordered ? older : decision };
}

/** Whether it would take the place of what was found so far: the first of its kind, or surely newer. */
function isBetter(subsystem: Subsystem, choice: Choice, best: { readonly run?: Choice; readonly hold?: Choice }): boolean {
  const { verdict } = choice.decision;
  if (verdict === "ignore") return false;
  const rival = best[verdict];
  if (rival !== undefined) return isSurelyNewer(subsystem, choice.candidate, rival.candidate);
  // A person is not asked about what is behind one that goes by itself.
  return verdict === "run" || best.run === undefined || isSurelyNewer(subsystem, choice.candidate, best.run.candidate);
}

/** The choice with its digest known, or why it cannot be. */
async function proven({ store, feed }: { store: Store; feed: Feed }, subsystem: Subsystem, found: { one: Parameters<Feed["provisional"]>[0]; first: Choice; passedCurrent: boolean; proofs: number }, signal: AbortSignal): Promise<Choice | EvidenceError> {
  const { one, first } = found;
  if (first.candidate.artifact?.digest !== undefined) return first;
  if (found.proofs <= 0) return new EvidenceError("digest-unknown", `digest of ${one.found.asset.name} in release ${one.release.tag} is not looked for, expected it from the forge: ${PROOFS} checksum files were read for releases before it`);
  try {
    return judge(store, subsystem, await feed.candidate(subsystem, one, signal), found.passedCurrent);
  } catch (error) {
    if (error instanceof EvidenceError) return error;
    throw error;
  }
}
