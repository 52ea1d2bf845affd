/** Where Process Compose answers, and how `slipstream.yaml` should say it. */

import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Looking, short, type Unknown } from "./look.ts";
import { isPlain, mention } from "./plain.ts";
import { type SupervisorAddress, supervisorAddress } from "./supervisor.ts";

export interface FoundSupervisor {
  readonly address: SupervisorAddress | null;
  /** Its socket is there now; a port is taken for granted. */
  readonly live: boolean;
  /** What to do while it is not there. */
  readonly away?: Unknown;
}

/** sun_path holds 108 bytes, the last of them zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/** Says the address in `slipstream.yaml`, so that no exported variable is needed; where there is none yet, the one Process Compose is to be started with. */
export async function findSupervisor(look: Looking): Promise<FoundSupervisor> {
  const { workspace, stateDir, env, own } = look;
  const told = await supervisorAddress({ workspace, stateDir, env, file: own.file }, look.problems);
  const beside = told === null ? await socketsBeside([workspace, join(workspace, "pc"), stateDir, ...(look.processes === null ? [] : [dirname(look.processes.path)])]) : [];
  const lying = beside.filter((path) => isPlain(basename(path)));
  for (const path of beside) if (!lying.includes(path)) look.unknown.push({ what: `socket ${mention(basename(path))} has a name that slipstream does not take, expected letters, digits, _ . + and -`, todo: "rename it if it is the one of Process Compose, else leave it" });
  const [only, second] = lying;
  if (second !== undefined) {
    look.entries.push({ path: ["process_compose", "socket"], value: short(workspace, only ?? second), hint: true, comment: `or ${lying.slice(1).map((s) => short(workspace, s)).join(", ")}` });
    look.unknown.push({ what: `several sockets may be the one of Process Compose: ${lying.map((s) => short(workspace, s)).join(", ")}`, todo: "set process_compose.socket in slipstream.yaml" });
    return { address: null, live: false };
  }
  const known = told !== null || only !== undefined;
  if (!known && look.processes === null) return { address: null, live: false };
  const address = told ?? { socket: only ?? join(stateDir, "pc.sock") };
  if (own.file.process_compose?.socket === undefined && own.file.process_compose?.port === undefined) sayAddress(look, address);
  if (!("socket" in address)) return { address, live: true };
  const bytes = Buffer.byteLength(address.socket);
  if (bytes > MAX_SOCKET_PATH_BYTES) look.unknown.push({ what: `the path of the socket ${address.socket} has ${bytes} bytes, expected at most ${MAX_SOCKET_PATH_BYTES}`, todo: "set process_compose.socket in slipstream.yaml to a shorter one in a private folder, and start Process Compose with it" });
  const path = short(workspace, address.socket);
  const away = { what: `there is no socket ${path}, so Process Compose cannot be reached`, todo: `start it with: ${startCommand(path)}${told === null ? "; or set PC_SOCKET_PATH to the socket it has" : ""}` };
  return (await isSocket(address.socket)) ? { address, live: true } : { address, live: false, away };
}

function sayAddress(look: Looking, address: SupervisorAddress): void {
  const say = (key: string, value: string | number) => look.entries.push({ path: ["process_compose", key], value });
  if ("socket" in address) say("socket", short(look.workspace, address.socket));
  else {
    say("host", address.host);
    say("port", address.port);
  }
}

/** In the foreground, without its terminal interface, on a socket instead of a TCP port that anybody could use. */
export function startCommand(socket: string): string {
  return `process-compose up -t=false -U -u ${quoted(socket)}`;
}

/** A word for a shell. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** slipstream's own; it lies in the same folder. */
const CONTROL_SOCKET = "control.sock";

async function socketsBeside(dirs: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const dir of dirs) {
    for (const name of await readdir(dir).catch(() => [])) {
      if (name.endsWith(".sock") && name !== CONTROL_SOCKET && (await isSocket(join(dir, name)))) found.add(join(dir, name));
    }
  }
  return [...found].sort();
}

async function isSocket(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isSocket() === true;
}
