/** A running workspace of the plat-telemetry kind (recreated, see plat-telemetry-files.ts): two machines in one, for some of its programs are built here and some come out of releases. */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { childEnv, exec, type ExecResult } from "../../src/adapters/exec.ts";
import { thisPlatform } from "../../src/kit/platform.ts";
import { ensureTools } from "../../tools/install.ts";
import { type DaemonForTest, startDaemon } from "./daemon.ts";
import { type AssetSpec, type FakeForge, releaseDelivery, startForge } from "./forge.ts";
import { createUpstream, type GitServer, startGitServer, type Upstream } from "./git-server.ts";
import type { Payload, Signed } from "./github.ts";
import { leftoversOf } from "./leftovers.ts";
import { DISTRIBUTION, PLAT, PLAT_NAMES, type PlatName, platGoWork, type PlatPlaces, platProcessComposeYaml, platRootTaskfile, platSyncTaskfile, platTaskfile } from "./plat-telemetry-files.ts";
import { type ProcessComposeForTest, startProcessCompose } from "./process-compose.ts";
import { packTarball } from "./release-assets.ts";
import { serviceFiles } from "./service.ts";
import { digestOf } from "./snapshot.ts";
import { until } from "./wait.ts";
import { askProgram, freePorts, runCli, type SendOptions, type Sent, sendAgain, sendPayload, workspaceEnv } from "./workspace-io.ts";
import { REPOSITORY, type Tools } from "./workspace-running.ts";

/** Built on this machine: they have `.src`. */
const BUILT: readonly PlatName[] = ["nats", "arc", "docs"];
/** What runs; liftbridge is disabled, because its clone was interrupted and it has no program. */
export const RUNNING: readonly PlatName[] = ["nats", "arc", "telegraf", "docs"];
const START_MS = 60_000;
const TOOL_MS = 120_000;

/** One program at one moment. */
export interface PlatSeen {
  /** Process Compose's: Task's, which started it. */
  readonly pid: number;
  readonly restarts: number;
  /** Its own, as it says itself. */
  readonly ownPid: number;
  readonly version: string;
  /** Digest of what the kernel has mapped for it, and of what is installed. */
  readonly running: string;
  readonly installed: string;
}

export interface PlatWorkspace {
  readonly dir: string;
  readonly forge: FakeForge;
  readonly daemon: DaemonForTest;
  /** `slipstream.yaml`, whole. */
  readonly ownFile: string;
  upstream(name: PlatName): Upstream;
  /** Commits a version of a program on its upstream's branch; tags it where its versions are tags. */
  release(name: PlatName, version: string, more?: Readonly<Record<string, string>>): Promise<string>;
  /** Publishes an asset `<bin>-<os>-<arch>.tar.gz` of the distribution's releases, without a `.version` in it. */
  publish(name: PlatName, tag: string, version: string): Promise<string>;
  /** An asset as `publish` packs it. */
  asset(name: PlatName, version: string): Promise<AssetSpec>;
  deliver(payload: Payload, options?: SendOptions): Promise<Sent>;
  announce(releaseId: string, action?: string): Promise<Sent>;
  redeliver(signed: Signed): Promise<Sent>;
  /** Runs one of the workspace's own tasks as a person would. */
  task(...args: string[]): Promise<ExecResult>;
  // biome-ignore lint/suspicious/noExplicitAny: callers name the shape they expect
  json(args: readonly [string, ...string[]]): Promise<any>;
  see(): Promise<Readonly<Record<string, PlatSeen>>>;
  output(): string;
  close(): Promise<void>;
}

interface Parts {
  readonly places: PlatPlaces;
  readonly tools: Tools;
  readonly git: GitServer;
  readonly forge: FakeForge;
  readonly upstreams: ReadonlyMap<PlatName, Upstream>;
  readonly env: Record<string, string>;
}

