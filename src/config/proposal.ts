/** What `slipstream.yaml` should say because nothing else does, and the text of that file. */

import { parse, stringify } from "yaml";
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

/** The file's text. What holds nothing but hints is a comment; taking the leading "# " away gives valid keys. */
export function ownFileText(entries: readonly Entry[]): string {
  const said = entries.length === 0 ? [{ path: ["state_dir"], value: ".slipstream", hint: true as const }, ...NOTHING] : entries;
  return `${HEADER}\n${linesOf(said, 0).join("\n")}\n`;
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
    return [`${start} ${scalar(leaf.value)}${leaf.comment === undefined ? "" : `  # ${leaf.comment}`}`];
  });
}

function scalar(value: string | number | boolean): string {
  return stringify(value, { lineWidth: 0, defaultStringType: "PLAIN", blockQuote: false }).trimEnd();
}
