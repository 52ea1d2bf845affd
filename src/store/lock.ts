/** One daemon per workspace: a second small database is held by an open transaction, so that the kernel lets go of it when the process dies and the state itself stays readable. */

import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
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

/** The lock, and the one at `usual` where there is one: a daemon from before `state_dir` was edited holds only that. @throws StateError workspace-locked */
export function takeLocks(path: string, usual: string): Lock {
  const own = takeLock(path);
  try {
    if (!existsSync(usual) || isSame(path, usual)) return own;
    const other = takeLock(usual);
    return {
      release: () => {
        other.release();
        own.release();
      },
    };
  } catch (error) {
    own.release();
    throw error;
  }
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [statSync(a), statSync(b)];
  return one.dev === other.dev && one.ino === other.ino;
}
