/** What `doctor` looks at: plain facts about the machine, the configuration and the daemon, and what is found out from them. */

import type { FrontDoorCounts } from "./app.ts";
import type { Defect } from "./defect.ts";
import type { Problem } from "./errors.ts";
import type { ForgeKind, Mode } from "./subsystem.ts";

/** An outside program, asked for its version. */
export interface ToolFact {
  readonly program: string;
  readonly found: boolean;
  /** `1.2.3`; missing when it said none. */
  readonly version?: string;
  /** False where a program of this name is another one: Taskwarrior is called `task`, too. */
  readonly known?: boolean;
}

export interface FileFact {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Whether it belongs to the user who asks. */
  readonly mine: boolean;
}

/** A folder we have to write into; `error` says what failed of creating, syncing and renaming a file there. */
export interface FolderFact {
  readonly path: string;
  readonly exists: boolean;
  readonly error?: string;
}

export interface DiskFact {
  readonly path: string;
  readonly freeBytes: number;
  /** As /proc/mounts names it; missing where there is none. */
  readonly filesystem?: string;
}

export interface PortFact {
  readonly host: string;
  readonly port: number;
  /** own: our daemon's. slipstream: one of another workspace. any: port 0. */
  readonly state: "free" | "any" | "own" | "slipstream" | "other" | "unusable";
  /** Why it is unusable: a system error code such as `EACCES`. */
  readonly code?: string;
}

export type SupervisorFact =
  | { readonly state: "none" }
  | { readonly state: "up"; readonly where: string; readonly version: string; readonly processes: readonly string[] }
  | { readonly state: "token-refused"; readonly where: string; readonly tokenGiven: boolean }
  | { readonly state: "down"; readonly where: string; readonly message: string };

export interface SecretFacts {
  /** The secrets that may sign webhooks; never their values. */
  readonly webhook: readonly { readonly name: string; readonly chars: number }[];
  readonly githubToken: boolean;
  /** Missing when there is no such file. */
  readonly file?: FileFact;
  readonly folder?: FileFact;
  /** `.env` beside the process-compose file, and which of our secrets it sets. */
  readonly dotenv?: { readonly path: string; readonly names: readonly string[] };
  /** Secrets of ours in this process's environment, when Process Compose started it. */
  readonly inherited: readonly string[];
}

/** Who listens for webhooks, and who is meant to. */
export interface ReceiverFact {
  readonly name: string;
  readonly forge: ForgeKind;
  readonly path: string;
  /** Whether `slipstream.yaml` names it; else it is one of those that are there by themselves. */
  readonly explicit: boolean;
  /** Names of its secrets; none where it does not listen for want of one. */
  readonly keys: readonly string[];
  /** Receivers of another forge that have one of its secrets. */
  readonly sharedWith: readonly string[];
  /** Managed subsystems with an upstream on its forge, or on one that is not known. */
  readonly subsystems: readonly string[];
  /** Those whose forge is known to be its own. */
  readonly bound: readonly string[];
}

export type DaemonFact =
  | { readonly state: "up"; readonly url?: string; readonly frontDoor?: FrontDoorCounts }
  | { readonly state: "down" }
  /** There is something, and it could not be asked. */
  | { readonly state: "unreadable"; readonly message: string };

export interface SubsystemFact {
  readonly name: string;
  readonly mode: Mode;
  readonly managed: boolean;
  readonly process: string | null;
  /** The configuration says that nothing runs it (`process: false`). */
  readonly noProcess: boolean;
  /** Absolute path. */
  readonly binary: string;
  readonly installed: boolean;
  readonly executable: boolean;
  /** `.bin/.version` is there. */
  readonly stamped: boolean;
  /** When the last webhook about it came from outside, in ms since the epoch; missing when none did. */
  readonly lastDelivery?: number;
  /** Missing when it was not asked. */
  readonly upstream?: { readonly ok: true; /** Upstreams of several that did not answer. */ readonly silent?: readonly string[] } | { readonly ok: false; readonly message: string };
}

/** Where something stands in a file a person wrote; `line` counts from 1. */
export interface Place {
  readonly file: string;
  readonly line?: number;
}

/** What the process-compose file says about the process of a managed subsystem. */
export interface ProcessFact {
  readonly subsystem: string;
  readonly process: string;
  /** Paths of Process Compose's own `watch` that a swap of the program touches. */
  readonly watched: readonly Place[];
  /** `is_daemon: true` */
  readonly daemon?: Place;
  /** The setting by which an end of it ends the project. */
  readonly endsProject?: { readonly setting: string; readonly at: Place };
}

export interface Examination {
  /** ms since the epoch, as this machine has it. */
  readonly now: number;
  readonly node: { readonly version: string; readonly path: string };
  readonly git: ToolFact;
  readonly task: ToolFact;
  /** Null when there is no such folder. */
  readonly workspace: string | null;
  readonly config: { readonly problems: readonly Problem[]; readonly warnings: readonly string[] };
  /** Of Taskfiles and the process-compose file, by file and line. */
  readonly defects: readonly Defect[];
  readonly supervisor: SupervisorFact;
  readonly secrets: SecretFacts;
  /** Empty when the configuration is broken. */
  readonly receivers: readonly ReceiverFact[];
  /** Missing without a workspace. */
  readonly state?: FolderFact;
  readonly disks: readonly DiskFact[];
  readonly port: PortFact;
  readonly daemon: DaemonFact;
  /** Missing when there is no process-compose file. */
  readonly processes?: readonly ProcessFact[];
  /** Empty when the configuration is broken. */
  readonly subsystems: readonly SubsystemFact[];
}

/** One thing that was looked at, and how to mend it. */
export interface Finding {
  readonly check: string;
  readonly status: "ok" | "warn" | "fail";
  readonly message: string;
  readonly mend?: string;
}
