/** `slipstream.yaml`: every key is optional, none may be misspelt. */

import * as z from "zod";
import { apiUrl, assetHost, assetName, byteRate, repository } from "./schema-release.ts";

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;

/** A number of seconds, or text such as `500ms`, `10s`, `5m`, `1h30m`; becomes ms. */
const NO_DURATION = { error: "expected a duration such as 500ms, 10s, 5m, 2h, or a number of seconds" };
const duration = z
  .union([z.number(NO_DURATION).nonnegative(NO_DURATION), z.string(NO_DURATION).regex(DURATION, NO_DURATION)], NO_DURATION)
  .transform((value) => (typeof value === "number" ? Math.round(value * UNIT_MS.s) : durationMs(value)))
  .meta({ description: "seconds, or text such as 500ms, 10s, 5m, 2h" });

/** The longest timer there is: 2^31 - 1 ms. */
const LONGEST_MS = 24 * UNIT_MS.d;
const NO_LIMIT = { error: "expected a time from 1s to 24d; there is no unlimited one" };
/** How long something may take. */
const limit = duration.refine((ms) => ms >= UNIT_MS.s && ms <= LONGEST_MS, NO_LIMIT);

function durationMs(text: string): number {
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) ms += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  return Math.round(ms);
}

const text = z.string().min(1);
const argv = z.array(text).min(1).max(256).describe("program and arguments; no shell sees them");
const port = z.int().min(1).max(65_535);
const verdict = z.enum(["auto", "approval", "refuse"]);

const policy = z.strictObject({
  patch: verdict.optional(),
  minor: verdict.optional(),
  major: verdict.optional(),
  unparsable: verdict.optional(),
  commit: verdict.optional(),
  rewritten: verdict.optional(),
  prerelease: z.enum(["ignore", "allow"]).optional(),
  approval_wait: duration.optional(),
});

const health = z.strictObject({ soak: duration.refine((ms) => ms <= LONGEST_MS, NO_LIMIT).optional(), timeout: limit.optional(), proof: z.enum(["required", "off"]).optional() });

const mode = z.enum(["auto", "source", "release"]);

const release = z.strictObject({
  repository: repository.optional(),
  api: apiUrl.optional(),
  asset: assetName.optional(),
  asset_hosts: z.array(assetHost).max(64).optional(),
  trust: z.enum(["digest", "none"]).optional(),
  asset_wait: limit.optional(),
  max_mb: z.int().min(1).max(65_536).optional(),
  max_unpacked_mb: z.int().min(1).max(65_536).optional(),
});

const forge = z.enum(["github", "gitea"]).describe("what its webhooks and API look like; Forgejo speaks gitea's dialect");

/** One of several upstreams. */
const origin = z
  .strictObject({ upstream: text.optional(), branch: text.optional(), repositories: z.array(text).max(64).optional(), forge: forge.optional(), release: release.optional() })
  .refine((v) => v.upstream !== undefined || v.release?.repository !== undefined, { error: "names no upstream, expected upstream or release.repository" });

const NO_TAGS = { error: "expected a pattern such as v*, server-{version} or !*-nightly: with *, or with one {version}, not both" };
const tagPattern = z.string(NO_TAGS).refine((t) => /^(?:!?[^\s!{}]+|[^\s!{}*]*\{version\}[^\s!{}*]*)$/.test(t) && t.length <= 255, NO_TAGS);
const NO_CHANNEL = { error: "expected the word a prerelease begins with, such as beta or rc" };
const channelName = z.string(NO_CHANNEL).regex(/^[A-Za-z][0-9A-Za-z]{0,31}$/, NO_CHANNEL);

const drift = z.enum(["show", "reload"]);

const NO_RECEIVER = { error: "expected a path such as /webhook or /hooks/gitea" };
/** Who may speak about which repositories, proved by which secrets. */
const receiver = z.strictObject({
  forge: forge.optional(),
  path: z.string(NO_RECEIVER).regex(/^(?:\/[A-Za-z0-9_-]{1,64}){1,4}$/, NO_RECEIVER).optional(),
  secrets: z.array(z.string().regex(/^WEBHOOK_SECRET(?:_[A-Z0-9_]+)?$/, { error: "expected the name of a secret such as WEBHOOK_SECRET or WEBHOOK_SECRET_GITEA" })).min(1).max(16).optional(),
  repositories: z.array(z.string().regex(/^[^\s/]+\/[^\s/]+$/, { error: "expected owner/name, with * for any" })).min(1).max(256).optional(),
});

