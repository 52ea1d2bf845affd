/** Time is injected. Wall time in ms since the epoch for what is stored, monotonic ms for what is measured. */

export interface Clock {
  now(): number;
  /** Never goes back; only differences mean something. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when the signal fires (it never rejects: look at the signal). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(ms, 0x7fffffff));
      signal?.addEventListener("abort", done, { once: true });
    }),
};

/** ISO 8601 in UTC, for the API and for people. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** ms since the epoch of a time written in ISO 8601; undefined when it is none. */
export function msOf(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** A signal that fires after `ms` or with any of the others. The timer does not keep the process alive. */
export function deadline(ms: number, ...signals: readonly AbortSignal[]): AbortSignal {
  return AbortSignal.any([AbortSignal.timeout(Math.max(1, Math.round(ms))), ...signals]);
}
