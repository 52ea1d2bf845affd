/** What a delivery says happened upstream, extracted from signed bytes only. `forge` is whose receiver proved it; missing in what was stored before there were several. */

import type { ForgeKind } from "./subsystem.ts";

export type Change =
  | { readonly kind: "branch"; readonly forge?: ForgeKind; readonly repository: string; readonly branch: string; readonly commit: string; readonly forced: boolean; readonly at?: string }
  | { readonly kind: "tag"; readonly forge?: ForgeKind; readonly repository: string; readonly tag: string; readonly commit?: string; readonly at?: string }
  | {
      readonly kind: "release";
      readonly forge?: ForgeKind;
      readonly repository: string;
      readonly tag: string;
      readonly releaseId: string;
      readonly action: string;
      readonly draft: boolean;
      readonly prerelease: boolean;
      readonly at?: string;
    }
  /** A person's request through the CLI or the API. */
  | { readonly kind: "request"; readonly request: OperatorRequest }
  /** Well-formed and verified, but nothing slipstream acts on. */
  | { readonly kind: "none"; readonly reason: IgnoreReason; readonly repository?: string };

export type OperatorRequest =
  | { readonly verb: "update"; readonly subsystem: string; readonly version?: string; /** False: make and install it, and leave its process alone. */ readonly reload?: boolean; readonly actor: string }
  | { readonly verb: "rollback"; readonly subsystem: string; readonly to?: string; readonly actor: string }
  | { readonly verb: "reload"; readonly subsystem: string; readonly actor: string }
  | { readonly verb: "approve"; readonly runId: string; readonly actor: string }
  | { readonly verb: "reject"; readonly runId: string; readonly actor: string };

/** Why a delivery led to no run. */
export type IgnoreReason =
  | "ping"
  | "event-not-used"
  | "action-not-used"
  | "ref-deleted"
  | "repository-not-configured"
  | "other-subsystem"
  | "draft"
  | "prerelease"
  | "branch-not-tracked"
  | "strategy-differs"
  | "mode-differs"
  | "tag-not-tracked"
  | "lower-priority"
  | "no-asset"
  | "withdrawn"
  | "rolled-back"
  | "already-current"
  | "older-than-current"
  | "quarantined"
  | "pinned"
  | "not-managed"
  | "policy-refused"
  | "superseded"
  | "already-queued"
  | "rejected";

/** A full or abbreviated git object id. */
export const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
/** Forty or sixty-four zeros: git's "no object". */
export function isZeroCommit(sha: string): boolean {
  return /^0+$/.test(sha);
}
/** A ref name slipstream is willing to hand to git: no option, no refspec, no traversal (git-check-ref-format). */
export function isSafeRef(name: string): boolean {
  return name.length <= 255 && /^[0-9A-Za-z_][0-9A-Za-z._/+@=,%-]*$/.test(name) && !name.includes("..") && !name.includes("@{") && !name.includes("//") && !/[/.]$/.test(name) && !name.endsWith(".lock");
}
