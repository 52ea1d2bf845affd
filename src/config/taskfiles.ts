/** Discovery: which includes of the root Taskfile are subsystems, by the `UPSTREAM_REPO` their variables declare (V92 to V96). */

import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isMap, isScalar, type YAMLMap } from "yaml";
import type { Problem } from "../domain/errors.ts";
import { findFile, noteRead, type Position, readYaml, type YamlFile } from "./files.ts";
import { type Placed, Scope } from "./scope.ts";

/** One include that declares an upstream. */
export interface Discovered {
  readonly name: string;
  readonly at: Position;
  readonly dir: string;
  /** What its tasks are called by: `nats:`, or empty for a flattened include. */
  readonly taskPrefix: string;
  /** Its tasks cannot be called from the command line. */
  readonly internal: boolean;
  /** `NATS` of `NATS_VERSION`; empty for bare names. */
  readonly varPrefix: string;
  /** Several prefixes declare an upstream, and none is the include's own. */
  readonly ambiguous: boolean;
  readonly upstream: Placed | undefined;
  readonly branch: Placed | undefined;
  readonly strategy: Placed | undefined;
  readonly version: Placed | undefined;
  readonly binary: Placed | undefined;
  readonly releaseRepo: Placed | undefined;
  readonly releaseVersion: Placed | undefined;
}

export interface Discovery {
  /** Null when there is none, which is no problem by itself. */
  readonly rootTaskfile: string | null;
  readonly subsystems: readonly Discovered[];
  readonly warnings: readonly string[];
}

/** Task's own order of names (taskfile.dev, "Supported file names"). */
export const TASKFILE_NAMES = ["Taskfile.yml", "taskfile.yml", "Taskfile.yaml", "taskfile.yaml", "Taskfile.dist.yml", "taskfile.dist.yml", "Taskfile.dist.yaml", "taskfile.dist.yaml"];
const PREFIXED = /^([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)_UPSTREAM_REPO$/;
const REMOTE = /^[a-z][a-z0-9+.-]*:\/\/|^git@/i;

interface Context {
  readonly root: YamlFile;
  readonly scope: Scope;
  readonly problems: Problem[];
  readonly warnings: string[];
}

/** Reads the root Taskfile of a workspace and every Taskfile it includes; what is wrong goes to `problems`. */
export async function discover(workspace: string, env: Readonly<Record<string, string | undefined>>, problems: Problem[]): Promise<Discovery> {
  const rootTaskfile = await findFile(workspace, TASKFILE_NAMES);
  const root = rootTaskfile === null ? null : await readYaml(rootTaskfile, problems);
  if (rootTaskfile === null || root === null) return { rootTaskfile, subsystems: [], warnings: [] };
  const special = { ROOT_DIR: workspace, ROOT_TASKFILE: rootTaskfile, TASKFILE: rootTaskfile, TASKFILE_DIR: workspace };
  const scope = new Scope(env).withSpecial(special).extend(root, root.map(root.doc.contents, "vars"));
  const context: Context = { root, scope, problems, warnings: [] };
  const found: Discovered[] = [];
  for (const entry of root.entries(root.map(root.doc.contents, "includes"))) {
    const subsystem = await readInclude(context, entry);
    if (subsystem !== null) found.push(subsystem);
  }
  return { rootTaskfile, subsystems: found, warnings: context.warnings };
}

interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly at: Position;
}

async function readInclude(context: Context, entry: Entry): Promise<Discovered | null> {
  const { root, problems } = context;
  const map = isMap(entry.value) ? entry.value : undefined;
  const named = (key: string) => context.scope.evaluate(root.text(map, key) ?? "");
  const path = isScalar(entry.value) ? context.scope.evaluate(String(entry.value.value)) : named("taskfile");
  const dir = named("dir");
  if (!path.known || !dir.known || REMOTE.test(path.text)) {
    const why = path.known ? (dir.known ? "is remote" : `has the folder ${dir.why}`) : `has the path ${path.why}`;
    context.warnings.push(`include ${entry.key} ${why}, which is not followed; if it is a subsystem, describe it below subsystems.${entry.key} in slipstream.yaml`);
    return null;
  }
  if (path.text === "") return null;
  const workspace = dirname(root.path);
  const target = resolve(workspace, path.text);
  const taskfile = await taskfileAt(target);
  if (taskfile === null) {
    if (root.text(map, "optional") !== "true") problems.push({ ...entry.at, message: `include ${entry.key}: no Taskfile at ${target}, expected one (or optional: true)` });
    return null;
  }
  const included = await readYaml(taskfile, problems);
  if (included === null) return null;
  const includeVars = root.map(map, "vars");
  return describe(context, { ...entry, map, includeVars, included, dir: dir.text === "" ? dirname(taskfile) : resolve(workspace, dir.text) });
}

