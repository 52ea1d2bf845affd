/** What may be installed by itself and what waits for a person (V104 to V106). */

import type { VersionStep } from "./version.ts";

export type Verdict = "auto" | "approval" | "refuse";

export interface Policy {
  readonly patch: Verdict;
  readonly minor: Verdict;
  readonly major: Verdict;
  /** A version that cannot be ordered against the current one. */
  readonly unparsable: Verdict;
  /** A new commit of a tracked branch (strategy commits). */
  readonly commit: Verdict;
  /** A branch whose history was rewritten, or a tag that moved to another commit. */
  readonly rewritten: Verdict;
  readonly prerelease: "ignore" | "allow";
  /** How long a held run waits for a person, in ms; then it ends skipped. */
  readonly approvalWaitMs: number;
}

/** The default policy: patch and minor go by themselves, what may break waits. */
export const DEFAULT_POLICY: Policy = {
  patch: "auto",
  minor: "auto",
  major: "approval",
  unparsable: "approval",
  commit: "auto",
  rewritten: "approval",
  prerelease: "ignore",
  approvalWaitMs: 14 * 24 * 60 * 60 * 1000,
};

/** The verdict for one step from the current version to the next. */
export function verdictFor(policy: Policy, step: VersionStep): { verdict: Verdict; rule: string } {
  switch (step) {
    case "first":
      return { verdict: "auto", rule: "first-install" };
    case "patch":
    case "same":
      return { verdict: policy.patch, rule: "patch" };
    case "minor":
      return { verdict: policy.minor, rule: "minor" };
    case "major":
      return { verdict: policy.major, rule: "major" };
    case "commit":
      return { verdict: policy.commit, rule: "commit" };
    case "rewritten":
      return { verdict: policy.rewritten, rule: "rewritten" };
    case "older":
      return { verdict: "refuse", rule: "older" };
    case "unparsable":
      return { verdict: policy.unparsable, rule: "unparsable" };
  }
}
