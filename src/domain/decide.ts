/** The decision: what a candidate version means for a subsystem as it stands now. Pure, so that resolve and the gate at a run's start cannot disagree. */

import type { InstalledVersion } from "./artifact.ts";
import type { IgnoreReason } from "./change.ts";
import { fitsPin, isPinnedExactly, withinPin } from "./pin.ts";
import { verdictFor } from "./policy.ts";
import { type Artifact, unnamedIdentity } from "./release.ts";
import { type Subsystem, tracksCommits } from "./subsystem.ts";
import { isTracked, versionText } from "./tags.ts";
import { compareVersions, newestFirst, parseVersion, stepBetween, type VersionScheme, type VersionStep } from "./version.ts";

/** One version a subsystem could go to. */
export interface Candidate {
  /** The tag, or the full commit for strategy commits. */
  readonly version: string;
  /** Full ref it was found under. */
  readonly ref: string;
  /** Clone URL of the upstream it comes from; missing for the subsystem's own. */
  readonly upstream?: string;
  /** The exact commit, annotated tags peeled (source mode). */
  readonly commit?: string;
  /** The exact asset (release mode). */
  readonly artifact?: Artifact;
  /** The forge calls its release a prerelease. */
  readonly prerelease?: boolean;
  /** The branch's history was rewritten. */
  readonly forced?: boolean;
  /** A person named exactly this version: older and quarantined ones are allowed. */
  readonly explicit?: boolean;
}

/** One in source mode. */
export type SourceCandidate = Candidate & { readonly commit: string };

export type Decision =
  | { readonly verdict: "run"; readonly rule: string }
  | { readonly verdict: "hold"; readonly rule: string }
  | { readonly verdict: "ignore"; readonly reason: IgnoreReason };

export interface Situation {
  readonly subsystem: Subsystem;
  readonly current: InstalledVersion | undefined;
  readonly quarantined: boolean;
  /** A person said no to exactly this commit or artifact. */
  readonly rejected?: boolean;
  /** The version a person went back from; nothing up to it comes by itself. */
  readonly wentBackFrom?: string;
  readonly candidate: Candidate;
}

const ignore = (reason: IgnoreReason): Decision => ({ verdict: "ignore", reason });

/** A release before its asset is known: enough to decide whether it is worth waiting for. */
export function awaitedCandidate(release: { readonly tag: string; readonly prerelease?: boolean }): Candidate {
  const { tag, prerelease } = release;
  return { version: tag, ref: `refs/tags/${tag}`, artifact: { identity: `release:${tag}`, releaseId: "", assetId: "", name: "", bytes: 0 }, ...(prerelease === true ? { prerelease } : {}) };
}

/** What to do about a candidate, and under which rule. */
export function decide(s: Situation): Decision {
  const { subsystem, current, candidate } = s;
  if (subsystem.notManaged !== undefined) return ignore("not-managed");
  if (isCurrent(subsystem, current, candidate)) return ignore("already-current");
  if (candidate.explicit === true) return { verdict: "run", rule: "asked-for" };
  // A release is named by its tag, whatever the strategy says.
  if (!tracksCommits(subsystem) && !isTracked(candidate.version, subsystem)) return ignore("tag-not-tracked");
  if (!fitsPin(subsystem, candidate.version)) return ignore("pinned");
  if (s.quarantined) return ignore("quarantined");
  if (s.rejected === true) return ignore("rejected");
  if (s.wentBackFrom !== undefined && !isNewer(subsystem, candidate, { version: s.wentBackFrom })) return ignore("rolled-back");
  if (isPrerelease(subsystem, candidate)) return ignore("prerelease");
  const step = stepTo(subsystem, current, candidate);
  if (step === "older") return ignore("older-than-current");
  const { verdict, rule } = verdictFor(subsystem.policy, step);
  if (verdict === "refuse") return ignore("policy-refused");
  return verdict === "approval" ? { verdict: "hold", rule } : { verdict: "run", rule };
}

/** The size of the step from what is installed to a candidate. */
export function stepTo(subsystem: Subsystem, current: InstalledVersion | undefined, candidate: Candidate): VersionStep {
  if (current === undefined) return "first";
  if (tracksCommits(subsystem)) return candidate.forced === true ? "rewritten" : "commit";
  if (followsBranch(subsystem, candidate.version)) return "commit";
  const from = releasedAs(current);
  return from === candidate.version ? "rewritten" : stepBetween(from, candidate.version, subsystem);
}

