/** The newest version of one subsystem, or the one a person named, looked up where its mode says: in the repository or in the release feed. */

import { type Candidate, isSurelyNewer } from "../domain/decide.ts";
import type { EvidenceError } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Store } from "../store/store.ts";
import { type Choice, chooseNewest } from "./choose.ts";
import { chooseRelease } from "./choose-release.ts";
import type { Feed } from "./feed.ts";
import type { Upstream } from "./upstream.ts";

export interface Lookup {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly feed: Feed;
}

export interface Look {
  /** The newest that may be installed, else the very newest with the reason why not; missing when there is none. */
  readonly choice?: Choice;
  /** Why a newer one was passed over that may not be taken as it is. */
  readonly doubt?: EvidenceError;
}

/** What a look now would lead to. @throws UpstreamError */
export async function lookFor(deps: Lookup, subsystem: Subsystem, signal: AbortSignal): Promise<Look> {
  if (subsystem.mode === "source") {
    const choice = chooseNewest(deps.store, subsystem, await deps.upstream.versions(subsystem, signal));
    return choice === undefined ? {} : { choice };
  }
  const chosen = await chooseRelease(deps, subsystem, await deps.feed.list(subsystem, new Set(), signal), signal);
  const choice = chosen.choices[0] ?? chosen.newest;
  const [doubt] = [...chosen.unproven].filter(([tag]) => choice === undefined || !isSurelyNewer(subsystem, choice.candidate, { version: tag })).map(([, why]) => why);
  return { ...(choice === undefined ? {} : { choice }), ...(doubt === undefined ? {} : { doubt }) };
}

/** What an update without a version goes to. @throws UpstreamError · EvidenceError digest-unknown, assets-missing when what there is may not be taken */
export async function newestFor(deps: Lookup, subsystem: Subsystem, signal: AbortSignal): Promise<Choice | undefined> {
  const { choice, doubt } = await lookFor(deps, subsystem, signal);
  if (doubt !== undefined && (choice === undefined || choice.decision.verdict === "ignore")) throw doubt;
  return choice;
}

/** @throws UsageError version-not-found · UpstreamError · EvidenceError digest-unknown */
export function namedFor(deps: Lookup, subsystem: Subsystem, version: string, signal: AbortSignal): Promise<Candidate> {
  return subsystem.mode === "source" ? deps.upstream.named(subsystem, version, signal) : deps.feed.named(subsystem, version, signal);
}
