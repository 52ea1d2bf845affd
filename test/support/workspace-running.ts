/** What every workspace of tests and of the demo can do once its files are there, however its programs come into being. */

import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ProcessState } from "../../src/adapters/process-compose.ts";
import type { Payload, Signed } from "./github.ts";
import { leftoversOf } from "./leftovers.ts";
import type { ProcessComposeForTest } from "./process-compose.ts";
import type { ServiceAnswer } from "./service.ts";
import { digestOf } from "./snapshot.ts";
import { until } from "./wait.ts";
import { type Places, SUBSYSTEMS, type SubsystemName, type SubsystemPlan } from "./workspace-files.ts";
import { askProgram, type CliResult, runCli, type SendOptions, type Sent, sendAgain, sendPayload } from "./workspace-io.ts";

export interface Tools {
  readonly task: string;
  readonly processCompose: string;
}

export interface WorkspaceSubsystem extends SubsystemPlan {
  readonly port: number;
  /** The installed binary. */
  readonly binaryPath: string;
}

export interface RunningWorkspace {
  readonly dir: string;
  /** Of the daemon. */
  readonly url: string;
  readonly webhookSecret: string;
  readonly tools: Tools;
  readonly places: Places;
  readonly subsystems: Readonly<Record<SubsystemName, WorkspaceSubsystem>>;
  /** Starts Process Compose and waits until every process is Ready, but for those of programs that are `missing`. */
  start(options: { readonly daemon: boolean; readonly missing?: readonly SubsystemName[] }): Promise<void>;
  /** By name under Process Compose. */
  processes(): Promise<ReadonlyMap<string, ProcessState>>;
  /** Asks the running program on its own port. @throws when it does not answer */
  ask(name: SubsystemName): Promise<ServiceAnswer & { readonly healthy: boolean }>;
  /** The version the running program says it has; null when it does not answer. */
  version(name: SubsystemName): Promise<string | null>;
  /** Of the installed binary. */
  digest(name: SubsystemName): Promise<string>;
  /** Signs a payload with the workspace's secret and posts it to the daemon. */
  deliver(payload: Payload, options?: SendOptions): Promise<Sent>;
  /** Posts the same bytes and headers once more. */
  redeliver(signed: Signed): Promise<Sent>;
  /** Runs `bin/slipstream` for this workspace. */
  cli(args: readonly [string, ...string[]]): Promise<CliResult>;
  /** What `bin/slipstream … --json` prints. @throws when it ends badly */
  // biome-ignore lint/suspicious/noExplicitAny: callers name the shape they expect
  json(args: readonly [string, ...string[]]): Promise<any>;
  /** What Process Compose and its processes printed. */
  output(): string;
  /** Stops everything and removes the folder, or keeps that with `keepFiles`. @throws when something was left running (it is ended then) */
  close(options?: { readonly keepFiles?: boolean }): Promise<void>;
}

/** What has to be ended. */
export interface Running {
  /** Where the programs come from: a git server, a forge. */
  origin?: { close(): Promise<void> };
  pc?: ProcessComposeForTest;
}

export interface RunningParts {
  readonly places: Places;
  readonly tools: Tools;
  readonly webhookSecret: string;
  readonly running: Running;
  readonly plans: Readonly<Record<SubsystemName, SubsystemPlan>>;
  readonly startProject: (daemon: boolean) => Promise<ProcessComposeForTest>;
  readonly signal?: AbortSignal | undefined;
}

export const REPOSITORY = resolve(import.meta.dirname, "../..");
export const NAMES = Object.keys(SUBSYSTEMS) as SubsystemName[];
const START_MS = 60_000;

export function assemble(parts: RunningParts): RunningWorkspace {
  const { places, tools, webhookSecret, plans, running } = parts;
  const { dir, ports, launcher } = places;
  const url = `http://127.0.0.1:${places.daemonPort}`;
  const binaryPath = (name: SubsystemName) => join(dir, name, ".bin", plans[name].binary);
  const subsystems = byName((name) => ({ ...plans[name], port: ports[name], binaryPath: binaryPath(name) }));
  const processes = () => running.pc?.states() ?? Promise.reject(new Error("Process Compose is not started"));
  const output = () => running.pc?.output() ?? "";
  const cli: RunningWorkspace["cli"] = ([verb, ...rest]) => runCli(launcher, [verb, "--workspace", dir, ...rest]);
  return {
    ...{ dir, url, webhookSecret, tools, places, subsystems, processes, output, cli },
    async start({ daemon, missing = [] }) {
      running.pc = await parts.startProject(daemon);
      const waits = new Set(missing.map((name) => plans[name].process));
      const ready = async () => [...(await processes()).values()].every((p) => waits.has(p.name) || (p.isRunning && p.ready === "Ready"));
      await until(ready, { what: "every process to be Ready", timeoutMs: START_MS, onTimeout: output }, parts.signal);
    },
    ask: (name) => askProgram(ports[name]),
    version: async (name) => (await askProgram(ports[name]).catch(() => null))?.version ?? null,
    digest: (name) => digestOf(binaryPath(name)),
    deliver: (payload, options) => sendPayload({ url, secret: webhookSecret }, payload, options),
    redeliver: (signed) => sendAgain(`${url}/webhook`, signed),
    async json(args) {
      const { exitCode, stdout, stderr } = await cli([...args, "--json"]);
      if (exitCode !== 0) throw new Error(`slipstream ${args.join(" ")} ended with ${exitCode}: ${stdout}${stderr}`);
      return JSON.parse(stdout);
    },
    close: (how = {}) => close(dir, running, how.keepFiles === true),
  };
}

async function close(dir: string, running: Running, keepFiles: boolean): Promise<void> {
  await running.pc?.close();
  await running.origin?.close();
  const left = await leftoversOf(dir);
  for (const { pid } of left) process.kill(pid, "SIGKILL");
  if (!keepFiles) await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  if (left.length > 0) throw new Error(`left running after the stop: ${left.map((l) => `${l.pid} ${l.command}`).join("; ")}`);
}

/** Ports for the daemon and for every program, out of free ones. */
export function portsOf(free: readonly number[]): { readonly daemonPort: number; readonly ports: Readonly<Record<SubsystemName, number>> } {
  return { daemonPort: free[0] as number, ports: byName((_name, i) => free[i + 1] as number) };
}

function byName<T>(make: (name: SubsystemName, index: number) => T): Record<SubsystemName, T> {
  return Object.fromEntries(NAMES.map((name, i) => [name, make(name, i)])) as Record<SubsystemName, T>;
}
