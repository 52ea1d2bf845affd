/** The configuration as it is edited: read again when one of its files changes, and only taken over when nothing is wrong with it. */

import { join } from "node:path";
import { ConfigError, messageOf, type Problem } from "../domain/errors.ts";
import { Secret } from "../kit/secret.ts";
import { noteReads } from "./files.ts";
import type { Config } from "./load.ts";

export interface Live {
  /** The last good one. */
  current(): Config;
  /** What is wrong with the files as they are now; empty when `current` is made of them. */
  problems(): readonly Problem[];
  /** Keys that were edited and only count after a restart. */
  restart(): readonly string[];
  /** Subsystems whose process has vanished from the process-compose file since, with its name: updates restart nothing for them now. */
  lost(): ReadonlyMap<string, string>;
  /** Every path a change of which may change the configuration. */
  files(): ReadonlySet<string>;
  /** Reads everything again. Never throws: what cannot be read is a problem. */
  reload(): Promise<Reloaded>;
  /** What was taken last cannot be used after all (a tool is missing): the one before it stays in force, and the next reload tries again. */
  refuse(error: unknown): readonly Problem[];
}

export type Reloaded =
  /** `restart`: keys that differ from those it was started with, and only count after a restart. */
  | { readonly outcome: "taken"; readonly config: Config; readonly restart: readonly string[] }
  | { readonly outcome: "unchanged" }
  | { readonly outcome: "refused"; readonly problems: readonly Problem[] };

/** Reads the configuration for the first time. @throws ConfigError */
export async function startLive(load: () => Promise<Config>): Promise<Live> {
  let paths = new Set<string>();
  let current = await noteReads(paths, load);
  const began = current;
  let before = current;
  const restart = () => needsRestart(began, current);
  let problems: readonly Problem[] = [];
  const lost = new Map<string, string>();
  return {
    lost: () => lost,
    current: () => current,
    problems: () => problems,
    restart,
    files: () => new Set([...paths, ...sourceFolders(current)]),
    async reload() {
      const seen = new Set<string>();
      try {
        const next = await noteReads(seen, load);
        checkStillThere(current, next);
        const repaired = problems.length > 0;
        problems = [];
        paths = seen;
        before = current;
        if (fingerprint(current) === fingerprint(next)) return repaired ? { outcome: "taken", config: current, restart: restart() } : { outcome: "unchanged" };
        noteLost(lost, current, next);
        current = next;
        return { outcome: "taken", config: current, restart: restart() };
      } catch (error) {
        // The files of the last good one stay watched, too: a repair may touch either.
        paths = new Set([...paths, ...seen]);
        problems = error instanceof ConfigError ? error.problems : [{ file: current.workspace, message: `cannot be read: ${messageOf(error)}` }];
        return { outcome: "refused", problems };
      }
    },
    refuse(error) {
      current = before;
      problems = error instanceof ConfigError ? error.problems : [{ file: current.ownFile ?? current.workspace, message: `cannot be put into force: ${messageOf(error)}` }];
      return problems;
    },
  };
}

/** Pins, policies and limits of receivers must not vanish with a file that an editor, a checkout or a full disk has taken away. @throws ConfigError */
function checkStillThere({ ownFile, subsystems }: Config, next: Config): void {
  if (subsystems.length > 0 && next.subsystems.length === 0) {
    throw new ConfigError([{ file: next.rootTaskfile, message: `leaves no subsystem, expected ${subsystems.map((s) => s.name).join(", ")}; put them back, or restart slipstream to run without any` }]);
  }
  if (ownFile === undefined || next.ownFile !== undefined) return;
  throw new ConfigError([{ file: ownFile, message: "is gone or empty, expected it there; put it back, or restart slipstream to run without it" }]);
}

function noteLost(lost: Map<string, string>, before: Config, now: Config): void {
  const next = new Map(now.subsystems.map((s) => [s.name, s]));
  for (const { name, process } of before.subsystems) if (process !== null) lost.set(name, process);
  for (const name of lost.keys()) if (next.get(name)?.process !== null || now.withoutProcess.includes(name)) lost.delete(name);
}

/** Source mode is told by `.src` (V55): its coming and going changes the mode. */
function sourceFolders({ subsystems }: Config): string[] {
  return subsystems.map((s) => join(s.dir, ".src"));
}

/** Everything a configuration says, secrets by their value; never leaves this room. */
function fingerprint(config: Config): string {
  return JSON.stringify(config, function (this: Record<string, unknown>, key, value: unknown) {
    const given = this[key];
    return given instanceof Secret ? [given.name, given.reveal()] : value;
  });
}

function needsRestart(before: Config, now: Config): readonly string[] {
  const changed: string[] = [];
  if (before.listen.host !== now.listen.host || before.listen.port !== now.listen.port) changed.push("listen");
  if (before.stateDir !== now.stateDir) changed.push("state_dir");
  return changed;
}
