/** The interface both git engines keep. */

import type { Clock } from "../kit/clock.ts";
import type { Secret } from "../kit/secret.ts";
import type { Exec } from "./exec.ts";

export interface RemoteRef {
  /** `refs/heads/x` or `refs/tags/x`. */
  readonly name: string;
  /** Annotated tags are peeled to the commit. */
  readonly commit: string;
}

export interface CheckoutRequest {
  readonly url: string;
  /** `refs/tags/v1` or `refs/heads/main`. */
  readonly ref: string;
  /** The exact commit wanted; when missing, what the ref points at (peeled). */
  readonly commit?: string;
  /** Absolute; must not exist, is created fresh. */
  readonly dest: string;
  /** A folder of this subsystem alone, in which the engine may keep objects between checkouts; one checkout at a time may use it. */
  readonly cacheDir: string;
  readonly onLine?: (line: string) => void;
}

/**
 * Every method throws UsageError usage (an unusable url, ref or folder), UpstreamError upstream-unreachable, version-not-found,
 * upstream-too-large or timed-out, EvidenceError commit-mismatch or artifact-invalid, StateError cancelled, tool-missing or internal (the disk).
 */
export interface Git {
  readonly engine: "system" | "isomorphic";
  /** All branches and tags. */
  listRefs(url: string, signal: AbortSignal): Promise<readonly RemoteRef[]>;
  /**
   * Makes `dest` an ordinary repository (depth 1, HEAD detached at exactly the commit, `origin` = url without credentials, the tag as a local ref when a tag was asked for).
   * `dest` appears complete or not at all. Submodules are left empty, LFS files are what the user's git makes of them.
   */
  checkout(request: CheckoutRequest, signal: AbortSignal): Promise<{ readonly commit: string }>;
}

export interface GitDeps {
  readonly exec: Exec;
  /** The whole environment of git; see `childEnv`. */
  readonly env: Readonly<Record<string, string>>;
  readonly engine: "auto" | "system" | "isomorphic";
  /** What one version of an upstream may take on disk, and the most a server may send for it. */
  readonly maxBytes: number;
  /** For one call, all its retries included. */
  readonly timeoutMs: number;
  /** Sent to this https host only, never in an argv or a file. */
  readonly token?: { readonly host: string; readonly secret: Secret };
  /** How long a ref or commit that is not there yet is looked for again: a forge's webhook can be ahead of its servers. Default 10 s. */
  readonly lagMs?: number;
  readonly clock?: Clock;
}
