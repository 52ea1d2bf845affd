/** Exponential backoff with full jitter between half and the whole step. */

export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** The wait before try number `attempt` (1 = first retry), in ms. */
export function backoffMs(b: Backoff, attempt: number, random: () => number = Math.random): number {
  const step = Math.min(b.maxMs, b.baseMs * 2 ** Math.min(30, Math.max(0, attempt - 1)));
  return Math.round(step / 2 + (step / 2) * random());
}