const ONE_OF = { error: "has both task and command, expected one of them" };
const oneCommand = (v: { task?: string | undefined; command?: string[] | undefined }) => v.task === undefined || v.command === undefined;
const someCommand = (v: { task?: string | undefined; command?: string[] | undefined }) => v.task !== undefined || v.command !== undefined;

const build = z
  .strictObject({ task: text.optional(), command: argv.optional(), vars: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).optional(), timeout: limit.optional() })
  .refine(oneCommand, ONE_OF);

const test = z
  .strictObject({ task: text.optional(), command: argv.optional(), timeout: limit.optional() })
  .refine(oneCommand, ONE_OF)
  .refine(someCommand, { error: "has no command, expected task or command" });

const subsystem = z.strictObject({
  enabled: z.boolean().optional(),
  mode: mode.optional(),
  release: release.optional(),
  dir: text.optional(),
  upstream: text.optional(),
  repositories: z.array(text).max(64).optional(),
  upstreams: z.array(origin).min(1).max(16).describe("several, the first goes before the others; in place of upstream").optional(),
  prefer: z.enum(["newest", "order"]).optional(),
  forge: forge.optional(),
  branch: text.optional(),
  tags: z.union([tagPattern.transform((t) => [t]), z.array(tagPattern).min(1).max(32)], NO_TAGS).optional(),
  versions: z.enum(["semver", "date"]).optional(),
  channel: z.union([channelName.transform((c) => [c]), z.array(channelName).min(1).max(16)], NO_CHANNEL).optional(),
  drift: drift.optional(),
  strategy: z.enum(["tags", "commits", "releases"]).optional(),
  pin: text.optional(),
  binary: text.optional(),
  process: z.union([text, z.literal(false)], { error: "expected the name of a process, or false for none" }).optional(),
  build: build.optional(),
  test: test.optional(),
  smoke: z.strictObject({ command: argv }).optional(),
  health: health.optional(),
  policy: policy.optional(),
});

const processCompose = z
  .strictObject({ socket: text.optional(), host: text.optional(), port: port.optional(), file: text.optional(), token_file: text.optional() })
  .refine((v) => v.socket === undefined || (v.host === undefined && v.port === undefined), { error: "has a socket and a host or port, expected one address" })
  .refine((v) => v.host === undefined || v.port !== undefined, { error: "has a host without a port, expected both" });

/** Nobody writes more by hand, and what is wrong with each is looked for in the whole file. */
const atMost = (n: number) => (entries: object) => Object.keys(entries).length <= n;

/** The shape of `slipstream.yaml`. */
export const ConfigFile = z.strictObject({
  listen: z.strictObject({ host: text.optional(), port: z.int().min(0).max(65_535).describe("0 is any free port").optional() }).optional(),
  state_dir: text.optional(),
  log_level: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).optional(),
  process_compose: processCompose.optional(),
  git: z.strictObject({ engine: z.enum(["auto", "system", "isomorphic"]).optional(), max_mb: z.int().min(1).max(65_536).optional(), timeout: limit.optional() }).optional(),
  limits: z.strictObject({ parallel_runs: z.int().min(1).max(64).optional(), kept_versions: z.int().min(1).max(50).optional(), download_rate: byteRate.optional() }).optional(),
  tools: z.strictObject({ task: text.optional() }).optional(),
  defaults: z.strictObject({ mode: mode.optional(), release: release.optional(), policy: policy.optional(), health: health.optional(), drift: drift.optional() }).optional(),
  receivers: z.record(z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, { error: "expected a name of small letters, digits and dashes" }), receiver).refine(atMost(64), { error: "has too many entries, expected at most 64" }).optional(),
  subsystems: z.record(z.string(), subsystem).refine(atMost(1_000), { error: "has too many entries, expected at most 1000" }).optional(),
});

export type ConfigFile = z.output<typeof ConfigFile>;
export type SubsystemFile = z.output<typeof subsystem>;
export type HealthFile = z.output<typeof health>;
export type PolicyFile = z.output<typeof policy>;
export type ReleaseFile = z.output<typeof release>;
export type OriginFile = z.output<typeof origin>;
export type ReceiverFile = z.output<typeof receiver>;

/** The schema as JSON Schema, for editors and for suggesting keys. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(ConfigFile, { io: "input" }) as Record<string, unknown>;
}
