/** Layouts around the real launcher: programs that tell what they got, old Nodes, and the packed package installed. */

import { existsSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { childEnv, type ExecResult, exec } from "../../src/adapters/exec.ts";

export const ROOT = resolve(import.meta.dirname, "../..");
export const LAUNCHER = join(ROOT, "bin/slipstream");

const NPM_TIMEOUT_MS = 3 * 60_000;
const RUN_TIMEOUT_MS = 60_000;
const never = new AbortController().signal;

/** What the program of `packageThatTells` prints. */
export interface Told {
  readonly argv: string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly pid: number;
  readonly version: string;
  readonly execPath: string;
  readonly main: string;
}

export async function tempDir(t: TestContext): Promise<string> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-launcher-")));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export function run(argv: readonly [string, ...string[]], cwd: string, env: Readonly<Record<string, string>>, timeoutMs = RUN_TIMEOUT_MS): Promise<ExecResult> {
  return exec({ argv, cwd, env, timeoutMs }, never);
}

/** The real launcher in `dir` beside a program that prints what it got and ends with `EXIT_CODE`. */
export async function packageThatTells(dir: string, main: "src/main.ts" | "dist/main.js" = "src/main.ts"): Promise<string> {
  const launcher = join(dir, "bin/slipstream");
  await mkdir(dirname(launcher), { recursive: true });
  await mkdir(dirname(join(dir, main)), { recursive: true });
  await writeFile(join(dir, "package.json"), '{ "type": "module" }');
  await copyFile(LAUNCHER, launcher);
  await chmod(launcher, 0o755);
  const told = "{ argv: process.argv.slice(2), env: process.env, cwd: process.cwd(), pid: process.pid, version: process.version, execPath: process.execPath, main: process.argv[1] }";
  await writeFile(join(dir, main), `console.log(JSON.stringify(${told}));\nprocess.exitCode = Number(process.env.EXIT_CODE ?? 0);\nif (process.env.STAY) setInterval(() => {}, 1000);\n`);
  return launcher;
}

export async function told(argv: readonly [string, ...string[]], cwd: string, env: Readonly<Record<string, string>>): Promise<Told> {
  const result = await run(argv, cwd, env);
  if (result.stdout === "") throw new Error(`${argv.join(" ")} printed nothing and ended with ${result.exitCode}: ${result.stderr}`);
  return JSON.parse(result.stdout) as Told;
}

/** A folder with the few programs the launcher uses and no Node at all. */
export async function pathWithoutNode(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  for (const name of ["dirname", "readlink", "uname", "sh"]) await symlink(found(name), join(dir, name));
  return dir;
}

function found(name: string): string {
  const file = (process.env["PATH"] ?? "").split(delimiter).map((at) => join(at, name)).find((path) => existsSync(path));
  if (file === undefined) throw new Error(`${name} is not on PATH`);
  return file;
}

/** A folder to put first on PATH whose `node` is too old: a real one of this machine, else a script that reports its version and fails at anything else. */
export async function oldNode(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  for (const at of (process.env["PATH"] ?? "").split(delimiter).filter((entry) => entry.startsWith("/"))) {
    const candidate = join(at, "node");
    if (!existsSync(candidate)) continue;
    const { stdout } = await run([candidate, "--version"], dir, {});
    if (Number(/^v(\d+)\./.exec(stdout)?.[1] ?? 99) >= 24) continue;
    await symlink(candidate, join(dir, "node"));
    return dir;
  }
  await writeFile(join(dir, "node"), '#!/bin/sh\n[ "$*" = --version ] && echo v20.20.2 && exit 0\necho "Node 20 was started with: $*" >&2\nexit 97\n');
  await chmod(join(dir, "node"), 0o755);
  return dir;
}

/** The pinned Node as npm would lay it out below `dir`. */
export async function pinNode(dir: string): Promise<string> {
  const names = (await readdir(join(ROOT, "node_modules"))).filter((name) => name.startsWith("node-linux-"));
  await mkdir(join(dir, "node_modules"), { recursive: true });
  for (const name of names) await symlink(join(ROOT, "node_modules", name), join(dir, "node_modules", name));
  return realpath(join(dir, "node_modules", names[0] ?? "", "bin/node"));
}

/** Packs a copy of this checkout (whose own dist stays as it is); gives the tarball and the paths inside it. */
export async function pack(dir: string): Promise<{ tarball: string; files: readonly string[] }> {
  const copy = join(dir, "checkout");
  const { files } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { files: string[] };
  const wanted = ["package.json", "tsconfig.json", "tsconfig.build.json", "README.md", "LICENSE", "src", ...files.filter((name) => name !== "dist")];
  for (const name of wanted) if (existsSync(join(ROOT, name))) await cp(join(ROOT, name), join(copy, name), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
  await npm(["pack", "--pack-destination", dir], copy);
  const tarball = join(dir, (await readdir(dir)).find((name) => name.endsWith(".tgz")) ?? "");
  const { stdout } = await run(["tar", "-tzf", tarball], dir, childEnv(process.env));
  return { tarball, files: stdout.split("\n").filter((line) => line !== "").map((line) => line.replace(/^package\//, "")) };
}

/** Installs a tarball as a stranger would; gives the path of the installed command. */
export async function install(tarball: string, dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  await npm(["install", "--prefix", dir, "--prefer-offline", "--no-audit", "--no-fund", tarball], dir);
  return join(dir, "node_modules/.bin/slipstream");
}

/** Without what a surrounding `npm test` puts into the environment, apart from a registry or cache chosen there. */
async function npm(args: readonly string[], cwd: string): Promise<void> {
  const chosen = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^npm_config_(registry|cache|userconfig)$/i.test(name)));
  const result = await exec({ argv: ["npm", ...args], cwd, env: { ...childEnv(process.env), ...(chosen as Record<string, string>) }, timeoutMs: NPM_TIMEOUT_MS }, never);
  if (result.exitCode !== 0) throw new Error(`npm ${args.join(" ")} ended with ${result.exitCode ?? "a timeout"}:\n${result.stdout}\n${result.stderr}`);
}
