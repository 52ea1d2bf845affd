/** Reading what people wrote: small files, YAML with positions, problems collected instead of thrown. */

import { AsyncLocalStorage } from "node:async_hooks";
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Document, isAlias, isMap, isScalar, LineCounter, type Node, type Pair, parseDocument, visit, type YAMLMap } from "yaml";
import { messageOf, type Problem } from "../domain/errors.ts";

/** Where in a file something stands; `line` counts from 1. */
export interface Position {
  readonly file: string;
  readonly line?: number;
}

const looking = new AsyncLocalStorage<Set<string>>();

/** Runs `read` and collects every path it looks at, there or not, whichever part of it looks: what a later change of may change its result. */
export function noteReads<T>(paths: Set<string>, read: () => Promise<T>): Promise<T> {
  return looking.run(paths, read);
}

/** Adds a path whose coming or going counts, for `noteReads`. */
export function noteRead(path: string): void {
  looking.getStore()?.add(path);
}

/** No hand-written configuration is longer; a larger file is a mistake. */
const MAX_FILE_BYTES = 1024 * 1024;

export interface SmallFile {
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

/** Opening waits for nobody: a pipe or a device that was put in the place of a file would else hold us up for ever. */
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Opens a regular file for reading; never waits. `nofollow` refuses a symlink (ELOOP). @throws what the file system says */
export async function openRegular(path: string, how: { readonly nofollow?: boolean } = {}): Promise<{ readonly handle: FileHandle; readonly mode: number; readonly uid: number }> {
  const handle = await open(path, READ_ONLY | (how.nofollow === true ? constants.O_NOFOLLOW : 0));
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error("it is not a regular file");
    return { handle, mode: found.mode & 0o777, uid: found.uid };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The text of an open file of at most 1 MiB, whatever size it claims to have. @throws Error when it is larger */
export async function readAtMost(handle: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    length += bytesRead;
    if (length > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes, expected at most that`);
    if (bytesRead === 0) return buffer.toString("utf8", 0, length);
  }
}

/** Reads a file of at most 1 MiB; null when it does not exist or could not be read, the latter with a problem. */
export async function readSmallFile(path: string, problems: Problem[]): Promise<SmallFile | null> {
  noteRead(path);
  try {
    const { handle, mode } = await openRegular(path);
    await using _ = handle;
    return { text: await readAtMost(handle), mode };
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
  /** What each alias stands for; looking that up walks the whole document, so it is done once for all of them. */
  #targets: ReadonlyMap<unknown, unknown> | undefined;
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
    if (!isAlias(node)) return node;
    this.#targets ??= targetsOf(this.doc);
    return this.#targets.get(node);
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

/** An alias stands for the last node before it that has its anchor (YAML 1.2, 7.1). */
function targetsOf(doc: Document.Parsed): ReadonlyMap<unknown, unknown> {
  const anchors = new Map<string, unknown>();
  const targets = new Map<unknown, unknown>();
  visit(doc, {
    Alias: (_, alias) => void targets.set(alias, anchors.get(alias.source)),
    Value: (_, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

/** Parses a YAML file; null when it is missing (no problem) or broken (a problem with its line). */
export async function readYaml(path: string, problems: Problem[]): Promise<YamlFile | null> {
  const file = await readSmallFile(path, problems);
  return file === null ? null : parseYaml(path, file.text, problems);
}

/** Parses the text of a YAML file; null when it is broken (a problem with its line). */
export function parseYaml(path: string, text: string, problems: Problem[]): YamlFile | null {
  const lines = new LineCounter();
  // Its own look for keys that are there twice compares each with all others.
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, uniqueKeys: false });
  const wrong = [...doc.errors.map((error) => ({ at: error.pos[0], message: error.message })), ...repeatedKeys(doc)].sort((a, b) => a.at - b.at);
  const byLine = new Map(wrong.toReversed().map(({ at, message }) => [lines.linePos(at).line, message]));
  for (const [line, message] of [...byLine].toReversed()) problems.push({ file: path, line, message: `is not valid YAML: ${message}` });
  return wrong.length > 0 ? null : new YamlFile(path, doc, lines);
}

/** Keys that a mapping has already (YAML 1.2, 3.2.1.3). */
function repeatedKeys(doc: Document.Parsed): { readonly at: number; readonly message: string }[] {
  const found: { at: number; message: string }[] = [];
  visit(doc, {
    Map: (_, map) => {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key) || key.value === "<<") continue;
        if (seen.has(key.value)) found.push({ at: key.range?.[0] ?? 0, message: "Map keys must be unique" });
        seen.add(key.value);
      }
    },
  });
  return found;
}

/** The first of several names that is a file in a folder, as an absolute path. */
export async function findFile(dir: string, names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const path = join(dir, name);
    noteRead(path);
    if ((await stat(path).catch(() => null))?.isFile() === true) return path;
  }
  return null;
}
