/** What `slipstream.yaml` should say because nothing else does, and the text of that file. */

import { parse, stringify } from "yaml";
import { StateError } from "../domain/errors.ts";
import { asciiLine } from "./plain.ts";
import { ConfigFile } from "./schema.ts";

/** One key of `slipstream.yaml`. A hint is written as a comment: a person has to decide. */
export interface Entry {
  readonly path: readonly string[];
  readonly value: string | number | boolean;
  /** Behind the line, as a comment. */
  readonly comment?: string;
  readonly hint?: true;
}

/** `subsystems.nats.upstream` */
export function keyOf(entry: Entry): string {
  return entry.path.join(".");
}

const HEADER = `# What slipstream cannot find out by itself, written by slipstream init. Every key is optional: the Taskfile and the
# process-compose file say the rest. docs/configure.md and slipstream.example.yaml have all keys.
# Secrets never stand here: they are in secrets.env of the state folder (.slipstream).
`;
const NOTHING: readonly Entry[] = [
  { path: ["listen", "port"], value: 8080, hint: true },
  { path: ["defaults", "policy", "major"], value: "approval", hint: true, comment: "auto, approval or refuse" },
];

/** The file's text. What holds nothing but hints is a comment; taking the leading "# " away gives valid keys. @throws StateError internal when it would say anything else than the entries */
export function ownFileText(entries: readonly Entry[]): string {
  const said = entries.length === 0 ? [{ path: ["state_dir"], value: ".slipstream", hint: true as const }, ...NOTHING] : entries;
  const text = `${HEADER}\n${linesOf(said, 0).join("\n")}\n`;
  if (!saysExactly(text, entries)) throw new StateError("internal", "text for slipstream.yaml says something else than was found out, expected exactly that, so nothing was written; please report this");
  return text;
}

/** Values and comments come from file names, too: the text is read back before anybody may write it. */
function saysExactly(text: string, entries: readonly Entry[]): boolean {
  const intended = entries.filter((e) => e.hint !== true).map((e) => JSON.stringify([...e.path, e.value]));
  return JSON.stringify(leavesOf(parse(text), []).sort()) === JSON.stringify([...new Set(intended)].sort());
}

function leavesOf(node: unknown, path: readonly string[]): string[] {
  if (typeof node === "object" && node !== null) return Object.entries(node).flatMap(([key, value]) => leavesOf(value, [...path, key]));
  return node === null && path.length === 0 ? [] : [JSON.stringify([...path, node])];
}

/** The entries as the daemon would read them. */
export function asConfig(entries: readonly Entry[]): ConfigFile {
  return ConfigFile.parse(parse(ownFileText(entries)) ?? {});
}

function linesOf(entries: readonly Entry[], depth: number): string[] {
  const keys = [...new Set(entries.map((e) => e.path[depth] ?? ""))];
  return keys.flatMap((key) => {
    const below = entries.filter((e) => e.path[depth] === key);
    const leaf = below.find((e) => e.path.length === depth + 1);
    const start = `${below.every((e) => e.hint === true) ? "# " : ""}${"  ".repeat(depth)}${scalar(key)}:`;
    if (leaf === undefined) return [start, ...linesOf(below, depth + 1)];
    return [`${start} ${scalar(leaf.value)}${leaf.comment === undefined ? "" : `  # ${asciiLine(leaf.comment)}`}`];
  });
}

function scalar(value: string | number | boolean): string {
  const text = stringify(value, { lineWidth: 0, defaultStringType: "PLAIN", blockQuote: false }).trimEnd();
  // A second line would leave the comment that a hint is.
  return /^[\x20-\x7e]*$/.test(text) ? text : asciiLine(JSON.stringify(value));
}
