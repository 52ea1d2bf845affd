/** Matching: which subsystems a change concerns and which version it offers each of them, or why none. Pure. */

import type { Change, IgnoreReason } from "../domain/change.ts";
import { type Subsystem, tracksCommits } from "../domain/subsystem.ts";

/** What a change offers a subsystem in source mode; the commit may still have to be looked up. */
export type RefOffer =
  | { readonly kind: "tag"; readonly tag: string; readonly commit?: string }
  /** The branch has moved; its head is read again, because deliveries come late and out of order. */
  | { readonly kind: "branch"; readonly commit: string; readonly forced: boolean };
/** Release mode: something about a release has changed; the feed is read again and decides (V10x). */
export interface ReleaseOffer {
  readonly kind: "release";
  readonly tag: string;
  readonly releaseId: string;
}
export type Offer = RefOffer | ReleaseOffer;

export type Match = { readonly subsystem: Subsystem; readonly offer: Offer } | { readonly subsystem: Subsystem; readonly reason: IgnoreReason };

export type UpstreamChange = Extract<Change, { kind: "branch" | "tag" | "release" }>;

/** Every subsystem whose repository it is, with the offer or the reason. Empty when the repository is nobody's. */
export function match(change: UpstreamChange, subsystems: readonly Subsystem[]): readonly Match[] {
  const owners = subsystems.filter((s) => s.repositories.includes(change.repository));
  return owners.map((subsystem) => {
    const found = subsystem.notManaged !== undefined ? "not-managed" : offerOf(change, subsystem, owners);
    return typeof found === "string" ? { subsystem, reason: found } : { subsystem, offer: found };
  });
}

function offerOf(change: UpstreamChange, subsystem: Subsystem, owners: readonly Subsystem[]): Offer | IgnoreReason {
  if (subsystem.mode === "release") {
    if (change.kind !== "release") return "mode-differs";
    if (change.draft) return "draft";
    return isOthers(change.tag, subsystem, owners) ? "other-subsystem" : { kind: "release", tag: change.tag, releaseId: change.releaseId };
  }
  if (change.kind === "branch") {
    if (!tracksCommits(subsystem)) return "strategy-differs";
    return change.branch === subsystem.branch ? { kind: "branch", commit: change.commit, forced: change.forced } : "branch-not-tracked";
  }
  if (tracksCommits(subsystem)) return "strategy-differs";
  if (change.kind === "release" && change.draft) return "draft";
  if (change.kind === "release" && change.prerelease && subsystem.policy.prerelease === "ignore") return "prerelease";
  if (change.kind === "tag" && subsystem.strategy === "releases") return "strategy-differs";
  if (isOthers(change.tag, subsystem, owners)) return "other-subsystem";
  return change.kind === "tag" && change.commit !== undefined ? { kind: "tag", tag: change.tag, commit: change.commit } : { kind: "tag", tag: change.tag };
}

function isOthers(tag: string, subsystem: Subsystem, owners: readonly Subsystem[]): boolean {
  const owner = tagOwner(tag, owners);
  return owner !== undefined && owner !== subsystem.name;
}

/** The subsystem a tag of a shared repository names (`nats-v2.1.0`, `v2.1.0-nats`), longest name first. */
export function tagOwner(tag: string, owners: readonly Subsystem[]): string | undefined {
  const named = owners.filter((s) => tag.startsWith(`${s.name}-`) || tag.endsWith(`-${s.name}`));
  return named.sort((a, b) => b.name.length - a.name.length)[0]?.name;
}
