/** Holds README.md and docs/ to the code: lists in them are complete, and links lead somewhere. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { EXIT } from "../../src/cli/context.ts";
import { configJsonSchema } from "../../src/config/schema.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const pages = ["README.md", ...globSync("docs/*.md", { cwd: root })].sort();

/** The literals of a string union in a source file. */
function union(file: string, name: string): string[] {
  const body = new RegExp(`export type ${name} =([^;]+);`).exec(read(file))?.[1] ?? "";
  return [...body.matchAll(/"([^"]+)"/g)].map((m) => m[1] as string);
}

/** What stands below a heading, up to the next one of its level or above. */
function section(page: string, heading: string): string {
  const text = read(page);
  const start = text.indexOf(`\n## ${heading}\n`);
  assert.notEqual(start, -1, `${page} has no heading ${heading}`);
  const end = text.indexOf("\n## ", start + 1);
  return text.slice(start, end === -1 ? undefined : end);
}

/** The cells of a page's table rows, the header and its rule left out. */
function rows(text: string): string[][] {
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  return lines.filter((line, i) => !/^\|[-| ]+\|$/.test(line) && !/^\|[-| ]+\|$/.test(lines[i + 1] ?? "")).map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
}

const codes = (cell: string | undefined): string[] => [...(cell ?? "").matchAll(/`([^`]+)`/g)].map((m) => m[1] as string);
const firstCodes = (text: string): string[] => rows(text).flatMap((r) => codes(r[0]));

interface SchemaNode {
  readonly properties?: Record<string, SchemaNode>;
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
}

/** Dotted names of all keys that hold a value; those of one subsystem, and the defaults for all, without their prefix. */
function configKeys(node: SchemaNode, path: readonly string[] = []): string[] {
  const below = Object.entries(node.properties ?? {}).flatMap(([key, child]) => configKeys(child, [...path, key]));
  if (path.length === 1 && path[0] === "subsystems" && typeof node.additionalProperties === "object") return configKeys(node.additionalProperties);
  if (path.length > 0 && below.length === 0) return [(path[0] === "defaults" ? path.slice(1) : path).join(".")];
  return below;
}

async function help(...verb: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [join(root, "src/main.ts"), ...verb, "--help"], { timeout: 60_000 })).stdout;
}

/** Verbs and their aliases, as the program itself lists them. */
async function verbs(): Promise<string[]> {
  const [, commands = ""] = (await help()).split("Commands:\n");
  const names = (commands.split("\n\n")[0] ?? "").split("\n").flatMap((line) => /^ {2}([a-z|-]+)/.exec(line)?.[1]?.split("|") ?? []);
  return names.filter((name) => name !== "help");
}

/** GitHub's anchor of a heading. */
function anchorOf(heading: string): string {
  return heading.replace(/[`*]/g, "").toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}
const anchors = (text: string): string[] => [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.+)$/gm)].map((m) => anchorOf(m[1] as string));

function brokenLinks(page: string): string[] {
  const text = read(page).replace(/^```[\s\S]*?^```/gm, "");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? page : relative(root, resolve(root, dirname(page), path));
    if (!existsSync(join(root, target))) return [`${page}: ${link} leads nowhere`];
    return anchor === undefined || anchors(read(target)).includes(anchor) ? [] : [`${page}: ${link} names no heading`];
  });
}

