/** `npm test`: tools, lint, types and every test group, with times and one verdict at the end. */

import { existsSync, globSync } from "node:fs";
import { relative, resolve } from "node:path";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { exec } from "../src/adapters/exec.ts";
import { ensureProcessCompose, findTools } from "../tools/install.ts";
import { PROCESS_COMPOSE_VERSIONS } from "../tools/pins.ts";

const ROOT = resolve(import.meta.dirname, "..");
const MINUTE_MS = 60_000;
/** One test; the longest ones build and start real programs. */
const TEST_TIMEOUT_MS = 4 * MINUTE_MS;

interface Outcome {
  readonly ok: boolean;
  readonly detail: string;
}

interface Step {
  readonly name: string;
  readonly title: string;
  run(signal: AbortSignal): Promise<Outcome>;
}

const HELP = `usage: npm test [-- options] [-- test/file.test.ts ...]

Runs these steps, each with its time, and ends with a summary; exit 1 if one of them failed:
  tools         finds or builds Task and Process Compose (minutes the first time)
  lint          biome
  types         the TypeScript compiler
  unit          test/unit and test/architecture.test.ts
  integration   test/e2e, test/contract and test/integration on real tools, processes and servers

  --only STEP                only this step; may be given several times
  --test-name-pattern REGEX  only the tests with this in their name
  --help                     show this text
With files named, only the tools step and these files run.
`;

/** A step's own program: its output goes straight through, `onLine` sees it as well. */
async function program(argv: readonly string[], timeoutMs: number, signal: AbortSignal, onLine: (line: string) => void = () => undefined): Promise<Outcome> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined && name !== "NODE_TEST_CONTEXT") env[name] = value;
  if (process.stdout.isTTY && env["NO_COLOR"] === undefined) env["FORCE_COLOR"] = "1";
  const show = (line: string) => {
    process.stdout.write(`${line}\n`);
    onLine(line);
  };
  const result = await exec({ argv: [process.execPath, ...argv], cwd: ROOT, env, timeoutMs, onLine: show }, signal);
  if (result.timedOut) return { ok: false, detail: `stopped after ${timeoutMs / MINUTE_MS} minutes` };
  return { ok: result.exitCode === 0, detail: result.exitCode === 0 ? "" : `ended with ${result.exitCode ?? result.signal}` };
}

/** The counts of node:test's closing summary, and the files that it reports as a test of their own because they held none. */
function createCounter(files: readonly string[]) {
  const counts = new Map<string, number>();
  const empty = new Set<string>();
  const paths = new Map(files.flatMap((file) => [file, resolve(ROOT, file)].map((path) => [path, file] as const)));
  return {
    onLine(line: string): void {
      const plain = stripVTControlCharacters(line);
      const count = /^ℹ (tests|pass|fail|cancelled|skipped|todo) (\d+)$/.exec(plain);
      if (count?.[1] !== undefined) counts.set(count[1], Number(count[2]));
      const named = /^✔ (.+) \([\d.]+m?s\)$/.exec(plain)?.[1];
      const file = named === undefined ? undefined : paths.get(named);
      if (file !== undefined) empty.add(file);
    },
    outcome(program: Outcome, filtered: boolean): Outcome {
      const tests = (counts.get("tests") ?? 0) - empty.size;
      const passed = (counts.get("pass") ?? 0) - empty.size;
      const others = ["fail", "cancelled", "skipped", "todo"].filter((name) => (counts.get(name) ?? 0) > 0);
      const detail = [`${passed} of ${tests} tests passed in ${files.length} files`, ...others.map((name) => `${counts.get(name)} ${name}`), program.detail];
      const ran = tests - (counts.get("skipped") ?? 0) - (counts.get("todo") ?? 0);
      if (ran < 1) detail.push("no test ran");
      if (!filtered) for (const file of empty) detail.push(`${file} holds no test`);
      return { ok: program.ok && ran > 0 && (filtered || empty.size === 0), detail: detail.filter((part) => part !== "").join(", ") };
    },
  };
}

