/**
 * Secrets: `.slipstream/secrets.env` first, then files named by `<NAME>_FILE`, then the environment.
 * The environment comes last because a supervisor hands its own to every program it starts.
 */

import { join, resolve } from "node:path";
import type { Problem } from "../domain/errors.ts";
import { Secret } from "../kit/secret.ts";
import { type Position, readSmallFile } from "./files.ts";

export interface Secrets {
  /** The keys that may sign webhooks, by name. */
  readonly webhook: readonly Secret[];
  readonly github: Secret | undefined;
  /** `GITEA_TOKEN` or `FORGEJO_TOKEN` */
  readonly gitea: Secret | undefined;
  readonly supervisorToken: Secret | undefined;
  /** Every secret known, those of other programs in the environment too: what masking must hide. */
  readonly all: readonly Secret[];
}

export interface SecretsInput {
  readonly workspace: string;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--secret` of the command line. */
  readonly flag?: string | undefined;
  /** File of the Process Compose token, from `slipstream.yaml`. */
  readonly tokenFile?: string | undefined;
}

/** Names of webhook secrets, and with `_FILE` behind them of files that hold one. */
export const WEBHOOK_NAME = /^WEBHOOK_SECRET(?:_([A-Z0-9_]+))?$/;
/** Name of the key that `--secret` gives. */
export const FLAG_KEY = "flag";
const DEFAULT_KEY = "default";
/** Names of the environment whose values are masked wherever text leaves the process. */
const SECRET_LIKE = /SECRET|TOKEN|PASSWORD|PASSWD|API_KEY|PRIVATE_KEY/;
const NOT_SECRET = /_(?:FILE|PATH|URL|ID)$/;
/** GitHub's advice is high entropy; fewer characters than this are guessed offline from one delivery. */
const MIN_SECRET_CHARS = 16;
const OTHERS_MAY_READ = 0o077;

interface Found {
  readonly value: string;
  readonly at: Position;
  readonly fromEnv: boolean;
}

/** Reads every secret; empty or unreadable ones go to `problems`, careless ones to `warnings`. */
export async function readSecrets(input: SecretsInput, problems: Problem[], warnings: string[]): Promise<Secrets> {
  const own = await readSecretsFile(join(input.stateDir, "secrets.env"), problems, warnings);
  const reader = new SecretReader(input, own, { problems, warnings });
  const webhook: Secret[] = [];
  for (const name of reader.namesLike(WEBHOOK_NAME)) {
    const found = await reader.find(name);
    if (found === undefined) continue;
    if (found.value.length < MIN_SECRET_CHARS) warnings.push(`${name} has ${found.value.length} characters, expected at least ${MIN_SECRET_CHARS}; remove it, and slipstream init makes a long one`);
    if (found.fromEnv && (input.env.PC_PROC_NAME ?? "") !== "") {
      warnings.push(`${name} comes from the environment, which Process Compose hands to every process it starts; move it to ${join(input.stateDir, "secrets.env")}`);
    }
    webhook.push(new Secret(keyOf(name), found.value));
  }
  if (input.flag !== undefined) webhook.push(...flagSecret(input.flag, problems, warnings));
  const github = await reader.secret("GITHUB_TOKEN", "github");
  const gitea = await giteaToken(reader, warnings);
  const supervisorToken = await reader.supervisorToken();
  const known = [...webhook, ...[github, ...gitea, supervisorToken].filter((s) => s !== undefined)];
  const rest = [...own].map(([name, f]) => new Secret(name, f.value)).concat(secretsOfOthers(input.env));
  const values = new Set(known.map((s) => s.reveal()));
  const others = rest.filter((s) => s.reveal() !== "" && !values.has(s.reveal()) && values.add(s.reveal()));
  return { webhook, github, gitea: gitea[0], supervisorToken, all: [...known, ...others] };
}

/** The name under which a webhook secret's deliveries are stored; no two variables have the same. */
export function keyOf(variable: string): string {
  const key = WEBHOOK_NAME.exec(variable)?.[1]?.toLowerCase() ?? DEFAULT_KEY;
  return variable !== "WEBHOOK_SECRET" && (key === DEFAULT_KEY || key === FLAG_KEY) ? variable.toLowerCase() : key;
}

/** The one that counts comes first. */
async function giteaToken(reader: SecretReader, warnings: string[]): Promise<readonly Secret[]> {
  const found = [await reader.secret("GITEA_TOKEN", "gitea"), await reader.secret("FORGEJO_TOKEN", "forgejo")].filter((s) => s !== undefined);
  if (new Set(found.map((s) => s.reveal())).size > 1) warnings.push("GITEA_TOKEN and FORGEJO_TOKEN are both set and differ, expected one of them; GITEA_TOKEN is used");
  return found;
}

class SecretReader {
  readonly #input: SecretsInput;
  readonly #own: ReadonlyMap<string, Found>;
  readonly #out: { readonly problems: Problem[]; readonly warnings: string[] };

  constructor(input: SecretsInput, own: ReadonlyMap<string, Found>, out: { readonly problems: Problem[]; readonly warnings: string[] }) {
    this.#input = input;
    this.#own = own;
    this.#out = out;
  }

  /** Names (without `_FILE`) that match, sorted, wherever they are set. */
  namesLike(pattern: RegExp): string[] {
    const names = new Set<string>();
    for (const name of [...this.#own.keys(), ...Object.keys(this.#input.env)]) {
      const base = name.endsWith("_FILE") ? name.slice(0, -"_FILE".length) : name;
      if (pattern.test(base) && (this.#own.has(name) || this.#input.env[name] !== undefined)) names.add(base);
    }
    return [...names].sort();
  }

  async secret(name: string, label: string): Promise<Secret | undefined> {
    const found = await this.find(name);
    return found === undefined ? undefined : new Secret(label, found.value);
  }

  /** The value by rank; undefined when it is not set, or set and not usable (then with a problem). */
  async find(name: string): Promise<Found | undefined> {
    const own = this.#own.get(name);
    if (own !== undefined) return this.#notEmpty(name, own);
    const file = this.#own.get(`${name}_FILE`)?.value ?? this.#input.env[`${name}_FILE`];
    if (file !== undefined) return this.#fromFile(`${name}_FILE`, file);
    const value = this.#input.env[name];
    return value === undefined ? undefined : this.#notEmpty(name, { value, at: { file: "environment" }, fromEnv: true });
  }

  /** As Process Compose itself ranks them: the token, then the file `PC_API_TOKEN_PATH` names, and an empty one is none (its src/config/config.go). */
  async supervisorToken(): Promise<Secret | undefined> {
    const { tokenFile, env } = this.#input;
    const given = this.#own.has("PC_API_TOKEN") || this.#own.has("PC_API_TOKEN_FILE") || env.PC_API_TOKEN_FILE !== undefined || (env.PC_API_TOKEN ?? "") !== "";
    const path = env.PC_API_TOKEN_PATH ?? "";
    if (tokenFile === undefined && !given && path === "") return undefined;
    const found = tokenFile !== undefined ? await this.#fromFile("process_compose.token_file", tokenFile) : given ? await this.find("PC_API_TOKEN") : await this.#fromFile("PC_API_TOKEN_PATH", path);
    return found === undefined ? undefined : new Secret("process-compose", found.value);
  }

  async #fromFile(name: string, given: string): Promise<Found | undefined> {
    if (given === "") return this.#notEmpty(name, { value: "", at: { file: "environment" }, fromEnv: false });
    const path = resolve(this.#input.workspace, given);
    const before = this.#out.problems.length;
    const file = await readSmallFile(path, this.#out.problems);
    if (file === null) {
      if (this.#out.problems.length === before) this.#out.problems.push({ file: path, message: `is missing, but ${name} names it` });
      return undefined;
    }
    warnIfReadable(path, file.mode, this.#out.warnings);
    return this.#notEmpty(name, { value: file.text.trim(), at: { file: path }, fromEnv: false });
  }

  #notEmpty(name: string, found: Found): Found | undefined {
    if (found.value !== "") return found;
    this.#out.problems.push({ ...found.at, message: `${name} is empty, expected a value; remove it if it is not wanted` });
    return undefined;
  }
}

async function readSecretsFile(path: string, problems: Problem[], warnings: string[]): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  const file = await readSmallFile(path, problems);
  if (file === null) return found;
  warnIfReadable(path, file.mode, warnings);
  for (const { line, name, value } of secretLines(file.text)) {
    const at = { file: path, line };
    if (name === "") problems.push({ ...at, message: "is no KEY=VALUE line" });
    else if (found.has(name)) problems.push({ ...at, message: `${name} is set twice, expected once` });
    else found.set(name, { value, at, fromEnv: false });
  }
  return found;
}

/** The `KEY=VALUE` lines of a file, counted from 1; a line that is none has the name "". Takes time in proportion to the text, whatever it holds. */
export function secretLines(text: string): { readonly line: number; readonly name: string; readonly value: string }[] {
  return text.split(/\r?\n/).flatMap((raw, index) => {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) return [];
    const at = line.indexOf("=");
    const name = (at === -1 ? "" : line.slice(0, at)).replace(/^export\s+/, "");
    return [{ line: index + 1, name: /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : "", value: unquoted(line.slice(at + 1).trim()) }];
  });
}

function unquoted(value: string): string {
  const quote = value[0];
  return value.length >= 2 && (quote === '"' || quote === "'") && value.endsWith(quote) ? value.slice(1, -1) : value;
}

function warnIfReadable(path: string, mode: number, warnings: string[]): void {
  if ((mode & OTHERS_MAY_READ) !== 0) warnings.push(`${path} has mode ${mode.toString(8)}, expected 600; run: chmod 600 ${path}`);
}

function flagSecret(value: string, problems: Problem[], warnings: string[]): Secret[] {
  if (value === "") {
    problems.push({ file: "command line", message: "--secret is empty, expected a value" });
    return [];
  }
  warnings.push("--secret is visible to everyone on this machine in ps; put WEBHOOK_SECRET into .slipstream/secrets.env instead");
  return [new Secret(FLAG_KEY, value)];
}

function secretsOfOthers(env: Readonly<Record<string, string | undefined>>): Secret[] {
  const like = Object.entries(env).filter(([name]) => SECRET_LIKE.test(name) && !NOT_SECRET.test(name));
  return like.map(([name, value]) => new Secret(name, value ?? ""));
}