describe("the documentation", () => {
  test("explains every error code, and none that does not exist", () => {
    const listed = firstCodes(section("docs/troubleshoot.md", "Error codes"));
    const known = union("src/domain/errors.ts", "ErrorCode");
    assert.ok(known.includes("unhealthy"));
    assert.deepEqual(listed.sort(), known.sort());
  });

  test("explains every reason why a delivery led to nothing, and none that does not exist", () => {
    const listed = firstCodes(section("docs/troubleshoot.md", "Nothing happened: the reason"));
    const known = union("src/domain/change.ts", "IgnoreReason");
    assert.ok(known.includes("quarantined"));
    assert.deepEqual(listed.sort(), known.sort());
  });

  test("lists every refusal of the front door", () => {
    const sources = globSync("src/{web,ingest}/**/*.ts", { cwd: root }).map(read).join("\n");
    const known = new Set([...sources.matchAll(/code: "([a-z0-9-]+)"|\bno\("([a-z0-9-]+)"/g)].map((m) => (m[1] ?? m[2]) as string));
    known.delete("aborted"); // nobody is left to be answered
    assert.ok(known.has("signature-refused") && known.has("not-json"));
    const listed = new Set(rows(read("docs/wire.md")).flatMap((cells) => cells.flatMap(codes)).concat(codes(section("docs/wire.md", "Everything else"))));
    assert.deepEqual([...known].filter((code) => !listed.has(code)), []);
  });

  test("names every verb and every option of it", async () => {
    const operate = read("docs/operate.md");
    const all = await verbs();
    assert.ok(all.includes("update") && all.includes("serve"), all.join(" "));
    assert.deepEqual(all.filter((verb) => !new RegExp(`\`(slipstream )?${verb}\\b`).test(operate)), []);
    const helps = await Promise.all(all.map((verb) => help(verb)));
    const options = new Set(helps.flatMap((text) => [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map((m) => m[1] as string)));
    assert.ok(options.has("--dry-run"));
    assert.deepEqual([...options].filter((option) => !new RegExp(`\`${option}\\b`).test(operate)), []);
  });

  test("describes every key of slipstream.yaml, and no other", () => {
    const known = new Set(configKeys(configJsonSchema() as SchemaNode));
    assert.ok(known.has("process_compose.token_file") && known.has("build.vars") && known.has("policy.major"));
    const listed = firstCodes(section("docs/configure.md", "slipstream.yaml")).filter((key) => !key.startsWith("defaults."));
    assert.deepEqual(listed.sort(), [...known].sort());
  });

  test("describes every key of a receiver and of one of several upstreams, and no other", () => {
    const { receivers, subsystems } = (configJsonSchema() as SchemaNode).properties ?? {};
    const keysOf = (node: SchemaNode | boolean | undefined) => Object.keys((typeof node === "object" ? node.properties : undefined) ?? {}).sort();
    const subsystem = typeof subsystems?.additionalProperties === "object" ? subsystems.additionalProperties.properties : undefined;
    const known = { receiver: keysOf(receivers?.additionalProperties), entry: keysOf(subsystem?.["upstreams"]?.items) };
    assert.ok(known.receiver.includes("path") && known.entry.includes("branch"));
    const text = read("docs/configure.md");
    const listed = (head: string) => firstCodes(text.slice(text.indexOf(`\n| ${head} |`)).split("\n\n")[0] ?? "").sort();
    assert.deepEqual({ receiver: listed("key of a receiver"), entry: listed("key of an entry") }, known);
  });

  test("has the exit codes of the program", () => {
    const listed = rows(section("docs/operate.md", "Exit codes")).map(([code, name]) => [name, Number(code)]);
    assert.deepEqual(Object.fromEntries(listed), EXIT);
  });

  test("has the doors that the architecture test enforces", () => {
    const source = read("test/architecture.test.ts");
    const block = source.slice(source.indexOf("const DOORS"), source.indexOf("};", source.indexOf("const DOORS")));
    const doors = [...block.matchAll(/^ {2}(\w+): \[(.*)\],$/gm)].map(([, room, list = ""]) => [room, [...list.matchAll(/"([^"]+)"/g)].map((m) => m[1]).join(", ") || "–"]);
    assert.ok(doors.length > 10);
    const listed = rows(section("docs/contribute.md", "The doors")).map(([room, list]) => [room, list]);
    assert.deepEqual(listed.slice(0, -1), doors);
  });

  test("links to files and headings that exist", () => {
    assert.deepEqual(pages.flatMap(brokenLinks), []);
    assert.deepEqual(pages.filter((page) => page !== "README.md" && !read("README.md").includes(`(${page})`)), [], "pages that the README does not link");
  });

  test("names only npm scripts that exist", () => {
    const scripts = Object.keys((JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts);
    const named = pages.flatMap((page) => [...read(page).matchAll(/npm run (?:--\w+ )?([a-z:]+)/g)].map((m) => m[1] as string));
    assert.ok(named.includes("demo"));
    assert.deepEqual(named.filter((name) => !scripts.includes(name)), []);
  });
});
