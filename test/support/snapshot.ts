/** What runs at one moment, by pid and by the digest of the executable the kernel has mapped; and what changed between two moments. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { RunningWorkspace } from "./workspace.ts";

export interface Seen {
  /** 0 when it does not run. */
  readonly pid: number;
  /** Digest of `/proc/<pid>/exe`. */
  readonly running: string;
  /** Digest of the installed binary; the same as `running` for processes that are no subsystem. */
  readonly installed: string;
  readonly restarts: number;
}

/** By name under Process Compose, sorted. */
export type Snapshot = ReadonlyMap<string, Seen>;

/** `sha256:<hex>` of a file, or of the executable behind `/proc/<pid>/exe`. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest("hex")}`;
}

const known = new Map<string, Promise<string>>();

/** The same for what no test replaces: the daemon's Node.js has 100 MB. */
async function digestOfForeign(path: string): Promise<string> {
  const { dev, ino, size, ctimeNs } = await stat(path, { bigint: true });
  const key = [dev, ino, size, ctimeNs].join(" ");
  const digest = known.get(key) ?? digestOf(path);
  known.set(key, digest);
  return digest;
}

export async function takeSnapshot(ws: Pick<RunningWorkspace, "processes" | "subsystems">): Promise<Snapshot> {
  const binaries = new Map(Object.values(ws.subsystems).map((s) => [s.process, s.binaryPath]));
  const states = [...(await ws.processes())].sort(([a], [b]) => (a < b ? -1 : 1));
  const seen = states.map(async ([name, state]): Promise<[string, Seen]> => {
    const pid = state.isRunning ? state.pid : 0;
    const binary = binaries.get(name);
    const running = pid === 0 ? "not running" : await (binary === undefined ? digestOfForeign : digestOf)(`/proc/${pid}/exe`);
    return [name, { pid, running, installed: binary === undefined ? running : await digestOf(binary), restarts: state.restarts }];
  });
  return new Map(await Promise.all(seen));
}

export interface Difference {
  /** Another pid than before. */
  readonly restarted: readonly string[];
  /** The same pid, the same mapped executable, the same installed binary and the same number of restarts. */
  readonly untouched: readonly string[];
}

/** A process that is in neither list kept its pid while something else about it changed. */
export function compareSnapshots(before: Snapshot, after: Snapshot): Difference {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const same = (name: string) => {
    const [a, b] = [before.get(name), after.get(name)];
    return a !== undefined && b !== undefined && a.pid !== 0 && a.pid === b.pid && a.running === b.running && a.installed === b.installed && a.restarts === b.restarts;
  };
  return { restarted: names.filter((name) => before.get(name)?.pid !== after.get(name)?.pid), untouched: names.filter(same) };
}
