/** Runs and stages: their states and the only legal transitions. */

import type { SwapJournal } from "./artifact.ts";
import type { Artifact } from "./release.ts";

export type RunKind = "update" | "rollback" | "reload";
export type RunStatus = "queued" | "held" | "running" | "succeeded" | "failed" | "stale" | "skipped" | "cancelled" | "rolled_back";
/** approval: a person decides. assets: the release has not all of its files yet. rate-limit: the forge said when to come again. */
export type HoldReason = "approval" | "assets" | "rate-limit";
export type Outcome = "success" | "failure" | "error" | "cancelled";

/** The whole state machine of a run. Terminal states lead nowhere (invariant: a terminal status never reopens). */
export const RUN_TRANSITIONS: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  queued: ["running", "held", "skipped", "cancelled"],
  held: ["queued", "skipped", "cancelled"],
  running: ["succeeded", "failed", "stale", "skipped", "cancelled", "rolled_back", "held"],
  succeeded: [],
  failed: [],
  stale: [],
  skipped: [],
  cancelled: [],
  rolled_back: [],
};

/** Whether a run may go from one status to another. */
export function canMove(from: RunStatus, to: RunStatus): boolean {
  return RUN_TRANSITIONS[from].includes(to);
}
export function isTerminal(status: RunStatus): boolean {
  return RUN_TRANSITIONS[status].length === 0;
}

export type StageName = "update-source" | "build" | "test" | "download" | "verify" | "swap" | "reload" | "health" | "restore" | "rollback";

/** One process of a subsystem on its way to another program; written before it is touched. */
export interface ReloadNote {
  readonly plan: Readonly<Record<string, unknown>> & { readonly process: string; readonly path: "stop-start" | "restart" | "none" };
  /** Wall ms. */
  readonly at: number;
  /** The digest it was seen healthy with after that. */
  readonly healthy?: string;
}

/** What stages hand to each other; persisted with each finished stage so that a crash loses nothing. */
export interface RunContext {
  readonly commit?: string;
  /** What the program is called from now on, where the archive's own stamp says another version than the release's tag (V10x). */
  readonly version?: string;
  /** Absolute path of the built or downloaded, not yet installed binary. */
  readonly built?: string;
  readonly digest?: string;
  readonly swap?: SwapJournal;
  /** Its processes that were touched so far, in that order. Rows of older versions hold a single note. */
  readonly reload?: readonly ReloadNote[] | ReloadNote;
  /** Of what runs in the end: the new version, or after a rollback the old one. */
  readonly health?: { readonly pid: number; readonly digestProved: boolean; readonly proof: string; readonly healthyMs: number };
  /** How often the forge's rate limit has put the run off. */
  readonly limits?: number;
  /** Set once the new version failed after the swap. */
  readonly failure?: { readonly code: string; readonly message: string; readonly stage: string; readonly lastLines: readonly string[] };
}

export interface Run {
  readonly id: string;
  readonly kind: RunKind;
  readonly subsystem: string;
  readonly status: RunStatus;
  readonly holdReason?: HoldReason;
  /** The rule it was decided under: `patch`, `major`, `asked-for` … */
  readonly rule?: string;
  /** ms since the epoch; the janitor ends the run then. */
  readonly holdUntil?: number;
  /** When a held run is looked at again at the latest, in ms since the epoch. */
  readonly lookAt?: number;
  readonly trigger: "delivery" | "operator";
  readonly actor?: string;
  readonly fromVersion?: string;
  readonly toVersion: string;
  /** The exact commit to build (source mode). */
  readonly commit?: string;
  /** What to download (release mode); missing while its release has no asset yet. */
  readonly artifact?: Artifact;
  readonly ref?: string;
  /** Clone URL of the upstream it comes from; missing for the subsystem's own. */
  readonly upstream?: string;
  /** The program is installed and its process left alone. */
  readonly noReload?: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly failedStage?: string;
  readonly context: RunContext;
  readonly recoveries: number;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly heartbeatAt?: number;
}

export interface Stage {
  readonly runId: string;
  readonly seq: number;
  readonly name: StageName;
  readonly status: "running" | "done";
  readonly outcome?: Outcome;
  readonly message?: string;
  readonly startedAt: number;
  readonly endedAt?: number;
}
