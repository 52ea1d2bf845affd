/** Gathers what `doctor` judges: with a daemon or without, with a broken configuration, and with no workspace at all. */

import { realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { createControlClient } from "./adapters/control-client.ts";
import { exec } from "./adapters/exec.ts";
import { createMachine, type Machine } from "./adapters/machine.ts";
import type { SupervisorAddress } from "./adapters/process-compose.ts";
import { controlSocketPath } from "./adapters/socket-path.ts";
import type { Config } from "./config/load.ts";
import { findDefects } from "./config/defects/analyse.ts";
import { readOwnFile } from "./config/own-file.ts";
import { receiverFacts } from "./config/receivers.ts";
import { processFacts } from "./config/process-facts.ts";
import { readProcessFile } from "./config/processes.ts";
import type { ConfigFile } from "./config/schema.ts";
import { readSecrets } from "./config/secrets.ts";
import { supervisorAddress } from "./config/supervisor.ts";
import { createReader } from "./daemon.ts";
import type { App, WhyView } from "./domain/app.ts";
import { ConfigError, messageOf, type Problem } from "./domain/errors.ts";
import type { DaemonFact, Examination, PortFact, SecretFacts, SubsystemFact } from "./domain/examination.ts";
import type { Subsystem } from "./domain/subsystem.ts";
import { deadline, systemClock } from "./kit/clock.ts";
import { silentLog } from "./kit/log.ts";
import type { Secret } from "./kit/secret.ts";

export interface ExamineInput {
  /** As given, or where the command was started. */
  readonly workspace: string;
  /** `--config` */
  readonly config?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The whole configuration. @throws ConfigError */
  readonly load: () => Promise<Config>;
}

const DEFAULT_LISTEN = { host: "127.0.0.1", port: 8080 };
/** Longest wait for a daemon's first answer; one that runs answers in milliseconds. */
const ALIVE_MS = 5_000;
/** Longest wait for one upstream. */
const ASK_MS = 10_000;
const OUR_SECRETS = /^(?:WEBHOOK_SECRET(?:_[A-Z0-9_]+)?|(?:GITHUB|GITEA|FORGEJO)_TOKEN)$/;
/** Ids of deliveries that `simulate` sent: they say nothing about a forge. */
const SIMULATED = /^simulate-/;

/** What could be read of the configuration; what could not has its default. */
interface Settings {
  readonly workspace: string | null;
  readonly stateDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly supervisor: SupervisorAddress | null;
  readonly webhook: readonly Secret[];
  readonly githubToken: boolean;
  readonly task: string;
  readonly subsystems: readonly Subsystem[];
  readonly file: ConfigFile;
  readonly processFile: string | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
  /** Only when it is whole. */
  readonly config?: Config;
}

export async function examine(input: ExamineInput): Promise<Examination> {
  const now = systemClock.now();
  const machine = createMachine({ exec, env: input.env, clock: systemClock, pid: process.pid, uid: process.getuid?.() });
  const s = await settingsOf(input);
  const [git, task, supervisor, secrets, state, disks, listening, work] = await Promise.all([
    machine.tool("git"),
    machine.tool(s.task, /Taskfile/),
    s.supervisor === null ? ({ state: "none" } as const) : machine.supervisor(s.supervisor),
    secretFacts(machine, s, input.env),
    s.workspace === null ? undefined : machine.folder((await machine.file(s.stateDir)) === undefined ? s.workspace : s.stateDir),
    diskFacts(machine, s),
    machine.port(s.listen.host, s.listen.port),
    askDaemon(machine, s),
  ]);
  return {
    now,
    node: { version: process.versions.node, path: process.execPath },
    git,
    task,
    workspace: s.workspace,
    config: { problems: s.problems, warnings: s.warnings },
    defects: s.workspace === null ? [] : await findDefects({ workspace: s.workspace, env: input.env, config: input.config }),
    supervisor,
    secrets,
    receivers: s.config === undefined ? [] : receiverFacts(s.config, s.file),
    ...(state === undefined ? {} : { state }),
    ...(await processesIn(s, input.env)),
    disks,
    port: ownPort(listening, work.daemon),
    ...work,
  };
}

async function settingsOf(input: ExamineInput): Promise<Settings> {
  const workspace = (await isFolder(input.workspace)) ? await realpath(input.workspace) : null;
  const file = workspace === null ? {} : (await readOwnFile(workspace, input.config, [])).file;
  try {
    const config = await input.load();
    const { supervisor, githubToken, tools, webhookSecrets, warnings } = config;
    const address = supervisor === null ? null : { ...supervisor.address, ...(supervisor.token === undefined ? {} : { token: supervisor.token }) };
    return { ...config, file, supervisor: address, webhook: webhookSecrets, githubToken: githubToken !== undefined, task: tools.task, processFile: supervisor?.file, problems: [], warnings, config };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { ...(await readAlone(input, workspace, file)), problems: error.problems };
  }
}

/** The parts that stand on their own, when the whole does not hold. What is wrong with them is among the problems already. */
async function readAlone({ env, workspace: given }: ExamineInput, workspace: string | null, file: ConfigFile): Promise<Omit<Settings, "problems">> {
  const at = workspace ?? resolve(given);
  const stateDir = resolve(at, file.state_dir ?? ".slipstream");
  const secrets = await readSecrets({ workspace: at, stateDir, env, tokenFile: file.process_compose?.token_file }, [], []);
  const address = await supervisorAddress({ workspace: at, stateDir, env, file }, []);
  return {
    workspace,
    stateDir,
    listen: { host: file.listen?.host ?? DEFAULT_LISTEN.host, port: file.listen?.port ?? DEFAULT_LISTEN.port },
    supervisor: address === null ? null : { ...address, ...(secrets.supervisorToken === undefined ? {} : { token: secrets.supervisorToken }) },
    webhook: secrets.webhook,
    githubToken: secrets.github !== undefined,
    task: file.tools?.task ?? "task",
    subsystems: [],
    file,
    processFile: file.process_compose?.file === undefined ? undefined : resolve(at, file.process_compose.file),
    warnings: [],
  };
}

async function processesIn({ workspace, file, subsystems }: Settings, env: ExamineInput["env"]): Promise<Pick<Examination, "processes">> {
  const found = workspace === null ? null : await readProcessFile(workspace, { configured: file.process_compose?.file, env: env.PC_CONFIG_FILES }, []);
  return found === null ? {} : { processes: processFacts(found, subsystems) };
}

async function secretFacts(machine: Machine, s: Settings, env: ExamineInput["env"]): Promise<SecretFacts> {
  const dotenv = join(s.processFile === undefined ? (s.workspace ?? s.stateDir) : dirname(s.processFile), ".env");
  const [file, folder, names] = await Promise.all([machine.file(join(s.stateDir, "secrets.env")), machine.file(s.stateDir), machine.envNames(dotenv)]);
  const supervised = (env.PC_PROC_NAME ?? "") !== "";
  return {
    webhook: s.webhook.map((key) => ({ name: key.name, chars: key.reveal().length })),
    githubToken: s.githubToken,
    ...(file === undefined ? {} : { file }),
    ...(folder === undefined ? {} : { folder }),
    ...(names === undefined ? {} : { dotenv: { path: dotenv, names: names.filter((n) => OUR_SECRETS.test(n)) } }),
    inherited: supervised ? Object.keys(env).filter((n) => OUR_SECRETS.test(n)).sort() : [],
  };
}

async function diskFacts(machine: Machine, s: Settings): Promise<Examination["disks"]> {
  if (s.workspace === null) return [];
  const [workspace, state] = await Promise.all([machine.disk(s.workspace), machine.disk(s.stateDir)]);
  return [workspace, state].filter((d) => d !== undefined);
}

/** A daemon of ours that listens elsewhere (`--port`) makes the configured port unimportant. */
function ownPort(seen: PortFact, daemon: DaemonFact): PortFact {
  if (daemon.state !== "up") return seen;
  if (daemon.url === undefined) return seen.state === "slipstream" ? { ...seen, state: "own" } : seen;
  const { hostname, port } = new URL(daemon.url);
  return { host: hostname, port: Number(port === "" ? 80 : port), state: "own" };
}

async function askDaemon(machine: Machine, s: Settings): Promise<Pick<Examination, "daemon" | "subsystems">> {
  const bare = (daemon: DaemonFact, stories: ReadonlyMap<string, WhyView> = new Map()) =>
    Promise.all(s.subsystems.map((one) => subsystemFact(machine, s, one, stories.get(one.name)))).then((subsystems) => ({ daemon, subsystems }));
  let app: App | undefined;
  try {
    const client = s.workspace === null ? undefined : createControlClient(controlSocketPath(s.stateDir), ASK_MS);
    const up = (await soon(client?.alive(), ALIVE_MS)) === true;
    app = up ? client : s.config === undefined ? undefined : await createReader(s.config, silentLog());
    const status = await soon(app?.status(), ALIVE_MS);
    if (app === undefined || status === undefined) return await bare({ state: "down" });
    const stories = await storiesOf(app, s.subsystems);
    const { url } = status.daemon;
    const { frontDoor } = status;
    return await bare(up ? { state: "up", ...(url === undefined ? {} : { url }), ...(frontDoor === undefined ? {} : { frontDoor }) } : { state: "down" }, stories);
  } catch (error) {
    return bare({ state: "unreadable", message: messageOf(error) });
  } finally {
    await app?.close();
  }
}

/** Each subsystem's own story; one that a running daemon does not know (yet) has none. */
async function storiesOf(app: App, subsystems: readonly Subsystem[]): Promise<ReadonlyMap<string, WhyView>> {
  const asked = subsystems.filter((one) => one.notManaged === undefined);
  const told = await Promise.all(asked.map(async ({ name }) => [name, await soon(app.why(name), ASK_MS).catch(() => undefined)] as const));
  return new Map(told.flatMap(([name, story]) => (story === undefined ? [] : [[name, story] as const])));
}

async function subsystemFact(machine: Machine, s: Settings, one: Subsystem, story: WhyView | undefined): Promise<SubsystemFact> {
  const binary = join(one.dir, ".bin", one.binary);
  const [program, stamp] = await Promise.all([machine.program(binary), machine.file(join(one.dir, ".bin", ".version"))]);
  const last = story?.deliveries.find((d) => d.receiver !== "operator" && !SIMULATED.test(d.externalId))?.receivedAt;
  return {
    name: one.name,
    mode: one.mode,
    managed: one.notManaged === undefined,
    process: one.process,
    noProcess: s.file.subsystems?.[one.name]?.process === false,
    binary,
    ...program,
    stamped: stamp !== undefined,
    ...(last === undefined ? {} : { lastDelivery: last }),
    ...(story === undefined ? {} : { upstream: story.latestError === undefined ? { ok: true, ...(story.silent === undefined ? {} : { silent: story.silent }) } : { ok: false, message: story.latestError } }),
  };
}

/** The answer, or undefined when there is nobody to ask. @throws when it takes too long */
function soon<T>(asked: Promise<T> | undefined, withinMs: number): Promise<T | undefined> {
  if (asked === undefined) return Promise.resolve(undefined);
  const late = deadline(withinMs);
  return Promise.race([asked, new Promise<never>((_, reject) => late.addEventListener("abort", () => reject(new Error(`the daemon is silent for ${withinMs / 1_000} s`)), { once: true }))]);
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}
