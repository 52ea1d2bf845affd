/** Looks at a release feed: which releases there are, and the exact asset of one of them for this machine. */

import type { Forge } from "../adapters/forge/port.ts";
import { isSafeRef } from "../domain/change.ts";
import type { Candidate } from "../domain/decide.ts";
import { EvidenceError, SlipstreamError, StateError, UsageError } from "../domain/errors.ts";
import { type AssetFound, type Artifact, assetFor, byPublication, digestFiles, digestIn, type Platform, type Release, type ReleaseAsset, unnamedIdentity } from "../domain/release.ts";
import { originAt, type ReleaseFeed, type Subsystem } from "../domain/subsystem.ts";
import { spellings } from "../domain/tags.ts";
import { type Clock, systemClock } from "../kit/clock.ts";

/** A published release, and what of it is for this subsystem on this machine. */
export interface Listed {
  readonly release: Release;
  readonly found: AssetFound;
  /** `Candidate.upstream` */
  readonly upstream?: string;
  /** It was published so long ago that nobody waits for its files any longer. */
  readonly late: boolean;
}

export interface Feed {
  /** The same, asking for each list once only: for one look at several subsystems. */
  once(): Feed;
  /** Published releases of the subsystem's own upstream, newest first; a few of the given ids that the list does not show are looked up one by one. */
  list(subsystem: Subsystem, ids: ReadonlySet<string>, signal: AbortSignal): Promise<readonly Listed[]>;
  /** What a listed asset would be to decide about, before its digest is known. */
  provisional(listed: Listed & { readonly found: { readonly kind: "found" } }): Candidate;
  /** The candidate with its digest. @throws EvidenceError digest-unknown when nothing states one and the configuration wants one */
  candidate(subsystem: Subsystem, listed: Listed & { readonly found: { readonly kind: "found" } }, signal: AbortSignal): Promise<Candidate>;
  /** A release a person named, by tag or version. @throws UsageError version-not-found */
  named(subsystem: Subsystem, version: string, signal: AbortSignal): Promise<Candidate>;
}

/** Ids that are looked up one by one per look: an older release, or an API that lags behind; not a burst of made-up ones. */
const UNSEEN = 3;

/** The part of the wait for files after which a release is late: the forge's clock may be ahead of ours. */
const LATE_AFTER = 0.9;

export function createFeed({ forge, platform, clock = systemClock }: { readonly forge: Forge; readonly platform: Platform; readonly clock?: Pick<Clock, "now"> }): Feed {
  const isLate = (s: Subsystem, { publishedAt }: Release): boolean => publishedAt !== undefined && clock.now() >= publishedAt + feedOf(s).assetWaitMs * LATE_AFTER;
  const listed = (s: Subsystem, release: Release): Listed => ({ release, late: isLate(s, release), found: assetFor(release.assets, { subsystem: s, binary: s.binary, platform, ...(feedOf(s).asset === undefined ? {} : { template: feedOf(s).asset as string }) }, release.tag) });
  const candidate: Feed["candidate"] = async (s, { release, found, upstream }, signal) => {
    const at = feedOf(s, upstream);
    const digest = found.asset.digest ?? (await digestBeside(forge, { feed: at, release, asset: found.asset }, signal));
    if (digest === undefined && at.trust !== "none") {
      throw new EvidenceError("digest-unknown", `digest of ${found.asset.name} in release ${release.tag} of ${at.repository} is stated nowhere, expected it from the forge, SHA256SUMS or ${found.asset.name}.sha256; set subsystems.${s.name}.release.trust to none to install it all the same`);
    }
    return candidateOf({ release, upstream }, found.asset, digest);
  };
  const feed: Feed = {
    once() {
      const seen = new Map<string, Promise<readonly Release[]>>();
      const releases: Forge["releases"] = (at, signal) => {
        const key = `${at.api} ${at.repository}`;
        const known = seen.get(key) ?? forge.releases(at, signal);
        seen.set(key, known);
        return known;
      };
      return createFeed({ forge: { ...forge, releases }, platform, clock });
    },
    async list(s, ids, signal) {
      const from = feedOf(s);
      const releases = [...(await forge.releases(from, signal))];
      const unseen = [...ids].filter((id) => !releases.some((r) => r.id === id));
      for (const id of unseen.slice(0, UNSEEN)) {
        const one = await forge.release(from, id, signal).catch(unlessMissing);
        if (one !== undefined) releases.push(one);
      }
      return byPublication(releases).map((r) => listed(s, r));
    },
    provisional: (one) => candidateOf(one, one.found.asset, one.found.asset.digest),
    candidate,
    async named(s, version, signal) {
      let problem: UsageError | undefined;
      for (const tag of tagsFor(s, version)) {
        const release = await forge.releaseByTag(feedOf(s), tag, signal).catch(unlessMissing);
        if (release === undefined) continue;
        const { found } = listed(s, release);
        if (found.kind === "found") return { ...(await candidate(s, { release, found, late: false }, signal)), explicit: true };
        // The neighbour's release of that version may come first.
        problem ??= new UsageError("version-not-found", `release ${tag} of ${feedOf(s).repository} has ${missing(found, s, platform)}`);
      }
      throw problem ?? new UsageError("version-not-found", `version ${version} is no release of ${feedOf(s).repository}, expected one of its tags`);
    },
  };
  return feed;
}

