/** Lays `slipstream.yaml` over what the Taskfiles say: one description per subsystem, or a problem that names the key to set. */

import { join, relative, resolve } from "node:path";
import type { Problem } from "../domain/errors.ts";
import { isPin } from "../domain/pin.ts";
import { type Command, isSubsystemName, type Mode, type Origin, type StageTimeouts, type Strategy, type Subsystem } from "../domain/subsystem.ts";
import { isTracked } from "../domain/tags.ts";
import { parseVersion, type VersionScheme } from "../domain/version.ts";
import { closest } from "./closest.ts";
import { mergeHealth, mergePolicy } from "./layers.ts";
import { PROGRAM_NAME } from "./plain.ts";
import { type Chosen, chooseMode, type KnownUpstream, releasePin, sourceFeed, upstreamOf } from "./release.ts";
import { upstreamProblem } from "./repository.ts";
import type { Placed } from "./scope.ts";
import { type DraftInput, isRef, PIN_WANTED, REF, schemeOf, Subject } from "./subject.ts";
import { type Common, describeOrigin, entriesOf, lowerOrigin, nothingToBuild, refuseTwice, toldUpstream } from "./upstreams.ts";

/** A subsystem before the process-compose file is looked at. */
export type Draft = Omit<Subsystem, "process" | "notManaged">;

export interface Drafts {
  /** Every enabled subsystem nothing is wrong with, sorted by name. */
  readonly drafts: readonly Draft[];
  /** The modes of every enabled subsystem, those with problems too. */
  readonly modes: readonly Mode[];
}

const DEFAULT_BUILD_MS = 30 * 60_000;
const DEFAULT_TEST_MS = 15 * 60_000;
const DEFAULT_BRANCH = "main";
const DEFAULT_KEPT = 3;
const STRATEGIES: readonly string[] = ["tags", "commits", "releases"] satisfies Strategy[];
const COMMIT = /^[0-9a-f]{7,40}$/;

/** Describes every enabled subsystem; what is wrong goes to `problems`, and that subsystem is left out. */
export async function draftSubsystems(input: DraftInput, problems: Problem[]): Promise<Drafts> {
  const names = [...new Set([...input.discovered.map((d) => d.name), ...Object.keys(input.file.subsystems ?? {})])].sort();
  const drafts: Draft[] = [];
  const modes: Mode[] = [];
  for (const name of names) {
    const before = problems.length;
    const subject = new Subject(input, name, problems);
    if (subject.own.enabled === false || !nameIsUsable(subject)) continue;
    const { mode, draft } = await new Drafting(subject).draft();
    modes.push(mode);
    if (draft !== null && problems.length === before) drafts.push(draft);
  }
  return { drafts, modes };
}

function nameIsUsable(subject: Subject): boolean {
  const { name, found } = subject;
  if (isSubsystemName(name)) return true;
  subject.problem(found?.at ?? subject.at(), `${name} is no subsystem name, expected small letters, digits and dashes; rename it, or set subsystems.${name}.enabled to false`);
  return false;
}

