/** Rate limits of a forge's API: once it says "enough", nothing more is asked of it until the time it named (GitHub docs: rate limits for the REST API). */

import { UpstreamError } from "../../domain/errors.ts";
import { backoffMs } from "../../kit/backoff.ts";
import { type Clock, iso } from "../../kit/clock.ts";

/** GitHub's windows last an hour; what a server names beyond that is not believed. */
const LONGEST_MS = 60 * 60_000;
const SHORTEST_MS = 1_000;
/** Where no time is named GitHub asks for a minute at least, and longer each time; the backoff takes between half and the whole. */
const UNNAMED = { baseMs: 120_000, maxMs: 1_800_000 };

export interface RateLimits {
  /** @throws UpstreamError rate-limited while a limit of this origin is on */
  check(origin: string): void;
  /** Notes the limit that an answer 403 or 429 speaks of; undefined when it speaks of none. */
  note(answer: LimitAnswer): UpstreamError | undefined;
  /** A limit without a time starts again from the shortest wait. */
  answered(origin: string): void;
}

export interface LimitAnswer {
  readonly origin: string;
  readonly status: number;
  readonly headers: Headers;
  /** The beginning of its body: a secondary limit may say so nowhere else. */
  readonly text: string;
}

/** `authenticated`: requests are made with a token. */
export function createRateLimits(deps: { readonly clock: Clock; readonly authenticated: boolean }): RateLimits {
  const until = new Map<string, number>();
  const unnamed = new Map<string, number>();
  const error = (origin: string, at: number) => {
    const help = deps.authenticated ? "" : "; a GITHUB_TOKEN raises the limit, without one GitHub allows 60 requests an hour for each address";
    return new UpstreamError("rate-limited", `API at ${origin} is rate-limited until ${iso(at)}, expected an answer: slipstream asks again then${help}`, { retryable: true, retryAt: at });
  };
  return {
    check(origin) {
      const at = until.get(origin);
      if (at === undefined) return;
      if (deps.clock.now() < at) throw error(origin, at);
      until.delete(origin);
    },
    note(answer) {
      if (!isLimit(answer)) return undefined;
      const now = deps.clock.now();
      const named = namedWait(answer.headers, now);
      const tries = named === undefined ? (unnamed.get(answer.origin) ?? 0) + 1 : 0;
      unnamed.set(answer.origin, tries);
      const at = now + Math.min(LONGEST_MS, Math.max(SHORTEST_MS, named ?? backoffMs(UNNAMED, tries)));
      until.set(answer.origin, at);
      return error(answer.origin, at);
    },
    answered(origin) {
      unnamed.delete(origin);
    },
  };
}

function isLimit(answer: LimitAnswer): boolean {
  if (answer.status === 429) return true;
  return answer.status === 403 && (answer.headers.get("x-ratelimit-remaining") === "0" || answer.headers.has("retry-after") || /rate limit/i.test(answer.text));
}

/** The wait the server asks for in ms, by its own clock where it shows that. */
function namedWait(headers: Headers, now: number): number | undefined {
  const sent = Date.parse(headers.get("date") ?? "");
  const serverNow = Number.isNaN(sent) ? now : sent;
  const after = headers.get("retry-after")?.trim() ?? "";
  if (/^[0-9]{1,9}$/.test(after)) return Number(after) * 1000;
  const date = Date.parse(after);
  if (!Number.isNaN(date)) return date - serverNow;
  const reset = headers.get("x-ratelimit-reset") ?? "";
  return headers.get("x-ratelimit-remaining") === "0" && /^[0-9]{1,12}$/.test(reset) ? Number(reset) * 1000 - serverNow : undefined;
}
