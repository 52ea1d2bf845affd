/** The decision: what a candidate version means for a subsystem as it stands now. Pure, so that resolve and the gate at a run's start cannot disagree. */

import type { InstalledVersion } from "./artifact.ts";
import type { IgnoreReason } from "./change.ts";
import { verdictFor } from "./policy.ts";
import type { Subsystem } from "./subsystem.ts";
import { compareVersions, parseVersion, stepBetween, type VersionStep } from "./version.ts";

/** One version a subsystem could go to. */
export interface Candidate {
  /** The tag, or the full commit for strategy commits. */
  readonly version: string;
  /** Full ref the commit was found under. */
  readonly ref: string;
  /** The exact commit; annotated tags peeled. */
  readonly commit: string;
  /** The branch's history was rewritten. */
  readonly forced?: boolean;
  /** A person named exactly this version: older and quarantined ones are allowed. */
  readonly explicit?: boolean;
}

export type Decision =
  | { readonly verdict: "run"; readonly rule: string }
  | { readonly verdict: "hold"; readonly rule: string }
  | { readonly verdict: "ignore"; readonly reason: IgnoreReason };

export interface Situation {
  readonly subsystem: Subsystem;
  readonly current: InstalledVersion | undefined;
  readonly quarantined: boolean;
  /** A person said no to exactly this commit. */
  readonly rejected?: boolean;
  readonly candidate: Candidate;
}

const ignore = (reason: IgnoreReason): Decision => ({ verdict: "ignore", reason });

/** What to do about a candidate, and under which rule. */
export function decide(s: Situation): Decision {
  const { subsystem, current, candidate } = s;
  if (subsystem.notManaged !== undefined) return ignore("not-managed");
  if (isCurrent(current, candidate)) return ignore("already-current");
  if (candidate.explicit === true) return { verdict: "run", rule: "asked-for" };
  if (subsystem.pin !== undefined && subsystem.pin !== candidate.version) return ignore("pinned");
  if (s.quarantined) return ignore("quarantined");
  if (s.rejected === true) return ignore("rejected");
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
  if (subsystem.strategy === "commits") return candidate.forced === true ? "rewritten" : "commit";
  const step = stepBetween(current.version, candidate.version, subsystem.name);
  return step === "same" && current.version === candidate.version ? "rewritten" : step;
}

function isCurrent(current: InstalledVersion | undefined, candidate: Candidate): boolean {
  if (current === undefined) return false;
  if (current.commit !== undefined) return sameCommit(current.commit, candidate.commit);
  return current.version === candidate.version;
}

/** Whether two commits are the same, one of which may be abbreviated to seven or more characters. */
export function sameCommit(a: string, b: string): boolean {
  const n = Math.min(a.length, b.length);
  return n >= 7 && a.slice(0, n) === b.slice(0, n);
}

function isPrerelease(subsystem: Subsystem, candidate: Candidate): boolean {
  if (subsystem.strategy === "commits" || subsystem.policy.prerelease === "allow") return false;
  return (parseVersion(candidate.version, subsystem.name)?.prerelease.length ?? 0) > 0;
}

/** Whether `a` is newer than `b` for this subsystem; what has no order counts as newer when it came later. */
export function isNewer(subsystem: Subsystem, a: { version: string }, b: { version: string }): boolean {
  if (subsystem.strategy === "commits") return a.version !== b.version;
  const x = parseVersion(a.version, subsystem.name);
  const y = parseVersion(b.version, subsystem.name);
  if (x === null || y === null) return true;
  return compareVersions(x, y) > 0;
}
