/** The tools slipstream is developed and tested with: one pinned version each, and the ways to get it. */

export type ToolName = "task" | "process-compose";

export interface Tool {
  readonly name: ToolName;
  readonly title: string;
  /** Go module, and the main package inside it. */
  readonly module: string;
  readonly main: string;
  readonly versionArgs: readonly string[];
  /** What its help says and no other program's: Taskwarrior is called `task`, too. */
  readonly knownBy: RegExp;
  readonly pinned: string;
  /** A program on PATH is good enough from this version on. */
  readonly minimum: string;
  readonly releases: string;
}

/** One way to build one version. `install` is plain `go install`; the other two build inside the module's own source. */
export interface Recipe {
  readonly version: string;
  readonly how: "install" | "source" | "source-without-clipboard";
  /** Where it differs from the pinned tool, for people. */
  readonly note?: string;
}

export const TASK: Tool = {
  name: "task",
  title: "Task",
  module: "github.com/go-task/task/v3",
  main: "cmd/task",
  versionArgs: ["--version"],
  knownBy: /Taskfile/,
  pinned: "v3.53.1",
  minimum: "v3.53.1",
  releases: "https://github.com/go-task/task/releases",
};

export const PROCESS_COMPOSE: Tool = {
  name: "process-compose",
  title: "Process Compose",
  module: "github.com/f1bonacc1/process-compose",
  main: "",
  versionArgs: ["version"],
  knownBy: /process-compose/,
  pinned: "v1.122.0",
  minimum: "v1.120.0",
  releases: "https://github.com/F1bonacc1/process-compose/releases",
};

/** The versions of Process Compose that slipstream is held to, the oldest first: every test of the supervisor runs on each. */
export const PROCESS_COMPOSE_VERSIONS = { oldest: "v1.85.0", newest: PROCESS_COMPOSE.pinned } as const;

/** The newest version that some module proxies serve; they refuse v1.122.0 and the clipboard module v1.120.0 asks for. */
const WITHOUT_CLIPBOARD: Recipe = {
  version: "v1.120.0",
  how: "source-without-clipboard",
  note: `in place of ${PROCESS_COMPOSE.pinned}, which could not be built here: unmodified source, without the clipboard of its terminal interface (tools/clipboard)`,
};

/** In the order they are tried. */
export function recipesFor(tool: Tool): readonly Recipe[] {
  const pinned: Recipe = { version: tool.pinned, how: "install" };
  return tool.name === "process-compose" ? [pinned, WITHOUT_CLIPBOARD] : [pinned];
}

/** Exactly this version of Process Compose, never another one. */
export function recipesForProcessCompose(version: string): readonly Recipe[] {
  const exact: Recipe = { version, how: "install" };
  if (version === WITHOUT_CLIPBOARD.version) return [exact, WITHOUT_CLIPBOARD];
  return [exact, { version, how: "source" }];
}

/** Folder of a recipe's result inside the cache; how an unmodified version was built makes no difference. */
export function cacheKey(tool: Tool, recipe: Recipe): string {
  return `${tool.name}-${recipe.version}${recipe.how === "source-without-clipboard" ? "-no-clipboard" : ""}`;
}

/** Whether version `a` is at least `b`; both as `1.2.3` or `v1.2.3`. */
export function atLeast(a: string, b: string): boolean {
  const [left, right] = [a, b].map((v) => v.replace(/^v/, "").split(".").map(Number)) as [number[], number[]];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
