/** `slipstream init` in this process, wired as `main.ts` wires it. */

import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { busyPorts, writeExample } from "../../src/adapters/example.ts";
import type { Context, GlobalOptions } from "../../src/cli/context.ts";
import { createPrinter } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";
import { type InitOptions, type InitReport, initialize } from "../../src/config/starter.ts";

export type Env = Readonly<Record<string, string>>;

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** When everything in these tests happens. */
export const NOW = 1_767_225_600_000;

/** Its exit code and what it printed. */
export async function init(dir: string, args: readonly string[] = [], env: Env = {}): Promise<Ran> {
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() };
  const text = { out: "", err: "" };
  streams.stdout.on("data", (chunk) => (text.out += chunk));
  streams.stderr.on("data", (chunk) => (text.err += chunk));
  const context = {
    print: createPrinter({ ...streams, plain: true }),
    init: (options: GlobalOptions & InitOptions) => initialize({ ...options, workspace: options.workspace ?? dir, env, now: NOW, makeExample: writeExample, busyPorts }),
  } as unknown as Context;
  return { code: await runCli(["init", "--workspace", dir, ...args], "0.0.0", context), ...text };
}

/** What `--json` prints; fails on any other exit code than 0. */
export async function report(dir: string, args: readonly string[] = [], env: Env = {}): Promise<InitReport> {
  const { code, out, err } = await init(dir, ["--json", ...args], env);
  assert.equal(code, 0, out + err);
  return JSON.parse(out) as InitReport;
}

/** Every file with its mode and content, relative to the folder. */
export async function listing(dir: string): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode, mtimeMs } = await stat(path);
    all[path.slice(dir.length + 1)] = `${(mode & 0o777).toString(8)} ${entry.isFile() ? `${mtimeMs} ${await readFile(path, "utf8")}` : ""}`;
  }
  return all;
}
