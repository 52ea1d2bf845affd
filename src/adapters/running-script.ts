/**
 * The proof for what an interpreter runs (a script, a zipapp, a jar): the kernel maps the interpreter, so the program is known by the file that a process names on its command line,
 * and that it read the new one by a start after the swap. What names no file (`python3 -m`, a script that hands over to another program by `exec`, a rewritten title) cannot be proved so.
 */

import { readFile, readlink, realpath } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { systemClock } from "../kit/clock.ts";
import { type ProcEntry, startedAtMs } from "./proc.ts";

export interface ScriptClaim {
  /** Absolute path the file was swapped into. */
  readonly binary: string;
  /** When, in wall ms. */
  readonly sinceMs: number;
}

/** stale: one that cannot have read the new file. hidden: none names it, which says nothing about what runs. */
export type ScriptFound = { readonly kind: "runs"; readonly pid: number } | { readonly kind: "stale" | "hidden"; readonly why: string };

/** Start times are exact to a tick or two; a second would let an instance from before the swap pass. */
const START_SLACK_MS = 100;
/** Options of virtual machines come before the program, by the dozen. */
const MAX_ARGS = 256;

/** Which of `family` (parents first) was started after the swap to run the file. */
export async function findScript(claim: ScriptClaim, family: readonly ProcEntry[]): Promise<ScriptFound> {
  const real = await realpath(claim.binary).catch(() => undefined);
  if (real === undefined) return { kind: "stale", why: `${claim.binary} is missing, expected it there` };
  let early: ProcEntry | undefined;
  // A wrapper may name the file as well; its child is the one that reads it.
  for (const entry of family.toReversed()) {
    if (!(await namesFile(entry.pid, real))) continue;
    const startedMs = await startedAtMs(entry, systemClock.now());
    if (startedMs === undefined || startedMs < claim.sinceMs - START_SLACK_MS) early = entry;
    else return { kind: "runs", pid: entry.pid };
  }
  if (early !== undefined) return { kind: "stale", why: `pid ${early.pid} names ${claim.binary} on its command line and was started before the swap, expected a start after it` };
  return { kind: "hidden", why: `no process names ${claim.binary} on its command line, expected one; a script that hands over by exec, python3 -m and a rewritten title hide it: for such a program set health.proof: off` };
}

async function namesFile(pid: number, real: string): Promise<boolean> {
  const raw = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  // A class path holds several files.
  const names = raw.split("\0").slice(0, MAX_ARGS).filter((arg) => !arg.startsWith("-")).flatMap((arg) => [arg, ...(arg.includes(":") ? arg.split(":") : [])]);
  const bases = names.some((name) => !isAbsolute(name)) ? await foldersOf(pid) : [];
  for (const name of new Set(names)) {
    if (name === "" || name.includes("\n")) continue;
    for (const path of isAbsolute(name) ? [name] : bases.map((base) => join(base, name))) if ((await realpath(path).catch(() => undefined)) === real) return true;
  }
  return false;
}

/** Where its relative names may begin: where it is, and where it was started, for a program may change its folder. */
async function foldersOf(pid: number): Promise<string[]> {
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  const environ = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
  const start = environ.split("\0").find((one) => one.startsWith("PWD="))?.slice("PWD=".length);
  return [cwd, start].filter((dir) => dir !== undefined && isAbsolute(dir)) as string[];
}
