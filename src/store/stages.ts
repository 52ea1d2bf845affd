/** Stages and the places of their logs. */

import type { Outcome, Stage, StageName } from "../domain/run.ts";
import { type Db, int, present, text } from "./open.ts";

export interface StageLog {
  readonly seq: number;
  readonly path: string;
  readonly bytes: number;
  readonly truncated: boolean;
}

export interface StageStore {
  /** Opens a stage and returns its number; one that was open under that name is opened afresh under the same number. */
  start(runId: string, name: StageName): number;
  finish(runId: string, seq: number, outcome: Outcome, message?: string): void;
  of(runId: string): readonly Stage[];
  saveLog(runId: string, log: StageLog): void;
  logsOf(runId: string): readonly StageLog[];
}

export function createStages(db: Db, now: () => number): StageStore {
  return {
    start: (runId, name) => {
      const open = db.get("SELECT seq FROM stages WHERE run_id = :runId AND name = :name AND status = 'running'", { runId, name });
      if (open !== undefined) {
        db.run("UPDATE stages SET started_at = :at WHERE run_id = :runId AND seq = :seq", { runId, seq: Number(open.seq), at: now() });
        return Number(open.seq);
      }
      const seq = Number(db.get("SELECT coalesce(max(seq), 0) + 1 AS seq FROM stages WHERE run_id = :runId", { runId })?.seq);
      db.run("INSERT INTO stages (run_id, seq, name, status, started_at) VALUES (:runId, :seq, :name, 'running', :at)", { runId, seq, name, at: now() });
      return seq;
    },
    finish: (runId, seq, outcome, message) => {
      db.run("UPDATE stages SET status = 'done', outcome = :outcome, message = :message, ended_at = :at WHERE run_id = :runId AND seq = :seq", { runId, seq, outcome, message: message ?? null, at: now() });
    },
    of: (runId) =>
      db.all("SELECT * FROM stages WHERE run_id = :runId ORDER BY seq", { runId }).map((row) => ({
        runId,
        seq: Number(row.seq),
        name: row.name as StageName,
        status: row.status as Stage["status"],
        startedAt: Number(row.started_at),
        ...present({ outcome: text(row, "outcome") as Outcome | undefined, message: text(row, "message"), endedAt: int(row, "ended_at") }),
      })),
    saveLog: (runId, log) => {
      db.run("INSERT OR REPLACE INTO logs (run_id, seq, path, bytes, truncated) VALUES (:runId, :seq, :path, :bytes, :truncated)", { runId, seq: log.seq, path: log.path, bytes: log.bytes, truncated: log.truncated ? 1 : 0 });
    },
    logsOf: (runId) =>
      db.all("SELECT * FROM logs WHERE run_id = :runId ORDER BY seq", { runId }).map((row) => ({ seq: Number(row.seq), path: String(row.path), bytes: Number(row.bytes), truncated: row.truncated === 1 })),
  };
}
