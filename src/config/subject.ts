/** One subsystem while its description is put together: who says what about it, where, and what is wrong with it. */

import { join } from "node:path";
import type { Problem } from "../domain/errors.ts";
import type { VersionScheme } from "../domain/version.ts";
import { positionOf } from "./explain.ts";
import type { Position, YamlFile } from "./files.ts";
import type { ConfigFile, SubsystemFile } from "./schema.ts";
import type { Placed } from "./scope.ts";
import type { Discovered } from "./taskfiles.ts";

export interface DraftInput {
  readonly workspace: string;
  readonly file: ConfigFile;
  readonly yaml: YamlFile | null;
  readonly discovered: readonly Discovered[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly sourceTimeoutMs: number;
  /** On a build machine, where a fresh checkout has no `.src`, auto is source for what can be built. */
  readonly build?: boolean;
}

/** A git ref that can never be taken for an option. */
export const REF = /^[A-Za-z0-9_][A-Za-z0-9._/+-]*$/;

export class Subject {
  readonly name: string;
  readonly input: DraftInput;
  /** What its Taskfile says. */
  readonly found: Discovered | undefined;
  /** What `slipstream.yaml` says. */
  readonly own: SubsystemFile;
  readonly defaults: NonNullable<ConfigFile["defaults"]>;
  /** Which entry of `upstreams` it stands for; missing for the subsystem itself. */
  readonly entry: number | undefined;
  readonly #problems: Problem[];

  constructor(input: DraftInput, name: string, problems: Problem[], entry?: { readonly index: number; readonly own: SubsystemFile }) {
    this.name = name;
    this.input = input;
    this.found = input.discovered.find((d) => d.name === name);
    this.own = entry?.own ?? input.file.subsystems?.[name] ?? {};
    this.entry = entry?.index;
    this.defaults = input.file.defaults ?? {};
    this.#problems = problems;
  }

  problem(at: Position, message: string): void {
    this.#problems.push({ ...at, message });
  }

  /** One entry of `upstreams`, described by these keys. */
  forEntry(index: number, own: SubsystemFile): Subject {
    return new Subject(this.input, this.name, this.#problems, { index, own });
  }

  /** The place of a key of this subsystem in `slipstream.yaml`. */
  at(...path: readonly PropertyKey[]): Position {
    return this.#at(...this.#path(path));
  }

  /** A key as a person writes it: `subsystems.nats.release.api`. */
  key(...path: readonly PropertyKey[]): string {
    return this.#path(path).map(String).join(".");
  }

  defaultsAt(...path: readonly PropertyKey[]): Position {
    return this.#at("defaults", ...path);
  }

  /** A Taskfile variable's text; undefined when unset or empty, and (with a problem that names the key to set instead) when it is not understood. */
  read(key: string, value: Placed | undefined): string | undefined {
    if (value === undefined) return undefined;
    if (value.known) return value.text === "" ? undefined : value.text;
    this.problem(value.at, `${value.why} is not understood here (only literals, env and default are); set subsystems.${this.name}.${key} in slipstream.yaml`);
    return undefined;
  }

  #path(path: readonly PropertyKey[]): readonly PropertyKey[] {
    return ["subsystems", this.name, ...(this.entry === undefined ? [] : ["upstreams", this.entry]), ...path];
  }

  #at(...path: readonly PropertyKey[]): Position {
    const { yaml, workspace } = this.input;
    return yaml === null ? { file: join(workspace, "slipstream.yaml") } : positionOf(yaml, path);
  }
}

export const PIN_WANTED = "expected one version, or a series such as 2.x or 2.10.x";

/** How a subsystem's tags are to be read. */
export function schemeOf({ name, own }: Subject): VersionScheme {
  return { name, ...(own.tags === undefined ? {} : { tags: own.tags }), ...(own.versions === undefined ? {} : { versions: own.versions }) };
}

/** A ref that git can be given as an argument. */
export function isRef(text: string): boolean {
  return REF.test(text) && !text.includes("..");
}
