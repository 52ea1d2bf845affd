/** A workspace as a build machine gets it: three subsystems on the shipped taskfiles, their upstreams beside it, and fresh checkouts without `.bin` and `.src`. */

import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnv, type ExecResult } from "../../src/adapters/exec.ts";
import type { Manifest } from "../../src/domain/manifest.ts";
import { ensureTools } from "../../tools/install.ts";
import { createUpstream, type Upstream } from "./git-server.ts";
import { LAUNCHER, ROOT, run } from "./launcher.ts";

export type CiName = "arc" | "nats" | "web";
const NAMES: readonly CiName[] = ["arc", "nats", "web"];
const MANIFEST = ".version-manifest.json";
const LIMIT_MS = 120_000;

export interface JobResult extends ExecResult {
  /** By name, as the steps after it see them. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
}

export interface Checkout {
  readonly dir: string;
  /** Runs slipstream as a step of a job does; `env` is added. */
  slipstream(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<JobResult>;
  /** Runs one step's shell lines as the runner does (`bash -e -o pipefail`). */
  shell(script: string, env?: Readonly<Record<string, string>>): Promise<JobResult>;
  manifest(): Promise<Manifest>;
  /** What is checked in or cached after the job: the next checkout starts with it. */
  keepManifest(): Promise<void>;
}

export interface CiWorkspace {
  /** `arc` follows commits, the others tags. */
  readonly upstreams: Readonly<Record<CiName, Upstream>>;
  /** A commit whose build prints `says` first and fails unless it is good; tagged when a version is given. */
  publish(name: CiName, version: string, how?: { readonly good?: boolean; readonly says?: string }): Promise<string>;
  checkout(): Promise<Checkout>;
  close(): Promise<void>;
}

export async function createCiWorkspace(): Promise<CiWorkspace> {
  const { task } = await ensureTools();
  const root = await realpath(await mkdtemp(join(tmpdir(), "slipstream-ci-")));
  const upstreams = Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, await createUpstream(root, name)]))) as Record<CiName, Upstream>;
  const checkedIn = join(root, "checked-in");
  await mkdir(checkedIn);
  await cp(join(ROOT, "taskfiles"), join(checkedIn, "taskfiles"), { recursive: true });
  await writeFile(join(checkedIn, "Taskfile.yml"), JSON.stringify({ version: "3", includes: Object.fromEntries(NAMES.map((name) => [name, included(name, upstreams[name].url(`file://${root}`))])) }));
  // A process nobody runs here, and Process Compose at an address where nothing answers.
  await writeFile(join(checkedIn, "slipstream.yaml"), JSON.stringify({ tools: { task }, process_compose: { socket: join(root, "nobody.sock") }, subsystems: { arc: { strategy: "commits" } } }));
  await writeFile(join(checkedIn, "process-compose.yaml"), JSON.stringify({ version: "0.5", processes: { nats: { command: "exec ./nats/.bin/nats" } } }));
  await mkdir(join(root, "bin"));
  let made = 0;
  return {
    upstreams,
    async publish(name, version, { good = true, says = "building" } = {}) {
      const build = `printf '%s\\n' '${says}'\n${good ? "" : "exit 1\n"}`;
      const commit = await upstreams[name].commitFiles({ "build.sh": build, program: { executable: `#!/bin/sh\necho ${name} ${version}\n` } }, version);
      if (name !== "arc") await upstreams[name].tag(version);
      return commit;
    },
    async checkout() {
      const dir = join(root, `job${made++}`);
      await cp(checkedIn, dir, { recursive: true });
      return checkoutAt(dir, { task, checkedIn });
    },
    close: () => rm(root, { recursive: true, force: true, maxRetries: 3 }),
  };
}

function included(name: CiName, upstream: string): object {
  const version = name === "arc" ? {} : { VERSION: '{{.VERSION | default "v1.0.0"}}' };
  return { taskfile: "./taskfiles/subsystem.yml", dir: `./${name}`, vars: { NAME: name, UPSTREAM_REPO: upstream, BUILD_CMD: 'sh build.sh && cp program "$OUT"', ...version } };
}

function checkoutAt(dir: string, { task, checkedIn }: { readonly task: string; readonly checkedIn: string }): Checkout {
  const job = async (argv: readonly [string, ...string[]], env: Readonly<Record<string, string>>): Promise<JobResult> => {
    const files = { GITHUB_OUTPUT: `${dir}.outputs`, GITHUB_STEP_SUMMARY: `${dir}.summary` };
    for (const path of Object.values(files)) await writeFile(path, "");
    const paths = [join(LAUNCHER, ".."), join(task, ".."), process.env["PATH"] ?? ""].join(":");
    const result = await run(argv, dir, { ...childEnv(process.env), PATH: paths, ...files, ...env }, LIMIT_MS);
    const lines = (await readFile(files.GITHUB_OUTPUT, "utf8")).split("\n").filter((line) => line !== "");
    const outputs = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    return { ...result, outputs, summary: await readFile(files.GITHUB_STEP_SUMMARY, "utf8") };
  };
  return {
    dir,
    slipstream: (args, env = {}) => job([LAUNCHER, ...args], env),
    shell: (script, env = {}) => job(["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script], env),
    manifest: async () => JSON.parse(await readFile(join(dir, MANIFEST), "utf8")) as Manifest,
    keepManifest: () => cp(join(dir, MANIFEST), join(checkedIn, MANIFEST)),
  };
}
