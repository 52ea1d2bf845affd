/** One builder at a time, across processes. The kernel drops the lock when its holder dies, so nothing is ever stale. */

import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../src/kit/clock.ts";

const LOOK_AGAIN_MS = 250;
const SQLITE_BUSY = 5;

/** Runs `work` while holding the lock `file`; `onWait` is called once when another process holds it. */
export async function withLock<T>(file: string, work: () => Promise<T>, onWait: () => void, signal: AbortSignal): Promise<T> {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    for (let told = false; !tryLock(database); told = true) {
      if (!told) onWait();
      await systemClock.sleep(LOOK_AGAIN_MS, signal);
      signal.throwIfAborted();
    }
    return await work();
  } finally {
    database.close();
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
