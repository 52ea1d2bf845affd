/** A subsystem: one managed program, as the configuration and the Taskfiles describe it. */

import type { Policy } from "./policy.ts";

export type Strategy = "tags" | "commits" | "releases";

/** source: built here from the upstream's source. release: the program comes ready-made out of a release (V55). */
export type Mode = "source" | "release";

/** What a forge's webhooks and API look like: GitHub (with GHES and GHE.com), or Gitea and Forgejo, which speak one dialect. */
export type ForgeKind = "github" | "gitea";

/** Where a subsystem's releases are, and what of them may be fetched. */
export interface ReleaseFeed {
  /** Base URL of the forge's REST API, without a slash at its end: `https://api.github.com`, `https://ghe.example/api/v3`, `https://gitea.example/api/v1`. */
  readonly api: string;
  /** `owner/name` in lower case. */
  readonly repository: string;
  /** Hosts (`host` or `host:port`) that an asset may be fetched from besides the API's own; `*.` in front stands for any one label or more. */
  readonly assetHosts: readonly string[];
  /** Exact name of the asset, with `{name}` `{binary}` `{tag}` `{version}` `{os}` `{arch}`; the usual names when missing. */
  readonly asset?: string;
  /** none: an asset that nothing states a digest for may be installed all the same. */
  readonly trust: "digest" | "none";
  /** How long a release may go without its assets before it is given up, in ms. */
  readonly assetWaitMs: number;
  /** Largest download and largest unpacked content, in bytes. */
  readonly maxBytes: number;
  readonly maxUnpackedBytes: number;
  /** Cap on the speed of a download. */
  readonly bytesPerSecond?: number;
}

/** A command of one argv, or a Task task. Never a shell line. */
export type Command = { readonly task: string } | { readonly argv: readonly string[] };

export interface HealthPolicy {
  /** How long the new process must stay healthy, in ms. */
  readonly soakMs: number;
  /** The longest wait for Ready, in ms. */
  readonly timeoutMs: number;
  /** required: the running process must be seen to run the new file. off: Ready and the soak time are enough, for programs that hide their file (a wrapper that execs another, a rewritten command line). */
  readonly proof: "required" | "off";
}

/** One place a subsystem's versions come from. */
export interface Origin {
  /** Clone URL; tells the origins of a subsystem apart. */
  readonly upstream: string;
  readonly branch: string;
  /** `owner/name` in lower case that deliveries may name: in source mode the upstream, in release mode the release repository, and every configured alias or fork. */
  readonly repositories: readonly string[];
  /** Always there in release mode; in source mode where the strategy is `releases` and the forge is known. */
  readonly release?: ReleaseFeed;
  /** Whose webhooks may speak about it; missing where the forge is not known: then any receiver's. */
  readonly forge?: ForgeKind;
}

/** Its own upstream comes first, then `others` (V107). */
export interface Subsystem extends Origin {
  /** `^[a-z0-9][a-z0-9-]*$` */
  readonly name: string;
  /** Absolute path of the subsystem's folder. */
  readonly dir: string;
  readonly mode: Mode;
  readonly strategy: Strategy;
  /** Further upstreams in order of priority (V108). */
  readonly others: readonly Origin[];
  /** newest: the newest version of all upstreams counts, and of the same version the one of the higher upstream. order: a lower upstream counts only where those above it have no version at all, or do not answer. */
  readonly prefer: "newest" | "order";
  /** Which tags are versions: patterns with `*` and one `{version}`, `!` in front excludes; empty for every tag. */
  readonly tags: readonly string[];
  /** How tags are read and how large a step is. date: every newer one is a minor step. */
  readonly versions: "semver" | "date";
  /** Prereleases that count like final versions, by the first word of their suffix: `beta` takes v2.0.0-beta.3. */
  readonly channel: readonly string[];
  /** The version variable's value in the Taskfile; what the workspace was set up with. */
  readonly declaredVersion?: string;
  /** Only this version may be installed; `2.x` and `2.10.x` stand for every version that begins so. */
  readonly pin?: string;
  /** File name of the binary below `.bin/`. */
  readonly binary: string;
  /** Name under Process Compose, or null when nothing runs. */
  readonly process: string | null;
  /** Prefix of the Taskfile variables (`NATS` of `NATS_VERSION`), or "" for bare names. */
  readonly varPrefix: string;
  readonly build: Command;
  readonly buildVars: Readonly<Record<string, string>>;
  readonly test?: Command;
  readonly smoke?: Command;
  readonly timeouts: StageTimeouts;
  readonly health: HealthPolicy;
  readonly policy: Policy;
  /** What happens when a person puts another program in its place: it is shown, or its process is restarted as well if the program fits its `.version`. */
  readonly drift: "show" | "reload";
  /** How many previous versions stay below `.bin/.previous`. */
  readonly keep: number;
  /** Set when slipstream must not touch it: what supervises or runs slipstream. */
  readonly notManaged?: string;
}

/** Longest run of each long stage, in ms. */
export interface StageTimeouts {
  readonly source: number;
  readonly build: number;
  readonly test: number;
}

/** Whether its versions are the commits of a branch; a release is never one. */
export function tracksCommits(s: Pick<Subsystem, "mode" | "strategy">): boolean {
  return s.mode === "source" && s.strategy === "commits";
}

/** The origins of a subsystem in order of priority, its own first. */
export function originsOf(s: Subsystem): readonly Origin[] {
  return [s, ...s.others];
}

/** Whether what a forge says about a repository is about this origin; a forge that is not known, on either side, is any. */
export function isAbout(o: Pick<Origin, "repositories" | "forge">, told: { readonly repository: string; readonly forge?: ForgeKind }): boolean {
  return o.repositories.includes(told.repository) && (o.forge === undefined || told.forge === undefined || o.forge === told.forge);
}

/** The origin with this clone URL, its own where none is named; undefined when it is no longer configured. */
export function originAt(s: Subsystem, upstream: string | undefined): Origin | undefined {
  return upstream === undefined ? s : originsOf(s).find((o) => o.upstream === upstream);
}

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** Whether a name may be a subsystem's; names from outside are checked with this before they are used anywhere (defect D18). */
export function isSubsystemName(name: string): boolean {
  return NAME.test(name);
}
