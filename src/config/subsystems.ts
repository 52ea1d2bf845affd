/** Lays `slipstream.yaml` over what the Taskfiles say: one description per subsystem, or a problem that names the key to set. */

import { join, relative, resolve } from "node:path";
import type { Problem } from "../domain/errors.ts";
import { type Command, isSubsystemName, type StageTimeouts, type Strategy, type Subsystem } from "../domain/subsystem.ts";
import { parseVersion } from "../domain/version.ts";
import { closest, positionOf } from "./explain.ts";
import type { Position, YamlFile } from "./files.ts";
import { mergeHealth, mergePolicy } from "./layers.ts";
import { repositoryName, upstreamProblem } from "./repository.ts";
import type { ConfigFile, SubsystemFile } from "./schema.ts";
import type { Placed } from "./scope.ts";
import type { Discovered } from "./taskfiles.ts";

/** A subsystem before the process-compose file is looked at. */
export type Draft = Omit<Subsystem, "process" | "notManaged">;

export interface DraftInput {
  readonly workspace: string;
  readonly file: ConfigFile;
  readonly yaml: YamlFile | null;
  readonly discovered: readonly Discovered[];
  readonly sourceTimeoutMs: number;
}

const DEFAULT_BUILD_MS = 30 * 60_000;
const DEFAULT_TEST_MS = 15 * 60_000;
const DEFAULT_BRANCH = "main";
const STRATEGIES: readonly string[] = ["tags", "commits", "releases"] satisfies Strategy[];
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._+-]*$/;
/** A git ref that can never be taken for an option. */
const REF = /^[A-Za-z0-9_][A-Za-z0-9._/+-]*$/;
const COMMIT = /^[0-9a-f]{7,40}$/;

/** Every enabled subsystem, sorted by name; what is wrong goes to `problems`, and that subsystem is left out. */
export function draftSubsystems(input: DraftInput, problems: Problem[]): Draft[] {
  const found = new Map(input.discovered.map((d) => [d.name, d]));
  const names = [...new Set([...found.keys(), ...Object.keys(input.file.subsystems ?? {})])].sort();
  const drafts: Draft[] = [];
  for (const name of names) {
    const before = problems.length;
    const draft = new Drafting(input, name, found.get(name), problems).draft();
    if (draft !== null && problems.length === before) drafts.push(draft);
  }
  return drafts;
}

class Drafting {
  readonly #input: DraftInput;
  readonly #name: string;
  readonly #found: Discovered | undefined;
  readonly #own: SubsystemFile;
  readonly #problems: Problem[];

  constructor(input: DraftInput, name: string, found: Discovered | undefined, problems: Problem[]) {
    this.#input = input;
    this.#name = name;
    this.#found = found;
    this.#own = input.file.subsystems?.[name] ?? {};
    this.#problems = problems;
  }

