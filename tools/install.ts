/** Gets pinned Task and Process Compose: from PATH if good enough, from the cache, or built with Go into the cache. */

import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { StateError } from "../src/domain/errors.ts";
import { build, type BuildContext, cachedPath } from "./build.ts";
import { onPath, versionOf } from "./find.ts";
import { withLock } from "./lock.ts";
import { cacheKey, PROCESS_COMPOSE, type Recipe, recipesFor, recipesForProcessCompose, TASK, type Tool, type ToolName } from "./pins.ts";
import { createProgress, type StartProgress } from "./progress.ts";

export interface ToolsOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Told about builds; silent when everything is there. */
  readonly progress?: StartProgress;
  /** Look neither on PATH nor into the cache. */
  readonly rebuild?: boolean;
  readonly signal?: AbortSignal;
}

export interface FoundTool {
  readonly name: ToolName;
  readonly path: string;
  readonly version: string;
  readonly from: "path" | "cache" | "built";
  /** Where it differs from the pinned tool. */
  readonly note?: string;
}

interface Search extends BuildContext {
  readonly progress: StartProgress;
  readonly rebuild: boolean;
}

/** Absolute paths of working tools; may build for minutes the first time. @throws StateError tool-missing, saying what to install */
export async function ensureTools(options: ToolsOptions = {}): Promise<{ task: string; processCompose: string }> {
  const [task, processCompose] = await findTools(options);
  return { task: task.path, processCompose: processCompose.path };
}

/** As `ensureTools`, with where each came from. */
export async function findTools(options: ToolsOptions = {}): Promise<readonly [FoundTool, FoundTool]> {
  const search = searchOf(options);
  const find = async (tool: Tool) => {
    const there = search.rebuild ? undefined : await onPath(tool, search.env, search.signal);
    if (there !== undefined) return { name: tool.name, ...there, from: "path" as const };
    return await fromCacheOrBuild(tool, recipesFor(tool), search);
  };
  return [await find(TASK), await find(PROCESS_COMPOSE)];
}

/** Exactly this version (`v1.87.0`) of Process Compose, whatever is on PATH. @throws StateError tool-missing */
export async function ensureProcessCompose(version: string, options: ToolsOptions = {}): Promise<string> {
  return (await fromCacheOrBuild(PROCESS_COMPOSE, recipesForProcessCompose(version), searchOf(options))).path;
}

function searchOf(options: ToolsOptions): Search {
  const env = options.env ?? process.env;
  return {
    env,
    cache: cacheDir(env),
    progress: options.progress ?? createProgress(process.stderr),
    rebuild: options.rebuild ?? false,
    signal: options.signal ?? new AbortController().signal,
  };
}

function cacheDir(env: NodeJS.ProcessEnv): string {
  const own = env["SLIPSTREAM_TOOLS_CACHE"];
  if (own !== undefined && own !== "") return resolve(own);
  const base = env["XDG_CACHE_HOME"];
  return join(base !== undefined && base !== "" ? resolve(base) : join(env["HOME"] ?? homedir(), ".cache"), "slipstream", "tools");
}

/** A stand-in that is in the cache already is taken before the pinned version is tried again. */
async function fromCacheOrBuild(tool: Tool, recipes: readonly Recipe[], search: Search): Promise<FoundTool> {
  if (!search.rebuild) {
    for (const recipe of recipes) {
      const found = await fromCache(tool, recipe, search);
      if (found !== undefined) return found;
    }
  }
  await mkdir(search.cache, { recursive: true });
  const failures: string[] = [];
  for (const recipe of recipes) {
    try {
      return await buildOnce(tool, recipe, search);
    } catch (error) {
      search.signal.throwIfAborted();
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new StateError("tool-missing", missing(tool, recipes[0]?.version ?? tool.pinned, failures));
}

async function fromCache(tool: Tool, recipe: Recipe, search: Search): Promise<FoundTool | undefined> {
  const path = cachedPath(search.cache, tool, recipe);
  if ((await versionOf(tool, path, search.env, search.signal)) !== recipe.version) return undefined;
  return { name: tool.name, path, version: recipe.version, from: "cache", ...noteOf(recipe) };
}

/** Two callers at once: the second waits and finds the first one's result. */
async function buildOnce(tool: Tool, recipe: Recipe, search: Search): Promise<FoundTool> {
  const label = `${tool.title} ${recipe.version}${recipe.how === "source-without-clipboard" ? ` (in place of ${tool.pinned}, no clipboard)` : ""}`;
  const lock = join(search.cache, `${cacheKey(tool, recipe)}.lock`);
  const waiting: { line?: ReturnType<StartProgress> } = {};
  const work = async (): Promise<FoundTool> => {
    waiting.line?.end();
    const made = search.rebuild && waiting.line === undefined ? undefined : await fromCache(tool, recipe, search);
    if (made !== undefined) return made;
    const line = search.progress(`building ${label} from source (the first time takes minutes)`);
    try {
      const path = await build(tool, recipe, search);
      line.end();
      return { name: tool.name, path, version: recipe.version, from: "built", ...noteOf(recipe) };
    } catch (error) {
      line.end((error instanceof Error ? error.message : String(error)).split("\n").at(-1)?.trim());
      throw error;
    }
  };
  return await withLock(lock, work, () => (waiting.line = search.progress(`waiting for another build of ${label}`)), search.signal);
}

function noteOf(recipe: Recipe): { note?: string } {
  return recipe.note === undefined ? {} : { note: recipe.note };
}

function missing(tool: Tool, version: string, failures: readonly string[]): string {
  const main = [tool.module, tool.main].filter((part) => part !== "").join("/");
  return [
    `${tool.title} ${version} is neither on PATH nor buildable here, expected ${tool.name} ${tool.minimum} or newer. What was tried:`,
    ...failures.map((failure) => `  ${failure}`),
    "Put it on PATH in one of these ways, then try again:",
    `  go install ${main}@${version}   (Go 1.26 or newer: https://go.dev/dl/; then add "$(go env GOPATH)/bin" to PATH)`,
    `  or unpack a release for your system: ${tool.releases}`,
  ].join("\n");
}

const HELP = `usage: npm run tools [-- --json] [-- --rebuild]

Makes sure that Task ${TASK.pinned} and Process Compose ${PROCESS_COMPOSE.pinned} are there, for the tests and the demo.
Looks on PATH (Task ${TASK.minimum} or newer, Process Compose ${PROCESS_COMPOSE.minimum} or newer), then into the cache
($SLIPSTREAM_TOOLS_CACHE, by default ~/.cache/slipstream/tools), then builds them with Go, which takes minutes the first time.

  --json      print one JSON object per tool: name, path, version, from, note
  --rebuild   look neither on PATH nor into the cache
  --help      show this text
`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { help: { type: "boolean" }, json: { type: "boolean" }, rebuild: { type: "boolean" } } });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  for (const tool of await findTools({ signal: stop.signal, rebuild: values.rebuild ?? false })) {
    const line = `${tool.name} ${tool.version} (${tool.from}): ${tool.path}${tool.note === undefined ? "" : `\n  ${tool.note}`}`;
    process.stdout.write(`${values.json === true ? JSON.stringify(tool) : line}\n`);
  }
  return 0;
}

if (import.meta.main) {
  process.exitCode = await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  });
}
