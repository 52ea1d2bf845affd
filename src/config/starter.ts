/** `slipstream init`: makes a workspace ready, or makes an example of one, and tells what is left for a person to do. */

import { readdir, realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import { formatProblem, UsageError } from "../domain/errors.ts";
import type { ForgeKind, Subsystem } from "../domain/subsystem.ts";
import { thisPlatform } from "../kit/platform.ts";
import { newSecret } from "../kit/secret.ts";
import { EXAMPLE_BUILD, EXAMPLE_ENTRIES, EXAMPLE_FIRST, EXAMPLE_PORTS, type ExamplePlan, examplePlan } from "./example.ts";
import { exists } from "./folders.ts";
import { type Found, short, type Unknown } from "./look.ts";
import { appendUnless, type Change, closed, createOnly, ownOnly, privateFolder, writing } from "./owned-files.ts";
import { ownFileText } from "./proposal.ts";
import { SECRET_OF } from "./receivers.ts";
import { secretLines, WEBHOOK_NAME } from "./secrets.ts";
import { type SecretPlace, type Survey, type SurveyInput, survey } from "./survey.ts";
import { quoted, startCommand } from "./survey-socket.ts";
import { type WebhookSettings, webhookSettings } from "./webhook-settings.ts";

export interface InitOptions {
  readonly example?: boolean;
  readonly dryRun?: boolean;
}

export interface InitInput extends SurveyInput, InitOptions {
  /** ms since the epoch */
  readonly now: number;
  makeExample(dir: string, plan: ExamplePlan, now: number): Promise<void>;
  busyPorts(ports: readonly number[]): Promise<number[]>;
}

export interface InitFile {
  /** Relative to the workspace where it lies in it. */
  readonly path: string;
  readonly change: Change;
  /** What it holds, where init wrote it; secrets as `[secret]`. */
  readonly text?: string;
}

export interface InitReport {
  readonly workspace: string;
  readonly platform: Survey["platform"];
  /** Nothing was written; `files` is what would be. */
  readonly dryRun: boolean;
  readonly example: boolean;
  readonly taskfile: string | null;
  readonly processFile: string | null;
  /** Socket, or host and port. */
  readonly supervisor: string | null;
  readonly subsystems: readonly Omit<Found, "subsystem">[];
  readonly files: readonly InitFile[];
  readonly webhooks: readonly (WebhookSettings & { readonly secret: InitReport["secret"] })[];
  /** Where the webhook secret is, and the command that shows it. */
  readonly secret: { readonly place: string; readonly show: string | null };
  readonly open: readonly Unknown[];
  /** What the daemon would refuse, as `file:line: message`. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  readonly next: readonly { readonly command: string; readonly why: string }[];
}

/** Files that say that this is somebody's workspace already. */
const WORKSPACE_FILE = /^(?:[Tt]askfile(?:\.dist)?|process-compose|(?:docker-)?compose|slipstream)\.ya?ml$/;

/** Surveys, writes what is missing and nothing else, and reports. @throws ConfigError · UsageError when there is no room for an example */
export async function initialize(input: InitInput): Promise<InitReport> {
  if (input.example === true) await planted(resolve(input.workspace), join(resolve(input.workspace), ".slipstream"));
  const made = input.example === true ? await example(input) : [];
  const first = input.example === true && input.dryRun === true ? await imagined(input) : await survey(input);
  const entries = input.example === true ? EXAMPLE_ENTRIES : first.entries;
  const before = await planted(first.workspace, first.stateDir);
  const files = [...made, ...(await writeOwnFiles(first, entries, input))];
  // What was wrong before may be right now: modes, a missing secret.
  const after = input.dryRun === true ? first : await survey(input);
  const whole = after.found.flatMap((f) => f.subsystem ?? []);
  return {
    workspace: after.workspace,
    platform: after.platform,
    dryRun: input.dryRun === true,
    example: input.example === true,
    taskfile: shown(after, after.taskfile),
    processFile: shown(after, after.processFile),
    supervisor: supervisorOf(after),
    subsystems: after.found.map(({ subsystem: _, ...f }) => ({ ...f, dir: short(after.workspace, f.dir) })),
    files,
    webhooks: webhookSettings(whole, { github: after.hooks.github.path, gitea: after.hooks.gitea.path }).map((w) => ({ ...w, secret: hookSecret(after, w.forge ?? "github") })),
    secret: secretOf(after),
    open: [...first.unknown, ...(input.example === true ? await busy(input) : first.supervisor.away === undefined ? [] : [first.supervisor.away])],
    problems: after.problems.map(formatProblem),
    warnings: [...before, ...after.warnings],
    next: nextSteps(after, whole, input.example === true),
  };
}

async function example(input: InitInput): Promise<InitFile[]> {
  const dir = resolve(input.workspace);
  const plan = examplePlan();
  const there = (await exists(dir)) ? await writing(dir, () => readdir(dir)) : [];
  const parts = [...plan.repositories, ...plan.files].map((f) => f.path);
  const taken = there.find((name) => WORKSPACE_FILE.test(name)) ?? (await firstThere(dir, [...parts, "hello", "clock"]));
  if (taken !== undefined) throw new UsageError("usage", `${join(dir, taken)} is there, expected an empty folder for the example; make one: mkdir try && cd try && slipstream init --example`);
  if (input.dryRun !== true) await writing(dir, () => input.makeExample(dir, plan, input.now));
  return parts.map((path) => ({ path, change: "created" }));
}

async function firstThere(dir: string, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await exists(join(dir, path))) return path;
  return undefined;
}

/** A survey of the example before there is one. */
async function imagined(input: InitInput): Promise<Survey> {
  const workspace = await realpath(input.workspace).catch(() => resolve(input.workspace));
  const stateDir = join(workspace, ".slipstream");
  const hook = { path: "/webhook", secret: null };
  const nothing = { taskfile: null, processFile: null, secret: null, hooks: { github: hook, gitea: hook }, found: [], entries: [], unknown: [], problems: [], warnings: [] };
  return { ...nothing, workspace, stateDir, platform: thisPlatform(), ownFile: { path: join(workspace, "slipstream.yaml"), exists: false }, supervisor: { address: { socket: join(stateDir, "pc.sock") }, live: false }, daemonIsProcess: true };
}

async function busy(input: InitInput): Promise<Unknown[]> {
  const ports = await input.busyPorts(EXAMPLE_PORTS);
  return ports.map((port) => ({ what: `port ${port} of 127.0.0.1 is in use, and the example needs it`, todo: port === EXAMPLE_PORTS[0] ? `stop what uses it, or change it in process-compose.yml and set listen.port in slipstream.yaml` : "stop what uses it, or change it in process-compose.yml" }));
}

/** Warns of secrets that may have come with the checkout. @throws ConfigError when init would write somewhere else than into files of ours */
async function planted(workspace: string, stateDir: string): Promise<string[]> {
  const path = join(stateDir, "secrets.env");
  const mode = await writing(path, async () => ((await ownOnly(stateDir, "folder")) === undefined ? undefined : ownOnly(path, "file")));
  if (mode === undefined) return [];
  const signs = [...((mode & 0o077) === 0 ? [] : [`has mode ${mode.toString(8)}`]), ...((await exists(join(stateDir, ".gitignore"))) ? [] : ["lies in a folder without .gitignore"])];
  if (signs.length === 0) return [];
  const shown = short(workspace, path);
  return [`${shown} was there before init and ${signs.join(" and ")}: if it came with the checkout, others know what is in it. See: git ls-files ${quoted(shown)}; if that names it, remove the file and run slipstream init again`];
}

async function writeOwnFiles(found: Survey, entries: Survey["entries"], input: InitInput): Promise<InitFile[]> {
  const { stateDir, ownFile } = found;
  const files: InitFile[] = [];
  const write = async (path: string, text: string, make: () => Promise<Change>, planned: Change = "created") => {
    const change = input.dryRun === true ? planned : await writing(path, make);
    files.push({ path: short(found.workspace, path), change, ...(change === "kept" || text === "" ? {} : { text }) });
  };
  const planned = async (path: string): Promise<Change> => ((await exists(path)) ? "kept" : "created");
  const plain = { mode: 0o644, now: input.now };
  const ignore = join(stateDir, ".gitignore");
  await write(stateDir, "", () => privateFolder(stateDir), await planned(stateDir));
  await write(ignore, "*\n", () => createOnly(ignore, "*\n", plain), await planned(ignore));
  await writeSecret(found, input, write);
  const text = ownFileText(entries);
  await write(ownFile.path, text, () => (ownFile.exists ? Promise.resolve("kept" as const) : createOnly(ownFile.path, text, plain)), ownFile.exists ? "kept" : "created");
  return files;
}

async function writeSecret(found: Survey, input: InitInput, write: (path: string, text: string, make: () => Promise<Change>, planned?: Change) => Promise<void>): Promise<void> {
  const path = join(found.stateDir, "secrets.env");
  const there = await exists(path);
  const named = (text: string) => secretLines(text).some(({ name }) => WEBHOOK_NAME.test(name));
  if (found.secret === null) {
    await write(path, "WEBHOOK_SECRET=[secret]\n", () => appendUnless(path, `WEBHOOK_SECRET=${newSecret("default").reveal()}\n`, named, input.now), there ? "changed" : "created");
  } else if (there) await write(path, "", () => closed(path, "file"), "kept");
}

function shown(found: Survey, path: string | null): string | null {
  return path === null ? null : short(found.workspace, path);
}

function supervisorOf({ workspace, supervisor: { address } }: Survey): string | null {
  if (address === null) return null;
  return "socket" in address ? short(workspace, address.socket) : `${address.host}:${address.port}`;
}

function secretOf(found: Survey): InitReport["secret"] {
  return placeOf(found, found.secret ?? { kind: "secrets.env", name: "WEBHOOK_SECRET" });
}

/** Where the secret of a forge's webhooks is; where other forges have theirs and it has none, what to do. */
function hookSecret(found: Survey, forge: ForgeKind): InitReport["secret"] {
  const { secret } = found.hooks[forge];
  if (secret !== null) return placeOf(found, secret);
  return found.secret === null ? secretOf(found) : { place: `missing: set ${SECRET_OF[forge]} in ${short(found.workspace, join(found.stateDir, "secrets.env"))}`, show: null };
}

function placeOf(found: Survey, place: SecretPlace): InitReport["secret"] {
  const file = short(found.workspace, join(found.stateDir, "secrets.env"));
  if (place.kind === "environment") return { place: `in the environment (${place.name})`, show: null };
  if (place.kind === "file") return { place: `in the file ${place.name} names`, show: place.file === undefined ? null : `cat ${quoted(place.file)}` };
  return { place: `in ${file} (${place.name})`, show: `sed -n 's/^\\(export \\)*${place.name}=//p' ${quoted(file)}` };
}

function nextSteps(found: Survey, subsystems: readonly Subsystem[], isExample: boolean): InitReport["next"] {
  const steps = [{ command: "slipstream doctor", why: "checks tools, configuration and what is reachable; what does not run yet, it says" }];
  if (isExample) steps.unshift({ command: EXAMPLE_BUILD, why: "builds the first version of both programs" });
  const { address, live } = found.supervisor;
  if (address !== null && "socket" in address && !live && (found.processFile !== null || isExample)) steps.push({ command: startCommand(short(found.workspace, address.socket)), why: `starts ${found.daemonIsProcess ? "the programs and the daemon" : "the programs"}; leave it running, and go on in a second terminal` });
  if (!found.daemonIsProcess) steps.push({ command: "slipstream watch", why: "the daemon: receives the webhooks" });
  const first = isExample ? EXAMPLE_FIRST : subsystems.find((s) => s.notManaged === undefined)?.name;
  if (first !== undefined) steps.push({ command: `slipstream simulate ${first}`, why: "signs and sends a delivery as its forge would, and follows the run" });
  return steps;
}
