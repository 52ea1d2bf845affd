/** The connections of one download: the first, those that resume it, and how often each kind of trouble is tried again. */

import { SlipstreamError } from "../domain/errors.ts";
import { type Backoff, backoffMs } from "../kit/backoff.ts";
import type { Clock } from "../kit/clock.ts";
import { type Because, type Held, judge, type Start, type Verdict, type Wanted } from "./download-reply.ts";
import { type HttpSource, openHttp } from "./http.ts";

export interface Tries {
  /** Waits before the next try, or until the signal fires. @throws the error itself when it was the last one */
  failed(because: Because, error: SlipstreamError): Promise<void>;
  /** What arrived for the first time makes up for connections that broke on the way. */
  reached(offset: number): void;
}

/** A wrong digest is downloaded once more only: the same bytes would come again. */
const TRIES: Readonly<Record<Because, number>> = { connection: 12, answer: 5, size: 3, content: 2 };
/** A laptop that wakes up, or a router that starts anew, is without a network for minutes: all tries together take about five. */
const AWAY: Backoff = { baseMs: 1_000, maxMs: 60_000 };
const BACKOFF: Backoff = { baseMs: 500, maxMs: 15_000 };
/** A slow line may break more often than it has tries, as long as it brings this much in between. */
const PROGRESS_BYTES = 1024 * 1024;

export function createTries(deps: { clock: Clock; onLine?: ((line: string) => void) | undefined }, signal: AbortSignal): Tries {
  const failures: Record<Because, number> = { connection: 0, answer: 0, size: 0, content: 0 };
  let best = 0;
  return {
    async failed(because, error) {
      const n = ++failures[because];
      if (n >= TRIES[because]) throw error;
      const waitMs = backoffMs(because === "connection" ? AWAY : BACKOFF, n);
      deps.onLine?.(`${error.message}; trying again in ${(waitMs / 1_000).toFixed(1)} s`);
      await deps.clock.sleep(waitMs, signal);
    },
    reached(offset) {
      if (offset < best + PROGRESS_BYTES) return;
      best = offset;
      failures.connection = 0;
      failures.answer = 0;
    },
  };
}

export interface Fetching {
  readonly clock: Clock;
  readonly tries: Tries;
  readonly wanted: Wanted;
  readonly source: () => HttpSource;
  readonly idleMs?: number | undefined;
}

/** Opens the asset, or the rest of it; tries until there is a body that may be taken. The answer may begin at 0 although a rest was asked for. */
export async function fetchFrom(f: Fetching, from: Held | undefined, signal: AbortSignal): Promise<Start> {
  let held = from;
  for (;;) {
    const verdict = await once(f, held, signal);
    if (verdict.kind === "start") return verdict.start;
    if (verdict.startOver) held = undefined;
    await f.tries.failed(verdict.because, verdict.error);
  }
}

async function once(f: Fetching, held: Held | undefined, signal: AbortSignal): Promise<Verdict> {
  const source = f.source();
  try {
    const reply = await openHttp(source, { headers: held === undefined ? {} : rangeHeaders(held), ...(f.idleMs === undefined ? {} : { idleMs: f.idleMs }) }, signal);
    let taken = false;
    try {
      const verdict = await judge(reply, { wanted: f.wanted, source, held }, f.clock.now());
      taken = verdict.kind === "start";
      return verdict;
    } finally {
      if (!taken) await reply.discard();
    }
  } catch (error) {
    if (!isBroken(error)) throw error;
    return { kind: "again", because: "connection", error, startOver: false };
  }
}

function rangeHeaders(held: Held): Record<string, string> {
  return { range: `bytes=${held.offset}-`, ...(held.validator === undefined ? {} : { "if-range": held.validator }) };
}

/** Whether it is the connection that failed, not what came over it. */
export function isBroken(error: unknown): error is SlipstreamError {
  return error instanceof SlipstreamError && error.code === "upstream-unreachable";
}
