/**
 * The proof that the running program is the new one. A pid, a port and a green probe can all be the old program's (facts: PT D14, D15),
 * and after a rename the old process keeps running from its deleted file; so what is hashed is the file the kernel has mapped.
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readlink, stat } from "node:fs/promises";
import { messageOf } from "../domain/errors.ts";
import { familyOf, type ProcEntry, readProcTable } from "./proc.ts";
import { programKind } from "./program.ts";
import { findScript } from "./running-script.ts";

export interface RunningClaim {
  /** The pid the supervisor names: often only a wrapper (`task`, `bash -c`). */
  readonly pid: number;
  /** `sha256:<hex>` of the new binary. */
  readonly digest: string;
  /** Absolute path the binary was swapped into. */
  readonly binary: string;
  /** When it was swapped, in wall ms. */
  readonly sinceMs: number;
}

export interface RunningProof {
  readonly proved: boolean;
  /** `exe`: a mapped executable has the digest. `command-line`: an interpreter started after the swap runs the file that has it. `unavailable`: this machine does not let us look. `different`: we looked, and it is not there. `hidden`: it is run by an interpreter, and nothing shows which file that reads. */
  readonly proof: "exe" | "command-line" | "unavailable" | "different" | "hidden";
  /** The process that carries the proof. */
  readonly pid?: number;
  readonly detail: string;
}

interface Seen {
  readonly entry: ProcEntry;
  /** Where the kernel says the executable is or was; undefined when we may not look. */
  readonly exe?: string;
  readonly digest?: string;
}

/** Looks at `pid` and all its descendants. Never throws for what it finds. @throws the signal's reason when it fires */
export async function proveRunning(claim: RunningClaim, signal: AbortSignal): Promise<RunningProof> {
  const table = await readProcTable();
  if (table === undefined) return { proved: false, proof: "unavailable", detail: "this system has no /proc, so the running executable cannot be read" };
  const family = familyOf(claim.pid, table);
  if (family.length === 0) return invisible(claim.pid);
  const seen: Seen[] = [];
  for (const entry of family) {
    const one = await lookAt(entry, signal);
    if (one === undefined) continue;
    if (one.digest === claim.digest) return { proved: true, proof: "exe", pid: entry.pid, detail: `pid ${entry.pid} runs ${one.exe} with digest ${claim.digest}` };
    seen.push(one);
  }
  return (await programKind(claim.binary)) === "native" ? unproved(claim, seen) : byCommandLine(claim, seen, signal);
}

function invisible(pid: number): RunningProof {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return { proved: false, proof: "different", detail: `pid ${pid} is not running` };
  }
  return { proved: false, proof: "unavailable", detail: `pid ${pid} is hidden from this user, so its executable cannot be read` };
}

function unproved(claim: RunningClaim, seen: readonly Seen[], why?: string, proof: "different" | "hidden" = "different"): RunningProof {
  const list = seen.map((s) => `pid ${s.entry.pid} runs ${s.exe ?? "a file this user may not read"}${s.digest === undefined ? "" : ` with digest ${s.digest}`}`).join("; ");
  const old = seen.some((s) => s.exe === `${claim.binary} (deleted)`);
  if (!old && seen.some((s) => s.digest === undefined)) return { proved: false, proof: "unavailable", detail: list };
  return { proved: false, proof: list === "" ? "different" : proof, detail: `${list === "" ? `pid ${claim.pid} ended` : list}; ${why ?? `expected digest ${claim.digest}`}` };
}

/** Undefined when the process ended meanwhile. */
async function lookAt(entry: ProcEntry, signal: AbortSignal): Promise<Seen | undefined> {
  const path = `/proc/${entry.pid}/exe`;
  try {
    const exe = await readlink(path);
    return { entry, exe, digest: await digestOf(path, signal) };
  } catch (error) {
    signal.throwIfAborted();
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    if (code === "EACCES" || code === "EPERM") return { entry };
    return { entry, exe: `a file that cannot be read (${messageOf(error)})` };
  }
}

/** A native binary always shows as somebody's exe, so only other files (scripts, archives) may be proved by a command line. */
async function byCommandLine(claim: RunningClaim, seen: readonly Seen[], signal: AbortSignal): Promise<RunningProof> {
  const found = await findScript(claim, seen.map((s) => s.entry));
  if (found.kind !== "runs") return unproved(claim, seen, found.why, found.kind === "hidden" ? "hidden" : "different");
  const installed = await digestOf(claim.binary, signal).catch(() => "unreadable");
  if (installed !== claim.digest) return unproved(claim, seen, `${claim.binary} has digest ${installed}, expected ${claim.digest}`);
  return { proved: true, proof: "command-line", pid: found.pid, detail: `pid ${found.pid} started after the swap to run ${claim.binary}, which has digest ${claim.digest}` };
}

/** Digests by inode and change time, so that a check repeated every second does not read an interpreter of 100 MB each time. */
const known = new Map<string, string>();
const MAX_KNOWN = 64;

async function digestOf(path: string, signal: AbortSignal): Promise<string> {
  const s = await stat(path, { bigint: true });
  // A pipe in the place of a program would be waited for for ever.
  if (!s.isFile()) throw new Error(`${path} is no regular file`);
  const key = `${s.dev}:${s.ino}:${s.mtimeNs}:${s.ctimeNs}:${s.size}`;
  const cached = known.get(key);
  if (cached !== undefined) return cached;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { signal })) hash.update(chunk as Buffer);
  const digest = `sha256:${hash.digest("hex")}`;
  if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value as string);
  known.set(key, digest);
  return digest;
}
