/** Looks at a workspace as the daemon would, and at what the daemon does not look at; changes nothing, and shows no secret. */

import { readdir, realpath, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ConfigError, messageOf, type Problem } from "../domain/errors.ts";
import type { ForgeKind } from "../domain/subsystem.ts";
import { thisPlatform } from "../kit/platform.ts";
import { attachProcesses } from "./attach.ts";
import { findFile, readSmallFile } from "./files.ts";
import { exists, undeclaredFolders } from "./folders.ts";
import { withoutLogin } from "./git-remote.ts";
import { describeDeclared, describeFolders, type Found, type Looking, reportWhatIsMissing, reportWhatIsUnsaid, type Unknown } from "./look.ts";
import { readOwnFile } from "./own-file.ts";
import { readProcessFile } from "./processes.ts";
import { asConfig, type Entry } from "./proposal.ts";
import { hookOf } from "./receivers.ts";
import { upstreamProblem } from "./repository.ts";
import type { ConfigFile } from "./schema.ts";
import { readSecrets, secretLines, WEBHOOK_NAME } from "./secrets.ts";
import { draftSubsystems } from "./subsystems.ts";
import { type FoundSupervisor, findSupervisor } from "./survey-socket.ts";
import { type Discovered, discover } from "./taskfiles.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface SurveyInput {
  readonly workspace: string;
  readonly env: Env;
  /** `--config` */
  readonly config?: string | undefined;
}

export type SecretPlace = { readonly kind: "secrets.env" | "file" | "environment"; readonly name: string; readonly file?: string };

/** What a person needs to enter on a forge: where its webhooks go, and where their secret is; null where none is for them. */
export type Hooks = Readonly<Record<ForgeKind, { readonly path: string; readonly secret: SecretPlace | null }>>;

