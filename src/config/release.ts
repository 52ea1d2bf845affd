/** Release mode: whether a subsystem comes ready-made out of a release (V55), and where its releases are. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { isPin } from "../domain/pin.ts";
import type { ForgeKind, Mode, ReleaseFeed } from "../domain/subsystem.ts";
import type { Position } from "./files.ts";
import { present } from "./layers.ts";
import { hostOf, isOnGitHub, releaseRepository, repositoryName } from "./repository.ts";
import type { ReleaseFile } from "./schema.ts";
import { LOOPBACK } from "./schema-release.ts";
import { isRef, PIN_WANTED, schemeOf, type Subject } from "./subject.ts";

export const GITHUB_API = "https://api.github.com";
const DEFAULT_ASSET_WAIT_MS = 30 * 60_000;
const DEFAULT_MAX_MB = 1024;
const DEFAULT_MAX_UNPACKED_MB = 4096;
const MIB = 1024 * 1024;

/** An upstream as far as it is known: null when it is wrong, which has been said. */
export type KnownUpstream = string | undefined | null;

export type Chosen = { readonly mode: "source" } | { readonly mode: "release"; readonly feed: ReleaseFeed | null };

/** The configured mode, else source where there is source or its commits are followed, else release where a forge is known to have releases; in release mode a missing feed is a problem. */
export async function chooseMode(subject: Subject, dir: string, upstream: KnownUpstream): Promise<Chosen> {
  const wanted = subject.own.mode ?? subject.defaults.mode ?? "auto";
  if (wanted === "source" || (wanted === "auto" && (followsCommits(subject) || (await hasSource(dir)) || isToBuild(subject, upstream)))) return { mode: "source" };
  const found = lookForFeed(subject, upstream);
  if (found.feed === null && wanted === "auto") return { mode: "source" };
  return { mode: "release", feed: found.feed ?? complained(subject, upstream, found.repository) };
}

/** Where one of several upstreams has its releases in release mode; null with a problem where that is not known. */
export function releaseFeed(subject: Subject, upstream: KnownUpstream): ReleaseFeed | null {
  const { feed, repository } = lookForFeed(subject, upstream);
  return feed ?? complained(subject, upstream, repository);
}

function lookForFeed(subject: Subject, upstream: KnownUpstream): { readonly feed: ReleaseFeed | null; readonly repository: string | undefined | null } {
  const repository = repositoryOf(subject, upstream);
  const api = apiOf(subject, repository, upstream);
  return { repository, feed: typeof repository === "string" && api !== undefined ? feedOf(subject, repository, api) : null };
}

function complained(subject: Subject, upstream: KnownUpstream, repository: string | undefined | null): null {
  if (upstream !== null && repository !== null) complain(subject, repository);
  return null;
}

/** Where a subsystem that is built here has its releases: at its upstream, because the tag is checked out from there; undefined when no API is known. */
export function sourceFeed(subject: Subject, upstream: string): ReleaseFeed | undefined {
  const repository = repositoryName(upstream);
  if (repository === null) return undefined;
  const told = toldRepository(subject)?.text;
  const api = told === undefined || releaseRepository(told) === repository ? toldApi(subject, upstream) : undefined;
  const known = api ?? (isOnGitHub(upstream) ? GITHUB_API : undefined);
  return known === undefined ? undefined : feedOf(subject, repository, known);
}

/** `RELEASE_VERSION`, where it names a version (V63); what is no git ref is a problem. */
export function releasePin(subject: Subject): string | undefined {
  const { found, input } = subject;
  const text = subject.read("pin", found?.releaseVersion) ?? input.env.RELEASE_VERSION ?? "";
  if (text === "" || text === "latest") return undefined;
  if (isRef(text) && isPin(text, schemeOf(subject))) return text;
  const at = found?.releaseVersion?.known === true && found.releaseVersion.text === text ? found.releaseVersion.at : ENVIRONMENT;
  subject.problem(at, `RELEASE_VERSION of ${subject.name} is ${JSON.stringify(text)}, ${isRef(text) ? PIN_WANTED : "expected latest or a git ref"}; correct it, or set subsystems.${subject.name}.pin in slipstream.yaml`);
  return undefined;
}