/** A release that is made again and again for the branch that is followed: its tag stays, its assets are the branch's newest commit (defect D11). */
function followsBranch(s: Subsystem, tag: string): boolean {
  return s.mode === "release" && s.strategy === "commits" && [s.branch, `${s.name}-${s.branch}`, `${s.branch}-${s.name}`].includes(tag);
}

/** What other versions are compared with: the release it came from, whatever its own stamp calls it. */
export const releasedAs = (v: InstalledVersion): string => v.tag ?? v.version;

function isCurrent(subsystem: Subsystem, current: InstalledVersion | undefined, candidate: Candidate): boolean {
  if (current === undefined) return false;
  const { artifact, commit } = candidate;
  if (artifact !== undefined) {
    if (current.artifact !== undefined) return current.artifact === artifact.identity || current.artifact === unnamedIdentity(artifact.assetId, candidate.upstream);
    // Installed by other hands: nothing tells which bytes it was unpacked from.
    return isSameVersion(subsystem, releasedAs(current), candidate.version);
  }
  if (current.commit !== undefined && commit !== undefined) return sameCommit(current.commit, commit);
  return releasedAs(current) === candidate.version;
}

/** The same version, whichever of the tag styles it is written in. */
export function isSameVersion(subsystem: VersionScheme, a: string, b: string): boolean {
  return a === b || stepBetween(a, b, subsystem) === "same";
}

/** Whether both can be ordered, and `a` is the newer one. */
export function isSurelyNewer(subsystem: Subsystem, a: { version: string }, b: { version: string }): boolean {
  return parseVersion(a.version, subsystem) !== null && parseVersion(b.version, subsystem) !== null && isNewer(subsystem, a, b);
}

/** What exactly is meant: the artifact's identity, or the full commit. Approvals and quarantine are bound to it. */
export function identityOf(what: { readonly commit?: string; readonly artifact?: { readonly identity: string } }): string | undefined {
  return what.artifact?.identity ?? what.commit;
}

/** Whether a run goes to exactly this candidate. */
export function isSameAim(run: { readonly toVersion: string; readonly commit?: string; readonly artifact?: Artifact }, candidate: Candidate): boolean {
  if (run.toVersion !== candidate.version) return false;
  if (run.artifact !== undefined || candidate.artifact !== undefined) return run.artifact?.identity === candidate.artifact?.identity;
  return run.commit !== undefined && candidate.commit !== undefined && sameCommit(run.commit, candidate.commit);
}

/** Whether two commits are the same, one of which may be abbreviated to seven or more characters. */
export function sameCommit(a: string, b: string): boolean {
  const n = Math.min(a.length, b.length);
  return n >= 7 && a.slice(0, n) === b.slice(0, n);
}

/** Whether a version is a prerelease that does not count: not let in by the policy, a channel, or a pin on exactly this one. The forge's word counts as much as the tag's. */
export function isPrerelease(subsystem: Subsystem, { version, prerelease }: Pick<Candidate, "version" | "prerelease">): boolean {
  if (subsystem.policy.prerelease === "allow" || tracksCommits(subsystem)) return false;
  if (isPinnedExactly(subsystem, version)) return false;
  const parsed = parseVersion(version, subsystem);
  // A tag that has no order, such as `nightly-12`, names its channel itself.
  const word = /^[A-Za-z]+/.exec(parsed === null ? versionText(version, subsystem) : (parsed.prerelease[0] ?? ""))?.[0].toLowerCase();
  if (word !== undefined && subsystem.channel.some((c) => c.toLowerCase() === word)) return false;
  return prerelease === true || (parsed !== null && parsed.prerelease.length > 0);
}

/** The tags a subsystem could go to, newest first; those within its pin where there are any. */
export function versionTags(subsystem: Subsystem, tags: readonly string[]): readonly string[] {
  const versions = newestFirst(tags, subsystem).filter((version) => !isPrerelease(subsystem, { version }));
  return withinPin(subsystem, versions, (tag) => tag);
}

/** Whether `a` is newer than `b` for this subsystem; what has no order counts as newer when it came later. */
export function isNewer(subsystem: Subsystem, a: { version: string }, b: { version: string }): boolean {
  if (tracksCommits(subsystem)) return a.version !== b.version;
  const x = parseVersion(a.version, subsystem);
  const y = parseVersion(b.version, subsystem);
  if (x === null || y === null) return true;
  return compareVersions(x, y) > 0;
}
