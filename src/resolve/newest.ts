/** The newest version of one subsystem, or the one a person named, looked up where its mode says: in the repository or in the release feed. */

import type { Candidate } from "../domain/decide.ts";
import { EvidenceError } from "../domain/errors.ts";
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

/** What a look now would lead to: the newest that may be installed, else the very newest with the reason why not. Undefined when there is none. @throws UpstreamError · EvidenceError digest-unknown when only releases are left that nothing states a digest for */
export async function newestFor(deps: Lookup, subsystem: Subsystem, signal: AbortSignal): Promise<Choice | undefined> {
  if (subsystem.mode === "source") return chooseNewest(deps.store, subsystem, await deps.upstream.versions(subsystem, signal));
  const chosen = await chooseRelease(deps, subsystem, await deps.feed.list(subsystem, new Set(), signal), signal);
  const found = chosen.choices[0] ?? chosen.newest;
  const [doubt] = chosen.unproven.values();
  if (found === undefined && doubt !== undefined) throw new EvidenceError("digest-unknown", doubt);
  return found;
}

/** @throws UsageError version-not-found · UpstreamError · EvidenceError digest-unknown */
export function namedFor(deps: Lookup, subsystem: Subsystem, version: string, signal: AbortSignal): Promise<Candidate> {
  return subsystem.mode === "source" ? deps.upstream.named(subsystem, version, signal) : deps.feed.named(subsystem, version, signal);
}
