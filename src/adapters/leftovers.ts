/** Ends what a crashed run left running: every process that carries the run's mark in its environment (Linux /proc). */

import { readdir, readFile } from "node:fs/promises";
import type { Clock } from "../kit/clock.ts";
import { RUN_MARK } from "./task.ts";

const TERM_GRACE_MS = 3_000;
const LOOK_EVERY_MS = 50;

/** Pids of our own processes that belong to a run. Empty where /proc is missing. */
export async function pidsOfRun(runId: string): Promise<readonly number[]> {
  const mark = Buffer.from(`${RUN_MARK}=${runId}\0`);
  const pids: number[] = [];
  for (const name of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    // Not ours, or gone meanwhile: either way it is not a process we could have started.
    const environ = await readFile(`/proc/${name}/environ`).catch(() => null);
    if (environ?.includes(mark) === true) pids.push(Number(name));
  }
  return pids;
}

/** SIGTERM, a short grace, SIGKILL. Returns how many processes there were. */
export async function endLeftovers(runId: string, clock: Clock): Promise<number> {
  const pids = await pidsOfRun(runId);
  signalAll(pids, "SIGTERM");
  const until = clock.monotonic() + TERM_GRACE_MS;
  let left = pids;
  while (left.length > 0 && clock.monotonic() < until) {
    await clock.sleep(LOOK_EVERY_MS);
    left = await pidsOfRun(runId);
  }
  signalAll(left, "SIGKILL");
  return pids.length;
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
