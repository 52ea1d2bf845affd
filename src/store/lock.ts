/** One daemon per workspace: a second small database is held by an open transaction, so that the kernel lets go of it when the process dies and the state itself stays readable. */

import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StateError } from "../domain/errors.ts";

export interface Lock {
  release(): void;
}

/** @throws StateError workspace-locked when another process holds it. */
export function takeLock(path: string): Lock {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(path, { timeout: 0 });
  // Whoever may read it could hold a lock on it.
  chmodSync(path, 0o600);
  try {
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    throw new StateError("workspace-locked", `workspace is in use by another slipstream (lock ${path}), expected to be the only one; use its CLI, or stop it first`, { cause: error });
  }
  return { release: () => db.close() };
}