export async function createPlatWorkspace(): Promise<PlatWorkspace> {
  const tools = await ensureTools();
  const dir = await mkdtemp(join(await realpath(tmpdir()), "plat-"));
  const open: { close(): Promise<unknown> }[] = [];
  const close = async () => {
    for (const one of open.reverse()) await one.close();
    const left = await leftoversOf(dir);
    for (const { pid } of left) process.kill(pid, "SIGKILL");
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    if (left.length > 0) throw new Error(`left running after the stop: ${left.map((l) => `${l.pid} ${l.command}`).join("; ")}`);
  };
  try {
    const parts = await layOut(dir, tools);
    open.push(parts.git, parts.forge);
    const pc = await startPrograms(parts);
    open.push(pc);
    const [daemonPort] = (await freePorts(1)) as [number];
    const url = `http://127.0.0.1:${daemonPort}`;
    const launcher = join(REPOSITORY, "bin", "slipstream");
    const secret = (await readFile(join(dir, ".slipstream", "secrets.env"), "utf8")).trim().split("=")[1] as string;
    // What an interactive shell may have set, and no build may see.
    const daemon = await startDaemon({ dir, url, places: { launcher, daemonPort }, tools }, { GOWORK: "/nonexistent/go.work", GOOS: "plan9", SUBSYSTEM: "arc", DIST: "/nonexistent" });
    open.push({ close: () => daemon.stop() });
    return { ...running(parts, { pc, url, secret, launcher }), daemon, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

/** The folder, its upstreams and its first programs; its own tasks build them, as `task start` would have. */
async function layOut(dir: string, tools: Tools): Promise<Parts> {
  const repositories = join(dir, ".upstreams");
  await mkdir(repositories);
  const [git, forge, free] = [await startGitServer(repositories), await startForge(), await freePorts(PLAT_NAMES.length)];
  const places: PlatPlaces = { dir, gitUrl: git.url, ports: Object.fromEntries(PLAT_NAMES.map((name, i) => [name, free[i]])) as Record<PlatName, number> };
  const path = `${dirname(tools.task)}${delimiter}${dirname(tools.processCompose)}${delimiter}${process.env["PATH"] ?? ""}`;
  const parts: Parts = { places, tools, git, forge, env: { ...workspaceEnv(), PATH: path }, upstreams: new Map(await Promise.all([...BUILT, "liftbridge" as const].map(async (name) => [name, await createUpstream(repositories, PLAT[name].repository)] as const))) };
  await writeFiles(parts);
  for (const name of parts.upstreams.keys()) {
    const upstream = parts.upstreams.get(name) as Upstream;
    if (PLAT[name].pin === "master") await upstream.git("symbolic-ref", "HEAD", "refs/heads/master");
    await release(parts, name, isBranch(name) ? `${PLAT[name].pin}-1` : PLAT[name].pin);
  }
  for (const name of BUILT) {
    const built = await task(parts, `${name}:bin:build`);
    if (built.exitCode !== 0) throw new Error(`${name} was not built:\n${built.stdout}${built.stderr}`);
  }
  await interruptedClone(dir);
  await downloaded(parts, "telegraf");
  await downloaded(parts, "gh");
  return parts;
}

const isBranch = (name: PlatName) => !PLAT[name].pin.startsWith("v");

async function writeFiles({ places, forge }: Parts): Promise<void> {
  const { dir } = places;
  for (const folder of [...PLAT_NAMES, "sync"]) await mkdir(join(dir, folder));
  await writeFile(join(dir, "Taskfile.yml"), platRootTaskfile());
  for (const name of PLAT_NAMES) await writeFile(join(dir, name, "Taskfile.yml"), platTaskfile(places, PLAT[name]));
  await writeFile(join(dir, "sync", "Taskfile.yml"), platSyncTaskfile());
  await writeFile(join(dir, "go.work"), platGoWork());
  await writeFile(join(dir, "process-compose.yaml"), platProcessComposeYaml({ disabled: ["liftbridge"] }));
  await writeFile(join(dir, "slipstream.yaml"), ownFile(forge));
  await mkdir(join(dir, ".slipstream"), { mode: 0o700 });
  await writeFile(join(dir, ".slipstream", "secrets.env"), `WEBHOOK_SECRET=${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
}

/** Nothing about the workspace: that the releases are not on github.com, and a soak time for tests. */
const ownFile = (forge: FakeForge) => `defaults:\n  release: { api: "${forge.api}", asset_hosts: ["${forge.assetHost}"] }\n  health: { soak: 500ms }\n`;

/** What a clone leaves behind that was killed while it fetched (D6). */
async function interruptedClone(dir: string): Promise<void> {
  const git = join(dir, "liftbridge", ".src", ".git");
  for (const folder of ["objects/pack", "refs/heads", "refs/tags"]) await mkdir(join(git, folder), { recursive: true });
  await writeFile(join(git, "HEAD"), "ref: refs/heads/master\n");
  await writeFile(join(git, "objects", "pack", "tmp_pack_a1b2c3"), "PACK");
}

/** A user's machine: the program, and one line about it that names no version (D9, D11). */
async function downloaded({ places }: Parts, name: PlatName): Promise<void> {
  const bin = join(places.dir, name, ".bin");
  await mkdir(bin);
  await writeFile(join(bin, PLAT[name].binary), await program(name, "0-installed"), { mode: 0o755 });
  await writeFile(join(bin, ".version"), "latest\n");
}

async function release({ upstreams }: Parts, name: PlatName, version: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const upstream = upstreams.get(name) as Upstream;
  const commit = await upstream.commitFiles({ ...serviceFiles({ name: PLAT[name].binary, version }), ...more }, version);
  if (!isBranch(name)) await upstream.tag(version, { annotated: true });
  return commit;
}

/** A program as a release has it. */
async function program(name: PlatName, version: string): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), "plat-program-"));
  try {
    for (const [path, text] of Object.entries(serviceFiles({ name: PLAT[name].binary, version }))) await writeFile(join(dir, path), text);
    await promisify(execFile)("go", ["build", "-buildvcs=false", "-trimpath", "-o", "program", "."], { cwd: dir, env: workspaceEnv() });
    return await readFile(join(dir, "program"));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function asset(name: PlatName, version: string): Promise<AssetSpec> {
  const { os, arch } = thisPlatform();
  return { name: `${PLAT[name].binary}-${os}-${arch}.tar.gz`, content: await packTarball({ [PLAT[name].binary]: await program(name, version) }) };
}

function task({ places, tools, env }: Parts, ...args: string[]): Promise<ExecResult> {
  return exec({ argv: [tools.task, ...args], cwd: places.dir, env: childEnv(env, { PATH: env["PATH"] as string }), timeoutMs: TOOL_MS }, new AbortController().signal);
}

async function startPrograms({ places, tools, env }: Parts): Promise<ProcessComposeForTest> {
  const { dir } = places;
  const yaml = await readFile(join(dir, "process-compose.yaml"), "utf8");
  const pc = await startProcessCompose({ dir, yaml, binary: tools.processCompose, env, socket: join(dir, "pc", ".pc.sock") });
  const ready = async () => [...(await pc.states()).values()].filter((p) => p.isRunning && p.ready === "Ready").length === RUNNING.length;
  await until(ready, { what: "every program to be Ready", timeoutMs: START_MS, onTimeout: pc.output }).catch(async (error: unknown) => {
    await pc.close();
    throw error;
  });
  return pc;
}

type Door = { readonly pc: ProcessComposeForTest; readonly url: string; readonly secret: string; readonly launcher: string };

function running(parts: Parts, { pc, url, secret, launcher }: Door): Omit<PlatWorkspace, "daemon" | "close"> {
  const { places, forge, upstreams } = parts;
  const { dir, ports } = places;
  const deliver: PlatWorkspace["deliver"] = (payload, options) => sendPayload({ url, secret }, payload, options);
  return {
    dir,
    forge,
    ownFile: ownFile(forge),
    upstream: (name) => upstreams.get(name) as Upstream,
    release: (name, version, more) => release(parts, name, version, more),
    publish: async (name, tag, version) => forge.publish(DISTRIBUTION, { tag, assets: [await asset(name, version)] }).id,
    asset,
    deliver,
    announce: (id, action = "published") => deliver(releaseDelivery(forge, id, action)),
    redeliver: (signed) => sendAgain(`${url}/webhook`, signed),
    task: (...args) => task(parts, ...args),
    async json([verb, ...rest]) {
      const { exitCode, stdout, stderr } = await runCli(launcher, [verb, "--workspace", dir, ...rest, "--json"]);
      if (exitCode !== 0) throw new Error(`slipstream ${verb} ended with ${exitCode}: ${stdout}${stderr}`);
      return JSON.parse(stdout);
    },
    async see() {
      const states = await pc.states();
      const look = async (name: PlatName): Promise<[string, PlatSeen]> => {
        const { pid, restarts } = states.get(PLAT[name].process as string) ?? { pid: 0, restarts: 0 };
        const { version, pid: ownPid } = await askProgram(ports[name]);
        return [name, { pid, restarts, ownPid, version, running: await digestOf(`/proc/${ownPid}/exe`), installed: await digestOf(join(dir, name, ".bin", PLAT[name].binary)) }];
      };
      return Object.fromEntries(await Promise.all(RUNNING.map(look)));
    },
    output: pc.output,
  };
}

/** Every file of a tree by path, with inode, size and time: equal only while nobody wrote there. */
export async function filesOf(dir: string, except: readonly string[]): Promise<readonly string[]> {
  const skip = except.flatMap((path) => ["-path", `${dir}/${path}`, "-prune", "-o"]);
  const { stdout } = await promisify(execFile)("find", [dir, ...skip, "-printf", "%P %i %s %T@ %y %l\n"], { maxBuffer: 16 * 1024 * 1024 });
  return stdout.trim().split("\n").filter((line) => !/ d $/.test(line)).sort();
}

