/** A whole workspace for tests and the demo: three real programs, their upstream repositories, Process Compose and the daemon. */

import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { ProcessState } from "../../src/adapters/process-compose.ts";
import { ensureTools } from "../../tools/install.ts";
import { createUpstream, type GitServer, startGitServer, type Upstream } from "./git-server.ts";
import type { Payload, Signed } from "./github.ts";
import { leftoversOf } from "./leftovers.ts";
import { type ProcessComposeForTest, startProcessCompose } from "./process-compose.ts";
import { type Behaviour, type ServiceAnswer, serviceFiles } from "./service.ts";
import { digestOf } from "./snapshot.ts";
import { until } from "./wait.ts";
import { FIRST_VERSION, type Places, prefixedTaskfile, processComposeYaml, rootTaskfile, slipstreamYaml, SUBSYSTEMS, type SubsystemName, type SubsystemPlan } from "./workspace-files.ts";
import { askProgram, type CliResult, freePorts, runCli, runTool, type SendOptions, type Sent, sendAgain, sendPayload, workspaceEnv } from "./workspace-io.ts";

export type { SubsystemName } from "./workspace-files.ts";

interface Tools {
  readonly task: string;
  readonly processCompose: string;
}

export interface WorkspaceOptions {
  /** Found by `ensureTools` when not given. */
  readonly tools?: Tools;
  /** Merged into `slipstream.yaml`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** How long a new process must stay healthy; 2 s by default. */
  readonly soak?: string;
  /** Runs the git server under Process Compose, and that in a session of its own: the workspace may then outlive this program. */
  readonly outlives?: boolean;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface WorkspaceSubsystem extends SubsystemPlan {
  readonly port: number;
  /** The installed binary. */
  readonly binaryPath: string;
}

export interface WorkspaceUpstream extends Upstream {
  /** Commits a release of the program and tags it. */
  release(version: string, behaviour?: Behaviour): Promise<{ readonly commit: string }>;
}

export interface Workspace {
  readonly dir: string;
  /** Of the daemon. */
  readonly url: string;
  readonly webhookSecret: string;
  readonly tools: Tools;
  readonly places: Places;
  readonly subsystems: Readonly<Record<SubsystemName, WorkspaceSubsystem>>;
  readonly upstreams: Readonly<Record<SubsystemName, WorkspaceUpstream>>;
  /** Starts Process Compose and waits until every process is Ready. */
  start(options: { readonly daemon: boolean }): Promise<void>;
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
interface Running {
  git?: GitServer;
  pc?: ProcessComposeForTest;
}

interface Parts {
  readonly places: Places;
  readonly tools: Tools;
  readonly webhookSecret: string;
  readonly upstreams: Workspace["upstreams"];
  readonly options: WorkspaceOptions;
  readonly running: Running;
}

const REPOSITORY = resolve(import.meta.dirname, "../..");
const NAMES = Object.keys(SUBSYSTEMS) as SubsystemName[];
const START_MS = 60_000;

/** Makes the folder, the upstreams and the first version of each program; nothing but the git server runs yet. */
export async function createWorkspace(options: WorkspaceOptions = {}): Promise<Workspace> {
  const tools = options.tools ?? (await ensureTools());
  const dir = await mkdtemp(join(await realpath(tmpdir()), "slipstream-"));
  const running: Running = {};
  try {
    const [gitPort, daemonPort, ...programs] = (await freePorts(2 + NAMES.length)) as [number, number, ...number[]];
    const ports = Object.fromEntries(NAMES.map((name, i) => [name, programs[i] as number])) as Record<SubsystemName, number>;
    const repositories = join(dir, ".upstreams");
    await mkdir(repositories);
    running.git = await startGitServer(repositories, { port: gitPort });
    const places: Places = { dir, repositories, socket: join(dir, "pc.sock"), gitUrl: running.git.url, ports, daemonPort, launcher: join(REPOSITORY, "bin", "slipstream"), task: tools.task };
    const webhookSecret = randomBytes(32).toString("hex");
    await writeFiles(places, webhookSecret, options);
    const upstreams = await eachName(async (name) => workspaceUpstream(await createUpstream(repositories, SUBSYSTEMS[name].repository), name));
    for (const name of NAMES) {
      options.onProgress?.(`building ${name} ${FIRST_VERSION}`);
      await upstreams[name].release(FIRST_VERSION);
      await runTool([tools.task, "-d", dir, `${name}:bin:build`], dir, options.signal);
    }
    return assemble({ places, tools, webhookSecret, upstreams, options, running });
  } catch (error) {
    await running.git?.close();
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

async function writeFiles(places: Places, webhookSecret: string, options: WorkspaceOptions): Promise<void> {
  const { dir } = places;
  const state = join(dir, ".slipstream");
  await mkdir(state, { mode: 0o700 });
  await writeFile(join(state, "secrets.env"), `WEBHOOK_SECRET=${webhookSecret}\n`, { mode: 0o600 });
  await mkdir(join(dir, "taskfiles"));
  await copyFile(join(REPOSITORY, "taskfiles", "subsystem.yml"), join(dir, "taskfiles", "subsystem.yml"));
  await writeFile(join(dir, "Taskfile.yml"), rootTaskfile(places));
  for (const plan of Object.values(SUBSYSTEMS)) {
    await mkdir(join(dir, plan.name));
    if (plan.prefixed === true) await writeFile(join(dir, plan.name, "Taskfile.yml"), prefixedTaskfile(places, plan));
  }
  await writeFile(join(dir, "process-compose.yaml"), processComposeYaml(places, { daemon: true }));
  await writeFile(join(dir, "slipstream.yaml"), slipstreamYaml(places, { soak: options.soak ?? "2s", more: options.config ?? {} }));
}

function assemble(parts: Parts): Workspace {
  const { places, tools, webhookSecret, upstreams, running } = parts;
  const { dir, ports, launcher } = places;
  const url = `http://127.0.0.1:${places.daemonPort}`;
  const binaryPath = (name: SubsystemName) => join(dir, name, ".bin", SUBSYSTEMS[name].binary);
  const subsystems = Object.fromEntries(NAMES.map((name) => [name, { ...SUBSYSTEMS[name], port: ports[name], binaryPath: binaryPath(name) }])) as Record<SubsystemName, WorkspaceSubsystem>;
  const processes = () => running.pc?.states() ?? Promise.reject(new Error("Process Compose is not started"));
  const output = () => running.pc?.output() ?? "";
  const cli: Workspace["cli"] = ([verb, ...rest]) => runCli(launcher, [verb, "--workspace", dir, ...rest]);
  return {
    ...{ dir, url, webhookSecret, tools, places, subsystems, upstreams, processes, output, cli },
    async start({ daemon }) {
      running.pc = await startProject(parts, daemon);
      const ready = async () => [...(await processes()).values()].every((p) => p.isRunning && p.ready === "Ready");
      await until(ready, { what: "every process to be Ready", timeoutMs: START_MS, onTimeout: output }, parts.options.signal);
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

async function startProject({ places, tools, options, running }: Parts, daemon: boolean): Promise<ProcessComposeForTest> {
  const outlives = options.outlives === true;
  if (outlives) await running.git?.close();
  return startProcessCompose({
    dir: places.dir,
    yaml: processComposeYaml(places, { daemon, gitServer: outlives }),
    binary: tools.processCompose,
    env: workspaceEnv(),
    detached: outlives,
  });
}

function workspaceUpstream(upstream: Upstream, name: SubsystemName): WorkspaceUpstream {
  return {
    ...upstream,
    async release(version, behaviour = "good") {
      await upstream.commitFiles(serviceFiles({ name, version, behaviour }), `release ${version}`);
      return { commit: await upstream.tag(version) };
    },
  };
}

async function close(dir: string, running: Running, keepFiles: boolean): Promise<void> {
  await running.pc?.close();
  await running.git?.close();
  const left = await leftoversOf(dir);
  for (const { pid } of left) process.kill(pid, "SIGKILL");
  if (!keepFiles) await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  if (left.length > 0) throw new Error(`left running after the stop: ${left.map((l) => `${l.pid} ${l.command}`).join("; ")}`);
}

async function eachName<T>(make: (name: SubsystemName) => Promise<T>): Promise<Record<SubsystemName, T>> {
  return Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, await make(name)]))) as Record<SubsystemName, T>;
}
