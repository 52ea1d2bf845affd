/** The process-compose file: which processes there are, and which of them runs a subsystem's binary. */

import { join, relative, resolve } from "node:path";
import type { Problem } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { findFile, type Position, readYaml } from "./files.ts";
import { entriesOf } from "./process-entry.ts";

/** A setting and where it stands. */
export interface Placed<T> {
  readonly value: T;
  readonly at: Position;
}

/** A path of Process Compose's own `watch` (1.122 and later). */
export interface WatchedPath {
  /** Absolute. */
  readonly path: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Whether `bin`, `build` and the like are left out by themselves. */
  readonly defaultExcludes: boolean;
}

export interface ProcessEntry {
  readonly name: string;
  /** Where its name stands. */
  readonly at: Position;
  /** The command line, or the entrypoint joined by blanks. */
  readonly command: string;
  /** Absolute path. */
  readonly workingDir: string;
  /** `is_daemon: true` */
  readonly daemon?: Position;
  /** `exit_on_end`, `exit_on_skipped` or `restart: exit_on_failure`, as they are written. */
  readonly endsProject?: Placed<string>;
  readonly watched: readonly Placed<WatchedPath>[];
}

export interface ProcessFile {
  readonly path: string;
  readonly processes: readonly ProcessEntry[];
}

const OWN_NAMES = ["process-compose.yml", "process-compose.yaml"];
/** Docker uses these names too; they count only when they have `processes:`. */
const SHARED_NAMES = ["compose.yml", "compose.yaml"];

/** Reads the process-compose files: the configured one, those of `PC_CONFIG_FILES`, or the one in the workspace. Null when there is none. */
export async function readProcessFile(workspace: string, wanted: { readonly configured?: string | undefined; readonly env?: string | undefined }, problems: Problem[]): Promise<ProcessFile | null> {
  if (wanted.configured !== undefined || (wanted.env ?? "") !== "") {
    const paths = wanted.configured === undefined ? (wanted.env ?? "").split(",").map((p) => p.trim()) : [wanted.configured];
    return readNamed(workspace, paths.filter((p) => p !== "").map((p) => resolve(workspace, p)), problems);
  }
  for (const name of [...OWN_NAMES, ...SHARED_NAMES]) {
    const path = await findFile(workspace, [name]);
    if (path === null) continue;
    const file = await readYaml(path, problems);
    if (file === null) return null;
    if (file.map(file.doc.contents, "processes") !== undefined) return { path, processes: entriesOf(workspace, file) };
  }
  return null;
}

async function readNamed(workspace: string, paths: readonly string[], problems: Problem[]): Promise<ProcessFile | null> {
  const byName = new Map<string, ProcessEntry>();
  for (const path of paths) {
    const before = problems.length;
    const file = await readYaml(path, problems);
    if (file === null && problems.length === before) problems.push({ file: path, message: "is missing, expected the process-compose file (process_compose.file or PC_CONFIG_FILES names it)" });
    if (file !== null) for (const entry of entriesOf(workspace, file)) byName.set(entry.name, entry);
  }
  const first = paths[0];
  return first === undefined ? null : { path: first, processes: [...byName.values()] };
}

export type ProcessMatch = { readonly kind: "found"; readonly name: string } | { readonly kind: "none" } | { readonly kind: "several"; readonly names: readonly string[] };

/** The process of a subsystem: the one of the same name, else the only one that runs its binary or its `run` task. */
export function matchProcess(workspace: string, subsystem: Pick<Subsystem, "name" | "dir" | "binary">, file: ProcessFile): ProcessMatch {
  if (file.processes.some((p) => p.name === subsystem.name)) return { kind: "found", name: subsystem.name };
  const [first, ...more] = file.processes.filter((p) => runs(p, workspace, subsystem));
  if (first === undefined) return { kind: "none" };
  return more.length === 0 ? { kind: "found", name: first.name } : { kind: "several", names: [first, ...more].map((p) => p.name) };
}

function runs(process: ProcessEntry, workspace: string, subsystem: Pick<Subsystem, "name" | "dir" | "binary">): boolean {
  const binary = join(subsystem.dir, ".bin", subsystem.binary);
  const forms = [binary, relative(workspace, binary), relative(process.workingDir, binary)].map(escaped);
  return new RegExp(`(?:^|[\\s"'=])(?:\\./)?(?:${forms.join("|")})(?![\\w.-])`).test(process.command) || new RegExp(`\\btask\\s+(?:-\\S+\\s+)*${escaped(subsystem.name)}:run(?![\\w:.-])`).test(process.command);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
