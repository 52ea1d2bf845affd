/** Receivers: whose webhooks are listened to, where, proved by which secrets, and about which repositories. */

import type { Problem } from "../domain/errors.ts";
import type { ReceiverFact } from "../domain/examination.ts";
import { type ForgeKind, originsOf, type Subsystem } from "../domain/subsystem.ts";
import type { Secret } from "../kit/secret.ts";
import { positionOf } from "./explain.ts";
import type { Position, YamlFile } from "./files.ts";
import type { ConfigFile, ReceiverFile } from "./schema.ts";
import { FLAG_KEY, keyOf } from "./secrets.ts";

export interface ReceiverConfig {
  /** Stored with each delivery. */
  readonly name: string;
  readonly forge: ForgeKind;
  /** `/webhook`; several receivers may share one, then the headers tell whose a request is. */
  readonly path: string;
  readonly secrets: readonly Secret[];
  /** `owner/name` patterns in lower case that its secrets may speak about; empty for all. */
  readonly repositories: readonly string[];
}

export interface ReceiversInput {
  readonly workspace: string;
  readonly file: ConfigFile;
  readonly yaml: YamlFile | null;
  /** `Secrets.webhook` */
  readonly webhook: readonly Secret[];
  /** Whose forges decide whether a shared secret matters. */
  readonly subsystems: readonly Subsystem[];
}

const FORGES: readonly ForgeKind[] = ["github", "gitea"];
const DEFAULT_PATH = "/webhook";
/** The first word of a receiver's name, or of a secret's key, that tells its forge. */
const TOLD_BY: Readonly<Record<string, ForgeKind>> = { github: "github", gitea: "gitea", forgejo: "gitea" };
/** How the secrets of a forge are called. */
export const SECRET_OF: Readonly<Record<ForgeKind, string>> = { github: "WEBHOOK_SECRET_GITHUB", gitea: "WEBHOOK_SECRET_GITEA" };
/** Under which requests of people are stored. */
const OPERATOR = "operator";
/** What the daemon answers there itself. */
const OWN_PATHS = /^\/(?:health|api)(?:\/|$)/;

/** The receivers of a workspace, sorted by name; what is wrong goes to `problems`. One without secrets is not there. */
export function receiversOf(input: ReceiversInput, problems: Problem[], warnings: string[]): readonly ReceiverConfig[] {
  const told = Object.entries(input.file.receivers ?? {});
  const explicit = told.length > 0;
  const all = explicit ? told.flatMap(([name, own]) => new Drafting(input, name, problems).draft(own) ?? []) : FORGES.map((forge) => ({ name: forge, forge, path: DEFAULT_PATH, secrets: secretsFor(forge, input.webhook), repositories: [] }));
  if (explicit) checkPaths(input, all, problems);
  const there = all.filter((r) => r.secrets.length > 0).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (input.webhook.length > 0) {
    const silent = explicit ? all.filter((r) => r.secrets.length === 0) : [];
    for (const r of silent) warnings.push(`receiver ${r.name} has no secret, expected one; set ${SECRET_OF[r.forge]} in .slipstream/secrets.env`);
  }
  if (explicit || FORGES.every((forge) => isUsed(forge, input.subsystems))) warnings.push(...sharedWarnings(there));
  return there;
}

