/** `.version-manifest.json`: what is installed and what the last look found, for other programs of the workspace (V88 to V91). Pure. */

import type { InstalledVersion } from "./artifact.ts";
import { COMMIT, isSafeRef } from "./change.ts";
import { isSurelyNewer } from "./decide.ts";
import type { Subsystem } from "./subsystem.ts";
import { tracksCommits } from "./subsystem.ts";

export interface ManifestEntry {
  readonly name: string;
  readonly upstream_repo: string;
  /** Seven characters; null when the installed program does not say. */
  readonly current_commit: string | null;
  /** Only where versions are tags. */
  readonly current_tag?: string;
  /** Seven characters; null when it is not known before the download. */
  readonly latest_commit: string | null;
  readonly latest_tag?: string;
  /** Clone URL of the upstream that has the latest one, where it is not the first of several. */
  readonly latest_upstream?: string;
  readonly update_available: boolean;
  /** UTC, to the second; null when nothing is installed. */
  readonly last_updated: string | null;
}

export interface Manifest {
  /** UTC, to the second; null before the first look. */
  readonly last_check: string | null;
  readonly subsystems: Readonly<Record<string, ManifestEntry>>;
}

/** What a look at the upstream found. */
export interface Look {
  readonly version: string;
  readonly commit?: string;
  /** `Candidate.upstream` */
  readonly upstream?: string;
  readonly updateAvailable: boolean;
}

/** One entry as things stand now; without a new look the last one is kept. */
export function manifestEntry(s: Subsystem, current: InstalledVersion | undefined, looks: { readonly now?: Look; readonly before?: ManifestEntry }, time: (ms: number) => string): ManifestEntry {
  const tags = !tracksCommits(s);
  const tag = current?.tag ?? current?.version;
  const { now, before } = looks;
  const currentCommit = short(current?.commit);
  // Installed since the last look, and not behind what that found: it is the latest one known.
  const overtaken = now === undefined && tag !== undefined && before?.latest_tag !== undefined && before.current_tag !== tag && !isSurelyNewer(s, { version: before.latest_tag }, { version: tag });
  const seen = now === undefined ? { tag: before?.latest_tag, commit: before?.latest_commit ?? null } : { tag: tags ? now.version : undefined, commit: short(now.commit) };
  const latest = overtaken ? { tag, commit: currentCommit } : seen;
  const reached = tags ? latest.tag !== undefined && latest.tag === tag : latest.commit !== null && latest.commit === currentCommit;
  const latestCommit = latest.commit ?? (reached ? currentCommit : null);
  const from = overtaken ? undefined : now === undefined ? before?.latest_upstream : now.upstream;
  return {
    name: s.name,
    upstream_repo: s.upstream,
    current_commit: currentCommit,
    ...(tags && tag !== undefined ? { current_tag: tag } : {}),
    latest_commit: latestCommit,
    ...(tags && latest.tag !== undefined ? { latest_tag: latest.tag } : {}),
    ...(from === undefined ? {} : { latest_upstream: from }),
    update_available: !reached && (now?.updateAvailable ?? before?.update_available ?? false),
    last_updated: current === undefined || current.at === 0 ? null : time(current.at),
  };
}

function short(commit: string | undefined): string | null {
  return commit !== undefined && (COMMIT.test(commit) || /^[0-9a-f]{7,}$/.test(commit)) ? commit.slice(0, 7) : null;
}

/**
 * What an entry says was installed, for a build machine, where `.bin` is empty and only the manifest remembers; undefined when it says nothing of use, or speaks of another upstream.
 * Nowhere else may this stand for what is installed: a program that is not there is not installed.
 */
export function recordedIn(s: Subsystem, entry: unknown, ms: (time: string) => number | undefined): InstalledVersion | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  const told = entry as Partial<Record<keyof ManifestEntry, unknown>>;
  if (told.upstream_repo !== s.upstream) return undefined;
  const commit = typeof told.current_commit === "string" && /^[0-9a-f]{7,64}$/.test(told.current_commit) ? told.current_commit : undefined;
  const tag = typeof told.current_tag === "string" && isSafeRef(told.current_tag) ? told.current_tag : undefined;
  const version = tracksCommits(s) ? commit : tag;
  if (version === undefined) return undefined;
  const at = typeof told.last_updated === "string" ? ms(told.last_updated) : undefined;
  return { subsystem: s.name, version, digest: "sha256:unknown", state: "current", at: at ?? 0, ...(commit === undefined ? {} : { commit }) };
}

/** The manifest in a file, or undefined when it is none. */
export function parseManifest(text: string): Manifest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const found = value as Manifest;
    if (typeof value !== "object" || value === null || typeof found.subsystems !== "object" || found.subsystems === null) return undefined;
    return { last_check: typeof found.last_check === "string" ? found.last_check : null, subsystems: found.subsystems };
  } catch {
    return undefined; // somebody else's file, or half of one: it is written afresh
  }
}
