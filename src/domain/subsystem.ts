/** A subsystem: one managed program, as the configuration and the Taskfiles describe it. */

import type { Policy } from "./policy.ts";

export type Strategy = "tags" | "commits" | "releases";

/** source: built here from the upstream's source. release: the program comes ready-made out of a release (V55). */
export type Mode = "source" | "release";

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
}

export interface Subsystem {
  /** `^[a-z0-9][a-z0-9-]*$` */
  readonly name: string;
  /** Absolute path of the subsystem's folder. */
  readonly dir: string;
  readonly mode: Mode;
  /** Always there in release mode; in source mode where the strategy is `releases` and the forge is known. */
  readonly release?: ReleaseFeed;
  /** Clone URL. */
  readonly upstream: string;
  /** `owner/name` in lower case that deliveries may name: in source mode the upstream, in release mode the release repository, and every configured alias or fork. */
  readonly repositories: readonly string[];
  readonly branch: string;
  readonly strategy: Strategy;
  /** The version variable's value in the Taskfile; what the workspace was set up with. */
  readonly declaredVersion?: string;
  /** Only this version may be installed. */
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

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** Whether a name may be a subsystem's; names from outside are checked with this before they are used anywhere (defect D18). */
export function isSubsystemName(name: string): boolean {
  return NAME.test(name);
}
