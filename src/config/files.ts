/** Reading what people wrote: small files, YAML with positions, problems collected instead of thrown. */

import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Document, isAlias, isMap, isScalar, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";
import { messageOf, type Problem } from "../domain/errors.ts";

/** Where in a file something stands; `line` counts from 1. */
export interface Position {
  readonly file: string;
  readonly line?: number;
}

/** No hand-written configuration is longer; a larger file is a mistake. */
const MAX_FILE_BYTES = 1024 * 1024;

export interface SmallFile {
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

/** Reads a file of at most 1 MiB; null when it does not exist or could not be read, the latter with a problem. */
export async function readSmallFile(path: string, problems: Problem[]): Promise<SmallFile | null> {
  try {
    await using handle = await open(path, "r");
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error("it is not a regular file");
    if (stat.size > MAX_FILE_BYTES) throw new Error(`it has ${stat.size} bytes, expected at most ${MAX_FILE_BYTES}`);
    return { text: await handle.readFile("utf8"), mode: stat.mode & 0o777 };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTDIR") problems.push({ file: path, message: `cannot be read: ${messageOf(error)}` });
    return null;
  }
}

/** One parsed YAML document and the lines of its nodes. */
export class YamlFile {
  readonly path: string;
  readonly doc: Document.Parsed;
  readonly #lines: LineCounter;
  constructor(path: string, doc: Document.Parsed, lines: LineCounter) {
    this.path = path;
    this.doc = doc;
    this.#lines = lines;
  }

  at(node: unknown): Position {
    const start = (node as Node | null | undefined)?.range?.[0];
    return start === undefined ? { file: this.path } : { file: this.path, line: this.#lines.linePos(start).line };
  }

  /** The node an alias stands for, else the node itself. */
  deref(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.doc) : node;
  }

  /** The mapping below a key of a mapping, if there is one. */
  map(parent: unknown, key: string): YAMLMap | undefined {
    const node = isMap(parent) ? this.deref(parent.get(key, true)) : undefined;
    return isMap(node) ? node : undefined;
  }

  /** A scalar below a key as text; undefined when it is missing or no scalar. */
  text(parent: unknown, key: string): string | undefined {
    const node = isMap(parent) ? this.deref(parent.get(key, true)) : undefined;
    return isScalar(node) && node.value !== null ? String(node.value) : undefined;
  }

  /** Key, value and place of every entry of a mapping. */
  entries(map: YAMLMap | undefined): { key: string; value: unknown; at: Position }[] {
    return (map?.items ?? []).map((pair: Pair) => ({
      key: isScalar(pair.key) ? String(pair.key.value) : String(pair.key),
      value: this.deref(pair.value),
      at: this.at(pair.key),
    }));
  }
}

/** Parses a YAML file; null when it is missing (no problem) or broken (a problem with its line). */
export async function readYaml(path: string, problems: Problem[]): Promise<YamlFile | null> {
  const file = await readSmallFile(path, problems);
  if (file === null) return null;
  const lines = new LineCounter();
  const doc = parseDocument(file.text, { lineCounter: lines, prettyErrors: false, merge: true });
  const byLine = new Map(doc.errors.toReversed().map((error) => [lines.linePos(error.pos[0]).line, error.message]));
  for (const [line, message] of [...byLine].toReversed()) problems.push({ file: path, line, message: `is not valid YAML: ${message}` });
  return doc.errors.length > 0 ? null : new YamlFile(path, doc, lines);
}

/** The first of several names that is a file in a folder, as an absolute path. */
export async function findFile(dir: string, names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const path = join(dir, name);
    if ((await stat(path).catch(() => null))?.isFile() === true) return path;
  }
  return null;
}
