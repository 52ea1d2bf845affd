/** What stages may use: the narrow ports of the adapters, and nothing else. */

import type { createDownload } from "../adapters/download.ts";
import type { Exec } from "../adapters/exec.ts";
import type { Forge } from "../adapters/forge/port.ts";
import type { Git } from "../adapters/git.ts";
import type { Supervisor } from "../adapters/process-compose.ts";
import type { RunningProof } from "../adapters/running-digest.ts";
import type { Task } from "../adapters/task.ts";
import type { IgnoreReason } from "../domain/change.ts";
import { StateError } from "../domain/errors.ts";
import type { Platform } from "../domain/release.ts";
import type { Run, RunContext, StageName } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Clock } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Mask } from "../kit/secret.ts";
import type { Store } from "../store/store.ts";
import type { ManifestWriter } from "./manifest.ts";
import type { ProgressBoard } from "./progress.ts";

/** What of it comes from the configuration: a run keeps what it started with. */
export type RunSettings = Pick<RunDeps, "git" | "forge" | "task" | "supervisor" | "env" | "rootTaskfile">;

export interface RunDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly mask: Mask;
  readonly exec: Exec;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly git: Git;
  readonly forge: Forge;
  readonly download: ReturnType<typeof createDownload>;
  readonly platform: Platform;
  readonly progress: ProgressBoard;
  readonly manifest: Pick<ManifestWriter, "changed">;
  readonly task: Task;
  /** Null when no Process Compose is configured. */
  readonly supervisor: Supervisor | null;
  readonly prove: (input: { pid: number; digest: string; binary: string; sinceMs: number }, signal: AbortSignal) => Promise<RunningProof>;
  /** Absolute paths. */
  readonly workspace: string;
  readonly stateDir: string;
  readonly rootTaskfile: string;
}

/** One stage's view of its run. */
export interface StageScope {
  readonly run: Run;
  readonly subsystem: Subsystem;
  readonly context: RunContext;
  readonly deps: RunDeps;
  /** Writes one line to the stage's log. */
  line(text: string): void;
  /** Persists part of the context at once: what must be known before the stage touches anything. */
  journal(patch: Partial<RunContext>): void;
  /** Fires when the daemon is asked to stop. A critical stage may look at it where it may be left and taken up again, and throws StateError cancelled then. */
  readonly stopping: AbortSignal;
}

export interface StageResult {
  readonly context?: Partial<RunContext>;
  readonly message?: string;
  /** Store writes that belong into the transaction that finishes the stage. */
  readonly settle?: () => void;
  /** There is nothing more to do: the run ends skipped, for this reason. */
  readonly end?: { readonly code: IgnoreReason; readonly message: string };
}

export interface StageDefinition {
  readonly name: StageName;
  /** Longest run in ms, as far as it is known when the stage starts. */
  timeoutMs(subsystem: Subsystem, context: RunContext): number;
  /** A stage that must not be left half-way when the daemon is asked to stop. */
  readonly critical?: boolean;
  run(scope: StageScope, signal: AbortSignal): Promise<StageResult>;
}

/** @throws StateError supervisor-unreachable when none is configured */
export function requireSupervisor(scope: StageScope): Supervisor {
  if (scope.deps.supervisor === null) {
    throw new StateError("supervisor-unreachable", `no Process Compose is configured, expected one for process ${scope.subsystem.process}; if it was not running yet, start it and restart slipstream; else set process_compose.socket in slipstream.yaml, or process: false for ${scope.subsystem.name}`);
  }
  return scope.deps.supervisor;
}