/** A clone URL for a subsystem that only its releases are known of. */
export function upstreamOf(feed: ReleaseFeed): string {
  const { origin, pathname, host } = new URL(feed.api);
  const web = pathname === "/" && host.startsWith("api.") ? origin.replace("://api.", "://") : origin;
  return `${web}/${feed.repository}`;
}

const ENVIRONMENT: Position = { file: "environment" };

async function hasSource(dir: string): Promise<boolean> {
  return (await stat(join(dir, ".src")).catch(() => null)) !== null;
}

/** On a build machine: whatever has an upstream and something that builds it. */
function isToBuild({ own, found, input }: Subject, upstream: KnownUpstream): boolean {
  return input.build === true && typeof upstream === "string" && (own.build !== undefined || (found !== undefined && !found.internal));
}

/** Told to follow the upstream's commits, and of no repository with releases: those of the upstream are not what is wanted. */
function followsCommits(subject: Subject): boolean {
  const { own, found } = subject;
  const strategy = own.strategy ?? (found?.strategy?.known === true ? found.strategy.text : undefined);
  return strategy === "commits" && toldRepository(subject) === undefined;
}

interface Told {
  readonly text: string;
  readonly at: Position;
  readonly variable: boolean;
}

/** Who says which repository has the releases, by rank; `slipstream.yaml` has been checked, variables have not. Undefined where only the upstream is left. */
function toldRepository(subject: Subject): Told | undefined {
  const { own, defaults, found, input } = subject;
  const variable = found?.releaseRepo;
  if (own.release?.repository !== undefined) return { text: own.release.repository, at: subject.at("release", "repository"), variable: false };
  // What holds for the one upstream of the Taskfile says nothing about several.
  if (subject.entry !== undefined) return undefined;
  if (variable !== undefined && !(variable.known && variable.text === "")) return { text: variable.known ? variable.text : "", at: variable.at, variable: true };
  if (defaults.release?.repository !== undefined) return { text: defaults.release.repository, at: subject.defaultsAt("release", "repository"), variable: false };
  const env = input.env.RELEASE_REPO ?? "";
  return env === "" ? undefined : { text: env, at: ENVIRONMENT, variable: true };
}

/** `owner/name` of the releases; undefined when nobody says it, null when what is said is wrong (then with a problem). */
function repositoryOf(subject: Subject, upstream: KnownUpstream): string | undefined | null {
  const told = toldRepository(subject);
  if (told === undefined) return typeof upstream === "string" ? (repositoryName(upstream) ?? undefined) : undefined;
  if (told.variable && told.text === "") return subject.read("release.repository", subject.found?.releaseRepo) ?? null;
  const name = releaseRepository(told.text);
  if (name !== null) return name;
  // An address may hold a password, so it is not repeated.
  const is = /[:@]/.test(told.text) ? "no owner/name" : JSON.stringify(told.text);
  subject.problem(told.at, `RELEASE_REPO of ${subject.name} is ${is}, expected owner/name or a clone URL on github.com; correct it, or set subsystems.${subject.name}.release.repository in slipstream.yaml`);
  return null;
}

/** The configured API, else that of github.com for a repository somebody named or an upstream that is there. */
function apiOf(subject: Subject, repository: string | undefined | null, upstream: KnownUpstream): string | undefined {
  if (typeof repository !== "string") return undefined;
  const onGitHub = subject.own.forge !== "gitea" && (toldRepository(subject) !== undefined || (typeof upstream === "string" && isOnGitHub(upstream)));
  return toldApi(subject, upstream) ?? (onGitHub ? GITHUB_API : undefined);
}

