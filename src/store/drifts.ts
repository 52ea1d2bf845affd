/** Programs that were changed by hand, one row per subsystem, until a run settles the matter. */

import type { Drift } from "../domain/drift.ts";
import { type Db, present, type Row, text } from "./open.ts";

export interface DriftStore {
  of(subsystem: string): Drift | undefined;
  /** Notes a drift; one that is known by its digest keeps when it was noticed. */
  note(drift: Omit<Drift, "at">): Drift;
  clear(subsystem: string): void;
}

export function createDrifts(db: Db, now: () => number): DriftStore {
  const of = (subsystem: string): Drift | undefined => {
    const row = db.get("SELECT * FROM drifts WHERE subsystem = :subsystem", { subsystem });
    return row === undefined ? undefined : toDrift(row);
  };
  return {
    of,
    note: (d) => {
      db.run(
        `INSERT INTO drifts (subsystem, digest, before, version, verified, detail, at) VALUES (:subsystem, :digest, :before, :version, :verified, :detail, :at)
         ON CONFLICT (subsystem) DO UPDATE SET at = CASE WHEN digest = excluded.digest THEN at ELSE excluded.at END, digest = excluded.digest, before = coalesce(before, excluded.before), version = excluded.version, verified = excluded.verified, detail = excluded.detail`,
        { subsystem: d.subsystem, digest: d.digest, before: d.before ?? null, version: d.version ?? null, verified: d.verified ? 1 : 0, detail: d.detail, at: now() },
      );
      return of(d.subsystem) as Drift;
    },
    clear: (subsystem) => {
      db.run("DELETE FROM drifts WHERE subsystem = :subsystem", { subsystem });
    },
  };
}

function toDrift(row: Row): Drift {
  return {
    subsystem: String(row.subsystem),
    digest: String(row.digest),
    verified: row.verified === 1,
    detail: String(row.detail),
    at: Number(row.at),
    ...present({ before: text(row, "before"), version: text(row, "version") }),
  };
}