/** Why a release has nothing to install, for people. */
export function missing(found: Exclude<AssetFound, { kind: "found" }>, s: Subsystem, platform?: Platform): string {
  const machine = platform === undefined ? "this machine" : [platform.os, platform.arch, ...(platform.libc === undefined ? [] : [platform.libc])].join("-");
  if (found.kind === "incomplete") return `the asset ${found.asset.name}, whose upload is not finished`;
  if (found.kind === "several") return `several assets that fit (${found.names.join(", ")}), expected one; set subsystems.${s.name}.release.asset`;
  return `no asset of ${s.binary} for ${machine}, expected ${feedOf(s).asset ?? `${s.binary}-<os>-<arch>.tar.gz`}`;
}

function feedOf(s: Subsystem, upstream?: string): ReleaseFeed {
  const release = originAt(s, upstream)?.release;
  if (release === undefined) throw new StateError("internal", `subsystem ${s.name} has no release feed${upstream === undefined ? "" : ` at ${upstream}`}, expected one in release mode`);
  return release;
}

function candidateOf({ release, upstream }: { readonly release: Release; readonly upstream?: string | undefined }, asset: ReleaseAsset, digest: Artifact["digest"]): Candidate {
  const artifact: Artifact = { identity: digest ?? unnamedIdentity(asset.id, upstream), releaseId: release.id, assetId: asset.id, name: asset.name, bytes: asset.bytes, ...(digest === undefined ? {} : { digest }), ...(asset.url === undefined ? {} : { url: asset.url }) };
  return { version: release.tag, ref: `refs/tags/${release.tag}`, artifact, ...(upstream === undefined ? {} : { upstream }), ...(release.prerelease ? { prerelease: true } : {}) };
}

/** The digest a checksum file of the same release states; the first one that names the asset counts. */
async function digestBeside(forge: Forge, { feed, release, asset }: { feed: ReleaseFeed; release: Release; asset: ReleaseAsset }, signal: AbortSignal): Promise<Artifact["digest"]> {
  for (const file of digestFiles(release.assets, asset.name)) {
    if (!file.complete) continue;
    const digest = digestIn(await forge.text(feed, file, signal), asset.name);
    if (digest !== undefined) return digest;
  }
  return undefined;
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof SlipstreamError && error.code === "version-not-found") return undefined;
  throw error;
}

/** The tags a version may be published under; each of them is one request (V10x). */
function tagsFor(s: Subsystem, version: string): readonly string[] {
  return spellings(version, s).filter((tag) => isSafeRef(tag)).slice(0, 8);
}
