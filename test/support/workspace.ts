/** A whole workspace for tests and the demo: three real programs, their upstream repositories, Process Compose and the daemon. */

import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureTools } from "../../tools/install.ts";
import { createUpstream, startGitServer, type Upstream } from "./git-server.ts";
import { type ProcessComposeForTest, startProcessCompose } from "./process-compose.ts";
import { type Behaviour, serviceFiles } from "./service.ts";
import { FIRST_VERSION, prefixedTaskfile, processComposeYaml, rootTaskfile, slipstreamYaml, type SourcePlaces, SUBSYSTEMS, type SubsystemName } from "./workspace-files.ts";
import { freePorts, runTool, workspaceEnv } from "./workspace-io.ts";
import { assemble, NAMES, portsOf, REPOSITORY, type Running, type RunningWorkspace, type Tools } from "./workspace-running.ts";

export type { SubsystemName } from "./workspace-files.ts";
export type { RunningWorkspace } from "./workspace-running.ts";

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

export interface WorkspaceUpstream extends Upstream {
  /** Commits a release of the program and tags it. */
  release(version: string, behaviour?: Behaviour): Promise<{ readonly commit: string }>;
}

export interface Workspace extends RunningWorkspace {
  readonly upstreams: Readonly<Record<SubsystemName, WorkspaceUpstream>>;
}

/** Makes the folder, the upstreams and the first version of each program; nothing but the git server runs yet. */
export async function createWorkspace(options: WorkspaceOptions = {}): Promise<Workspace> {
  const tools = options.tools ?? (await ensureTools());
  const dir = await mkdtemp(join(await realpath(tmpdir()), "slipstream-"));
  const running: Running = {};
  try {
    const [gitPort, ...free] = (await freePorts(2 + NAMES.length)) as [number, ...number[]];
    const repositories = join(dir, ".upstreams");
    await mkdir(repositories);
    const git = await startGitServer(repositories, { port: gitPort });
    running.origin = git;
    const places: SourcePlaces = { dir, repositories, socket: join(dir, "pc.sock"), gitUrl: git.url, ...portsOf(free), launcher: join(REPOSITORY, "bin", "slipstream"), task: tools.task };
    const webhookSecret = randomBytes(32).toString("hex");
    await writeFiles(places, webhookSecret, options);
    const upstreams = await eachName(async (name) => workspaceUpstream(await createUpstream(repositories, SUBSYSTEMS[name].repository), name));
    for (const name of NAMES) {
      options.onProgress?.(`building ${name} ${FIRST_VERSION}`);
      await upstreams[name].release(FIRST_VERSION);
      await runTool([tools.task, "-d", dir, `${name}:bin:build`], dir, options.signal);
    }
    const startProject = (daemon: boolean) => start({ places, tools, options, running }, daemon);
    return { ...assemble({ places, tools, webhookSecret, running, plans: SUBSYSTEMS, startProject, signal: options.signal }), upstreams };
  } catch (error) {
    await running.origin?.close();
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

async function writeFiles(places: SourcePlaces, webhookSecret: string, options: WorkspaceOptions): Promise<void> {
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

interface Project {
  readonly places: SourcePlaces;
  readonly tools: Tools;
  readonly options: WorkspaceOptions;
  readonly running: Running;
}

async function start({ places, tools, options, running }: Project, daemon: boolean): Promise<ProcessComposeForTest> {
  const outlives = options.outlives === true;
  if (outlives) await running.origin?.close();
  return startProcessCompose({
    dir: places.dir,
    yaml: processComposeYaml(places, { daemon, ...(outlives ? { gitServer: places } : {}) }),
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

async function eachName<T>(make: (name: SubsystemName) => Promise<T>): Promise<Record<SubsystemName, T>> {
  return Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, await make(name)]))) as Record<SubsystemName, T>;
}
