/** What strangers leave behind: counters and a ring of the last refused requests, in memory and without bodies, so that they cannot fill the disk. */

import type { FrontDoorCounts } from "../domain/app.ts";
import type { Clock } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";

export interface RefusedRequest {
  /** ms since the epoch */
  readonly at: number;
  readonly status: number;
  readonly code: string;
  /** At most 200 characters. */
  readonly path: string;
  readonly remote?: string;
  /** What the unsigned headers claimed, if well-formed. */
  readonly event?: string;
  readonly externalId?: string;
  /** Bytes of the body that were read. */
  readonly bytes: number;
}

export interface Refused {
  add(request: Omit<RefusedRequest, "at">): void;
  accepted(outcome: "new" | "reopened" | "duplicate"): void;
  counts(): FrontDoorCounts;
  /** Newest first. */
  list(): readonly RefusedRequest[];
}

const KEPT = 1_000;
const PATH_CHARS = 200;
/** At most one log line per code in this time. */
const LOG_EVERY_MS = 60_000;

export function createRefused(deps: { readonly clock: Clock; readonly log: Log; readonly kept?: number }): Refused {
  const kept = deps.kept ?? KEPT;
  const ring: RefusedRequest[] = [];
  const refused = new Map<string, { count: number; logged: number; since: number }>();
  let next = 0;
  let accepted = 0;
  let duplicates = 0;
  return {
    add(request) {
      const now = deps.clock.now();
      ring[next] = { ...request, at: now, path: request.path.slice(0, PATH_CHARS) };
      next = (next + 1) % kept;
      const seen = refused.get(request.code) ?? { count: 0, logged: Number.NEGATIVE_INFINITY, since: 0 };
      seen.count += 1;
      seen.since += 1;
      if (now - seen.logged >= LOG_EVERY_MS) {
        deps.log.warn({ code: request.code, status: request.status, requests: seen.since, bytes: request.bytes }, "requests refused");
        seen.logged = now;
        seen.since = 0;
      }
      refused.set(request.code, seen);
    },
    accepted(outcome) {
      if (outcome === "duplicate") duplicates += 1;
      else accepted += 1;
    },
    counts: () => ({ accepted, duplicates, refused: Object.fromEntries([...refused].map(([code, seen]) => [code, seen.count])) }),
    list: () => [...ring.slice(next), ...ring.slice(0, next)].reverse(),
  };
}
