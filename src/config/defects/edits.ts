/** Edits of a text that keep everything else of it, and proof that they change nothing but what they may. */

import { isDeepStrictEqual } from "node:util";
import { FILE_HEADERS_ONLY, createTwoFilesPatch } from "diff";
import { isMap, type Pair, type YAMLMap } from "yaml";
import { parseYaml } from "../files.ts";
import type { Edit } from "./model.ts";

const CONTEXT_LINES = 2;

/** What is put at the same place stays in the order of the edits. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = text;
  for (const { start, end, text: put } of edits.toReversed().sort((a, b) => b.start - a.start)) result = result.slice(0, start) + put + result.slice(end);
  return result;
}

export function overlaps(a: Edit, b: Edit): boolean {
  return a.start < b.end && b.start < a.end ? true : a.start === b.start;
}

/** A unified diff that `git apply` and `patch -p1` take. */
export function unifiedDiff(name: string, before: string, after: string): string {
  return createTwoFilesPatch(`a/${name}`, `b/${name}`, before, after, undefined, undefined, { context: CONTEXT_LINES, headerOptions: FILE_HEADERS_ONLY });
}

/** Whether both texts are valid YAML with the same tasks, variables and processes, and the same values outside the one part that may change. */
export type Proof = (before: string, after: string, within: readonly string[]) => boolean;

/** A proof that reads each text from before once. */
export function createProof(): Proof {
  const read = new Map<string, unknown>();
  return (before, after, within) => {
    if (!read.has(before)) read.set(before, plain(before));
    return changesOnly(read.get(before), plain(after), within);
  };
}

function changesOnly(a: unknown, b: unknown, within: readonly string[]): boolean {
  if (a === undefined || b === undefined) return false;
  return isDeepStrictEqual(keysOf(a), keysOf(b)) && isDeepStrictEqual(cut(a, within), cut(b, within)) && at(b, within) !== undefined;
}

function plain(text: string): unknown {
  const yaml = parseYaml("", text, []);
  try {
    return yaml?.doc.toJS();
  } catch {
    return undefined;
  }
}

/** Names of all tasks, variables and processes, in their order, which means something to Task. */
function keysOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.entries(value).map(([key, child]) => [key, key === "tasks" || key === "vars" || key === "processes" ? Object.keys((child ?? {}) as object) : undefined]);
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((v, key) => (typeof v === "object" && v !== null ? (v as Record<string, unknown>)[key] : undefined), value);
}

/** A copy with an empty place where `path` leads. */
function cut(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return null;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, k === key ? cut(v, rest) : v]));
}

interface Ranged {
  readonly range?: readonly [number, number, number] | null;
}

/** Takes a key and its value out of a mapping; undefined where the mapping would be empty then. */
export function removePair(text: string, map: YAMLMap, key: string): Edit | undefined {
  const index = map.items.findIndex((p) => (p.key as { value?: unknown }).value === key);
  const pair = map.items[index];
  if (pair === undefined || map.items.length === 1) return undefined;
  const start = startOf(pair);
  const end = endOf(pair);
  if (start === undefined || end === undefined) return undefined;
  if (map.flow !== true) return { start: lineStart(text, start), end: lineEnd(text, end), text: "" };
  const before = map.items[index - 1];
  const after = map.items[index + 1];
  return before === undefined ? { start, end: startOf(after as Pair) ?? end, text: "" } : { start: endOf(before) ?? start, end, text: "" };
}

/** Adds a key at the end of a mapping; undefined where its form leaves no place. `value` is flow style for a flow mapping, else lines below the key. */
export function addPair(text: string, map: YAMLMap, key: string, value: { readonly flow: string; readonly block: readonly string[] | string }): Edit | undefined {
  const last = map.items.at(-1);
  const first = map.items[0];
  const end = last === undefined ? undefined : endOf(last);
  const start = first === undefined ? undefined : startOf(first);
  if (end === undefined || start === undefined) return undefined;
  if (map.flow === true) {
    const json = text[start] === '"';
    return { start: end, end, text: json ? `, "${key}": ${value.flow.replace(/\b([a-z_]+):/g, '"$1":')}` : `, ${key}: ${value.flow}` };
  }
  const indent = text.slice(lineStart(text, start), start);
  if (!/^ *$/.test(indent)) return undefined;
  const step = stepOf(last as Pair, text, indent);
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = typeof value.block === "string" ? [`${indent}${key}: ${value.block}`] : [`${indent}${key}:`, ...value.block.map((l) => `${indent}${step}${l}`)];
  const place = text[end - 1] === "\n" ? end : lineEnd(text, end);
  const missing = place > 0 && text[place - 1] !== "\n" ? eol : "";
  return { start: place, end: place, text: `${missing}${lines.join(eol)}${eol}` };
}

/** How far this file indents. */
function stepOf(pair: Pair, text: string, indent: string): string {
  const start = isMap(pair.value) && pair.value.flow !== true ? (pair.value as Ranged).range?.[0] : undefined;
  const below = start === undefined ? 0 : start - lineStart(text, start) - indent.length;
  return " ".repeat(below > 0 ? below : 2);
}

function startOf(pair: Pair): number | undefined {
  return (pair.key as Ranged).range?.[0];
}

function endOf(pair: Pair): number | undefined {
  return ((pair.value ?? pair.key) as Ranged).range?.[1];
}

export function lineStart(text: string, at: number): number {
  return text.lastIndexOf("\n", at - 1) + 1;
}

/** Where the next line starts. */
export function lineEnd(text: string, at: number): number {
  if (at > 0 && text[at - 1] === "\n") return at;
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end + 1;
}

/** Tells lines, counted from 1, by offsets; the text is gone through once. */
export function lineCounter(text: string): (at: number) => number {
  const breaks: number[] = [];
  for (let i = text.indexOf("\n"); i !== -1; i = text.indexOf("\n", i + 1)) breaks.push(i);
  return (at) => {
    let [low, high] = [0, breaks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((breaks[middle] as number) < at) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}
