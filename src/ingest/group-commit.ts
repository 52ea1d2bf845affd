/** Group commit: what arrives in the same turn of the event loop shares one transaction, and so one fsync. */

/** One transaction takes at most this many; the rest follows in the next turn. */
const BATCH = 256;

/** Returns a function that resolves after its item was committed, and rejects when the transaction failed. */
export function createGroupCommit<T, R>(commit: (items: readonly T[]) => readonly R[]): (item: T) => Promise<R> {
  const waiting: { item: T; resolve: (result: R) => void; reject: (error: unknown) => void }[] = [];
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
      if (waiting.push({ item, resolve, reject }) === 1) setImmediate(flush);
    });
}
