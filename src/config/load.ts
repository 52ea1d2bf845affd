/** The whole configuration of a workspace, read once; every problem is reported together. */

import { realpath, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { relative, resolve } from "node:path";
import { ConfigError, type Problem } from "../domain/errors.ts";
import type { Mode, Subsystem } from "../domain/subsystem.ts";
import type { Secret } from "../kit/secret.ts";
import { attachProcesses } from "./attach.ts";
import { positionOf } from "./explain.ts";
import type { YamlFile } from "./files.ts";
import { readOwnFile } from "./own-file.ts";
import { processFacts, watchWarnings } from "./process-facts.ts";
import { readProcessFile } from "./processes.ts";
import type { ConfigFile } from "./schema.ts";
import { type ReceiverConfig, receiversOf } from "./receivers.ts";
import { readSecrets } from "./secrets.ts";
import { draftSubsystems } from "./subsystems.ts";
import { type SupervisorAddress, supervisorAddress } from "./supervisor.ts";
import { discover } from "./taskfiles.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface Config {
  /** Absolute, links resolved. */
  readonly workspace: string;
  readonly stateDir: string;
  /** `slipstream.yaml`, where there is one that says anything. */
  readonly ownFile?: string;
  /** `Taskfile.yml` of the workspace although it is missing, where every subsystem is described in `slipstream.yaml` and in release mode. */
  readonly rootTaskfile: string;
  /** Port 0 is any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Null when nothing says where Process Compose answers. */
  readonly supervisor: { readonly address: SupervisorAddress; readonly token?: Secret; readonly file?: string } | null;
  readonly git: { readonly engine: "auto" | "system" | "isomorphic"; readonly maxBytes: number; readonly timeoutMs: number };
  readonly limits: { readonly parallelRuns: number };
  /** Program name or absolute path. */
  readonly tools: { readonly task: string };
  /** Named keys, several active; `watch` refuses to start without one. */
  readonly webhookSecrets: readonly Secret[];
  readonly receivers: readonly ReceiverConfig[];
  /** `GITHUB_TOKEN`, for questions to the forge. */
  readonly githubToken?: Secret;
  /** `GITEA_TOKEN` or `FORGEJO_TOKEN`, for the one Gitea or Forgejo there is. */
  readonly giteaToken?: Secret;
  /** Every secret known, for masking. */
  readonly secrets: readonly Secret[];
  /** Sorted by name. */
  readonly subsystems: readonly Subsystem[];
  /** Names of those the configuration says nothing runs (`process: false`). */
  readonly withoutProcess: readonly string[];
  /** What works but should be put right. */
  readonly warnings: readonly string[];
  /** The process environment as given. */
  readonly childEnv: Env;
  readonly logLevel: string;
}

export interface LoadInput {
  readonly workspace: string;
  readonly env: Env;
  readonly flags?: { readonly port?: number; readonly host?: string; readonly config?: string; readonly secret?: string; /** A build machine: what may be built is built here (mode auto). */ readonly build?: boolean };
}

const DEFAULT_PORT = 8080;
const DEFAULT_MAX_MB = 1024;
const DEFAULT_GIT_TIMEOUT_MS = 10 * 60_000;
const DEFAULT_PARALLEL_RUNS = 2;

/** The environment of this process; the only place that reads it. */
export function processEnv(): Env {
  return { ...process.env };
}

