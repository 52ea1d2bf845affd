/** Folders that look like a subsystem although no include of the root Taskfile declares one. */

import { access, constants, readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { isScalar } from "yaml";
import type { Problem } from "../domain/errors.ts";
import { findFile, readYaml, type YamlFile } from "./files.ts";
import { originOf } from "./git-remote.ts";
import { PROGRAM_NAME } from "./plain.ts";

export interface Folder {
  readonly name: string;
  readonly dir: string;
  /** It has a checkout in `.src`. */
  readonly source: boolean;
  /** Where that checkout came from. */
  readonly origin?: string;
  readonly programs: readonly string[];
  /** Programs whose names are not plain. */
  readonly odd: readonly string[];
  /** The Task task that builds it, where an include has one. */
  readonly buildTask?: string;
}

/** No workspace has more programs; beyond this the folder is something else. */
const MAX_FOLDERS = 500;

/** What lies directly in the workspace, has a checkout or a program, and is not among the known folders; sorted by name. */
export async function undeclaredFolders(place: { readonly workspace: string; readonly rootTaskfile: string | null }, known: ReadonlySet<string>, problems: Problem[]): Promise<Folder[]> {
  const entries = await readdir(place.workspace, { withFileTypes: true });
  const dirs = entries.filter((e) => e.isDirectory() && !e.name.startsWith(".") && e.name !== "node_modules").slice(0, MAX_FOLDERS);
  const tasks = place.rootTaskfile === null ? new Map<string, string>() : await buildTasks(place.rootTaskfile);
  const found: Folder[] = [];
  for (const dir of dirs.map((e) => join(place.workspace, e.name)).sort()) {
    const folder = known.has(dir) ? null : await folderAt(dir, tasks.get(dir), problems);
    if (folder !== null) found.push(folder);
  }
  return found;
}

async function folderAt(dir: string, buildTask: string | undefined, problems: Problem[]): Promise<Folder | null> {
  const source = await exists(join(dir, ".src", ".git"));
  const { programs, odd } = await programsIn(dir);
  if (!source && programs.length + odd.length === 0) return null;
  const origin = source ? await originOf(join(dir, ".src"), problems) : undefined;
  return { name: basename(dir), dir, source, programs, odd, ...(origin === undefined ? {} : { origin }), ...(buildTask === undefined ? {} : { buildTask }) };
}

/** Names of the executable files in a subsystem's `.bin`, sorted; apart from them those that no configuration could name. */
export async function programsIn(dir: string): Promise<Pick<Folder, "programs" | "odd">> {
  const entries = await readdir(join(dir, ".bin"), { withFileTypes: true }).catch(() => []);
  const names: string[] = [];
  for (const { name } of entries.filter((e) => e.isFile() && !e.name.startsWith("."))) {
    if (await access(join(dir, ".bin", name), constants.X_OK).then(() => true, () => false)) names.push(name);
  }
  names.sort();
  return { programs: names.filter((name) => PROGRAM_NAME.test(name)), odd: names.filter((name) => !PROGRAM_NAME.test(name)) };
}

export function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}

/** Folder → task, for every include that has a task `bin:build`. What is wrong with a Taskfile is said where subsystems are discovered. */
async function buildTasks(rootTaskfile: string): Promise<Map<string, string>> {
  const root = await readYaml(rootTaskfile, []);
  const found = new Map<string, string>();
  if (root === null) return found;
  for (const { key, value } of root.entries(root.map(root.doc.contents, "includes"))) {
    const path = isScalar(value) ? String(value.value) : root.text(value, "taskfile");
    if (path === undefined || path.includes("{{") || path.includes("://")) continue;
    const target = resolve(dirname(rootTaskfile), path);
    const file = (await findFile(target, ["Taskfile.yml", "taskfile.yml", "Taskfile.yaml", "taskfile.yaml"])) ?? target;
    const included = await readYaml(file, []);
    if (included === null || !hasTask(included, "bin:build")) continue;
    const dir = root.text(value, "dir");
    found.set(dir === undefined ? dirname(file) : resolve(dirname(rootTaskfile), dir), `${root.text(value, "flatten") === "true" ? "" : `${key}:`}bin:build`);
  }
  return found;
}

function hasTask(file: YamlFile, name: string): boolean {
  return file.entries(file.map(file.doc.contents, "tasks")).some((t) => t.key === name);
}
