/** Turns what zod says about `slipstream.yaml` into problems with a line and, for a misspelt key, a suggestion. */

import { isMap, isScalar } from "yaml";
import type * as z from "zod";
import type { Problem } from "../domain/errors.ts";
import { closest } from "./closest.ts";
import type { Position, YamlFile } from "./files.ts";
import { configJsonSchema } from "./schema.ts";

type Path = readonly PropertyKey[];

/** Each is looked up in the whole file; a file of another kind that was saved here by mistake has a hundred thousand. */
const MAX_SAID = 100;

/** One problem per complaint, at the line of the nearest node that exists. */
export function explainIssues(file: YamlFile, issues: readonly z.core.$ZodIssue[]): Problem[] {
  return issues.slice(0, MAX_SAID).flatMap((issue) => {
    if (issue.code === "unrecognized_keys") return issue.keys.slice(0, MAX_SAID).map((key) => unknownKey(file, issue.path, key));
    const name = issue.path.map(String).join(".");
    return [{ ...positionOf(file, issue.path), message: name === "" ? issue.message : `${name}: ${issue.message}` }];
  });
}

/** The place of a path in the file; of its nearest parent when it is not there. */
export function positionOf(file: YamlFile, path: Path): Position {
  let node: unknown = file.doc.contents;
  let at: Position = node === null ? { file: file.path, line: 1 } : file.at(node);
  for (const step of path) {
    const found = keyed(file, node, step);
    if (found === null) break;
    node = found.value;
    at = found.at;
  }
  return at;
}

function keyed(file: YamlFile, parent: unknown, step: PropertyKey): { value: unknown; at: Position } | null {
  const node = file.deref(parent);
  if (isMap(node)) {
    const pair = node.items.find((p) => isScalar(p.key) && String(p.key.value) === String(step));
    return pair === undefined ? null : { value: pair.value, at: file.at(pair.key) };
  }
  const item = (node as { items?: unknown[] } | null)?.items?.[Number(step)];
  return item === undefined ? null : { value: item, at: file.at(item) };
}

function unknownKey(file: YamlFile, path: Path, key: string): Problem {
  const name = [...path.map(String), key].join(".");
  const guess = closest(key, knownKeys(path));
  const hint = guess === null ? "" : `; did you mean ${guess}?`;
  return { ...positionOf(file, [...path, key]), message: `${name} is not a known key${hint}` };
}

interface SchemaNode {
  readonly properties?: Record<string, SchemaNode>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
}

function knownKeys(path: Path): string[] {
  let node: SchemaNode | undefined = configJsonSchema() as SchemaNode;
  for (const step of path) {
    const below: SchemaNode | boolean | undefined = node?.properties?.[String(step)] ?? node?.additionalProperties ?? node?.items;
    node = typeof below === "object" ? below : undefined;
  }
  return Object.keys(node?.properties ?? {});
}