class Drafting {
  readonly #subject: Subject;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  async draft(): Promise<{ mode: Mode; draft: Draft | null }> {
    const { name, own, found, defaults, input } = this.#subject;
    const dir = this.#dir();
    const [first, ...lower] = entriesOf(this.#subject);
    const told = this.#upstream(first);
    const chosen = await chooseMode(first, dir, told);
    const { mode } = chosen;
    const { strategy, branch } = this.#tracking();
    const build = this.#build(mode);
    const upstream = told ?? this.#withoutUpstream(first, told, chosen);
    const feed = chosen.mode === "release" ? (chosen.feed ?? undefined) : strategy === "releases" && upstream !== null ? sourceFeed(first, upstream) : undefined;
    if (upstream === null || build === null || (mode === "release" && feed === undefined)) return { mode, draft: null };
    const version = found?.version;
    const declared = version?.known === true ? version.text : "";
    const pin = own.pin === undefined ? (mode === "release" ? releasePin(this.#subject) : undefined) : this.#pin(own.pin);
    const common: Common = { mode, strategy, branch };
    const origin = describeOrigin(first, common, upstream, feed);
    const draft: Draft = {
      name,
      dir,
      mode,
      ...origin,
      strategy,
      others: this.#others({ origin, entry: first }, lower, common),
      prefer: own.prefer ?? "newest",
      tags: own.tags ?? [],
      versions: own.versions ?? "semver",
      channel: own.channel ?? [],
      ...(declared === "" ? {} : { declaredVersion: declared }),
      ...(pin === undefined ? {} : { pin }),
      binary: this.#checked("binary", own.binary ?? this.#read("binary", found?.binary) ?? name, PROGRAM_NAME),
      varPrefix: found?.varPrefix ?? "",
      build,
      buildVars: own.build?.vars ?? {},
      ...(own.test === undefined ? {} : { test: commandOf(own.test) as Command }),
      ...(own.smoke === undefined ? {} : { smoke: { argv: own.smoke.command } }),
      timeouts: this.#timeouts(),
      health: mergeHealth(defaults.health, own.health),
      policy: mergePolicy(defaults.policy, own.policy),
      drift: own.drift ?? defaults.drift ?? "show",
      keep: input.file.limits?.kept_versions ?? DEFAULT_KEPT,
    };
    return { mode, draft };
  }

  /** Those below the first, in order of priority. */
  #others(first: { readonly origin: Origin; readonly entry: Subject }, lower: readonly Subject[], common: Common): Origin[] {
    const described = lower.flatMap((entry) => {
      const origin = lowerOrigin(entry, common);
      return origin === null ? [] : [{ origin, entry }];
    });
    refuseTwice([first, ...described]);
    return described.map((d) => d.origin);
  }

  /** The clone URL that is configured; undefined when there is none, null when it is wrong (then with a problem). */
  #upstream(first: Subject): KnownUpstream {
    const { own, found, name } = this.#subject;
    if (first.entry !== undefined || own.upstream !== undefined) return toldUpstream(first);
    const text = this.#read("upstream", found?.upstream);
    if (text === undefined) return found?.upstream?.known === false ? null : undefined;
    const wrong = upstreamProblem(text);
    if (wrong === null) return text;
    this.#subject.problem(found?.upstream?.at ?? this.#subject.at(), `the upstream of ${name} ${wrong}`);
    return null;
  }

