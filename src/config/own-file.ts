/** `slipstream.yaml` itself: parsed, checked, and what is wrong taken out so that the rest can still be judged. */

import { lstat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { visit } from "yaml";
import { messageOf, type Problem } from "../domain/errors.ts";
import { explainIssues } from "./explain.ts";
import { noteRead, type Position, readYaml, type YamlFile } from "./files.ts";
import { ConfigFile } from "./schema.ts";

const CONFIG_NAMES = ["slipstream.yaml", "slipstream.yml"];

export interface OwnFile {
  readonly file: ConfigFile;
  readonly yaml: YamlFile | null;
  /** Subsystems whose keys are wrong: said once, and not judged further. */
  readonly broken: ReadonlySet<string>;
}

/** Reads the file named by a flag, else the one in the workspace; nothing at all is fine. */
export async function readOwnFile(workspace: string, flag: string | undefined, problems: Problem[]): Promise<OwnFile> {
  const path = flag === undefined ? await ownPath(workspace) : resolve(workspace, flag);
  const nothing: OwnFile = { file: {}, yaml: null, broken: new Set() };
  if (path === null) return nothing;
  const before = problems.length;
  const yaml = await readYaml(path, problems);
  if (yaml === null) {
    if (problems.length === before) problems.push({ file: path, message: flag === undefined ? "is a link that leads nowhere, expected a file; mend it, or remove it" : "is missing, but --config names it" });
    return nothing;
  }
  const raw = plainValue(yaml, problems);
  if (raw === undefined) return { ...nothing, yaml };
  const parsed = ConfigFile.safeParse(raw);
  if (parsed.success) return { file: parsed.data, yaml, broken: new Set() };
  const issues = parsed.error.issues;
  problems.push(...explainIssues(yaml, issues));
  const broken = new Set(issues.filter((i) => i.path[0] === "subsystems").map((i) => String(i.path[1] ?? "")));
  for (const issue of issues) {
    if (issue.code === "unrecognized_keys") for (const key of issue.keys) removeAt(raw, [...issue.path, key]);
    else removeAt(raw, issue.path);
  }
  return { file: ConfigFile.safeParse(raw).data ?? {}, yaml, broken };
}

/** Whatever has its name: a link that leads nowhere, or a folder, must not pass for "no configuration". */
async function ownPath(workspace: string): Promise<string | null> {
  for (const name of CONFIG_NAMES) {
    const path = join(workspace, name);
    noteRead(path);
    if ((await lstat(path).catch(() => null)) !== null) return path;
  }
  return null;
}

/** The file as plain values; undefined (with a problem) when its aliases would make it enormous. */
function plainValue(yaml: YamlFile, problems: Problem[]): unknown {
  try {
    return (yaml.doc.toJS() as unknown) ?? {};
  } catch (error) {
    problems.push({ ...aliasAt(yaml), message: `has aliases (*name) that cannot be followed, expected few and none inside another (${messageOf(error)}); write the values out` });
    return undefined;
  }
}

/** Where its last alias stands: one that holds others comes after them. */
function aliasAt(yaml: YamlFile): Position {
  let last: unknown;
  visit(yaml.doc, {
    Alias: (_, alias) => {
      last = alias;
    },
  });
  return last === undefined ? { file: yaml.path } : yaml.at(last);
}

/** Takes a wrong value out, so that what is right around it is still checked; a list goes as a whole, since a hole in it would be wrong too. */
function removeAt(root: unknown, whole: readonly PropertyKey[]): void {
  const index = whole.findIndex((step) => typeof step === "number");
  const path = index === -1 ? whole : whole.slice(0, index);
  let node = root as Record<PropertyKey, unknown> | undefined;
  for (const step of path.slice(0, -1)) node = node?.[step] as Record<PropertyKey, unknown> | undefined;
  const last = path.at(-1);
  if (last !== undefined && typeof node === "object" && node !== null) delete node[last];
}