  draft(): Draft | null {
    const own = this.#own;
    if (own.enabled === false || !this.#nameIsUsable()) return null;
    const upstream = this.#upstream();
    const { strategy, branch } = this.#tracking();
    const build = this.#build();
    if (upstream === null || build === null) return null;
    const version = this.#found?.version;
    const declared = version?.known === true ? version.text : "";
    return {
      name: this.#name,
      dir: this.#dir(),
      upstream,
      repositories: this.#repositories(upstream),
      branch,
      strategy,
      ...(declared === "" ? {} : { declaredVersion: declared }),
      ...(own.pin === undefined ? {} : { pin: this.#checked("pin", own.pin, REF) }),
      binary: this.#checked("binary", own.binary ?? this.#read("binary", this.#found?.binary) ?? this.#name, FILE_NAME),
      varPrefix: this.#found?.varPrefix ?? "",
      build,
      buildVars: own.build?.vars ?? {},
      ...(own.test === undefined ? {} : { test: commandOf(own.test) as Command }),
      ...(own.smoke === undefined ? {} : { smoke: { argv: own.smoke.command } }),
      timeouts: this.#timeouts(),
      health: mergeHealth(this.#input.file.defaults?.health, own.health),
      policy: mergePolicy(this.#input.file.defaults?.policy, own.policy),
    };
  }

  #nameIsUsable(): boolean {
    if (isSubsystemName(this.#name)) return true;
    const at = this.#found?.at ?? this.#configAt();
    this.#problems.push({ ...at, message: `${this.#name} is no subsystem name, expected small letters, digits and dashes; rename it, or set subsystems.${this.#name}.enabled to false` });
    return false;
  }

  #upstream(): string | null {
    const own = this.#own.upstream;
    const found = this.#found;
    const text = own ?? this.#read("upstream", found?.upstream);
    const at = own === undefined ? (found?.upstream?.at ?? found?.at ?? this.#configAt()) : this.#configAt("upstream");
    if (text !== undefined) {
      const wrong = upstreamProblem(text);
      if (wrong !== null) this.#problems.push({ ...at, message: `the upstream of ${this.#name} ${wrong}` });
      return wrong === null ? text : null;
    }
    if (found?.upstream?.known === false) return null;
    this.#problems.push({ ...at, message: this.#missingUpstream() });
    return null;
  }

  #missingUpstream(): string {
    const set = `set subsystems.${this.#name}.upstream in slipstream.yaml`;
    if (this.#found?.ambiguous === true) return `${this.#name} has several UPSTREAM_REPO variables; ${set}`;
    if (this.#found !== undefined) return `UPSTREAM_REPO of ${this.#name} is empty; set it there, or ${set}`;
    const guess = closest(this.#name, this.#input.discovered.map((d) => d.name));
    return `${this.#name} is in no include of the root Taskfile that declares UPSTREAM_REPO; ${set}${guess === null ? "" : `, or did you mean ${guess}?`}`;
  }

  #tracking(): { strategy: Strategy; branch: string } {
    const { version, branch, strategy } = this.#found ?? {};
    const told = this.#own.strategy ?? this.#read("strategy", strategy);
    if (told !== undefined && !STRATEGIES.includes(told)) {
      this.#problems.push({ ...strategy?.at ?? this.#configAt(), message: `VERSION_STRATEGY of ${this.#name} is ${told}, expected tags, commits or releases; correct it, or set subsystems.${this.#name}.strategy in slipstream.yaml` });
    }
    const pinned = told === undefined ? this.#read("strategy", version) : version?.known === true ? version.text : undefined;
    const tracked = pinned !== undefined && isBranchName(pinned, this.#name) ? pinned : undefined;
    const commits = tracked !== undefined || (pinned !== undefined && isCommit(pinned, this.#name));
    const ref = this.#own.branch ?? this.#read("branch", branch);
    const name = this.#own.branch !== undefined || (branch?.known === true && !branch.defaulted) ? ref : (tracked ?? ref);
    return { strategy: (told ?? (commits ? "commits" : "tags")) as Strategy, branch: this.#checked("branch", name ?? DEFAULT_BRANCH, REF) };
  }

  #build(): Command | null {
    const own = this.#own.build === undefined ? undefined : commandOf(this.#own.build);
    if (own !== undefined) return own;
    const key = `set subsystems.${this.#name}.build.task or .command in slipstream.yaml`;
    if (this.#found === undefined) this.#problems.push({ ...this.#configAt("build"), message: `${this.#name} has no include in the root Taskfile, so nothing builds it; ${key}` });
    else if (this.#found.internal) this.#problems.push({ ...this.#found.at, message: `include ${this.#name} is internal, so its tasks cannot be called; ${key}` });
    else return { task: `${this.#found.taskPrefix}bin:build` };
    return null;
  }

  #dir(): string {
    const { workspace } = this.#input;
    const dir = this.#own.dir !== undefined ? resolve(workspace, this.#own.dir) : (this.#found?.dir ?? join(workspace, this.#name));
    const below = relative(workspace, dir);
    if (below !== "" && below !== ".." && !below.startsWith("../")) return dir;
    const at = this.#own.dir === undefined ? (this.#found?.at ?? this.#configAt()) : this.#configAt("dir");
    this.#problems.push({ ...at, message: `the folder of ${this.#name} is ${dir}, expected one of its own inside the workspace; set dir: of the include, or subsystems.${this.#name}.dir in slipstream.yaml` });
    return dir;
  }

  #repositories(upstream: string): string[] {
    const names = new Set<string>();
    const first = repositoryName(upstream);
    if (first !== null) names.add(first);
    for (const [index, given] of (this.#own.repositories ?? []).entries()) {
      const name = repositoryName(given);
      if (name === null) this.#problems.push({ ...this.#configAt("repositories", index), message: `repositories of ${this.#name} has an entry that is no owner/name` });
      else names.add(name);
    }
    return [...names];
  }

  #timeouts(): StageTimeouts {
    return { source: this.#input.sourceTimeoutMs, build: this.#own.build?.timeout ?? DEFAULT_BUILD_MS, test: this.#own.test?.timeout ?? DEFAULT_TEST_MS };
  }

  /** A Taskfile variable's text; undefined when unset or empty, and when it is not understood (then with a problem, unless `slipstream.yaml` says it). */
  #read(key: "upstream" | "branch" | "strategy" | "binary", value: Placed | undefined): string | undefined {
    if (value === undefined || this.#own[key] !== undefined) return undefined;
    if (value.known) return value.text === "" ? undefined : value.text;
    this.#problems.push({ ...value.at, message: `${value.why} is not understood here (only literals, env and default are); set subsystems.${this.#name}.${key} in slipstream.yaml` });
    return undefined;
  }

  #checked(key: "pin" | "binary" | "branch", value: string, pattern: RegExp): string {
    if (pattern.test(value) && !value.includes("..")) return value;
    const at = this.#own[key] === undefined ? (key === "pin" ? undefined : this.#found?.[key]?.at ?? this.#found?.version?.at) : this.#configAt(key);
    this.#problems.push({ ...(at ?? this.#configAt()), message: `${key} of ${this.#name} is ${JSON.stringify(value)}, expected ${key === "binary" ? "a plain file name" : "a git ref"}; set subsystems.${this.#name}.${key} in slipstream.yaml` });
    return value;
  }

  #configAt(...path: PropertyKey[]): Position {
    const { yaml, workspace } = this.#input;
    return yaml === null ? { file: join(workspace, "slipstream.yaml") } : positionOf(yaml, ["subsystems", this.#name, ...path]);
  }
}

function isBranchName(text: string, subsystem: string): boolean {
  return text !== "" && text !== "latest" && !COMMIT.test(text) && parseVersion(text, subsystem) === null;
}

function isCommit(text: string, subsystem: string): boolean {
  return COMMIT.test(text) && parseVersion(text, subsystem) === null;
}

function commandOf(given: { readonly task?: string | undefined; readonly command?: readonly string[] | undefined }): Command | undefined {
  if (given.command !== undefined) return { argv: given.command };
  return given.task === undefined ? undefined : { task: given.task };
}
