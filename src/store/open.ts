/** The one room that speaks SQL. WAL with synchronous=FULL: what was committed survives a power cut. */

import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { StateError } from "../domain/errors.ts";
import { migrate } from "./migrate.ts";

export type Row = Record<string, SQLInputValue>;

export interface Db {
  /** Runs `fn` in one BEGIN IMMEDIATE transaction; nested calls join the outer one. */
  tx<T>(fn: () => T): T;
  all(sql: string, params?: Row): Row[];
  get(sql: string, params?: Row): Row | undefined;
  /** Returns the number of changed rows. */
  run(sql: string, params?: Row): number;
  close(): void;
}

/** How long one statement waits for another process's lock, in ms. */
const BUSY_MS = 5_000;

/** Opens the state database, makes it when missing, and brings it to this program's schema. @throws StateError database-newer, database-unusable */
export function openDb(path: string, options: { readOnly?: boolean } = {}): Db {
  let db: DatabaseSync;
  try {
    if (options.readOnly !== true) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    db = new DatabaseSync(path, { timeout: BUSY_MS, readOnly: options.readOnly === true });
    if (options.readOnly !== true) {
      if (path !== ":memory:") chmodSync(path, 0o600);
      db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
    }
    migrate(db, options.readOnly === true);
  } catch (error) {
    if (error instanceof StateError) throw error;
    throw new StateError("database-unusable", `database ${path} cannot be opened (${(error as Error).message}), expected a readable SQLite file on a writable disk`, { cause: error });
  }
  return wrap(db);
}

function wrap(db: DatabaseSync): Db {
  const statements = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    let s = statements.get(sql);
    if (s === undefined) {
      s = db.prepare(sql);
      statements.set(sql, s);
    }
    return s;
  };
  return {
    tx(fn) {
      if (db.isTransaction) return fn();
      db.exec("BEGIN IMMEDIATE");
      try {
        const result = fn();
        db.exec("COMMIT");
        return result;
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    all: (sql, params = {}) => prepare(sql).all(params) as Row[],
    get: (sql, params = {}) => prepare(sql).get(params) as Row | undefined,
    run: (sql, params = {}) => Number(prepare(sql).run(params).changes),
    close: () => db.close(),
  };
}

/** Reads an optional text column. */
export function text(row: Row, column: string): string | undefined {
  const v = row[column];
  return typeof v === "string" ? v : undefined;
}
/** Reads an optional integer column. */
export function int(row: Row, column: string): number | undefined {
  const v = row[column];
  return typeof v === "number" ? v : undefined;
}
/** Copies the keys whose value is there: what exactOptionalPropertyTypes wants of optional fields. */
export function present<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, v]) => v !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
