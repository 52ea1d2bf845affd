/** Secrets: a type that prints `[secret]`, and a masker that removes known values from any text that leaves the process. */

import { randomBytes } from "node:crypto";
import { inspect } from "node:util";

export class Secret {
  readonly #value: string;
  readonly name: string;
  constructor(name: string, value: string) {
    this.name = name;
    this.#value = value;
  }
  /** The value itself; call it only where it is used. */
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return "[secret]";
  }
  toJSON(): string {
    return "[secret]";
  }
  [inspect.custom](): string {
    return "[secret]";
  }
}

const SECRET_BYTES = 32;

/** A fresh one: 64 hex digits, 256 random bits. */
export function newSecret(name: string): Secret {
  return new Secret(name, randomBytes(SECRET_BYTES).toString("hex"));
}

/** Shorter values would mask ordinary words. */
const MIN_MASKED_CHARS = 6;

export type Mask = (text: string) => string;

/** A mask that learns new secrets and never forgets one: what was a secret once may still stand in a log. */
export interface GrowingMask {
  readonly mask: Mask;
  learn(secrets: readonly Secret[]): void;
}

export function createGrowingMask(secrets: readonly Secret[]): GrowingMask {
  const known = new Map(secrets.map((s) => [s.reveal(), s]));
  let mask = createMask([...known.values()]);
  return {
    mask: (text) => mask(text),
    learn(more) {
      const fresh = more.filter((s) => !known.has(s.reveal()));
      if (fresh.length === 0) return;
      for (const s of fresh) known.set(s.reveal(), s);
      mask = createMask([...known.values()]);
    },
  };
}

/** A function that replaces every known secret value (also URL- and base64-encoded) by `[secret]`. */
export function createMask(secrets: readonly Secret[]): Mask {
  const values = new Set<string>();
  for (const secret of secrets) {
    const v = secret.reveal();
    if (v.length < MIN_MASKED_CHARS) continue;
    // A key of several lines is printed line by line.
    const lines = v.split(/\r?\n/).filter((line) => line.length >= MIN_MASKED_CHARS);
    for (const form of [v, ...lines, encodeURIComponent(v), Buffer.from(v).toString("base64"), JSON.stringify(v).slice(1, -1)]) values.add(form);
  }
  const ordered = [...values].sort((a, b) => b.length - a.length);
  if (ordered.length === 0) return (text) => text;
  const pattern = new RegExp(ordered.map((v) => v.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "g");
  return (text) => text.replace(pattern, "[secret]");
}
