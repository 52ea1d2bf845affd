/** Reads the files of a workspace into the model that the detectors look at. */

import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isMap, isScalar, isSeq, type Scalar, type YAMLMap } from "yaml";
import { findFile, parseYaml, readSmallFile, type YamlFile } from "../files.ts";
import { readOwnFile } from "../own-file.ts";
import { readProcessFile } from "../processes.ts";
import { Scope } from "../scope.ts";
import { TASKFILE_NAMES, taskfileAt } from "../taskfiles.ts";
import type { Call, Model, ProcessFileView, ProcessView, Shell, TaskfileView, TaskView, TextView } from "./model.ts";

export interface ReadInput {
  readonly workspace: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--config` */
  readonly config?: string | undefined;
}

/** A longer one is no command but a program, which is not looked into. */
const MAX_SHELL_CHARS = 16_384;

/** Texts that stand for those on disk, by path. */
export type Overlay = ReadonlyMap<string, string>;

/** What cannot be read or parsed is left out: `doctor` says so elsewhere. */
export async function readModel(input: ReadInput, overlay: Overlay = new Map()): Promise<Model> {
  const { workspace } = input;
  const open = (path: string) => openText(path, overlay);
  const taskfiles = await readTaskfiles(workspace, open);
  const processFile = await readProcesses(input, open);
  const workflows = await readWorkflows(workspace, open);
  const goVersion = await readGoVersion(workspace, open);
  return { workspace, taskfiles, ...(processFile === undefined ? {} : { processFile }), stamps: await readStamps(taskfiles, open), workflows, ...(goVersion === undefined ? {} : { goVersion }) };
}

type Open = (path: string) => Promise<TextView | undefined>;

async function openText(path: string, overlay: Overlay): Promise<TextView | undefined> {
  const text = overlay.get(path) ?? (await readSmallFile(path, []))?.text;
  return text === undefined ? undefined : { path, text };
}

async function readTaskfiles(workspace: string, open: Open): Promise<TaskfileView[]> {
  const path = await findFile(workspace, TASKFILE_NAMES);
  const file = path === null ? undefined : await open(path);
  const yaml = file === undefined ? null : parseYaml(file.path, file.text, []);
  if (file === undefined || yaml === null) return [];
  // What the environment says is not the file's own defect.
  const scope = new Scope({}).withSpecial({ ROOT_DIR: workspace, ROOT_TASKFILE: file.path, TASKFILE: file.path, TASKFILE_DIR: workspace }).extend(yaml, yaml.map(yaml.doc.contents, "vars"));
  const root = taskfile({ yaml, text: file.text, path: file.path, prefix: "", root: true, dir: workspace, scope, upstream: false });
  const included: Draft[] = [];
  for (const { key, value } of yaml.entries(yaml.map(yaml.doc.contents, "includes"))) {
    const one = await readInclude({ root: yaml, scope, workspace, open }, key, value);
    if (one !== undefined) included.push(one);
  }
  return [root, ...distinct(included).map(taskfile)];
}

interface Including {
  readonly root: YamlFile;
  readonly scope: Scope;
  readonly workspace: string;
  readonly open: Open;
}

type Draft = Omit<TaskfileView, "tasks">;

async function readInclude({ root, scope, workspace, open }: Including, key: string, value: unknown): Promise<Draft | undefined> {
  const map = isMap(value) ? value : undefined;
  const said = scope.evaluate(isScalar(value) ? String(value.value) : (root.text(map, "taskfile") ?? ""));
  const dir = scope.evaluate(root.text(map, "dir") ?? "");
  if (!said.known || !dir.known || said.text === "") return undefined;
  const path = await taskfileAt(resolve(workspace, said.text));
  const file = path === null ? undefined : await open(path);
  const yaml = file === undefined ? null : parseYaml(file.path, file.text, []);
  if (file === undefined || yaml === null) return undefined;
  const includeVars = root.map(map, "vars");
  const vars = yaml.map(yaml.doc.contents, "vars");
  const own = scope.extend(root, includeVars).withSpecial({ TASKFILE: file.path, TASKFILE_DIR: dirname(file.path) }).extend(yaml, vars);
  const names = [...root.entries(includeVars), ...yaml.entries(vars)].map((e) => e.key);
  const binary = own.get(names.find((n) => /(?:^|_)BIN_NAME$/.test(n)) ?? "");
  return {
    ...{ yaml, text: file.text, path: file.path, include: key, root: false, scope: own, upstream: names.some((n) => /(?:^|_)UPSTREAM_REPO$/.test(n)) },
    prefix: root.text(map, "flatten") === "true" ? "" : `${key}:`,
    dir: dir.text === "" ? dirname(file.path) : resolve(workspace, dir.text),
    ...(binary?.known === true && binary.text !== "" ? { binary: binary.text } : {}),
  };
}

/** A file that several includes take in is looked at once, and belongs to none of them. */
function distinct(drafts: readonly Draft[]): Draft[] {
  const byPath = Map.groupBy(drafts, (d) => d.path);
  return [...byPath.values()].flatMap(([first, ...more]) => {
    if (first === undefined) return [];
    const { include: _, ...shared } = first;
    return [more.length === 0 ? first : shared];
  });
}

function taskfile(draft: Draft): TaskfileView {
  const tasks: TaskView[] = [];
  const file: TaskfileView = { ...draft, tasks };
  for (const { key, value } of draft.yaml.map(draft.yaml.doc.contents, "tasks")?.items ?? []) {
    if (!isScalar(key)) continue;
    tasks.push(task(file, key, value));
  }
  return file;
}

function task(file: TaskfileView, key: Scalar, value: unknown): TaskView {
  const name = String(key.value);
  const map = isMap(value) ? value : undefined;
  const cmds = map === undefined ? value : (map.get("cmds", true) ?? map.get("cmd", true));
  const entries = isSeq(cmds) ? cmds.items : [cmds];
  return {
    ...{ file, name, full: `${file.prefix}${name}`, key, map },
    shells: entries.flatMap((e) => shellOf(file, e)),
    calls: entries.flatMap(callOf),
    deps: listOf(map?.get("deps", true)).flatMap((e) => (isScalar(e) ? [{ name: String(e.value), node: e }] : callOf(e))),
    status: listOf(map?.get("status", true)).flatMap((e) => shellOf(file, e)),
    hasSources: map?.has("sources") === true || map?.has("generates") === true,
  };
}

function listOf(node: unknown): readonly unknown[] {
  return isSeq(node) ? node.items : isScalar(node) ? [node] : [];
}

function shellOf(file: TaskfileView, entry: unknown): Shell[] {
  const node = isMap(entry) ? (entry.get("cmd", true) as unknown) : entry;
  if (!isScalar(node) || typeof node.value !== "string" || node.range == null || node.value.length > MAX_SHELL_CHARS) return [];
  return [{ text: node.value, node, start: node.range[0], source: file.text.slice(node.range[0], node.range[1]), plain: node === entry }];
}

function callOf(entry: unknown): Call[] {
  const node = isMap(entry) ? (entry.get("task", true) as unknown) : undefined;
  return isScalar(node) ? [{ name: String(node.value), node }] : [];
}

/** The one process-compose file; where several are laid over each other, no single one says what a process is. */
async function readProcesses({ workspace, env, config }: ReadInput, open: Open): Promise<ProcessFileView | undefined> {
  const own = (await readOwnFile(workspace, config, [])).file.process_compose?.file;
  if (own === undefined && (env.PC_CONFIG_FILES ?? "").includes(",")) return undefined;
  const found = await readProcessFile(workspace, { configured: own, env: env.PC_CONFIG_FILES }, []);
  const file = found === null ? undefined : await open(found.path);
  const yaml = file === undefined ? null : parseYaml(file.path, file.text, []);
  if (file === undefined || yaml === null || (await isOverridden(file.path)) || yaml.text(yaml.doc.contents, "extends") !== undefined) return undefined;
  return { yaml, text: file.text, path: file.path, processes: processesOf(yaml) };
}

async function isOverridden(path: string): Promise<boolean> {
  const names = await readdir(dirname(path)).catch(() => []);
  return names.some((n) => /^(?:process-)?compose\.override\.ya?ml$/.test(n));
}

function processesOf(yaml: YamlFile): ProcessView[] {
  const all = plainOf(yaml)?.processes as Readonly<Record<string, unknown>> | undefined;
  const map = yaml.map(yaml.doc.contents, "processes") as YAMLMap | undefined;
  return (map?.items ?? []).flatMap(({ key, value: node }) => {
    const value = isScalar(key) ? all?.[String(key.value)] : undefined;
    if (!isScalar(key) || typeof value !== "object" || value === null) return [];
    const command = (value as { command?: unknown }).command;
    return [{ name: String(key.value), key, map: isMap(node) ? node : undefined, value: value as Readonly<Record<string, unknown>>, command: typeof command === "string" ? command : "" }];
  });
}

function plainOf(yaml: YamlFile): Readonly<Record<string, unknown>> | undefined {
  try {
    return yaml.doc.toJS() as Readonly<Record<string, unknown>>;
  } catch {
    return undefined; // aliases that would make it enormous
  }
}

async function readStamps(taskfiles: readonly TaskfileView[], open: Open): Promise<Model["stamps"]> {
  const found: { path: string; text: string; include: string }[] = [];
  for (const { include, dir, upstream } of taskfiles) {
    const file = include === undefined || !upstream ? undefined : await open(join(dir, ".bin", ".version"));
    if (file !== undefined && include !== undefined) found.push({ ...file, include });
  }
  return found;
}

async function readWorkflows(workspace: string, open: Open): Promise<TextView[]> {
  const dir = join(workspace, ".github", "workflows");
  const names = (await readdir(dir).catch(() => [])).filter((n) => /\.ya?ml$/.test(n)).sort();
  const files = await Promise.all(names.map((n) => open(join(dir, n))));
  return files.filter((f) => f !== undefined);
}

async function readGoVersion(workspace: string, open: Open): Promise<Model["goVersion"]> {
  for (const name of ["go.work", "go.mod"]) {
    const version = /^go (\d+\.\d+(?:\.\d+)?)\s*$/m.exec((await open(join(workspace, name)))?.text ?? "")?.[1];
    if (version !== undefined) return { version, file: name };
  }
  return undefined;
}
