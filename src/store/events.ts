/** The journal: immutable facts in one order. */

import type { Event, EventType, NewEvent } from "../domain/event.ts";
import { type Db, int, present, type Row, text } from "./open.ts";

export interface EventStore {
  append(event: NewEvent): void;
  after(cursor: number, limit: number, runId?: string): readonly Event[];
  lastId(): number;
  /** Keeps only the last heartbeat of a run that ended (B48). */
  thinHeartbeats(runId: string): void;
  /** Deletes events older than `before`. */
  prune(before: number, limit: number): number;
}

export function createEvents(db: Db, now: () => number): EventStore {
  const toEvent = (row: Row): Event => ({
    id: Number(row.id),
    type: row.type as EventType,
    at: Number(row.at),
    ...present({
      runId: text(row, "run_id"),
      subsystem: text(row, "subsystem"),
      deliveryId: text(row, "delivery_id"),
      stage: text(row, "stage"),
      message: text(row, "message"),
      durationMs: int(row, "duration_ms"),
      data: row.data === null ? undefined : (JSON.parse(String(row.data)) as Record<string, unknown>),
    }),
  });
  return {
    append: (e) => {
      db.run("INSERT INTO events (type, at, run_id, subsystem, delivery_id, stage, message, duration_ms, data) VALUES (:type, :at, :runId, :subsystem, :deliveryId, :stage, :message, :durationMs, :data)", {
        type: e.type,
        at: now(),
        runId: e.runId ?? null,
        subsystem: e.subsystem ?? null,
        deliveryId: e.deliveryId ?? null,
        stage: e.stage ?? null,
        message: e.message ?? null,
        durationMs: e.durationMs === undefined ? null : Math.round(e.durationMs),
        data: e.data === undefined ? null : JSON.stringify(e.data),
      });
    },
    after: (cursor, limit, runId) =>
      (runId === undefined
        ? db.all("SELECT * FROM events WHERE id > :cursor ORDER BY id LIMIT :limit", { cursor, limit })
        : db.all("SELECT * FROM events WHERE run_id = :runId AND id > :cursor ORDER BY id LIMIT :limit", { cursor, limit, runId })
      ).map(toEvent),
    lastId: () => Number(db.get("SELECT coalesce(max(id), 0) AS id FROM events")?.id ?? 0),
    thinHeartbeats: (runId) => {
      db.run("DELETE FROM events WHERE run_id = :runId AND type = 'heartbeat' AND id < (SELECT max(id) FROM events WHERE run_id = :runId AND type = 'heartbeat')", { runId });
    },
    prune: (before, limit) => db.run("DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < coalesce((SELECT min(id) FROM events WHERE at >= :before), (SELECT max(id) + 1 FROM events)) LIMIT :limit)", { before, limit }),
  };
}