/** What `doctor` judges: the receivers there are and those that were meant to be. */
export function receiverFacts(config: { readonly receivers: readonly ReceiverConfig[]; readonly subsystems: readonly Subsystem[] }, file: ConfigFile): readonly ReceiverFact[] {
  const { receivers } = config;
  const told = Object.entries(file.receivers ?? {});
  const meant = told.length > 0 ? told.map(([name, own]) => ({ name, forge: own.forge ?? forgeToldBy(name) ?? "github", path: own.path ?? DEFAULT_PATH })) : FORGES.map((forge) => ({ name: forge, forge, path: DEFAULT_PATH }));
  const absent = meant.filter((m) => !receivers.some((r) => r.name === m.name)).map((m) => ({ ...m, secrets: [], repositories: [] }));
  const managed = config.subsystems.filter((s) => s.notManaged === undefined);
  return [...receivers, ...absent].map((r) => ({
    ...{ name: r.name, forge: r.forge, path: r.path, explicit: told.length > 0 },
    keys: r.secrets.map((s) => s.name),
    sharedWith: receivers.filter((other) => shares(r, other)).map((other) => other.name),
    subsystems: managed.filter((s) => originsOf(s).some((o) => (o.forge ?? r.forge) === r.forge)).map((s) => s.name),
    bound: managed.filter((s) => isUsed(r.forge, [s])).map((s) => s.name),
  }));
}

/** Where a person sends a forge's webhooks, and which of the secrets' variables are for them; of several receivers the first that is named. */
export function hookOf(forge: ForgeKind, file: ConfigFile, variables: readonly string[]): { readonly path: string; readonly variables: readonly string[] } {
  const own = Object.entries(file.receivers ?? {}).find(([name, r]) => (r.forge ?? forgeToldBy(name)) === forge)?.[1];
  const keys = keysFor(forge, unlisted(file, variables.map(keyOf)));
  return { path: own?.path ?? DEFAULT_PATH, variables: variables.filter((v) => (own?.secrets === undefined ? keys.includes(keyOf(v)) : own.secrets.includes(v))) };
}

function secretsFor(forge: ForgeKind, webhook: readonly Secret[]): readonly Secret[] {
  const keys = keysFor(forge, webhook.map((s) => s.name));
  return webhook.filter((s) => keys.includes(s.name));
}

/** Keys that no receiver lists for itself: who lists one, perhaps for a few repositories only, has it alone. */
function unlisted(file: ConfigFile, keys: readonly string[]): readonly string[] {
  const listed = new Set(Object.values(file.receivers ?? {}).flatMap((r) => r.secrets?.map(keyOf) ?? []));
  return keys.filter((key) => !listed.has(key));
}

/** Of the secrets nobody listed: those named for the forge, and only where there are none those that are named for no forge; `--secret` always. */
function keysFor(forge: ForgeKind, keys: readonly string[]): readonly string[] {
  const named = keys.filter((key) => forgeOfKey(key) === forge);
  return keys.filter((key) => key === FLAG_KEY || (named.length > 0 ? named.includes(key) : forgeOfKey(key) === undefined));
}

/** The forge a secret's own name binds it to. */
function forgeOfKey(key: string): ForgeKind | undefined {
  const word = Object.keys(TOLD_BY).find((w) => key.startsWith(w));
  return word === undefined ? undefined : TOLD_BY[word];
}

function forgeToldBy(name: string): ForgeKind | undefined {
  return TOLD_BY[name.split("-")[0] as string];
}

/** One entry of `receivers:`. */
class Drafting {
  readonly #input: ReceiversInput;
  readonly #name: string;
  readonly #problems: Problem[];

  constructor(input: ReceiversInput, name: string, problems: Problem[]) {
    this.#input = input;
    this.#name = name;
    this.#problems = problems;
  }

