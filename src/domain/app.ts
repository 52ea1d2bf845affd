/** The App port: the few operations an operator may ask for. The CLI talks to it; the daemon and the in-process engine both provide it. */

import type { OperatorRequest } from "./change.ts";
import type { Delivery } from "./delivery.ts";
import type { Drift } from "./drift.ts";
import type { Event } from "./event.ts";
import type { Run, Stage, StageName } from "./run.ts";
import type { Mode } from "./subsystem.ts";

export interface Progress {
  readonly stage: StageName;
  readonly done: number;
  readonly total: number;
}

export interface SubsystemStatus {
  readonly name: string;
  readonly upstream: string;
  readonly mode: Mode;
  readonly strategy: string;
  /** `owner/name` whose releases count, in release mode. */
  readonly releases?: string;
  readonly process: string | null;
  readonly managed: boolean;
  readonly note?: string;
  /** `upstream`: clone URL of where it came from, where that is not the first of several. */
  readonly current?: { readonly version: string; readonly commit?: string; readonly upstream?: string; readonly digest: string; readonly at: number };
  /** Clone URLs of the upstreams below the first, in order of priority. */
  readonly others?: readonly string[];
  /** Its program was changed by hand, and no run has settled that yet. */
  readonly drift?: Drift;
  readonly activeRun?: Run;
  readonly heldRun?: Run;
  readonly lastRun?: Run;
}

/** What came to the front door since the daemon started. */
export interface FrontDoorCounts {
  readonly accepted: number;
  readonly duplicates: number;
  /** By refusal code. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface StatusView {
  readonly daemon: { readonly running: boolean; readonly pid?: number; readonly version: string; readonly startedAt?: number; readonly url?: string };
  readonly workspace: string;
  readonly subsystems: readonly SubsystemStatus[];
  readonly problems: readonly string[];
  /** Missing when no daemon is running. */
  readonly frontDoor?: FrontDoorCounts;
}

export interface RunView extends Run {
  readonly stages: readonly Stage[];
  /** How far the running stage is, in bytes; total 0 is not known. */
  readonly progress?: Progress;
}

/** The decision trace of one subsystem: what came in, what was decided, and why. */
export interface WhyView {
  readonly subsystem: string;
  readonly current?: SubsystemStatus["current"];
  readonly drift?: Drift;
  readonly quarantined: readonly { readonly version: string; readonly digest: string; readonly reason?: string; readonly at: number }[];
  readonly deliveries: readonly (Delivery & { readonly run?: Run })[];
  readonly runs: readonly RunView[];
  readonly gates: readonly { readonly runId: string; readonly reason: string; readonly rule?: string; readonly until?: number }[];
  readonly latest?: { readonly version: string; readonly commit?: string; readonly upstream?: string };
  readonly latestError?: string;
  /** Upstreams that the look for the latest went on without, and why. */
  readonly silent?: readonly string[];
}

export interface CheckEntry {
  readonly name: string;
  readonly current: string | null;
  readonly latest: string | null;
  /** Clone URL of the upstream that has the latest, where it is not the first of several. */
  readonly upstream?: string;
  readonly update_available: boolean;
  /** Why the latest one is not offered, for example `already-current` or `quarantined`. */
  readonly reason?: string;
  readonly error?: string;
  /** Upstreams that the look went on without, and why. */
  readonly silent?: readonly string[];
}

/** What an update would do, without doing it. */
export interface UpdatePreview {
  readonly subsystem: string;
  readonly from: string | null;
  readonly to: string | null;
  /** Clone URL of the upstream it would come from, where that is not the first of several. */
  readonly upstream?: string;
  /** The exact commit (source mode). */
  readonly commit: string | null;
  /** The asset that would be downloaded (release mode). */
  readonly asset: string | null;
  /** Of that asset, with the forge's id. */
  readonly releaseId?: string;
  readonly prerelease?: boolean;
  readonly verdict: "update" | "approval" | "nothing";
  readonly reason?: string;
  readonly stages: readonly string[];
  readonly restarts: string | null;
}

export interface App {
  status(): Promise<StatusView>;
  runs(filter: { readonly subsystem?: string; readonly limit?: number }): Promise<readonly Run[]>;
  /** @throws UsageError unknown-run */
  run(id: string): Promise<RunView>;
  /** The stored log of a run's stages, in order, as text. @throws UsageError unknown-run */
  logs(runId: string): Promise<string>;
  /** @throws UsageError unknown-subsystem */
  why(subsystem: string): Promise<WhyView>;
  check(subsystems: readonly string[]): Promise<Readonly<Record<string, CheckEntry>>>;
  preview(subsystem: string, version?: string): Promise<UpdatePreview>;
  /** Writes the request into the inbox, durably. @throws UsageError unknown-subsystem, unknown-run, not-held */
  request(request: OperatorRequest): Promise<Delivery>;
  delivery(id: string): Promise<Delivery>;
  /** Events after the cursor; waits up to `waitMs` for the first one. */
  events(filter: { readonly after: number; readonly runId?: string; readonly waitMs?: number }): Promise<readonly Event[]>;
  close(): Promise<void>;
}
