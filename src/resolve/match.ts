/** Matching: which subsystems a change concerns and which version it offers each of them, or why none. Pure. */

import type { Change, IgnoreReason } from "../domain/change.ts";
import { isPrerelease } from "../domain/decide.ts";
import { isAbout, originsOf, type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import { claimOn, isNamedAfter, isTracked } from "../domain/tags.ts";

/** What a change offers a subsystem in source mode; the commit may still have to be looked up. */
export type RefOffer =
  /** `upstream`: `Candidate.upstream` of the origin whose repository it is. */
  | { readonly kind: "tag"; readonly tag: string; readonly commit?: string; readonly upstream?: string }
  /** The branch has moved; its head is read again, because deliveries come late and out of order. */
  | { readonly kind: "branch"; readonly commit: string; readonly forced: boolean };
/** Release mode: something about a release has changed; the feed is read again and decides (V10x). */
export interface ReleaseOffer {
  readonly kind: "release";
  readonly tag: string;
  readonly releaseId: string;
  /** `Candidate.upstream` of the origin whose release it is. */
  readonly upstream?: string;
}
export type Offer = RefOffer | ReleaseOffer;

export type Match = { readonly subsystem: Subsystem; readonly offer: Offer } | { readonly subsystem: Subsystem; readonly reason: IgnoreReason };

export type UpstreamChange = Extract<Change, { kind: "branch" | "tag" | "release" }>;

/** Every subsystem whose repository it is, with the offer or the reason. Empty when the repository is nobody's. */
export function match(change: UpstreamChange, subsystems: readonly Subsystem[]): readonly Match[] {
  const owners = subsystems.filter((s) => originsOf(s).some((o) => isAbout(o, change)));
  return owners.map((subsystem) => {
    const found = subsystem.notManaged !== undefined ? "not-managed" : offerOf(change, subsystem, owners);
    return typeof found === "string" ? { subsystem, reason: found } : { subsystem, offer: found };
  });
}

function offerOf(change: UpstreamChange, subsystem: Subsystem, owners: readonly Subsystem[]): Offer | IgnoreReason {
  const origin = originsOf(subsystem).find((o) => isAbout(o, change)) ?? subsystem;
  const upstream = origin.upstream === subsystem.upstream ? {} : { upstream: origin.upstream };
  if (subsystem.mode === "release") {
    if (change.kind !== "release") return "mode-differs";
    if (change.draft) return "draft";
    return foreign(change.tag, subsystem, owners) ?? { kind: "release", tag: change.tag, releaseId: change.releaseId, ...upstream };
  }
  if (change.kind === "branch") {
    if (!tracksCommits(subsystem)) return "strategy-differs";
    if (change.branch !== origin.branch) return "branch-not-tracked";
    // Commits have no order: only the first upstream's branch decides.
    return upstream.upstream === undefined ? { kind: "branch", commit: change.commit, forced: change.forced } : "lower-priority";
  }
  if (tracksCommits(subsystem)) return "strategy-differs";
  if (change.kind === "release" && change.draft) return "draft";
  if (change.kind === "release" && change.prerelease && isPrerelease(subsystem, { version: change.tag, prerelease: true })) return "prerelease";
  if (change.kind === "tag" && subsystem.strategy === "releases") return "strategy-differs";
  const reason = foreign(change.tag, subsystem, owners);
  if (reason !== undefined) return reason;
  return { kind: "tag", tag: change.tag, ...upstream, ...(change.kind === "tag" && change.commit !== undefined ? { commit: change.commit } : {}) };
}

/** Why a tag is no version of a subsystem; undefined when it may be one. */
function foreign(tag: string, subsystem: Subsystem, owners: readonly Subsystem[]): IgnoreReason | undefined {
  const named = tagOwners(tag, owners);
  if (named.length > 0 && !named.includes(subsystem.name)) return "other-subsystem";
  return isTracked(tag, subsystem) ? undefined : "tag-not-tracked";
}

/** The subsystems that a tag of a shared repository is for: those whose pattern with `{version}` fits it most closely, or the one it names (`nats-v2.1.0`, `v2.1.0-nats`) where that says more. Empty when it may be anyone's. */
export function tagOwners(tag: string, owners: readonly Subsystem[]): readonly string[] {
  const claims = owners.map((s) => ({ name: s.name, byPattern: claimOn(tag, s) ?? -1, byName: isNamedAfter(tag, s.name) ? s.name.length + 1 : -1 }));
  const most = Math.max(...claims.flatMap((c) => [c.byPattern, c.byName]));
  if (most < 0) return [];
  const byPattern = claims.filter((c) => c.byPattern === most);
  return (byPattern.length > 0 ? byPattern : claims.filter((c) => c.byName === most).slice(0, 1)).map((c) => c.name);
}
