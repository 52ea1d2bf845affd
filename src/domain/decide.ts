/** The decision: what a candidate version means for a subsystem as it stands now. Pure, so that resolve and the gate at a run's start cannot disagree. */

import type { InstalledVersion } from "./artifact.ts";
import type { IgnoreReason } from "./change.ts";
import { verdictFor } from "./policy.ts";
import type { Artifact } from "./release.ts";
import { type Subsystem, tracksCommits } from "./subsystem.ts";
import { compareVersions, parseVersion, stepBetween, type VersionStep } from "./version.ts";

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
  if (isCurrent(current, candidate)) return ignore("already-current");
  if (candidate.explicit === true) return { verdict: "run", rule: "asked-for" };
  if (subsystem.pin !== undefined && !isSameVersion(subsystem, subsystem.pin, candidate.version)) return ignore("pinned");
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
  const from = releasedAs(current);
  const step = stepBetween(from, candidate.version, subsystem.name);
  return step === "same" && from === candidate.version ? "rewritten" : step;
}

/** What other versions are compared with: the release it came from, whatever its own stamp calls it. */
export const releasedAs = (v: InstalledVersion): string => v.tag ?? v.version;

function isCurrent(current: InstalledVersion | undefined, candidate: Candidate): boolean {
  if (current === undefined) return false;
  const { artifact, commit } = candidate;
  if (artifact !== undefined) {
    if (current.artifact !== undefined) return current.artifact === artifact.identity || current.artifact === unnamed(artifact);
    // Installed by other hands: nothing tells which bytes it was unpacked from.
    return isSameVersion({ name: current.subsystem }, releasedAs(current), candidate.version);
  }
  if (current.commit !== undefined && commit !== undefined) return sameCommit(current.commit, commit);
  return releasedAs(current) === candidate.version;
}

/** The same version, whichever of the tag styles it is written in. */
export function isSameVersion(subsystem: Pick<Subsystem, "name">, a: string, b: string): boolean {
  return a === b || stepBetween(a, b, subsystem.name) === "same";
}

/** Whether both can be ordered, and `a` is the newer one. */
export function isSurelyNewer(subsystem: Subsystem, a: { version: string }, b: { version: string }): boolean {
  return parseVersion(a.version, subsystem.name) !== null && parseVersion(b.version, subsystem.name) !== null && isNewer(subsystem, a, b);
}

/** What an artifact was known by before anything stated its digest. */
const unnamed = (artifact: Artifact): string => `asset:${artifact.assetId}`;

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

function isPrerelease(subsystem: Subsystem, candidate: Candidate): boolean {
  if (subsystem.policy.prerelease === "allow") return false;
  if (candidate.prerelease === true) return true;
  if (tracksCommits(subsystem)) return false;
  return (parseVersion(candidate.version, subsystem.name)?.prerelease.length ?? 0) > 0;
}

/** Whether `a` is newer than `b` for this subsystem; what has no order counts as newer when it came later. */
export function isNewer(subsystem: Subsystem, a: { version: string }, b: { version: string }): boolean {
  if (tracksCommits(subsystem)) return a.version !== b.version;
  const x = parseVersion(a.version, subsystem.name);
  const y = parseVersion(b.version, subsystem.name);
  if (x === null || y === null) return true;
  return compareVersions(x, y) > 0;
}