export interface Survey {
  readonly workspace: string;
  readonly stateDir: string;
  /** In Go's words. */
  readonly platform: { readonly os: string; readonly arch: string };
  readonly ownFile: { readonly path: string; readonly exists: boolean };
  readonly taskfile: string | null;
  readonly processFile: string | null;
  readonly supervisor: FoundSupervisor;
  /** A process of the process-compose file runs the daemon. */
  readonly daemonIsProcess: boolean;
  /** Null when no webhook secret is set anywhere. */
  readonly secret: SecretPlace | null;
  readonly hooks: Hooks;
  readonly found: readonly Found[];
  /** What `slipstream.yaml` should say. */
  readonly entries: readonly Entry[];
  readonly unknown: readonly Unknown[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** @throws ConfigError when the workspace is no folder, or one that cannot be read */
export async function survey(input: SurveyInput): Promise<Survey> {
  const look = await lookAround(input);
  const supervisor = await findSupervisor(look);
  await describeDeclared(look);
  describeFolders(look);
  const found = await asTheDaemonSeesIt(look);
  reportWhatIsMissing(look, found);
  reportWhatIsUnsaid(look);
  const places = await secretPlaces(look);
  await readSecrets({ workspace: look.workspace, stateDir: look.stateDir, env: input.env, tokenFile: look.own.file.process_compose?.token_file }, look.problems, look.warnings);
  return {
    workspace: look.workspace,
    stateDir: look.stateDir,
    platform: thisPlatform(),
    ownFile: { path: look.ownPath, exists: look.own.yaml !== null || (await exists(look.ownPath)) },
    taskfile: look.discovery.rootTaskfile,
    processFile: look.processes?.path ?? null,
    supervisor,
    daemonIsProcess: look.processes?.processes.some((p) => DAEMON.test(p.command)) === true,
    secret: places[0] ?? null,
    hooks: { github: hookFor("github", look, places), gitea: hookFor("gitea", look, places) },
    found,
    entries: look.entries,
    unknown: look.unknown,
    problems: look.problems,
    warnings: look.warnings,
  };
}

const DAEMON = /\bslipstream['"]?\s+(?:watch|serve)\b|\bsync:run\b/;

async function lookAround({ workspace: given, env, config }: SurveyInput): Promise<Looking> {
  const workspace = await readableFolder(given);
  const problems: Problem[] = [];
  const ownPath = config === undefined ? ((await findFile(workspace, ["slipstream.yaml", "slipstream.yml"])) ?? join(workspace, "slipstream.yaml")) : resolve(workspace, config);
  const own = await readOwnFile(workspace, (await exists(ownPath)) ? ownPath : undefined, problems);
  const stateDir = resolve(workspace, own.file.state_dir ?? ".slipstream");
  const discovery = await discover(workspace, env, problems);
  const processes = await readProcessFile(workspace, { configured: own.file.process_compose?.file, env: env.PC_CONFIG_FILES }, problems);
  const declared = Object.entries(own.file.subsystems ?? {}).map(([name, s]) => resolve(workspace, s.dir ?? name));
  const known = new Set([...discovery.subsystems.map((d) => d.dir), ...declared, stateDir]);
  const folders = await undeclaredFolders({ workspace, rootTaskfile: discovery.rootTaskfile }, known, problems);
  return { workspace, stateDir, env, own, ownPath, discovery, processes, folders, entries: [], unknown: [], problems, warnings: [...discovery.warnings] };
}

async function readableFolder(given: string): Promise<string> {
  try {
    const path = await realpath(given);
    if (!(await stat(path)).isDirectory()) throw new Error("it is no folder");
    await readdir(path);
    return path;
  } catch (error) {
    throw new ConfigError([{ file: resolve(given), message: `is no folder that can be read, expected the workspace; give it with --workspace (${messageOf(error)})` }]);
  }
}

/** The daemon's own reading of it all, with the proposed file where there is none yet. */
async function asTheDaemonSeesIt(look: Looking): Promise<Found[]> {
  const { workspace, own, discovery, processes, env, problems } = look;
  const proposed = (await exists(look.ownPath)) ? own.file : asConfig(look.entries);
  const file: ConfigFile = { ...proposed, subsystems: Object.fromEntries(Object.entries(proposed.subsystems ?? {}).filter(([name]) => !own.broken.has(name))) };
  const { drafts } = await draftSubsystems({ workspace, file, yaml: own.yaml, discovered: discovery.subsystems.filter((d) => !own.broken.has(d.name)), env, sourceTimeoutMs: 0 }, problems);
  const subsystems = attachProcesses(drafts, { workspace, file, yaml: own.yaml, processes, env, problems, warnings: look.warnings });
  const whole = subsystems.map((s): Found => ({ name: s.name, dir: s.dir, mode: s.mode, from: s.mode === "release" && s.release !== undefined ? s.release.repository : withoutLogin(s.upstream), binary: s.binary, process: s.process, subsystem: s }));
  const names = new Set(whole.map((s) => s.name));
  const rest: Promise<Found>[] = [];
  for (const d of discovery.subsystems) if (!names.has(d.name) && own.file.subsystems?.[d.name]?.enabled !== false) rest.push(unfinished(d));
  for (const f of look.folders) if (!names.has(f.name)) rest.push(Promise.resolve({ name: f.name, dir: f.dir, mode: f.source ? "source" : "release", from: f.origin ?? null, binary: f.programs[0] ?? null, process: null, subsystem: null }));
  return [...whole, ...(await Promise.all(rest))].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function unfinished(d: Discovered): Promise<Found> {
  const url = d.upstream?.known === true && d.upstream.text !== "" ? withoutLogin(d.upstream.text) : null;
  return { name: d.name, dir: d.dir, mode: (await exists(join(d.dir, ".src"))) ? "source" : "release", from: url !== null && upstreamProblem(url) === null ? url : null, binary: null, process: null, subsystem: null };
}

function hookFor(forge: ForgeKind, look: Looking, places: readonly SecretPlace[]): Hooks[ForgeKind] {
  const variable = (p: SecretPlace) => p.name.replace(/_FILE$/, "");
  const { path, variables } = hookOf(forge, look.own.file, places.map(variable));
  return { path, secret: places.find((p) => variables.includes(variable(p))) ?? null };
}

/** The places that set a webhook secret, by their names only. */
async function secretPlaces(look: Looking): Promise<readonly SecretPlace[]> {
  const path = join(look.stateDir, "secrets.env");
  const text = (await readSmallFile(path, []))?.text ?? "";
  const all = [...secretLines(text).map(({ name, value }) => ({ name, value, own: true })), ...Object.entries(look.env).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value, own: false }]))];
  return all.filter(({ name }) => WEBHOOK_NAME.test(name)).map(({ name, value, own }) => (name.endsWith("_FILE") ? { kind: "file", name, file: value } : { kind: own ? "secrets.env" : "environment", name }));
}
