/** Source mode's look at the upstream repository: the exact commit of a tag, the head of a branch, the newest version there is. */

import type { Forge } from "../adapters/forge/port.ts";
import type { Git, RemoteRef } from "../adapters/git.ts";
import { isSafeRef } from "../domain/change.ts";
import { isPrerelease, type SourceCandidate, versionTags } from "../domain/decide.ts";
import { UpstreamError, UsageError } from "../domain/errors.ts";
import { byPublication } from "../domain/release.ts";
import { type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import { isTracked, spellings } from "../domain/tags.ts";
import type { RefOffer } from "./match.ts";

/** Looks at one upstream, the subsystem's own. */
export interface Upstream {
  /** The candidate an offer stands for, as the repository itself has it now: whoever can sign a delivery still cannot invent a version. @throws UpstreamError version-not-found (retryable: the repository may lag behind its webhook), upstream-unreachable */
  candidate(subsystem: Subsystem, offer: RefOffer, signal: AbortSignal): Promise<SourceCandidate>;
  /** The versions upstream, newest first, at most the newest 200; for strategy commits the branch's head, for releases the tags that were published. */
  versions(subsystem: Subsystem, signal: AbortSignal): Promise<readonly SourceCandidate[]>;
  /** A version a person named: a tag, or for strategy commits a full commit. @throws UsageError version-not-found */
  named(subsystem: Subsystem, version: string, signal: AbortSignal): Promise<SourceCandidate>;
}

const LOOKED_AT = 200;

export function createUpstream(git: Git, forge: Forge): Upstream {
  const refs = (s: Subsystem, signal: AbortSignal) => git.listRefs(s.upstream, signal);
  const tagCandidate = (ref: RemoteRef): SourceCandidate => ({ version: ref.name.slice("refs/tags/".length), ref: ref.name, commit: ref.commit });
  return {
    async candidate(subsystem, offer, signal) {
      const name = offer.kind === "tag" ? `refs/tags/${offer.tag}` : `refs/heads/${subsystem.branch}`;
      const found = (await refs(subsystem, signal)).find((r) => r.name === name);
      if (found === undefined) throw new UpstreamError("version-not-found", `ref ${name} is not at ${subsystem.upstream} yet, expected what the webhook named`, { retryable: true });
      return offer.kind === "tag" ? tagCandidate(found) : { version: found.commit, ref: name, commit: found.commit, forced: offer.forced };
    },
    async versions(subsystem, signal) {
      const published = subsystem.strategy === "releases" ? await publishedTags(forge, subsystem, signal) : undefined;
      const all = await refs(subsystem, signal);
      if (tracksCommits(subsystem)) {
        const head = all.find((r) => r.name === `refs/heads/${subsystem.branch}`);
        return head === undefined ? [] : [{ version: head.commit, ref: head.name, commit: head.commit }];
      }
      const tags = new Map(all.filter((r) => r.name.startsWith("refs/tags/")).map((r) => [r.name.slice("refs/tags/".length), r]));
      if (published !== undefined) return published.flatMap((tag) => tags.get(tag) ?? []).map(tagCandidate);
      const ordered = versionTags(subsystem, [...tags.keys()].filter((t) => isSafeRef(t)));
      return ordered.slice(0, LOOKED_AT).map((tag) => tagCandidate(tags.get(tag) as RemoteRef));
    },
    async named(subsystem, version, signal) {
      const missing = () => new UsageError("version-not-found", `version ${version} is not at ${subsystem.upstream}, expected ${tracksCommits(subsystem) ? "a full commit or a branch head" : "one of its tags"}`);
      if (!isSafeRef(version)) throw missing();
      const all = await refs(subsystem, signal);
      if (tracksCommits(subsystem)) {
        if (!/^[0-9a-f]{40}$/.test(version)) throw missing();
        return { version, ref: `refs/heads/${subsystem.branch}`, commit: version, explicit: true };
      }
      const found = spellings(version, subsystem).map((t) => all.find((r) => r.name === `refs/tags/${t}`)).find((r) => r !== undefined);
      if (found === undefined) throw missing();
      return { ...tagCandidate(found), explicit: true };
    },
  };
}

/** Tags with a published release, newest first. @throws UpstreamError version-not-found when no forge is known to ask */
async function publishedTags(forge: Forge, subsystem: Subsystem, signal: AbortSignal): Promise<readonly string[]> {
  const feed = subsystem.release;
  if (feed === undefined) {
    throw new UpstreamError("version-not-found", `newest release of ${subsystem.upstream} is not to be seen in git (strategy releases), expected a forge to ask; set subsystems.${subsystem.name}.release.api, or name one: slipstream update ${subsystem.name} --version <tag>`);
  }
  const wanted = byPublication(await forge.releases(feed, signal)).filter((r) => isTracked(r.tag, subsystem) && !isPrerelease(subsystem, { version: r.tag, prerelease: r.prerelease }));
  return wanted.map((r) => r.tag);
}
