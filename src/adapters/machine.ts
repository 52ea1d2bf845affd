/** Looks at the machine for `doctor`. Every probe ends within a few seconds and answers with a plain fact; none throws. */

import { constants } from "node:fs";
import { access, open, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../domain/errors.ts";
import type { DiskFact, FileFact, FolderFact, PortFact, SupervisorFact, ToolFact } from "../domain/examination.ts";
import { type Clock, deadline } from "../kit/clock.ts";
import { childEnv, type Exec } from "./exec.ts";
import { readSmall } from "./files.ts";
import { lookAtPort } from "./machine-port.ts";
import { createProcessComposeApi, type SupervisorAddress } from "./process-compose-api.ts";
import { programKind } from "./program.ts";

/** Longest any one probe takes. */
const PROBE_MS = 5_000;
const GRACE_MS = 500;
const MAX_ENV_BYTES = 1024 * 1024;

export interface Machine {
  /** Asks a program for its version; `knownBy` is what the help of the right program says. */
  tool(program: string, knownBy?: RegExp): Promise<ToolFact>;
  supervisor(address: SupervisorAddress): Promise<SupervisorFact>;
  /** Undefined when there is none, or it cannot be looked at. */
  file(path: string): Promise<FileFact | undefined>;
  /** Tries in an existing folder what every update does: create, sync, rename. */
  folder(path: string): Promise<FolderFact>;
  disk(path: string): Promise<DiskFact | undefined>;
  port(host: string, port: number): Promise<PortFact>;
  /** Names that a file of `KEY=value` lines sets to something; undefined when there is no such file. */
  envNames(path: string): Promise<readonly string[] | undefined>;
  program(path: string): Promise<{ readonly installed: boolean; readonly executable: boolean }>;
}

export interface MachineDeps {
  readonly exec: Exec;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Of this process, for names of files that are tried out. */
  readonly pid: number;
  /** User id; undefined where the system has none. */
  readonly uid: number | undefined;
}

export function createMachine(deps: MachineDeps): Machine {
  return {
    tool: (program, knownBy) => tool(deps, program, knownBy),
    supervisor: (address) => supervisor(deps, address),
    file: (path) => within(undefined, fileFact(path, deps.uid)),
    folder: (path) => within({ path, exists: true, error: `no answer within ${PROBE_MS / 1_000} s` }, tryFolder(path, deps.pid)),
    disk: (path) => within(undefined, disk(path)),
    port: (host, port) => lookAtPort(host, port, PROBE_MS),
    envNames: (path) => within(undefined, envNames(path)),
    program: (path) => within({ installed: false, executable: false }, program(path)),
  };
}

/** What a probe says, or `otherwise` when it is too slow (a network filesystem that hangs) or fails. */
async function within<T>(otherwise: T, probe: Promise<T>): Promise<T> {
  const late = deadline(PROBE_MS);
  return Promise.race([probe.catch(() => otherwise), new Promise<T>((resolve) => late.addEventListener("abort", () => resolve(otherwise), { once: true }))]);
}

async function tool(deps: MachineDeps, program: string, knownBy: RegExp | undefined): Promise<ToolFact> {
  const ask = async (flag: string) => deps.exec({ argv: [program, flag], cwd: "/", env: childEnv(deps.env), timeoutMs: PROBE_MS, graceMs: GRACE_MS }, deadline(PROBE_MS));
  try {
    const [said, help] = await Promise.all([ask("--version"), knownBy === undefined ? undefined : ask("--help")]);
    const version = said.exitCode === 0 ? /(?:^|[\s:])v?(\d+\.\d+(?:\.\d+)?)/m.exec(said.stdout)?.[1] : undefined;
    return { program, found: true, ...(version === undefined ? {} : { version }), ...(help === undefined ? {} : { known: knownBy?.test(`${help.stdout}\n${help.stderr}`) ?? true }) };
  } catch {
    // Not runnable is the fact that was asked for.
    return { program, found: false };
  }
}

async function supervisor(deps: MachineDeps, address: SupervisorAddress): Promise<SupervisorFact> {
  const where = "socket" in address ? address.socket : `${address.host}:${address.port}`;
  const api = createProcessComposeApi({ address, clock: deps.clock });
  const signal = deadline(PROBE_MS);
  try {
    const [version, processes] = [await api.version(signal), await api.list(signal)];
    return { state: "up", where, version, processes: processes.map((p) => p.name).sort() };
  } catch (error) {
    const message = signal.aborted ? `Process Compose at ${where} is silent for ${PROBE_MS / 1_000} s, expected an answer` : messageOf(error);
    return /^token is refused/.test(message) ? { state: "token-refused", where, tokenGiven: address.token !== undefined } : { state: "down", where, message };
  }
}

async function fileFact(path: string, uid: number | undefined): Promise<FileFact> {
  const s = await stat(path);
  return { path, mode: s.mode & 0o777, mine: uid === undefined || s.uid === uid };
}

/** A name that nobody else has, removed again whatever happens. */
async function tryFolder(path: string, pid: number): Promise<FolderFact> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return { path, exists: false };
  if (!found.isDirectory()) return { path, exists: true, error: "it is no folder" };
  const temp = join(path, `.doctor-${pid}`);
  try {
    await using file = await open(temp, "wx", 0o600);
    await file.writeFile("slipstream doctor\n");
    await file.sync();
    await rename(temp, `${temp}.renamed`);
    await using folder = await open(path, "r");
    await folder.sync();
    return { path, exists: true };
  } catch (error) {
    return { path, exists: true, error: messageOf(error) };
  } finally {
    await rm(temp, { force: true });
    await rm(`${temp}.renamed`, { force: true });
  }
}

async function disk(path: string): Promise<DiskFact> {
  const { bavail, bsize } = await statfs(path);
  const filesystem = filesystemOf(path, await readFile("/proc/mounts", "utf8").catch(() => ""));
  return { path, freeBytes: bavail * bsize, ...(filesystem === undefined ? {} : { filesystem }) };
}

/** The type of the filesystem a path is on: that of the longest mount point above it, the last one where several lie over each other (proc(5)). */
export function filesystemOf(path: string, mounts: string): string | undefined {
  let best: { readonly at: string; readonly type: string } | undefined;
  for (const line of mounts.split("\n")) {
    const [, raw, type] = line.split(" ");
    if (raw === undefined || type === undefined) continue;
    const at = raw.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const above = at === "/" || path === at || path.startsWith(`${at}/`);
    if (above && at.length >= (best?.at.length ?? 0)) best = { at, type };
  }
  return best?.type;
}

async function envNames(path: string): Promise<readonly string[] | undefined> {
  const text = await readSmall(path, MAX_ENV_BYTES);
  return text === undefined ? undefined : [...text.matchAll(/^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*\S/gm)].map((m) => m[1] as string);
}

async function program(path: string): Promise<{ installed: boolean; executable: boolean }> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return { installed: false, executable: false };
  const executable = await access(path, constants.X_OK).then(() => true, () => false);
  // `node app.js` reads what it need not be allowed to run.
  return { installed: true, executable: executable || ["text", "zip"].includes(await programKind(path)) };
}