/** Reads `slipstream.yaml`, the Taskfiles, the process-compose file and the secrets. @throws ConfigError with every problem, each with its file and line */
export async function loadConfig(input: LoadInput): Promise<Config> {
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const workspace = await workspaceDir(input.workspace);
  const { file, yaml, broken } = await readOwnFile(workspace, input.flags?.config, problems);
  const stateDir = stateDirOf(workspace, { file, yaml }, problems);
  const discovery = await discover(workspace, input.env, problems);
  warnings.push(...discovery.warnings);
  const git = { engine: file.git?.engine ?? "auto", maxBytes: (file.git?.max_mb ?? DEFAULT_MAX_MB) * 1024 * 1024, timeoutMs: file.git?.timeout ?? DEFAULT_GIT_TIMEOUT_MS };
  const trusted = { ...file, subsystems: Object.fromEntries(Object.entries(file.subsystems ?? {}).filter(([name]) => !broken.has(name))) };
  const { drafts, modes } = await draftSubsystems({ workspace, file: trusted, yaml, discovered: discovery.subsystems.filter((d) => !broken.has(d.name)), env: input.env, sourceTimeoutMs: git.timeoutMs, build: input.flags?.build === true }, problems);
  const rootTaskfile = discovery.rootTaskfile ?? withoutTaskfile(workspace, modes, problems);
  const processes = await readProcessFile(workspace, { configured: file.process_compose?.file, env: input.env.PC_CONFIG_FILES }, problems);
  const subsystems = attachProcesses(drafts, { workspace, file, yaml, processes, env: input.env, problems, warnings });
  warnings.push(...watchWarnings(processFacts(processes, subsystems)));
  const secrets = await readSecrets({ workspace, stateDir, env: input.env, flag: input.flags?.secret, tokenFile: file.process_compose?.token_file }, problems, warnings);
  const receivers = receiversOf({ workspace, file, yaml, webhook: secrets.webhook, subsystems }, problems, warnings);
  const address = await supervisorAddress({ workspace, stateDir, env: input.env, file }, problems);
  const listen = listenOn(file, input.flags, problems, warnings);
  warnings.push(...openTokenWarnings(subsystems, secrets.github));
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    workspace,
    stateDir,
    ...(yaml === null || yaml.doc.contents === null ? {} : { ownFile: yaml.path }),
    rootTaskfile,
    listen,
    supervisor: address === null ? null : { address, ...(secrets.supervisorToken === undefined ? {} : { token: secrets.supervisorToken }), ...(processes === null ? {} : { file: processes.path }) },
    git,
    limits: { parallelRuns: file.limits?.parallel_runs ?? DEFAULT_PARALLEL_RUNS },
    tools: { task: programOf(workspace, file.tools?.task ?? "task") },
    webhookSecrets: secrets.webhook,
    receivers,
    ...(secrets.github === undefined ? {} : { githubToken: secrets.github }),
    ...(secrets.gitea === undefined ? {} : { giteaToken: secrets.gitea }),
    secrets: secrets.all,
    subsystems,
    withoutProcess: Object.entries(file.subsystems ?? {}).flatMap(([name, s]) => (s.process === false ? [name] : [])),
    warnings,
    childEnv: input.env,
    logLevel: file.log_level ?? "info",
  };
}

async function workspaceDir(given: string): Promise<string> {
  const path = await realpath(given).catch(() => null);
  if (path !== null && (await stat(path)).isDirectory()) return path;
  throw new ConfigError([{ file: resolve(given), message: "is no folder, expected the workspace; give it with --workspace" }]);
}

/** Nothing is built in release mode, so a machine that only runs programs needs no Taskfile. */
function withoutTaskfile(workspace: string, modes: readonly Mode[], problems: Problem[]): string {
  const path = resolve(workspace, "Taskfile.yml");
  if (modes.length === 0 || modes.includes("source")) problems.push({ file: path, message: "is missing, expected the Taskfile of the workspace; point --workspace at the folder that has it" });
  return path;
}

function openTokenWarnings(subsystems: readonly Subsystem[], token: Secret | undefined): string[] {
  if (token === undefined) return [];
  const open = subsystems.filter((s) => s.release?.api.startsWith("http:") === true);
  return open.map((s) => `GITHUB_TOKEN is set and the release.api of ${s.name} is ${s.release?.api}, expected https; what listens there may be given the token`);
}

function stateDirOf(workspace: string, own: { readonly file: ConfigFile; readonly yaml: YamlFile | null }, problems: Problem[]): string {
  const dir = resolve(workspace, own.file.state_dir ?? ".slipstream");
  if (relative(workspace, dir).split("/").some((part) => part === ".src" || part === ".bin") || dir === workspace) {
    const at = own.yaml === null ? { file: workspace } : positionOf(own.yaml, ["state_dir"]);
    problems.push({ ...at, message: `state_dir is ${dir}, expected a folder of its own outside every .src and .bin` });
  }
  return dir;
}

function listenOn(file: ConfigFile, flags: LoadInput["flags"], problems: Problem[], warnings: string[]): Config["listen"] {
  const host = flags?.host ?? file.listen?.host ?? "127.0.0.1";
  const port = flags?.port ?? file.listen?.port ?? DEFAULT_PORT;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) problems.push({ file: "command line", message: `--port is ${port}, expected 0 to 65535` });
  if (host !== "localhost" && host !== "::1" && !(isIP(host) === 4 && host.startsWith("127."))) {
    warnings.push(`listens on ${host}, which other machines may reach; 127.0.0.1 behind a tunnel or proxy is safer`);
  }
  return { host, port };
}

function programOf(workspace: string, program: string): string {
  return program.includes("/") ? resolve(workspace, program) : program;
}
