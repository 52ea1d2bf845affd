/** What every verb gets: how to reach the App port, and how to print. */

import type { InitOptions, InitReport } from "../config/starter.ts";
import type { App } from "../domain/app.ts";
import type { Examination } from "../domain/examination.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Printer } from "./io.ts";

export interface Context {
  readonly print: Printer;
  /** Who is asking, for the record. */
  readonly actor: string;
  now(): number;
  /** `read`: the daemon, or the state as it lies. `act`: the daemon, or the same engine in this process under the workspace's lock. */
  open(options: GlobalOptions, mode: "read" | "act"): Promise<App>;
  /** The subsystems as the configuration describes them. @throws ConfigError */
  subsystems(options: GlobalOptions): Promise<readonly Subsystem[]>;
  /** Signs a webhook with the workspace's secret and posts it as GitHub would; the secret stays inside. @throws ConfigError · UpstreamError */
  deliver(options: GlobalOptions, url: string, sent: { readonly event: string; readonly body: object }): Promise<Reply>;
  /** Looks at machine, configuration and daemon; never throws for what it finds. */
  examine(options: GlobalOptions): Promise<Examination>;
  /** Makes a workspace ready, or an example of one. @throws ConfigError · UsageError */
  init(options: GlobalOptions & InitOptions): Promise<InitReport>;
  /** Runs the daemon until it is told to stop. */
  watch(options: GlobalOptions & { readonly port?: number; readonly host?: string; readonly secret?: string }): Promise<void>;
}

export interface Reply {
  readonly status: number;
  /** From the start of the request to its whole answer. */
  readonly ms: number;
  /** Parsed JSON, or the text where it is none. */
  readonly body: unknown;
}

export interface GlobalOptions {
  readonly workspace?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** Process exit codes (requirements §9). */
export const EXIT = { done: 0, failed: 1, drift: 2, approval: 3, locked: 4, newer: 5, usage: 64 } as const;

/** Opens the port, runs the verb, closes the port. */
export async function withApp<T>(context: Context, options: GlobalOptions, mode: "read" | "act", verb: (app: App) => Promise<T>): Promise<T> {
  const app = await context.open(options, mode);
  try {
    return await verb(app);
  } finally {
    await app.close();
  }
}
