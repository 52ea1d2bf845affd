/** Follows what people edit while the daemon runs: its configuration, and the programs below `.bin`. */

import { join } from "node:path";
import { createFileWatch } from "./adapters/watch-files.ts";
import type { Live, Reloaded } from "./config/live.ts";
import { formatProblem } from "./domain/errors.ts";
import type { Subsystem } from "./domain/subsystem.ts";
import type { Bell } from "./kit/bell.ts";
import { createBell } from "./kit/bell.ts";
import type { Clock } from "./kit/clock.ts";
import type { Log } from "./kit/log.ts";
import type { Worker } from "./kit/worker.ts";

export interface FollowDeps {
  readonly live: Live;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes what was read count. @throws when it cannot; then it is tried again at the next change */
  readonly take: (reloaded: Extract<Reloaded, { outcome: "taken" }>) => Promise<void>;
  /** Looks whether the installed program is still the one we know. */
  readonly look: (subsystem: Subsystem) => Promise<void>;
}

/** Editors save several files one after the other. */
const TOGETHER_MS = 100;
/** After a look that took long, so many times as long is left to everything else: files saved all the time must not starve deliveries. */
const REST = 3;
const LONGEST_REST_MS = 10_000;
/** No news is no reason to look: this only bounds one wait. */
const WAIT_MS = 60 * 60_000;

export function createFollower(deps: FollowDeps): Worker {
  return {
    name: "files",
    async run(signal) {
      const bell = createBell(deps.clock);
      const changed = new Set<string>();
      const watch = createFileWatch({
        log: deps.log,
        changed: (path) => {
          changed.add(path);
          bell.ring();
        },
      });
      try {
        let renewed = await watch.set(wanted(deps.live));
        let spentMs = 0;
        while (!signal.aborted) {
          if (!renewed) await next(deps, bell, Math.min(LONGEST_REST_MS, Math.max(TOGETHER_MS, spentMs * REST)), signal);
          if (signal.aborted) return;
          // A watch that was renewed has missed what happened meanwhile.
          const all = renewed;
          const paths = new Set(changed);
          changed.clear();
          const began = deps.clock.monotonic();
          if (all || [...paths].some((p) => deps.live.files().has(p))) await again(deps);
          await lookAtPrograms(deps, all ? undefined : paths);
          renewed = await watch.set(wanted(deps.live));
          spentMs = deps.clock.monotonic() - began;
        }
      } finally {
        await watch.close();
      }
    },
  };
}

async function next({ clock }: FollowDeps, bell: Bell, restMs: number, signal: AbortSignal): Promise<void> {
  await bell.wait(WAIT_MS, signal);
  await clock.sleep(restMs, signal);
}

function wanted(live: Live): Set<string> {
  return new Set([...live.files(), ...live.current().subsystems.flatMap(programFiles)]);
}

function programFiles(s: Subsystem): string[] {
  return [join(s.dir, ".bin", s.binary), join(s.dir, ".bin", ".version")];
}

async function lookAtPrograms({ live, look }: FollowDeps, paths: ReadonlySet<string> | undefined): Promise<void> {
  for (const s of live.current().subsystems) {
    if (paths === undefined || programFiles(s).some((p) => paths.has(p))) await look(s);
  }
}

async function again({ live, log, take }: FollowDeps): Promise<void> {
  const reloaded = await live.reload();
  if (reloaded.outcome === "unchanged") return;
  if (reloaded.outcome === "refused") {
    log.error({ problems: reloaded.problems.map(formatProblem) }, "configuration not taken over, the last good one stays in force");
    return;
  }
  try {
    await take(reloaded);
    log.info({ subsystems: reloaded.config.subsystems.map((s) => s.name), ...(reloaded.restart.length === 0 ? {} : { restart: reloaded.restart }) }, "configuration taken over");
    for (const warning of reloaded.config.warnings) log.warn({ warning }, "configuration warning");
  } catch (error) {
    log.error({ err: error, problems: live.refuse(error).map(formatProblem) }, "configuration not taken over, the last good one stays in force");
  }
}
