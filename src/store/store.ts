/** The store: all tables behind one transaction function. */

import { type ApprovalStore, createApprovals } from "./approvals.ts";
import { createEvents, type EventStore } from "./events.ts";
import { createInbox, type InboxStore } from "./inbox.ts";
import { openDb } from "./open.ts";
import { createRuns, type RunStore } from "./runs.ts";
import { createStages, type StageStore } from "./stages.ts";
import { createVersions, type VersionStore } from "./versions.ts";

export interface Store {
  readonly inbox: InboxStore;
  readonly runs: RunStore;
  readonly stages: StageStore;
  readonly events: EventStore;
  readonly versions: VersionStore;
  readonly approvals: ApprovalStore;
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
  return {
    inbox: createInbox(db, events, now),
    runs: createRuns(db, now),
    stages: createStages(db, now),
    events,
    versions: createVersions(db, now),
    approvals: createApprovals(db, now),
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
