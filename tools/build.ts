/** Builds a tool from its Go module into the cache: in a folder of its own, proved, then renamed into place. */

import { chmod, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { childEnv, exec, type ExecResult } from "../src/adapters/exec.ts";
import { StateError } from "../src/domain/errors.ts";
import { versionOf } from "./find.ts";
import { cacheKey, type Recipe, type Tool } from "./pins.ts";

/** A first build downloads some hundred modules and compiles them. */
const GO_TIMEOUT_MS = 15 * 60_000;
const FAILURE_LINES = 12;
const CLIPBOARD = "github.com/f1bonacc1/glippy";
const CLIPBOARD_STUB = resolve(import.meta.dirname, "clipboard");

export interface BuildContext {
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Where a recipe's result lies in the cache. */
export function cachedPath(cache: string, tool: Tool, recipe: Recipe): string {
  return join(cache, cacheKey(tool, recipe), tool.name);
}

/** Builds and puts the program into the cache. The caller holds the lock. @throws Error with the last lines of what failed */
export async function build(tool: Tool, recipe: Recipe, context: BuildContext): Promise<string> {
  const target = cachedPath(context.cache, tool, recipe);
  const work = join(context.cache, `${cacheKey(tool, recipe)}.building`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    const made = recipe.how === "install" ? await goInstall(tool, recipe, work, context) : await goBuild(tool, recipe, work, context);
    const version = await versionOf(tool, made, context.env, context.signal);
    if (version !== recipe.version) throw new Error(`the built program reports version ${version ?? "none"}, expected ${recipe.version}`);
    await mkdir(join(target, ".."), { recursive: true });
    await rename(made, target);
    return target;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function goInstall(tool: Tool, recipe: Recipe, work: string, context: BuildContext): Promise<string> {
  const main = [tool.module, tool.main].filter((part) => part !== "").join("/");
  await go(["install", "-ldflags", ldflags(tool, recipe), `${main}@${recipe.version}`], work, { GOBIN: work }, context);
  return join(work, tool.name);
}

/** For proxies that serve a version but not the module's list of versions, which `go install` asks for. */
async function goBuild(tool: Tool, recipe: Recipe, work: string, context: BuildContext): Promise<string> {
  const downloaded = await go(["mod", "download", "-json", `${tool.module}@${recipe.version}`], work, {}, context);
  const { Dir: source } = JSON.parse(downloaded.stdout) as { Dir: string };
  const made = join(work, tool.name);
  const modfile = recipe.how === "source" ? [] : [`-modfile=${await withoutClipboard(source, work, context)}`];
  await go(["build", ...modfile, "-ldflags", ldflags(tool, recipe), "-o", made, `./${tool.main}`], source, {}, context);
  return made;
}

/** A copy of the module's go.mod and go.sum that takes its clipboard from tools/clipboard. */
async function withoutClipboard(source: string, work: string, context: BuildContext): Promise<string> {
  for (const name of ["go.mod", "go.sum"]) {
    await copyFile(join(source, name), join(work, name));
    await chmod(join(work, name), 0o600);
  }
  const modfile = join(work, "go.mod");
  await go(["mod", "edit", `-replace=${CLIPBOARD}=${CLIPBOARD_STUB}`, modfile], work, {}, context);
  return modfile;
}

/** Without a version Process Compose asks GitHub for updates at every start. */
function ldflags(tool: Tool, recipe: Recipe): string {
  return tool.name === "process-compose" ? `-s -w -X ${tool.module}/src/config.Version=${recipe.version}` : "-s -w";
}

async function go(args: readonly string[], cwd: string, extra: Readonly<Record<string, string>>, context: BuildContext): Promise<ExecResult> {
  const flags = [context.env["GOFLAGS"], "-buildvcs=false"].filter((flag) => flag !== undefined && flag !== "").join(" ");
  const env = childEnv(context.env, { CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: flags, ...extra });
  const result = await exec({ argv: ["go", ...args], cwd, env, timeoutMs: GO_TIMEOUT_MS }, context.signal).catch((error: unknown) => {
    if (error instanceof StateError && error.code === "tool-missing") throw new Error(`go ${args.join(" ")}: go is not on PATH`, { cause: error });
    throw error;
  });
  context.signal.throwIfAborted();
  if (result.exitCode === 0) return result;
  const ending = result.timedOut ? `took longer than ${GO_TIMEOUT_MS / 60_000} minutes` : `ended with ${result.exitCode ?? result.signal}`;
  const lines = result.stderr.trimEnd().split("\n").slice(-FAILURE_LINES);
  throw new Error([`go ${args.join(" ")} ${ending}`, ...lines.map((line) => `    ${line}`)].join("\n"));
}
