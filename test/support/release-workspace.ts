/** A user's machine for tests and the demo: three real programs that come out of releases, a forge, Process Compose and the daemon. No source, no git, no compiler. */

import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureTools } from "../../tools/install.ts";
import { type AssetSpec, type FakeForge, type ForgeOptions, type ReleaseSpec, releaseDelivery, startForge } from "./forge.ts";
import { startProcessCompose } from "./process-compose.ts";
import { RELEASED, releaseTaskfile, releaseYaml } from "./release-files.ts";
import { checksums, program, programAsset, stampFor } from "./release-programs.ts";
import { FIRST_VERSION, type Places, processComposeYaml } from "./workspace-files.ts";
import { freePorts, type SendOptions, type Sent, workspaceEnv } from "./workspace-io.ts";
import { assemble, NAMES, portsOf, REPOSITORY, type Running, type RunningWorkspace, type Tools } from "./workspace-running.ts";

export interface ReleaseWorkspaceOptions {
  /** Found by `ensureTools` when not given. */
  readonly tools?: Tools;
  /** Merged into `slipstream.yaml`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** How long a new process must stay healthy; 2 s by default. */
  readonly soak?: string;
  readonly forge?: ForgeOptions;
  /** Added to `.slipstream/secrets.env`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** `.bin` starts empty, and Process Compose tries again until there is a program; else the first version is installed. */
  readonly empty?: boolean;
  /** Process Compose runs in a session of its own: the workspace, without its forge, may then outlive this program. */
  readonly outlives?: boolean;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface ReleaseWorkspace extends RunningWorkspace {
  readonly forge: FakeForge;
  /** Publishes a release. Returns its id. */
  publish(repository: string, tag: string, assets: readonly AssetSpec[], more?: Omit<ReleaseSpec, "tag" | "assets">): string;
  /** Delivers what the forge would send about a release as it is now; `published` unless told otherwise. */
  announce(id: string, action?: string, options?: SendOptions): Promise<Sent>;
}

/** Makes the folder and the forge, which has the first version of each program; nothing else runs yet. */
export async function createReleaseWorkspace(options: ReleaseWorkspaceOptions = {}): Promise<ReleaseWorkspace> {
  const tools = options.tools ?? (await ensureTools());
  const dir = await mkdtemp(join(await realpath(tmpdir()), "slipstream-"));
  const running: Running = {};
  try {
    const places: Places = { dir, socket: join(dir, "pc.sock"), ...portsOf(await freePorts(1 + NAMES.length)), launcher: join(REPOSITORY, "bin", "slipstream"), task: tools.task };
    const forge = await startForge(options.forge);
    running.origin = forge;
    const webhookSecret = randomBytes(32).toString("hex");
    await writeFiles(places, { forge, webhookSecret, options });
    await publishFirst(forge, options);
    const startProject = (daemon: boolean) =>
      startProcessCompose({ dir, yaml: processFile(places, options, daemon), binary: tools.processCompose, env: workspaceEnv(), detached: options.outlives === true });
    const base = assemble({ places, tools, webhookSecret, running, plans: RELEASED, startProject, signal: options.signal });
    return {
      ...base,
      forge,
      publish: (repository, tag, assets, more = {}) => forge.publish(repository, { ...more, tag, assets }).id,
      announce: (id, action = "published", how) => base.deliver(releaseDelivery(forge, id, action), how),
    };
  } catch (error) {
    await running.origin?.close();
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

function processFile(places: Places, options: ReleaseWorkspaceOptions, daemon: boolean): string {
  return processComposeYaml(places, { daemon, untilThere: options.empty === true });
}

async function writeFiles(places: Places, given: { forge: FakeForge; webhookSecret: string; options: ReleaseWorkspaceOptions }): Promise<void> {
  const { dir } = places;
  const { forge, options } = given;
  const state = join(dir, ".slipstream");
  await mkdir(state, { mode: 0o700 });
  const secrets = Object.entries({ WEBHOOK_SECRET: given.webhookSecret, ...options.secrets });
  await writeFile(join(state, "secrets.env"), secrets.map(([name, value]) => `${name}=${value}\n`).join(""), { mode: 0o600 });
  await mkdir(join(dir, "taskfiles"));
  await copyFile(join(REPOSITORY, "taskfiles", "subsystem.yml"), join(dir, "taskfiles", "subsystem.yml"));
  await writeFile(join(dir, "Taskfile.yml"), releaseTaskfile());
  await writeFile(join(dir, "process-compose.yaml"), processFile(places, options, true));
  await writeFile(join(dir, "slipstream.yaml"), releaseYaml(places, { soak: options.soak ?? "2s", api: forge.api, assetHost: forge.assetHost, more: options.config ?? {} }));
  for (const name of NAMES) {
    options.onProgress?.(`building ${name} ${FIRST_VERSION}`);
    const content = await program(name, FIRST_VERSION);
    await mkdir(join(dir, name, ".bin"), { recursive: true });
    if (options.empty === true) continue;
    await writeFile(join(dir, name, ".bin", RELEASED[name].binary), content, { mode: 0o755 });
    await writeFile(join(dir, name, ".bin", ".version"), stampFor(name, FIRST_VERSION, content));
  }
}

/** One release of each repository, with the first version of all its programs. */
async function publishFirst(forge: FakeForge, options: ReleaseWorkspaceOptions): Promise<void> {
  const statesDigests = (options.forge?.style ?? "github") === "github";
  for (const repository of new Set(NAMES.map((name) => RELEASED[name].repository))) {
    const names = NAMES.filter((name) => RELEASED[name].repository === repository);
    const assets = await Promise.all(names.map((name) => programAsset(name, FIRST_VERSION)));
    forge.publish(repository, { tag: FIRST_VERSION, assets: statesDigests ? assets : [...assets, checksums(assets)] });
  }
}