async function tests(files: readonly string[], nodeArgs: readonly string[], timeoutMs: number, pattern: string | undefined, signal: AbortSignal): Promise<Outcome> {
  if (files.length === 0) return { ok: true, detail: "no files" };
  const counter = createCounter(files);
  const named = pattern === undefined ? [] : [`--test-name-pattern=${pattern}`];
  const argv = ["--test", "--test-reporter=spec", `--test-timeout=${TEST_TIMEOUT_MS}`, ...nodeArgs, ...named, ...files];
  return counter.outcome(await program(argv, timeoutMs, signal, counter.onLine), pattern !== undefined);
}

async function tools(signal: AbortSignal): Promise<Outcome> {
  const oldest = await ensureProcessCompose(PROCESS_COMPOSE_VERSIONS.oldest, { signal });
  process.stdout.write(`process-compose ${PROCESS_COMPOSE_VERSIONS.oldest}, the oldest: ${oldest}\n`);
  const found = await findTools({ signal });
  for (const tool of found) process.stdout.write(`${tool.name} ${tool.version}: ${tool.path}${tool.note === undefined ? "" : `\n  ${tool.note}`}\n`);
  return { ok: true, detail: found.map((tool) => `${tool.name} ${tool.version} (${tool.from})`).join(", ") };
}

function stepsFor(files: readonly string[], pattern: string | undefined): readonly Step[] {
  const find = (...patterns: string[]) => globSync(patterns, { cwd: ROOT }).sort();
  const toolsStep: Step = { name: "tools", title: "Task and Process Compose", run: tools };
  const parallel = ["--test-concurrency=2"];
  if (files.length > 0) return [toolsStep, { name: "files", title: files.join(" "), run: (signal) => tests(files, parallel, 15 * MINUTE_MS, pattern, signal) }];
  const unit = find("test/unit/**/*.test.ts", "test/architecture.test.ts");
  const integration = ["e2e", "contract", "integration"].flatMap((group) => find(`test/${group}/**/*.test.ts`));
  return [
    toolsStep,
    { name: "lint", title: "biome lint", run: (signal) => program(["node_modules/@biomejs/biome/bin/biome", "lint", "--error-on-warnings", "."], 2 * MINUTE_MS, signal) },
    { name: "types", title: "tsc", run: (signal) => program(["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"], 3 * MINUTE_MS, signal) },
    { name: "unit", title: "unit tests and architecture", run: (signal) => tests(unit, ["--test-isolation=none"], 4 * MINUTE_MS, pattern, signal) },
    { name: "integration", title: "e2e, contract and integration tests", run: (signal) => tests(integration, parallel, 20 * MINUTE_MS, pattern, signal) },
  ];
}

const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

async function runAll(steps: readonly Step[], signal: AbortSignal): Promise<boolean> {
  const started = performance.now();
  const rows: string[] = [];
  let ok = true;
  for (const step of steps) {
    process.stdout.write(`\n=== ${step.name}: ${step.title}\n`);
    const begun = performance.now();
    const outcome = await step.run(signal).catch((error: unknown): Outcome => {
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
      return { ok: false, detail: "see above" };
    });
    if (signal.aborted) return false;
    ok &&= outcome.ok;
    rows.push(`${outcome.ok ? "ok    " : "FAILED"}  ${step.name.padEnd(12)} ${seconds(begun).padStart(8)}  ${outcome.detail}`);
  }
  process.stdout.write(`\n=== summary\n${rows.join("\n")}\n${ok ? "ok    " : "FAILED"}  ${"total".padEnd(12)} ${seconds(started).padStart(8)}\n`);
  return ok;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean" }, only: { type: "string", multiple: true }, "test-name-pattern": { type: "string" } },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const absent = positionals.filter((file) => !existsSync(file));
  if (absent.length > 0) throw new Error(`no such test file: ${absent.join(", ")}`);
  const all = stepsFor(positionals.map((file) => relative(ROOT, resolve(file))), values["test-name-pattern"]);
  const unknown = (values.only ?? []).filter((name) => !all.some((step) => step.name === name));
  if (unknown.length > 0) throw new Error(`step ${unknown.join(", ")} is unknown, expected one of ${all.map((step) => step.name).join(", ")}`);
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
  return (await runAll(all.filter((step) => values.only?.includes(step.name) ?? true), stop.signal)) ? 0 : 1;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 64;
});
