/** Of all releases, those that may be installed: the newest that may go by itself, and beside it a newer one that has to wait for a person (V10x). */

import { EvidenceError } from "../domain/errors.ts";
import { type Decision, stepTo } from "../domain/decide.ts";
import type { IgnoreReason } from "../domain/change.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Store } from "../store/store.ts";
import type { Choice } from "./choose.ts";
import { decisionOn } from "./enqueue.ts";
import type { Feed, Listed } from "./feed.ts";

export interface ChosenReleases {
  /** What may be held, newest first, and then at most one that may run. */
  readonly choices: readonly Choice[];
  /** The newest release with this subsystem's asset, whatever is decided about it. */
  readonly newest?: Choice;
  /** By tag: why it is not installed. */
  readonly reasons: ReadonlyMap<string, IgnoreReason>;
  /** By tag: releases whose asset may still come, and what is missing. */
  readonly unproven: ReadonlyMap<string, string>;
}

/** Only what may be installed costs a look at its checksum file. @throws what the feed throws */
export async function chooseRelease(deps: { readonly store: Store; readonly feed: Feed }, subsystem: Subsystem, listed: readonly Listed[], signal: AbortSignal): Promise<ChosenReleases> {
  const choices: Choice[] = [];
  const reasons = new Map<string, IgnoreReason>();
  const unproven = new Map<string, string>();
  let newest: Choice | undefined;
  let passedCurrent = false;
  for (const one of listed) {
    if (!hasAsset(one)) continue;
    const choice = await judged(deps, subsystem, one, signal).catch((error: unknown) => {
      if (!(error instanceof EvidenceError)) throw error;
      unproven.set(one.release.tag, error.message);
      return undefined;
    });
    if (choice === undefined) continue;
    const { candidate } = choice;
    // Published before what runs, and nothing but that date orders the two.
    const unordered: boolean = passedCurrent && stepTo(subsystem, deps.store.versions.current(subsystem.name), candidate) === "unparsable";
    const decision: Decision = unordered && choice.decision.verdict !== "ignore" ? ({ verdict: "ignore", reason: "older-than-current" } as const) : choice.decision;
    newest ??= { candidate, decision };
    if (decision.verdict === "ignore") {
      reasons.set(candidate.version, decision.reason);
      passedCurrent ||= decision.reason === "already-current";
      continue;
    }
    if (decision.verdict === "run") {
      choices.push({ candidate, decision });
      break;
    }
    // One that waits for a person is enough: the newest.
    if (choices.length === 0) choices.push({ candidate, decision });
    else reasons.set(candidate.version, "superseded");
  }
  return { choices, reasons, unproven, ...(newest === undefined ? {} : { newest }) };
}

export function hasAsset(one: Listed): one is Listed & { readonly found: { readonly kind: "found" } & Listed["found"] } {
  return one.found.kind === "found";
}

async function judged({ store, feed }: { store: Store; feed: Feed }, subsystem: Subsystem, one: Parameters<Feed["provisional"]>[0], signal: AbortSignal): Promise<Choice> {
  const provisional = feed.provisional(one);
  const first = { candidate: provisional, decision: decisionOn(store, subsystem, provisional) };
  if (first.decision.verdict === "ignore" || (provisional.artifact?.digest !== undefined)) return first;
  const candidate = await feed.candidate(subsystem, one, signal);
  return { candidate, decision: decisionOn(store, subsystem, candidate) };
}