/** Its own API; else that of defaults, unless another forge is named or it is one of several upstreams and on github.com; else where a forge of the named kind has it on the upstream's host. */
function toldApi(subject: Subject, upstream: KnownUpstream): string | undefined {
  const { own, defaults, entry } = subject;
  if (own.release?.api !== undefined) return own.release.api;
  const general = defaults.release?.api;
  const kind = general === undefined ? undefined : kindOf(general);
  const fits = own.forge === undefined ? entry === undefined || typeof upstream !== "string" || !isOnGitHub(upstream) : kind === undefined || kind === own.forge;
  if (general !== undefined && fits) return general;
  return own.forge === undefined || typeof upstream !== "string" ? undefined : apiAt(own.forge, upstream);
}

/** Where a forge of this kind has its API on the host of a clone URL; undefined where that names no host. Over http only on this machine. */
export function apiAt(forge: ForgeKind, upstream: string): string | undefined {
  const host = hostOf(upstream);
  if (host === undefined) return undefined;
  const base = webOf(upstream, host);
  if (forge === "gitea") return `${base}/api/v1`;
  if (isOnGitHub(upstream)) return GITHUB_API;
  return isGheCom(host) ? `https://api.${host}` : `${base}/api/v3`;
}

/** A port is the web's only where the clone URL is a web address. */
function webOf(upstream: string, host: string): string {
  const web = URL.canParse(upstream) ? new URL(upstream) : undefined;
  const secure = web?.protocol === "https:" || (web?.protocol === "http:" && LOOPBACK.test(host));
  return secure && web !== undefined ? web.origin : `https://${host}`;
}

const isGheCom = (host: string): boolean => host === "ghe.com" || host.endsWith(".ghe.com");

/** What an API's address tells about its forge. */
function kindOf(api: string): ForgeKind | undefined {
  const { hostname, pathname } = new URL(api);
  if (pathname.endsWith("/api/v1")) return "gitea";
  return hostname === "api.github.com" || isGheCom(hostname) || pathname.endsWith("/api/v3") ? "github" : undefined;
}

/** Whose webhooks may speak about an upstream: as configured, else told by where it is and by its API; in release mode by the API first, because the releases are what is told about. */
export function forgeOf(subject: Subject, mode: Mode, upstream: string, feed: ReleaseFeed | undefined): ForgeKind | undefined {
  const api = (mode === "release" ? feed : sourceFeed(subject, upstream))?.api;
  const byApi = api === undefined ? undefined : kindOf(api);
  const byPlace = isOnGitHub(upstream) ? "github" : undefined;
  return subject.own.forge ?? (mode === "release" ? (byApi ?? byPlace) : (byPlace ?? byApi));
}

function complain(subject: Subject, repository: string | undefined): void {
  const { name, own } = subject;
  const at = own.mode === undefined && subject.entry === undefined ? subject.defaultsAt("mode") : subject.at("mode");
  const key = subject.key("release");
  const missing =
    repository === undefined
      ? `the repository of its releases is unknown, expected owner/name; set ${key}.repository in slipstream.yaml`
      : `the API of the forge that has ${repository} is unknown, because its upstream is not on github.com; set ${key}.api in slipstream.yaml (or ${key}.repository, where the releases are on github.com)`;
  subject.problem(at, `mode of ${name} is release, but ${missing}`);
}

function feedOf(subject: Subject, repository: string, api: string): ReleaseFeed {
  const merged = Object.assign({}, present(subject.defaults.release), present(subject.own.release)) as ReleaseFile;
  const rate = subject.input.file.limits?.download_rate;
  return {
    api,
    repository,
    assetHosts: merged.asset_hosts ?? [],
    ...(merged.asset === undefined ? {} : { asset: merged.asset }),
    trust: merged.trust ?? "digest",
    assetWaitMs: merged.asset_wait ?? DEFAULT_ASSET_WAIT_MS,
    maxBytes: (merged.max_mb ?? DEFAULT_MAX_MB) * MIB,
    maxUnpackedBytes: (merged.max_unpacked_mb ?? DEFAULT_MAX_UNPACKED_MB) * MIB,
    ...(rate === undefined ? {} : { bytesPerSecond: rate }),
  };
}
