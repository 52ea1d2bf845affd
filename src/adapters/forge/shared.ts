/** Requests that several callers want at the same time are made once. */

import { StateError } from "../../domain/errors.ts";

export interface Shared {
  /**
   * Runs `work`, or joins the same key's work if that has not begun yet. What has begun may already have been answered with what was true before this call, so a later
   * caller gets a second round behind it, never two at once. The work is stopped when its last caller is gone. @throws StateError cancelled
   */
  run<T>(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
}

interface Round {
  begun: boolean;
  callers: number;
  readonly stop: AbortController;
  readonly result: Promise<unknown>;
}

/** A key must always stand for the same kind of result. */
export function createShared(): Shared {
  const rounds = new Map<string, Round>();
  return {
    async run<T>(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
      if (signal.aborted) throw cancelled(key);
      const last = rounds.get(key);
      const open = last !== undefined && !last.begun && !last.stop.signal.aborted ? last : begin(rounds, key, work);
      return (await join(open, key, signal)) as T;
    },
  };
}

function begin(rounds: Map<string, Round>, key: string, work: (signal: AbortSignal) => Promise<unknown>): Round {
  const before = rounds.get(key);
  const stop = new AbortController();
  const run = async () => {
    // Its failure is told to its own callers; here only its end counts.
    await Promise.allSettled([before?.result]);
    round.begun = true;
    try {
      return await work(stop.signal);
    } finally {
      if (rounds.get(key) === round) rounds.delete(key);
    }
  };
  const round: Round = { begun: false, callers: 0, stop, result: Promise.resolve().then(run) };
  rounds.set(key, round);
  return round;
}

function join(round: Round, key: string, signal: AbortSignal): Promise<unknown> {
  round.callers += 1;
  return new Promise((resolve, reject) => {
    const leave = () => {
      round.callers -= 1;
      if (round.callers === 0) round.stop.abort();
      reject(cancelled(key));
    };
    signal.addEventListener("abort", leave, { once: true });
    void round.result.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

function cancelled(key: string): StateError {
  return new StateError("cancelled", `request ${key} is cancelled, expected an answer`);
}
