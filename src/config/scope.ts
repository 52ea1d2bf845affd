/** Task's variables in Task's own order: the process environment, then the root Taskfile, the include, the included Taskfile; later wins. */

import { isMap, isScalar, type YAMLMap } from "yaml";
import type { Position, YamlFile } from "./files.ts";
import { evaluate, type Value } from "./template.ts";

/** A variable's value and where it was set. */
export type Placed = Value & { readonly at: Position };

export class Scope {
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #values: ReadonlyMap<string, Placed>;

  constructor(env: Readonly<Record<string, string | undefined>>, values: ReadonlyMap<string, Placed> = new Map()) {
    this.#env = env;
    this.#values = values;
  }

  get(name: string): Placed | undefined {
    return this.#values.get(name);
  }

  evaluate(template: string): Value {
    return evaluate(template, {
      variable: (name) => this.#values.get(name) ?? this.#fromEnv(name),
      env: (name) => this.#env[name],
    });
  }

  /** This scope with a `vars:` block laid over it, each variable seeing those before it. */
  extend(file: YamlFile, vars: YAMLMap | undefined): Scope {
    const values = new Map(this.#values);
    const next = new Scope(this.#env, values);
    for (const { key, value, at } of file.entries(vars)) {
      if (isScalar(value) && value.value !== null) {
        const template = String(value.value);
        const found = next.evaluate(template);
        values.set(key, { ...found, at: origin(template, found, values) ?? at });
      }
      if (value !== null && !isScalar(value)) values.set(key, { known: false, why: dynamicKind(value), at });
    }
    return next;
  }

  /** This scope with the few special variables Task sets by itself. */
  withSpecial(special: Readonly<Record<string, string>>): Scope {
    const values = new Map(this.#values);
    for (const [name, text] of Object.entries(special)) values.set(name, { known: true, text, defaulted: false, at: { file: "Task" } });
    return new Scope(this.#env, values);
  }

  #fromEnv(name: string): Value | undefined {
    const text = this.#env[name];
    return text === undefined ? undefined : { known: true, text, defaulted: false };
  }
}

/** Where a value that is only passed on (`{{.X | default "…"}}`) was really set: that is the line a person has to change. */
function origin(template: string, found: Value, values: ReadonlyMap<string, Placed>): Position | undefined {
  const name = /^\s*\{\{-?\s*\.([A-Za-z_]\w*)\s*(?:\||-?\}\})/.exec(template)?.[1];
  const source = name === undefined ? undefined : values.get(name);
  if (source?.at.line === undefined) return undefined;
  const passed = found.known ? source.known && !found.defaulted && found.text === source.text : !source.known;
  return passed ? source.at : undefined;
}

function dynamicKind(value: unknown): string {
  const key = isMap(value) ? value.items[0]?.key : undefined;
  return isScalar(key) ? `${String(key.value)}:` : "a list";
}
