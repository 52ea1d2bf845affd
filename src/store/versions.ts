/** Versions that are or were installed here, and the quarantine. */

import type { InstalledVersion } from "../domain/artifact.ts";
import { type Db, present, type Row, text } from "./open.ts";

export interface VersionStore {
  current(subsystem: string): InstalledVersion | undefined;
  /** Makes a version current; the one before it becomes previous. */
  setCurrent(v: Omit<InstalledVersion, "state" | "at" | "path" | "reason">): void;
  /** Notes where a previous version's binary is kept. */
  keepPrevious(v: Omit<InstalledVersion, "state" | "at" | "reason">): void;
  quarantine(v: Omit<InstalledVersion, "state" | "at" | "path">): void;
  /** Lifts the quarantine of a version: a person asked for it. */
  release(subsystem: string, version: string): void;
  /** Whether exactly that artifact or commit is quarantined, under whatever name; or that version, where the record or the question has neither. */
  isQuarantined(subsystem: string, what: { readonly version: string; readonly commit?: string; readonly artifact?: { readonly identity: string } }): boolean;
  /** Notes on the current version which release and which artifact it is, when that was found out afterwards. */
  noteOrigin(subsystem: string, origin: { readonly tag: string; readonly artifact: string }): void;
  list(subsystem: string, state: InstalledVersion["state"]): readonly InstalledVersion[];
  forget(subsystem: string, version: string, digest: string): void;
}

export function createVersions(db: Db, now: () => number): VersionStore {
  const upsert = (v: Omit<InstalledVersion, "at">) => {
    db.run(
      `INSERT INTO versions (subsystem, version, digest, commit_sha, tag, artifact, state, path, reason, at) VALUES (:subsystem, :version, :digest, :commit, :tag, :artifact, :state, :path, :reason, :at)
       ON CONFLICT (subsystem, version, digest) DO UPDATE SET commit_sha = coalesce(excluded.commit_sha, commit_sha), tag = coalesce(excluded.tag, tag), artifact = coalesce(excluded.artifact, artifact), state = excluded.state, path = coalesce(excluded.path, path), reason = excluded.reason, at = excluded.at`,
      { subsystem: v.subsystem, version: v.version, digest: v.digest, commit: v.commit ?? null, tag: v.tag ?? null, artifact: v.artifact ?? null, state: v.state, path: v.path ?? null, reason: v.reason ?? null, at: now() },
    );
  };
  return {
    current: (subsystem) => {
      const row = db.get("SELECT * FROM versions WHERE subsystem = :subsystem AND state = 'current'", { subsystem });
      return row === undefined ? undefined : toVersion(row);
    },
    setCurrent: (v) =>
      db.tx(() => {
        db.run("UPDATE versions SET state = 'previous' WHERE subsystem = :subsystem AND state = 'current'", { subsystem: v.subsystem });
        upsert({ ...v, state: "current" });
      }),
    keepPrevious: (v) => upsert({ ...v, state: "previous" }),
    quarantine: (v) => upsert({ ...v, state: "quarantined" }),
    release: (subsystem, version) => {
      db.run("DELETE FROM versions WHERE subsystem = :subsystem AND (version = :version OR tag = :version) AND state = 'quarantined'", { subsystem, version });
    },
    isQuarantined: (subsystem, { version, commit, artifact }) =>
      db.get(
        artifact === undefined
          ? "SELECT 1 AS one FROM versions WHERE subsystem = :subsystem AND state = 'quarantined' AND ((length(commit_sha) >= 7 AND substr(:identity, 1, length(commit_sha)) = commit_sha) OR (coalesce(tag, version) = :version AND (commit_sha IS NULL OR :identity IS NULL))) LIMIT 1"
          : "SELECT 1 AS one FROM versions WHERE subsystem = :subsystem AND state = 'quarantined' AND (artifact = :identity OR (coalesce(tag, version) = :version AND artifact IS NULL)) LIMIT 1",
        { subsystem, version, identity: artifact?.identity ?? commit ?? null },
      ) !== undefined,
    noteOrigin: (subsystem, origin) => {
      db.run("UPDATE versions SET tag = :tag, artifact = :artifact WHERE subsystem = :subsystem AND state = 'current'", { subsystem, tag: origin.tag, artifact: origin.artifact });
    },
    list: (subsystem, state) => db.all("SELECT * FROM versions WHERE subsystem = :subsystem AND state = :state ORDER BY at DESC", { subsystem, state }).map(toVersion),
    forget: (subsystem, version, digest) => {
      db.run("DELETE FROM versions WHERE subsystem = :subsystem AND version = :version AND digest = :digest AND state <> 'current'", { subsystem, version, digest });
    },
  };
}

function toVersion(row: Row): InstalledVersion {
  return {
    subsystem: String(row.subsystem),
    version: String(row.version),
    digest: String(row.digest),
    state: row.state as InstalledVersion["state"],
    at: Number(row.at),
    ...present({ commit: text(row, "commit_sha"), tag: text(row, "tag"), artifact: text(row, "artifact"), path: text(row, "path"), reason: text(row, "reason") }),
  };
}