interface Included extends Entry {
  readonly map: YAMLMap | undefined;
  readonly includeVars: YAMLMap | undefined;
  readonly included: YamlFile;
  readonly dir: string;
}

function describe(context: Context, inc: Included): Discovered | null {
  const { root } = context;
  const ownVars = inc.included.map(inc.included.doc.contents, "vars");
  const declared = new Set([...root.entries(inc.includeVars), ...inc.included.entries(ownVars)].map((e) => e.key));
  const prefixes = upstreamPrefixes(declared);
  if (prefixes.length === 0) return null;
  const own = inc.key.toUpperCase().replaceAll("-", "_");
  const prefix = prefixes.find((p) => p === "") ?? prefixes.find((p) => p === own) ?? (prefixes.length === 1 ? prefixes[0] : undefined);
  const special = { TASKFILE: inc.included.path, TASKFILE_DIR: dirname(inc.included.path) };
  const scope = context.scope.extend(root, inc.includeVars).withSpecial(special).extend(inc.included, ownVars);
  const nameOf = (base: string) => [prefix === undefined || prefix === "" ? base : `${prefix}_${base}`, base, `${own}_${base}`].find((n) => declared.has(n));
  const pick = (base: string) => scope.get(nameOf(base) ?? "");
  warnOfFixedVersion(context, inc, nameOf("VERSION"));
  return {
    name: inc.key,
    at: inc.at,
    dir: inc.dir,
    taskPrefix: root.text(inc.map, "flatten") === "true" ? "" : `${inc.key}:`,
    internal: root.text(inc.map, "internal") === "true",
    varPrefix: (nameOf("VERSION") ?? nameOf("UPSTREAM_REPO") ?? "").replace(/_?(VERSION|UPSTREAM_REPO)$/, ""),
    ambiguous: prefix === undefined,
    upstream: prefix === undefined ? undefined : pick("UPSTREAM_REPO"),
    branch: pick("UPSTREAM_BRANCH"),
    strategy: pick("VERSION_STRATEGY"),
    version: pick("VERSION"),
    binary: pick("BIN_NAME"),
    // One distribution for the whole workspace is said once, at the top.
    releaseRepo: pick("RELEASE_REPO") ?? context.scope.get("RELEASE_REPO"),
    releaseVersion: pick("RELEASE_VERSION"),
  };
}

/** Task lets an include's variable win over the command line, so a fixed version there makes `VERSION=…` do nothing. */
function warnOfFixedVersion(context: Context, inc: Included, name: string | undefined): void {
  const written = name === undefined ? undefined : context.root.text(inc.includeVars, name);
  if (written === undefined || written.includes("{{")) return;
  context.warnings.push(`include ${inc.key} fixes ${name} to ${written}, so ${name}=… on Task's command line is ignored; write '{{.${name} | default "${written}"}}'`);
}

function upstreamPrefixes(declared: ReadonlySet<string>): string[] {
  const prefixes: string[] = declared.has("UPSTREAM_REPO") ? [""] : [];
  for (const name of declared) {
    const prefix = PREFIXED.exec(name)?.[1];
    if (prefix !== undefined) prefixes.push(prefix);
  }
  return prefixes;
}

/** The Taskfile an include names: the file itself, or the one in that folder. */
export async function taskfileAt(path: string): Promise<string | null> {
  const info = await stat(path).catch(() => null);
  // A folder that is not there yet has its Taskfile below it, most likely.
  for (const place of info === null ? [path, join(path, "Taskfile.yml")] : [path]) noteRead(place);
  if (info?.isFile() === true) return path;
  return info?.isDirectory() === true ? findFile(path, TASKFILE_NAMES) : null;
}
