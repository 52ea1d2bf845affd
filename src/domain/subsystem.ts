/** A subsystem: one managed program, as the configuration and the Taskfiles describe it. */

import type { Policy } from "./policy.ts";

export type Strategy = "tags" | "commits" | "releases";

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
  /** Clone URL. */
  readonly upstream: string;
  /** `owner/name` in lower case: the upstream itself and every configured alias or fork. */
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
  /** Set when slipstream must not touch it: what supervises or runs slipstream. */
  readonly notManaged?: string;
}

/** Longest run of each long stage, in ms. */
export interface StageTimeouts {
  readonly source: number;
  readonly build: number;
  readonly test: number;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** Whether a name may be a subsystem's; names from outside are checked with this before they are used anywhere (defect D18). */
export function isSubsystemName(name: string): boolean {
  return NAME.test(name);
}
