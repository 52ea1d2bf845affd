/** Supervision: everything long-lived is a Worker; one that ends by surprise stops them all. */

import { Worker as Thread } from "node:worker_threads";
import type { Log } from "./log.ts";

export interface Worker {
  readonly name: string;
  /** Runs until the signal fires. Returning or throwing before that is a surprise. */
  run(signal: AbortSignal): Promise<void>;
}

/** Runs all workers until the signal fires, or until one ends by surprise: then the others are stopped and its error is thrown. */
export async function supervise(workers: readonly Worker[], log: Log, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const all = AbortSignal.any([signal, stop.signal]);
  let first: unknown;
  await Promise.all(
    workers.map(async (worker) => {
      try {
        await worker.run(all);
        if (!all.aborted) throw new Error(`worker ${worker.name} ended, expected it to run until stopped`);
      } catch (error) {
        if (!all.aborted) {
          first ??= error;
          // What we throw on purpose says all in its message; only a surprise needs its stack.
          const known = error instanceof Error && "code" in error && "retryable" in error;
          log.fatal({ err: known ? error.message : error, worker: worker.name }, "worker ended by surprise");
        }
        stop.abort();
      }
    }),
  );
  if (first !== undefined) throw first;
}

/** A worker thread with an empty environment and a heap of its own; a script that outgrows it ends alone. */
export function startThread(script: URL, data: unknown, heapMb: number): Thread {
  return new Thread(script, { workerData: data, execArgv: [], env: {}, resourceLimits: { maxOldGenerationSizeMb: heapMb } });
}
