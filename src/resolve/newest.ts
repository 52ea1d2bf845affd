/** The newest version of one subsystem, or the one a person named, looked up where its mode says: in the repository or in the release feed. */

import { type Candidate, isSurelyNewer } from "../domain/decide.ts";
import type { EvidenceError } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Log } from "../kit/log.ts";
import type { Store } from "../store/store.ts";
import { type Choice, chooseNewest } from "./choose.ts";
import { chooseRelease } from "./choose-release.ts";
import type { Feed } from "./feed.ts";
import { namedAcross, releasesAcross, type Silent, standingOf, versionsAcross } from "./origins.ts";
import type { Upstream } from "./upstream.ts";

export interface Lookup {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly feed: Feed;
  /** Where nobody is shown which upstreams a look went on without. */
  readonly log?: Pick<Log, "warn">;
}

export interface Look {
  /** The newest that may be installed, else the very newest with the reason why not; missing when there is none. */
  readonly choice?: Choice;
  /** The newest that goes by itself, where `choice` has to wait for a person. */
  readonly goes?: Choice;
  /** Why a newer one was passed over that may not be taken as it is. */
  readonly doubt?: EvidenceError;
  /** Upstreams it went on without. */
  readonly silent: readonly Silent[];
}

/** What a look now would lead to. @throws UpstreamError */
export async function lookFor(deps: Lookup, subsystem: Subsystem, signal: AbortSignal): Promise<Look> {
  const standing = standingOf(deps.store, subsystem);
  if (subsystem.mode === "source") {
    const { items, silent } = await versionsAcross(deps.upstream, subsystem, standing, signal);
    const choice = chooseNewest(deps.store, subsystem, items);
    const goes = choice?.decision.verdict === "hold" ? chooseNewest(deps.store, subsystem, items, "run") : undefined;
    return { silent, ...(choice === undefined ? {} : { choice }), ...(goes?.decision.verdict === "run" ? { goes } : {}) };
  }
  const { items, silent } = await releasesAcross(deps.feed, subsystem, { standing }, signal);
  const chosen = await chooseRelease(deps, subsystem, items, signal);
  const choice = chosen.choices[0] ?? chosen.newest;
  const [doubt] = [...chosen.unproven].filter(([tag]) => choice === undefined || !isSurelyNewer(subsystem, choice.candidate, { version: tag })).map(([, why]) => why);
  const goes = choice?.decision.verdict === "hold" ? chosen.choices.find((c) => c.decision.verdict === "run") : undefined;
  return { silent, ...(choice === undefined ? {} : { choice }), ...(goes === undefined ? {} : { goes }), ...(doubt === undefined ? {} : { doubt }) };
}

/** What an update without a version goes to: the newest that goes by itself, and only without one the newest that a person has to allow. @throws UpstreamError, also where nothing is to be done and the first upstream did not answer · EvidenceError digest-unknown, assets-missing when what there is may not be taken */
export async function newestFor(deps: Lookup, subsystem: Subsystem, signal: AbortSignal): Promise<Choice | undefined> {
  const { choice, goes, doubt, silent } = await lookFor(deps, subsystem, signal);
  for (const { upstream, error } of silent) deps.log?.warn({ subsystem: subsystem.name, upstream, code: error.code, err: error.message }, "upstream does not answer, looked at the others");
  const unsure = doubt ?? silent.find((s) => s.upstream === subsystem.upstream)?.error;
  if (unsure !== undefined && (choice === undefined || choice.decision.verdict === "ignore")) throw unsure;
  return goes ?? choice;
}

/** @throws UsageError version-not-found · UpstreamError · EvidenceError digest-unknown */
export function namedFor(deps: Lookup, subsystem: Subsystem, version: string, signal: AbortSignal): Promise<Candidate> {
  return namedAcross(subsystem, (s, within): Promise<Candidate> => (s.mode === "source" ? deps.upstream.named(s, version, within) : deps.feed.named(s, version, within)), signal);
}
