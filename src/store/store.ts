/** The store: all tables behind one transaction function. */

import type { Run, RunStatus } from "../domain/run.ts";
import { type ApprovalStore, createApprovals } from "./approvals.ts";
import { createDrifts, type DriftStore } from "./drifts.ts";
import { createEvents, type EventStore } from "./events.ts";
import { createInbox, type InboxStore } from "./inbox.ts";
import { openDb } from "./open.ts";
import { createRuns, type RunPatch, type RunStore } from "./runs.ts";
import { createStages, type StageStore } from "./stages.ts";
import { createVersions, type VersionStore } from "./versions.ts";

export interface RunEnd extends RunPatch {
  readonly status: RunStatus;
  /** `failed` lets a redelivery open them again. */
  readonly deliveries: "done" | "failed";
  /** What else belongs to this end, before its closing event. */
  readonly also?: (ended: Run) => void;
}

export interface Store {
  readonly inbox: InboxStore;
  readonly runs: RunStore;
  readonly stages: StageStore;
  readonly events: EventStore;
  readonly versions: VersionStore;
  readonly approvals: ApprovalStore;
  readonly drifts: DriftStore;
  /** Ends a run: its status, its deliveries and the event in one transaction, for every room the same. */
  endRun(id: string, end: RunEnd): Run;
  /** One BEGIN IMMEDIATE transaction over all tables; nested calls join it. */
  tx<T>(fn: () => T): T;
  /** Writes one row: whether the journal can be written. */
  writable(): boolean;
  close(): void;
}

/** @throws StateError database-newer, database-unusable */
export function openStore(path: string, now: () => number, options: { readOnly?: boolean } = {}): Store {
  const db = openDb(path, options);
  const events = createEvents(db, now);
  const inbox = createInbox(db, events, now);
  const runs = createRuns(db, now);
  return {
    inbox,
    runs,
    stages: createStages(db, now),
    events,
    versions: createVersions(db, now),
    approvals: createApprovals(db, now),
    drifts: createDrifts(db, now),
    endRun: (id, { status, deliveries, also, ...patch }) =>
      db.tx(() => {
        const ended = runs.move(id, status, patch);
        inbox.runEnded(id, deliveries);
        also?.(ended);
        events.thinHeartbeats(id);
        const durationMs = ended.startedAt === undefined ? undefined : (ended.endedAt ?? 0) - ended.startedAt;
        events.append({ type: "run_ended", runId: id, subsystem: ended.subsystem, ...(durationMs === undefined ? {} : { durationMs }), data: { status, ...(patch.code === undefined ? {} : { code: patch.code }) } });
        return ended;
      }),
    tx: (fn) => db.tx(fn),
    writable: () => {
      try {
        db.run("INSERT OR REPLACE INTO pulse (one, at) VALUES (1, :at)", { at: now() });
        return true;
      } catch {
        return false;
      }
    },
    close: () => db.close(),
  };
}
