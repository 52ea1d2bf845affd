/** The process table of Linux, read from /proc. Where there is none (macOS) every function says so by `undefined`. */

import { readdir, readFile } from "node:fs/promises";

export interface ProcEntry {
  readonly pid: number;
  readonly ppid: number;
  /** Process group; Process Compose makes every process it starts the leader of its own. */
  readonly pgrp: number;
  /** Clock ticks between boot and start; with the pid it names one process for ever. */
  readonly startTicks: number;
}

export type ProcTable = ReadonlyMap<number, ProcEntry>;

/** USER_HZ, 100 on every Linux platform Node runs on (proc(5)). */
const TICKS_PER_SECOND = 100;

/** All live processes; zombies are left out, they run nothing. */
export async function readProcTable(): Promise<ProcTable | undefined> {
  const names = await readdir("/proc").catch(() => undefined);
  const pids = names?.filter((n) => /^\d+$/.test(n)) ?? [];
  if (pids.length === 0) return undefined;
  const table = new Map<number, ProcEntry>();
  for (const name of pids) {
    const entry = await readProcEntry(Number(name));
    if (entry !== undefined) table.set(entry.pid, entry);
  }
  return table;
}

/** One live process, or undefined when it is gone, a zombie, or hidden from us. */
export async function readProcEntry(pid: number): Promise<ProcEntry | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  // The second field is a name in brackets that may itself hold brackets and spaces (proc_pid_stat(5)).
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return { pid, ppid: Number(fields[1]), pgrp: Number(fields[2]), startTicks: Number(fields[19]) };
}

/** `pid` and everything below it, parents first. Empty when `pid` is not alive. */
export function familyOf(pid: number, table: ProcTable): readonly ProcEntry[] {
  const root = table.get(pid);
  if (root === undefined) return [];
  const family = [root];
  for (const parent of family) {
    for (const entry of table.values()) if (entry.ppid === parent.pid && !family.includes(entry)) family.push(entry);
  }
  return family;
}

/** When a process started, in wall ms; about 20 ms exact. */
export async function startedAtMs(entry: ProcEntry, now: number): Promise<number | undefined> {
  const uptime = await readFile("/proc/uptime", "utf8").catch(() => undefined);
  const seconds = Number(uptime?.split(" ")[0] ?? Number.NaN);
  return Number.isFinite(seconds) ? now - (seconds - entry.startTicks / TICKS_PER_SECOND) * 1_000 : undefined;
}
