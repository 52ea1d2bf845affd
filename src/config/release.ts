/** Release mode: whether a subsystem comes ready-made out of a release (V55), and where its releases are. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { ReleaseFeed } from "../domain/subsystem.ts";
import type { Position } from "./files.ts";
import { present } from "./layers.ts";
import { isOnGitHub, releaseRepository, repositoryName } from "./repository.ts";
import type { ReleaseFile } from "./schema.ts";
import { isRef, type Subject } from "./subject.ts";

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
  if (wanted === "source" || (wanted === "auto" && (followsCommits(subject) || (await hasSource(dir))))) return { mode: "source" };
  const repository = repositoryOf(subject, upstream);
  const api = apiOf(subject, repository, upstream);
  if (typeof repository === "string" && api !== undefined) return { mode: "release", feed: feedOf(subject, repository, api) };
  if (wanted === "auto") return { mode: "source" };
  if (upstream !== null && repository !== null) complain(subject, repository);
  return { mode: "release", feed: null };
}

/** Where a subsystem that is built here has its releases: at its upstream, because the tag is checked out from there; undefined when no API is known. */
export function sourceFeed(subject: Subject, upstream: string): ReleaseFeed | undefined {
  const repository = repositoryName(upstream);
  if (repository === null) return undefined;
  const told = toldRepository(subject)?.text;
  const api = told === undefined || releaseRepository(told) === repository ? toldApi(subject) : undefined;
  const known = api ?? (isOnGitHub(upstream) ? GITHUB_API : undefined);
  return known === undefined ? undefined : feedOf(subject, repository, known);
}

/** `RELEASE_VERSION`, where it names a version (V63); what is no git ref is a problem. */
export function releasePin(subject: Subject): string | undefined {
  const { found, input } = subject;
  const text = subject.read("pin", found?.releaseVersion) ?? input.env.RELEASE_VERSION ?? "";
  if (text === "" || text === "latest") return undefined;
  if (isRef(text)) return text;
  const at = found?.releaseVersion?.known === true && found.releaseVersion.text === text ? found.releaseVersion.at : ENVIRONMENT;
  subject.problem(at, `RELEASE_VERSION of ${subject.name} is ${JSON.stringify(text)}, expected latest or a git ref; correct it, or set subsystems.${subject.name}.pin in slipstream.yaml`);
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
  const onGitHub = toldRepository(subject) !== undefined || (typeof upstream === "string" && isOnGitHub(upstream));
  return toldApi(subject) ?? (onGitHub ? GITHUB_API : undefined);
}

function toldApi(subject: Subject): string | undefined {
  return subject.own.release?.api ?? subject.defaults.release?.api;
}

function complain(subject: Subject, repository: string | undefined): void {
  const { name, own } = subject;
  const at = own.mode === undefined ? subject.defaultsAt("mode") : subject.at("mode");
  const key = `subsystems.${name}.release`;
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
