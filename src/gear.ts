/** The adapters one state of the configuration asks for. Those whose settings did not change are kept, and with them what they have learned (rate limits, baselines). */

import { childEnv, exec } from "./adapters/exec.ts";
import { createForges } from "./adapters/forge/forges.ts";
import type { Forge } from "./adapters/forge/port.ts";
import { createGit, type Git } from "./adapters/git.ts";
import { createSupervisor, type Supervisor } from "./adapters/process-compose.ts";
import { createTask, type Task } from "./adapters/task.ts";
import type { Config } from "./config/load.ts";
import { originsOf } from "./domain/subsystem.ts";
import type { Clock } from "./kit/clock.ts";
import type { Log } from "./kit/log.ts";
import type { Secret } from "./kit/secret.ts";

export interface Gear {
  readonly config: Config;
  readonly git: Git;
  readonly forge: Forge;
  readonly task: Task;
  readonly supervisor: Supervisor | null;
}

interface GearDeps {
  readonly clock: Clock;
  readonly log: Log;
}

const GIT_ANSWERS_MS = 30_000;

/** @throws StateError tool-missing */
export async function gearFor(config: Config, deps: GearDeps, before?: Gear): Promise<Gear> {
  const was = before?.config;
  const kept = <T>(part: T | undefined, same: (a: Config) => boolean, make: () => T): T => (part !== undefined && was !== undefined && same(was) ? part : make());
  return {
    config,
    git: await kept<Promise<Git>>(before === undefined ? undefined : Promise.resolve(before.git), (a) => equal([a.git, a.githubToken], [config.git, config.githubToken]), () => gitFor(config)),
    forge: kept(before?.forge, (a) => equal(forgeSettings(a), forgeSettings(config)), () => createForges({ clock: deps.clock, ...forgeSettings(config) })),
    task: createTask({ exec, program: config.tools.task, env: config.childEnv }),
    supervisor: kept(before?.supervisor, (a) => equal(a.supervisor, config.supervisor), () => supervisorFor(config, deps)),
  };
}

function gitFor(config: Config): Promise<Git> {
  const token = config.githubToken === undefined ? {} : { token: { host: "github.com", secret: config.githubToken } };
  return createGit({ exec, env: childEnv(config.childEnv), engine: config.git.engine, maxBytes: config.git.maxBytes, timeoutMs: config.git.timeoutMs, ...token }, AbortSignal.timeout(GIT_ANSWERS_MS));
}

function forgeSettings(config: Config) {
  return { feeds: config.subsystems.flatMap((s) => originsOf(s).flatMap((o) => o.release ?? [])), ...(config.githubToken === undefined ? {} : { token: config.githubToken }), ...(config.giteaToken === undefined ? {} : { giteaToken: config.giteaToken }) };
}

function supervisorFor({ supervisor }: Config, { clock, log }: GearDeps): Supervisor | null {
  if (supervisor === null) return null;
  const { address, token } = supervisor;
  return createSupervisor({ address: { ...address, ...(token === undefined ? {} : { token }) }, clock, log });
}

/** Secrets compare by value, everything else by what it says. */
function equal(a: unknown, b: unknown): boolean {
  const said = (value: unknown) =>
    JSON.stringify(value, function (this: Record<string, unknown>, key, one: unknown) {
      const given = this[key] as Partial<Secret> | undefined;
      return typeof given?.reveal === "function" ? given.reveal() : one;
    });
  return said(a) === said(b);
}
