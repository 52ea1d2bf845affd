/** An in-process wake-up that shortens the next look at a table. It is never the only trigger: waiters also wake after `maxMs`. */

import type { Clock } from "./clock.ts";

export interface Bell {
  ring(): void;
  /** Resolves at the next ring (or one since the last wait), after `maxMs`, or when the signal fires. */
  wait(maxMs: number, signal: AbortSignal): Promise<void>;
}

export function createBell(clock: Clock): Bell {
  let rung = false;
  const waiters = new Set<() => void>();
  return {
    ring() {
      rung = true;
      for (const wake of waiters) wake();
    },
    async wait(maxMs, signal) {
      if (!rung && !signal.aborted) {
        const stop = new AbortController();
        const wake = () => stop.abort();
        waiters.add(wake);
        await clock.sleep(maxMs, AbortSignal.any([stop.signal, signal]));
        waiters.delete(wake);
      }
      rung = false;
    },
  };
}
