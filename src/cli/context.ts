/** What every verb gets: how to reach the App port, and how to print. */

import type { CiOffers } from "../config/ci.ts";
import type { InitOptions, InitReport } from "../config/starter.ts";
import type { App } from "../domain/app.ts";
import type { FixReport } from "../domain/defect.ts";
import type { Examination } from "../domain/examination.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { ToSend } from "./hook.ts";
import type { Printer } from "./io.ts";

export interface Context {
  readonly print: Printer;
  /** Who is asking, for the record. */
  readonly actor: string;
  now(): number;
  /** What the build machine offers. */
  readonly ci: CiOffers;
  /** Adds text to the end of a file. */
  append(path: string, text: string): Promise<void>;
  /** Writes a file that is not there yet. @throws UsageError usage when it is */
  create(path: string, text: string): Promise<void>;
  /** `read`: the daemon, or the state as it lies. `act`: the daemon, or the same engine in this process under the workspace's lock. */
  open(options: GlobalOptions, mode: "read" | "act"): Promise<App>;
  /** The subsystems as the configuration describes them. @throws ConfigError */
  subsystems(options: GlobalOptions): Promise<readonly Subsystem[]>;
  /** Where they are. @throws ConfigError */
  layout(options: GlobalOptions): Promise<{ readonly workspace: string; readonly rootTaskfile: string; readonly subsystems: readonly Subsystem[] }>;
  /** Signs a webhook with the secret of the receiver that takes it and posts it to that receiver's path as its forge would; the secret stays inside. @throws ConfigError · UpstreamError */
  deliver(options: GlobalOptions, daemon: string, sent: ToSend): Promise<Reply>;
  /** Looks at machine, configuration and daemon; never throws for what it finds. */
  examine(options: GlobalOptions): Promise<Examination>;
  /** Writes the safe mends of Taskfiles and the process-compose file. @throws ConfigError when there is no workspace */
  fix(options: GlobalOptions & { readonly dryRun: boolean }): Promise<FixReport>;
  /** Makes a workspace ready, or an example of one. @throws ConfigError · UsageError */
  init(options: GlobalOptions & InitOptions): Promise<InitReport>;
  /** Runs the daemon until it is told to stop. */
  watch(options: GlobalOptions & { readonly port?: number; readonly host?: string; readonly secret?: string }): Promise<void>;
}

export interface Reply {
  /** Where it was sent. */
  readonly url: string;
  readonly status: number;
  /** From the start of the request to its whole answer. */
  readonly ms: number;
  /** Parsed JSON, or the text where it is none. */
  readonly body: unknown;
  /** `owner/name` it was about: of several, the one that its receiver may speak about. */
  readonly repository?: string;
}

export interface GlobalOptions {
  readonly workspace?: string;
  readonly config?: string;
  readonly json?: boolean;
  /** On a build machine: no daemon is asked, what may be built is built, and what the manifest says counts as installed where the program is not there. */
  readonly ci?: boolean;
}

/** Process exit codes (requirements §9). */
export const EXIT = { done: 0, failed: 1, drift: 2, approval: 3, locked: 4, newer: 5, usage: 64 } as const;

/** One sentence for each, for the help and the manual. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: "done, or nothing to do",
  failed: "the run failed or was rolled back, or the command could not do its work",
  drift: "reserved for a sync target that drifted; not used yet",
  approval: "a run waits for approval",
  locked: "another slipstream works in this workspace",
  newer: "the database was written by a newer slipstream",
  usage: "wrong command line or configuration",
};

/** Opens the port, runs the verb, closes the port. */
export async function withApp<T>(context: Context, options: GlobalOptions, mode: "read" | "act", verb: (app: App) => Promise<T>): Promise<T> {
  const app = await context.open(options, mode);
  try {
    return await verb(app);
  } finally {
    await app.close();
  }
}