  draft(own: ReceiverFile): ReceiverConfig | null {
    const name = this.#name;
    const forge = own.forge ?? forgeToldBy(name);
    if (forge === undefined) {
      this.#problem([], `forge of receiver ${name} is not told by its name, expected github or gitea (for Forgejo, too); set receivers.${name}.forge, or let the name begin with it`);
      return null;
    }
    if (name === OPERATOR) this.#problem([], `name of receiver ${name} is that of people's own requests, expected another; rename it`);
    const path = own.path ?? DEFAULT_PATH;
    if (OWN_PATHS.test(path)) this.#problem(["path"], `path of receiver ${name} is ${path}, which the daemon answers itself; choose another such as /hooks/${name}`);
    return { name, forge, path, secrets: this.#secrets(forge, own.secrets), repositories: (own.repositories ?? []).map((pattern) => pattern.toLowerCase()) };
  }

  #secrets(forge: ForgeKind, listed: readonly string[] | undefined): readonly Secret[] {
    const { webhook } = this.#input;
    if (listed === undefined) {
      const free = new Set(unlisted(this.#input.file, webhook.map((s) => s.name)));
      return secretsFor(forge, webhook.filter((s) => free.has(s.name)));
    }
    const keys = new Set(listed.map(keyOf));
    for (const [index, secret] of listed.entries()) this.#judge(forge, { secret, index });
    return webhook.filter((s) => s.name === FLAG_KEY || keys.has(s.name));
  }

  #judge(forge: ForgeKind, { secret, index }: { readonly secret: string; readonly index: number }): void {
    const at = ["secrets", index];
    const key = keyOf(secret);
    const bound = forgeOfKey(key);
    if (bound !== undefined && bound !== forge) this.#problem(at, `secret ${secret} of receiver ${this.#name} is bound to ${bound} by its name, expected one for ${forge}; give it another name, or leave it out`);
    else if (!this.#input.webhook.some((s) => s.name === key)) this.#problem(at, `secret ${secret} of receiver ${this.#name} is not set, expected it in .slipstream/secrets.env; set it there, or correct the name`);
  }

  #problem(below: readonly PropertyKey[], message: string): void {
    this.#problems.push({ ...placeOf(this.#input, this.#name, below), message });
  }
}

function placeOf({ workspace, yaml }: ReceiversInput, name: string, below: readonly PropertyKey[]): Position {
  return yaml === null ? { file: workspace } : positionOf(yaml, ["receivers", name, ...below]);
}

/** The headers tell forges apart, and nothing else: two of one forge need two paths, and what follows a path is a subsystem's name. */
function checkPaths(input: ReceiversInput, all: readonly ReceiverConfig[], problems: Problem[]): void {
  for (const [index, r] of all.entries()) {
    const twin = all.slice(0, index).find((other) => other.forge === r.forge && other.path === r.path);
    if (twin !== undefined) problems.push({ ...placeOf(input, r.name, ["path"]), message: `path of receiver ${r.name} is ${r.path}, as that of ${twin.name} for the same forge; give one of them another path` });
    const above = all.find((other) => r.path.startsWith(`${other.path}/`));
    if (above !== undefined) problems.push({ ...placeOf(input, r.name, ["path"]), message: `path of receiver ${r.name} is ${r.path}, where ${above.path} of receiver ${above.name} has the names of subsystems; choose one that is not below it` });
  }
}

/** Whether a secret of one lets its holder speak as the other, where the other may say more. */
function shares(a: ReceiverConfig, b: ReceiverConfig): boolean {
  const values = new Set(a.secrets.map((s) => s.reveal()));
  const alike = a.forge === b.forge && a.repositories.toSorted().join() === b.repositories.toSorted().join();
  return a.name !== b.name && !alike && b.secrets.some((s) => values.has(s.reveal()));
}

function isUsed(forge: ForgeKind, subsystems: readonly Subsystem[]): boolean {
  return subsystems.some((s) => s.notManaged === undefined && originsOf(s).some((o) => o.forge === forge));
}

function sharedWarnings(receivers: readonly ReceiverConfig[]): string[] {
  const pairs = receivers.flatMap((a, i) => receivers.slice(i + 1).filter((b) => shares(a, b)).map((b) => [a, b] as const));
  return pairs.map(([a, b]) => `receivers ${a.name} and ${b.name} share a secret, expected one each: whoever may sign for one may sign for the other; ${a.forge === b.forge ? "list different ones under receivers.<name>.secrets" : `set ${SECRET_OF.github} and ${SECRET_OF.gitea}`}`);
}
