/** Group commit: what arrives together shares one transaction, and so one fsync. */

import type { Clock } from "../kit/clock.ts";

/** One transaction takes at most this many; the rest follows in the next one. */
const BATCH = 256;
/** Node takes one new connection per turn of its loop, so a burst comes in turn by turn: while it does, wait for more, up to this long. */
const GATHER_MS = 5;

/** Returns a function that resolves after its item was committed, and rejects when the transaction failed. A lone item waits one empty turn of the event loop. */
export function createGroupCommit<T, R>(clock: Pick<Clock, "monotonic">, commit: (items: readonly T[]) => readonly R[]): (item: T) => Promise<R> {
  const waiting: { item: T; resolve: (result: R) => void; reject: (error: unknown) => void }[] = [];
  const gather = (since: number, seen: number) => {
    const growing = waiting.length > seen && waiting.length < BATCH && clock.monotonic() - since < GATHER_MS;
    if (growing) setImmediate(gather, since, waiting.length);
    else flush();
  };
  const flush = () => {
    const batch = waiting.splice(0, BATCH);
    if (waiting.length > 0) setImmediate(flush);
    try {
      const results = commit(batch.map((w) => w.item));
      batch.forEach((w, i) => {
        w.resolve(results[i] as R);
      });
    } catch (error) {
      for (const w of batch) w.reject(error);
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ item, resolve, reject }) === 1) setImmediate(gather, clock.monotonic(), 0);
    });
}
