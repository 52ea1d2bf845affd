/** The doors of the house: which room may import what, how large files and functions may grow, and that every test file is run. */

import assert from "node:assert/strict";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { describe, test } from "node:test";

const root = resolve(import.meta.dirname, "..");

/** Room → what it may import: other rooms, packages, node builtins are judged apart. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  kit: ["pino", "pino-pretty"],
  config: ["domain", "kit", "zod", "yaml", "chokidar", "diff"],
  store: ["domain", "kit"],
  adapters: ["domain", "kit", "zod", "execa", "isomorphic-git", "tar", "chokidar", "cockatiel", "octokit"],
  web: ["domain", "kit", "store", "hono", "@hono/node-server"],
  ingest: ["domain", "kit", "store", "adapters", "web", "hono", "@octokit/webhooks", "zod"],
  resolve: ["domain", "kit", "store", "adapters", "picomatch"],
  run: ["domain", "kit", "store", "adapters", "picomatch"],
  notify: ["domain", "kit", "store", "adapters", "nodemailer"],
  status: ["domain", "kit", "store", "web", "hono", "prom-client"],
  janitor: ["domain", "kit", "store", "croner"],
  cli: ["domain", "kit", "config", "commander"],
};

/** Builtins that only their owner may import (house §3, "sole owner of"). */
const OWNED: Readonly<Record<string, readonly string[]>> = {
  "node:sqlite": ["store"],
  "node:child_process": ["adapters"],
  "node:http": ["adapters", "web"],
  "node:https": ["adapters"],
  "node:net": ["adapters", "web", "config"],
  "node:worker_threads": ["adapters", "kit"],
};

interface Import {
  readonly file: string;
  readonly room: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

/** All static and dynamic imports below a source folder. */
function importsOf(src: string): Import[] {
  return globSync("**/*.ts", { cwd: src }).flatMap((name) => {
    const text = readFileSync(join(src, name), "utf8");
    const found = [...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s*["']([^"']+)["']|(?:^|\n)\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g)];
    return found.map((m) => ({ file: name, room: roomOf(name), specifier: (m[1] ?? m[2] ?? m[3]) as string, typeOnly: /^\s*(import|export) type\b/.test(m[0]) }));
  });
}

function roomOf(name: string): string {
  return name.includes("/") ? (name.split("/")[0] as string) : "";
}

/** Every import that no door allows, as a sentence. */
function violations(src: string): string[] {
  return importsOf(src).flatMap((i) => {
    if (i.room === "") return []; // main.ts and daemon.ts introduce the rooms to each other
    const allowed = DOORS[i.room];
    if (allowed === undefined) return [`${i.file}: room ${i.room} is not in the house`];
    if (i.specifier.startsWith("node:")) {
      const owners = OWNED[i.specifier];
      return owners === undefined || i.typeOnly || owners.includes(i.room) ? [] : [`${i.file}: ${i.specifier} belongs to ${owners.join(", ")}`];
    }
    const target = i.specifier.startsWith(".") ? roomOf(relative(src, resolve(src, dirname(i.file), i.specifier))) : packageOf(i.specifier);
    if (i.specifier.startsWith(".") && target === "") return [`${i.file}: ${i.specifier} leads out of the rooms`];
    return target === i.room || allowed.includes(target) ? [] : [`${i.file}: ${i.room} may not import ${target}`];
  });
}

function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/** Lines in a source folder that match, as `file:line`. */
function lines(src: string, pattern: RegExp, except: (file: string) => boolean): string[] {
  return globSync("**/*.ts", { cwd: src })
    .filter((f) => !except(f))
    .flatMap((f) =>
      readFileSync(join(src, f), "utf8")
        .split("\n")
        .flatMap((line, n) => (pattern.test(line) && !/^\s*(\/\/|\*|\/\*)/.test(line) ? [`${f}:${n + 1}: ${line.trim()}`] : [])),
    );
}

/** Functions longer than a limit, by counting the lines of top-level and method-like blocks. */
function longFunctions(src: string, max: number): string[] {
  return globSync("**/*.ts", { cwd: src }).flatMap((f) => {
    const text = readFileSync(join(src, f), "utf8").split("\n");
    return text.flatMap((line, start) => {
      if (!/^(export )?(async )?function\b/.test(line)) return [];
      const length = text.slice(start).indexOf("}") + 1;
      return length > max ? [`${f}:${start + 1}: ${length} lines`] : [];
    });
  });
}

const src = join(root, "src");

describe("the house", () => {
  test("rooms import only through their doors", () => {
    assert.deepEqual(violations(src), []);
  });

  test("a planted violation of each kind is found", () => {
    const dir = mkdtempSync(join(tmpdir(), "house-"));
    try {
      const plant = (file: string, text: string) => {
        mkdirSync(join(dir, dirname(file)), { recursive: true });
        writeFileSync(join(dir, file), text);
      };
      plant("domain/a.ts", 'import { x } from "../run/b.ts";\n');
      plant("run/b.ts", 'import { x } from "../resolve/c.ts";\nimport { DatabaseSync } from "node:sqlite";\n');
      plant("resolve/c.ts", 'export const lazy = () => import("execa");\n');
      plant("attic/d.ts", 'import type { x } from "../domain/a.ts";\n');
      assert.deepEqual(violations(dir).sort(), ["attic/d.ts: room attic is not in the house", "domain/a.ts: domain may not import run", "resolve/c.ts: resolve may not import execa", "run/b.ts: node:sqlite belongs to store", "run/b.ts: run may not import resolve"]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test("only config reads the environment, and only kit asks what time it is", () => {
    assert.deepEqual(lines(src, /\bprocess\.env\b/, (f) => f.startsWith("config/")), []);
    assert.deepEqual(lines(src, /\bDate\.now\(|new Date\(\)|Math\.random\(/, (f) => f.startsWith("kit/")), []);
  });

  test("nothing reads files beside the source, and nothing waits at the top level", () => {
    assert.deepEqual(lines(src, /import\.meta\.(dirname|filename)/, () => false), []);
    assert.deepEqual(lines(src, /^await /, () => false), []);
  });

  test("no escape from the type checker and no swallowed error", () => {
    assert.deepEqual(lines(src, /:\s*any\b|\bas any\b|@ts-(ignore|expect-error|nocheck)/, () => false), []);
    assert.deepEqual(lines(src, /catch\s*(\([^)]*\))?\s*\{\s*\}/, () => false), []);
  });

  test("files stay below 300 lines and functions below 60", () => {
    const long = globSync("**/*.ts", { cwd: src }).flatMap((f) => {
      const n = readFileSync(join(src, f), "utf8").split("\n").length;
      return n > 300 ? [`${f}: ${n} lines`] : [];
    });
    assert.deepEqual(long, []);
    assert.deepEqual(longFunctions(src, 60), []);
  });

  test("every test file is in a folder that the test command runs", () => {
    const homes = ["unit", "contract", "integration", "e2e", "soak"];
    const orphans = globSync("**/*.test.ts", { cwd: join(root, "test") }).filter((f) => f !== basename(import.meta.filename) && !homes.includes(roomOf(f)));
    assert.deepEqual(orphans, []);
  });

  test("the version in the program is the one in package.json", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    assert.match(readFileSync(join(src, "kit/program-version.ts"), "utf8"), new RegExp(`VERSION = "${version.replaceAll(".", "\\.")}"`));
  });
});
