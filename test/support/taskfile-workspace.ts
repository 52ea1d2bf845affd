/** Workspaces on the shipped taskfiles, an upstream with two releases, and a server of release assets: all real, all local. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnv, exec, type ExecResult } from "../../src/adapters/exec.ts";
import { parseStamp, type VersionStamp } from "../../src/domain/artifact.ts";
import { ensureTools } from "../../tools/install.ts";
import { ROOT } from "./launcher.ts";

const never = new AbortController().signal;
export const LIMIT_MS = 120_000;
export const PLATFORM = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
export const ASSET = `hello-server-${PLATFORM}.tar.gz`;

/** Runs a program with the environment slipstream gives its children. */
export async function run(argv: readonly [string, ...string[]], cwd: string, env: Record<string, string> = {}): Promise<ExecResult> {
  const base = childEnv(process.env, { GIT_CONFIG_GLOBAL: "/dev/null", GOTOOLCHAIN: "local", NO_COLOR: "1" });
  return exec({ argv, cwd, env: { ...base, ...env }, timeoutMs: LIMIT_MS }, never);
}

export async function git(dir: string, ...args: string[]): Promise<string> {
  const result = await run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", ...args], dir);
  assert.equal(result.exitCode, 0, result.stderr);
  return result.stdout.trim();
}

export interface TaskfileWorkspace {
  readonly dir: string;
  task(...args: string[]): Promise<ExecResult>;
  /** Output of a task that must succeed. */
  ok(...args: string[]): Promise<string>;
  /** A task that must fail and say this. */
  fails(pattern: RegExp, ...args: string[]): Promise<void>;
  stamp(): Promise<VersionStamp>;
  /** SHA-256 of the installed program, in hex. */
  digest(): Promise<string>;
  /** What the installed program prints. */
  greeting(): Promise<string>;
}

export interface TaskfileFixture {
  readonly tools: { readonly task: string; readonly processCompose: string };
  readonly upstream: string;
  /** Base url of the server; `files` is what it serves, by path. */
  readonly url: string;
  readonly files: Map<string, Buffer>;
  folder(): Promise<string>;
  workspace(vars?: Record<string, string>): Promise<TaskfileWorkspace>;
  /** Puts assets into a release of `acme/dist`. */
  publish(tag: string, assets: Record<string, Buffer>): void;
  close(): Promise<void>;
}

export async function createTaskfileFixture(): Promise<TaskfileFixture> {
  const tools = await ensureTools();
  const root = await realpath(await mkdtemp(join(tmpdir(), "slipstream-taskfiles-")));
  const upstream = join(root, "upstream");
  await makeUpstream(upstream);
  const files = new Map<string, Buffer>();
  const server = await serve(files);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let made = 0;
  const folder = async () => {
    const dir = join(root, `w${made++}`);
    await mkdir(dir);
    return dir;
  };
  return {
    tools,
    upstream,
    url,
    files,
    folder,
    async workspace(vars = {}) {
      const dir = await folder();
      const all = { BIN_NAME: "hello-server", UPSTREAM_REPO: `file://${upstream}`, VERSION: '{{.VERSION | default "v1.0.0"}}', RELEASE_REPO: "acme/dist", GITHUB_URL: url, GITHUB_API: `${url}/api`, ...vars };
      await cp(join(ROOT, "taskfiles"), join(dir, "taskfiles"), { recursive: true });
      await writeFile(join(dir, "Taskfile.yml"), JSON.stringify({ version: "3", includes: { sync: { taskfile: "./taskfiles/sync.yml", flatten: true }, hello: { taskfile: "./taskfiles/subsystem.yml", dir: "./hello", vars: all } } }));
      return workspaceAt(dir, tools.task);
    },
    publish(tag, assets) {
      for (const [name, body] of Object.entries(assets)) files.set(`/acme/dist/releases/download/${tag}/${name}`, body);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await rm(root, { recursive: true, force: true });
    },
  };
}

function workspaceAt(dir: string, program: string): TaskfileWorkspace {
  const task = (...args: string[]) => run([program, ...args], dir);
  const bin = join(dir, "hello/.bin/hello-server");
  return {
    dir,
    task,
    async ok(...args) {
      const result = await task(...args);
      assert.equal(result.exitCode, 0, `${args.join(" ")}: ${result.stdout}\n${result.stderr}`);
      return result.stdout;
    },
    async fails(pattern, ...args) {
      const result = await task(...args);
      assert.notEqual(result.exitCode, 0, `${args.join(" ")} succeeded: ${result.stdout}`);
      assert.match(`${result.stdout}\n${result.stderr}`, pattern);
    },
    stamp: async () => parseStamp(await readFile(join(dir, "hello/.bin/.version"), "utf8")),
    digest: async () => createHash("sha256").update(await readFile(bin)).digest("hex"),
    greeting: async () => (await run([bin], dir)).stdout,
  };
}

/** Releases v1.0.0 (a lightweight tag) and v1.1.0 (an annotated one), then a commit on main. */
async function makeUpstream(dir: string): Promise<void> {
  await mkdir(dir);
  await git(dir, "init", "-q", "-b", "main");
  await writeFile(join(dir, "go.mod"), "module example.com/hello\n\ngo 1.21\n");
  for (const [text, tag] of [["one", ["v1.0.0"]], ["two", ["-a", "v1.1.0", "-m", "two"]], ["tip", []]] as const) {
    await writeFile(join(dir, "main.go"), `package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("${text}") }\n`);
    await git(dir, "add", ".");
    await git(dir, "commit", "-q", "-m", text);
    if (tag.length > 0) await git(dir, "tag", ...tag);
  }
}

async function serve(files: ReadonlyMap<string, Buffer>): Promise<Server> {
  const server = createServer((request, response) => {
    const body = files.get(request.url ?? "");
    response.writeHead(body === undefined ? 404 : 200).end(body ?? "<html>not found</html>");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}
