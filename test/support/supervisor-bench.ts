/** A project of small misbehaving programs under a real Process Compose, and a supervisor that speaks to it. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext } from "node:test";
import { createSupervisor, type ReloadPlan, type Supervisor } from "../../src/adapters/process-compose.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { ensureProcessCompose } from "../../tools/install.ts";
import { PROCESS_COMPOSE_VERSIONS } from "../../tools/pins.ts";
import { type ProcessComposeForTest, processComposeBinary, type ProcessComposeOptions, startProcessCompose } from "./process-compose.ts";
import { until } from "./wait.ts";

/** A program that takes a lock, writes down every start, end and overlap, and misbehaves while a file of that name is there. */
const PROGRAM = `
import { appendFileSync, existsSync, openSync, unlinkSync } from "node:fs";
const name = process.argv[2];
const termMs = Number(process.argv[3] ?? 0);
const note = (text) => appendFileSync(name + ".journal", text + " " + process.pid + "\\n");
try { openSync(name + ".lock", "wx"); } catch { note("overlap"); process.exit(3); }
process.on("exit", () => { unlinkSync(name + ".lock"); note("end"); });
note("start");
process.on("SIGTERM", () => { note("term"); if (termMs >= 0) setTimeout(() => process.exit(0), termMs); });
if (existsSync(name + ".crash")) process.exit(7);
if (existsSync(name + ".dies")) setTimeout(() => process.exit(8), 2500);
setTimeout(() => console.log("now serving " + name), 300);
setInterval(() => {}, 1000);
`;

export interface Bench {
  readonly pc: ProcessComposeForTest;
  readonly supervisor: Supervisor;
  readonly version: string;
  readonly file: (name: string) => string;
  readonly journal: (name: string) => string[];
}

export const never = new AbortController().signal;
export const health = { soakMs: 1_000, timeoutMs: 15_000 };
/** They mostly wait. */
export const TOGETHER = { concurrency: 5 };

/** A version of Process Compose to test on. */
export interface UnderTest {
  readonly title: string;
  readonly binary: () => Promise<string>;
}

const { oldest, newest } = PROCESS_COMPOSE_VERSIONS;
/** The oldest and the newest; with `PROCESS_COMPOSE=/path/of/another/version` only that one. Where the newest cannot be built, what stands in for it (tools/pins.ts). */
export const VERSIONS: readonly UnderTest[] =
  process.env["PROCESS_COMPOSE"] === undefined
    ? [
        { title: `Process Compose ${oldest}, the oldest`, binary: () => ensureProcessCompose(oldest) },
        { title: `the newest Process Compose to be had (${newest} where it can be built)`, binary: processComposeBinary },
      ]
    : [{ title: "the given Process Compose", binary: processComposeBinary }];

/** The same suite on each version, at the same time. */
export function onEachVersion(what: string, suite: (make: Make) => void): void {
  describe(what, { concurrency: VERSIONS.length }, () => {
    for (const { title, binary } of VERSIONS) describe(title, () => suite(async (t, processes, extra = {}) => bench(t, processes, { binary: await binary(), ...extra })));
  });
}

type BenchOptions = Partial<ProcessComposeOptions> & { ready?: readonly string[]; files?: readonly string[] };
type Make = (t: TestContext, processes: Record<string, object>, extra?: BenchOptions) => Promise<Bench>;

/** A process of the program above; the file `<name>.ready` is its readiness. */
export function service(name: string, extra: object = {}, termMs = 0): object {
  return { command: `exec "${process.execPath}" program.mjs ${name} ${termMs}`, ...extra };
}
export const READY = (name: string) => ({ readiness_probe: { exec: { command: `test -e ${name}.ready` }, period_seconds: 1, timeout_seconds: 3, failure_threshold: 100 } });
export const BOUNDED = { shutdown: { timeout_seconds: 6 } };
export const NEIGHBOUR = { command: "exec sleep 1000" };

async function bench(t: TestContext, processes: Record<string, object>, extra: BenchOptions & { readonly binary: string }): Promise<Bench> {
  const dir = await mkdtemp(join(tmpdir(), "sup-"));
  const file = (name: string) => join(dir, name);
  await writeFile(file("program.mjs"), PROGRAM);
  for (const name of [...(extra.ready ?? []).map((n) => `${n}.ready`), ...(extra.files ?? [])]) await writeFile(file(name), "");
  const pc = await startProcessCompose({ dir, yaml: JSON.stringify({ version: "0.5", processes }, null, 2), ...extra });
  t.after(async () => {
    await pc.close();
    await rm(dir, { recursive: true, force: true });
  });
  const supervisor = createSupervisor({ address: pc.address, clock: systemClock, log: silentLog(), dependencyWaitMs: 20_000 });
  const journal = (name: string) => (existsSync(file(`${name}.journal`)) ? readFileSync(file(`${name}.journal`), "utf8").trim().split("\n").map((l) => l.split(" ")[0] as string) : []);
  return { pc, supervisor, version: await supervisor.version(never), file, journal };
}

/** Waits until a process is there and has its signal handlers. */
export async function up(b: Bench, ...names: string[]): Promise<void> {
  for (const name of names) await until(async () => b.journal(name).includes("start") && (await b.supervisor.state(name, never)).isRunning, { what: `${name} to run` });
}

export async function reloadWell(b: Bench, name: string): Promise<ReloadPlan> {
  const plan = await b.supervisor.plan(name, never);
  await b.supervisor.reload(plan, never);
  const { pid } = await b.supervisor.waitHealthy(plan, health, never);
  assert.notEqual(pid, plan.oldPid);
  assert.equal((await b.supervisor.state(name, never)).pid, pid);
  return plan;
}