  /** Releases say where they come from; source has to be found. */
  #withoutUpstream(first: Subject, told: undefined | null, chosen: Chosen): string | null {
    if (told === null) return null;
    if (chosen.mode === "release") return chosen.feed === null ? null : upstreamOf(chosen.feed);
    const { found } = this.#subject;
    if (first.entry !== undefined) {
      nothingToBuild(first);
      return null;
    }
    this.#subject.problem(found?.upstream?.at ?? found?.at ?? this.#subject.at(), this.#missingUpstream());
    return null;
  }

  #missingUpstream(): string {
    const { name, found, input } = this.#subject;
    const set = `set subsystems.${name}.upstream in slipstream.yaml`;
    if (found?.ambiguous === true) return `${name} has several UPSTREAM_REPO variables; ${set}`;
    if (found !== undefined) return `UPSTREAM_REPO of ${name} is empty; set it there, or ${set}`;
    const guess = closest(name, input.discovered.map((d) => d.name));
    return `${name} is in no include of the root Taskfile that declares UPSTREAM_REPO; ${set}${guess === null ? "" : `, or did you mean ${guess}?`}`;
  }

  #tracking(): { strategy: Strategy; branch: string } {
    const { own, name: subsystem } = this.#subject;
    const { version, branch, strategy } = this.#subject.found ?? {};
    const told = own.strategy ?? this.#read("strategy", strategy);
    if (told !== undefined && !STRATEGIES.includes(told)) {
      this.#subject.problem(strategy?.at ?? this.#subject.at(), `VERSION_STRATEGY of ${subsystem} is ${told}, expected tags, commits or releases; correct it, or set subsystems.${subsystem}.strategy in slipstream.yaml`);
    }
    const pinned = told === undefined ? this.#read("strategy", version) : version?.known === true ? version.text : undefined;
    const tracked = pinned !== undefined && isBranchName(pinned, schemeOf(this.#subject)) ? pinned : undefined;
    const commits = tracked !== undefined || (pinned !== undefined && isCommit(pinned, schemeOf(this.#subject)));
    const ref = own.branch ?? this.#read("branch", branch);
    const name = own.branch !== undefined || (branch?.known === true && !branch.defaulted) ? ref : (tracked ?? ref);
    return { strategy: (told ?? (commits ? "commits" : "tags")) as Strategy, branch: this.#checked("branch", name ?? DEFAULT_BRANCH, REF) };
  }

  #build(mode: Mode): Command | null {
    const { own: config, found, name } = this.#subject;
    const own = config.build === undefined ? undefined : commandOf(config.build);
    if (own !== undefined) return own;
    const usual = { task: `${found?.taskPrefix ?? `${name}:`}bin:build` };
    if (mode === "release" || (found !== undefined && !found.internal)) return usual;
    const key = `set subsystems.${name}.build.task or .command in slipstream.yaml`;
    if (found === undefined) this.#subject.problem(this.#subject.at("build"), `${name} has no include in the root Taskfile, so nothing builds it; ${key}`);
    else this.#subject.problem(found.at, `include ${name} is internal, so its tasks cannot be called; ${key}`);
    return null;
  }

  #dir(): string {
    const { own, found, name, input } = this.#subject;
    const dir = own.dir !== undefined ? resolve(input.workspace, own.dir) : (found?.dir ?? join(input.workspace, name));
    const below = relative(input.workspace, dir);
    if (below !== "" && below !== ".." && !below.startsWith("../")) return dir;
    const at = own.dir === undefined ? (found?.at ?? this.#subject.at()) : this.#subject.at("dir");
    this.#subject.problem(at, `the folder of ${name} is ${dir}, expected one of its own inside the workspace; set dir: of the include, or subsystems.${name}.dir in slipstream.yaml`);
    return dir;
  }

  #timeouts(): StageTimeouts {
    const { own, input } = this.#subject;
    return { source: input.sourceTimeoutMs, build: own.build?.timeout ?? DEFAULT_BUILD_MS, test: own.test?.timeout ?? DEFAULT_TEST_MS };
  }

  /** A Taskfile variable's text, unless `slipstream.yaml` says it. */
  #read(key: "upstream" | "branch" | "strategy" | "binary", value: Placed | undefined): string | undefined {
    return this.#subject.own[key] === undefined ? this.#subject.read(key, value) : undefined;
  }

  #pin(pin: string): string {
    const { name } = this.#subject;
    if (!isRef(pin)) return this.#checked("pin", pin, REF);
    if (!isPin(pin, schemeOf(this.#subject))) this.#subject.problem(this.#subject.at("pin"), `pin of ${name} is ${JSON.stringify(pin)}, ${PIN_WANTED}; correct subsystems.${name}.pin in slipstream.yaml`);
    return pin;
  }

  #checked(key: "pin" | "binary" | "branch", value: string, pattern: RegExp): string {
    const { own, found, name } = this.#subject;
    if (pattern.test(value) && !value.includes("..")) return value;
    const at = own[key] === undefined ? (key === "pin" ? undefined : found?.[key]?.at ?? found?.version?.at) : this.#subject.at(key);
    this.#subject.problem(at ?? this.#subject.at(), `${key} of ${name} is ${JSON.stringify(value)}, expected ${key === "binary" ? "a plain file name" : "a git ref"}; set subsystems.${name}.${key} in slipstream.yaml`);
    return value;
  }
}

function isBranchName(text: string, scheme: VersionScheme): boolean {
  return text !== "" && text !== "latest" && !COMMIT.test(text) && !isTag(text, scheme);
}

function isCommit(text: string, scheme: VersionScheme): boolean {
  return COMMIT.test(text) && !isTag(text, scheme);
}

/** A version, a date in whichever scheme, or a tag that a pattern takes in, such as `nightly`. */
function isTag(text: string, scheme: VersionScheme): boolean {
  const takenIn = scheme.tags?.some((p) => !p.startsWith("!")) === true && isTracked(text, scheme);
  return takenIn || parseVersion(text, scheme) !== null || parseVersion(text, { ...scheme, versions: "date" }) !== null;
}

function commandOf(given: { readonly task?: string | undefined; readonly command?: readonly string[] | undefined }): Command | undefined {
  if (given.command !== undefined) return { argv: given.command };
  return given.task === undefined ? undefined : { task: given.task };
}
