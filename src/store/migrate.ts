/** Migrations: numbered, forward only, one transaction each. `user_version` holds the number of the last one. */

import type { DatabaseSync } from "node:sqlite";
import { StateError } from "../domain/errors.ts";
import { MIGRATION_0001 } from "./migrations/0001.ts";
import { MIGRATION_0002 } from "./migrations/0002.ts";
import { MIGRATION_0003 } from "./migrations/0003.ts";

export const MIGRATIONS: readonly string[] = [MIGRATION_0001, MIGRATION_0002, MIGRATION_0003];

/** @throws StateError database-newer when a newer program wrote the file. */
export function migrate(db: DatabaseSync, readOnly: boolean): void {
  const row = db.prepare("PRAGMA user_version").get() as { user_version: number };
  const version = row.user_version;
  if (version > MIGRATIONS.length) {
    throw new StateError("database-newer", `database schema is version ${version}, expected at most ${MIGRATIONS.length}; start the newer slipstream that wrote it, or move the state folder away`);
  }
  if (readOnly) {
    if (version < MIGRATIONS.length) throw new StateError("database-unusable", `database schema is version ${version}, expected ${MIGRATIONS.length}; start the daemon once so that it can be brought up to date`);
    return;
  }
  for (let n = version; n < MIGRATIONS.length; n++) {
    db.exec("BEGIN IMMEDIATE");
    try {
      db.exec(MIGRATIONS[n] as string);
      db.exec(`PRAGMA user_version=${n + 1}`);
      db.exec("COMMIT");
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  }
}
