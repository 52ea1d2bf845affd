/**
 * Rate limits of a forge: once it says "enough", nothing more is asked of it until the time it named (GitHub docs: rate limits for the REST API); and a budget of our own, so that
 * no burst of deliveries, and no fault of ours, spends what a whole network shares.
 */

import { UpstreamError } from "../../domain/errors.ts";
import { backoffMs } from "../../kit/backoff.ts";
import { type Clock, iso } from "../../kit/clock.ts";

/** GitHub's windows last an hour; what a server names beyond that is not believed. */
const LONGEST_MS = 60 * 60_000;
/** Only the API is believed when it names a short wait: any other host could make us come back at once, for ever. */
const SHORTEST_MS = { api: 1_000, elsewhere: 60_000 } as const;
/** Where no time is named GitHub asks for a minute at least, and longer each time; the backoff takes between half and the whole. */
const UNNAMED = { baseMs: 120_000, maxMs: 1_800_000 };
/** Requests to one origin within any minute; GitHub gives 60 an hour without a token and 5,000 with one, other forges more. */
const BUDGET = { withinMs: 60_000, open: 60, authenticated: 120 } as const;

export interface RateLimits {
  /** Takes one request of the origin's budget. @throws UpstreamError rate-limited while a limit of this origin is on, or its budget is spent */
  spend(origin: string): void;
  /** Notes the limit that an answer 403 or 429 speaks of; undefined when it speaks of none. */
  note(answer: LimitAnswer): UpstreamError | undefined;
  /** A limit without a time starts again from the shortest wait. */
  answered(origin: string): void;
}

export interface LimitAnswer {
  readonly origin: string;
  /** Origin of the forge's API, where it is known. */
  readonly api: string | undefined;
  readonly status: number;
  readonly headers: Headers;
  /** The beginning of its body: a secondary limit may say so nowhere else. */
  readonly text: string;
}

/** `authenticated`: requests are made with a token. */
export function createRateLimits(deps: { readonly clock: Clock; readonly authenticated: boolean }): RateLimits {
  const { clock, authenticated } = deps;
  const until = new Map<string, number>();
  const unnamed = new Map<string, number>();
  const budget = createBudget(clock, authenticated ? BUDGET.authenticated : BUDGET.open);
  const limited = (what: string, at: number) => {
    const help = authenticated ? "" : "; a GITHUB_TOKEN raises the limit, without one GitHub allows 60 requests an hour for each address";
    return new UpstreamError("rate-limited", `${what} until ${iso(at)}, expected an answer: slipstream asks again then${help}`, { retryable: true, retryAt: at });
  };
  const error = (origin: string, at: number) => limited(`API at ${origin} is rate-limited`, at);
  return {
    spend(origin) {
      const at = until.get(origin);
      if (at !== undefined && clock.now() < at) throw error(origin, at);
      until.delete(origin);
      const waitMs = budget(origin);
      if (waitMs > 0) throw limited(`API at ${origin} is rate-limited by slipstream itself (its requests of one minute are spent)`, clock.now() + waitMs);
    },
    note(answer) {
      const now = clock.now();
      const limit = limitOf(answer, now);
      if (limit === undefined) return undefined;
      const tries = limit.named ? 0 : (unnamed.get(answer.origin) ?? 0) + 1;
      unnamed.set(answer.origin, tries);
      const at = limit.named ? limit.at : now + Math.min(LONGEST_MS, backoffMs(UNNAMED, tries));
      until.set(answer.origin, at);
      return error(answer.origin, at);
    },
    answered(origin) {
      unnamed.delete(origin);
    },
  };
}

/** Takes a request of an origin's last minute, or says in how many ms there is room for one. */
function createBudget(clock: Clock, most: number): (origin: string) => number {
  const taken = new Map<string, number[]>();
  return (origin) => {
    const now = clock.monotonic();
    const recent = (taken.get(origin) ?? []).filter((at) => now - at < BUDGET.withinMs);
    const full = recent.length >= most;
    taken.set(origin, full ? recent : [...recent, now]);
    return full ? Math.ceil((recent[0] ?? now) + BUDGET.withinMs - now) : 0;
  };
}

/** When to come back where an answer says that there were too many requests; `named` is false where it names no time and `at` is the least wait. Undefined when it says no such thing. */
export function limitOf(answer: LimitAnswer, now: number): { readonly at: number; readonly named: boolean } | undefined {
  if (!isLimit(answer)) return undefined;
  const named = namedWait(answer.headers, now);
  const least = answer.origin === answer.api ? SHORTEST_MS.api : SHORTEST_MS.elsewhere;
  return { at: now + Math.min(LONGEST_MS, Math.max(least, named ?? SHORTEST_MS.elsewhere)), named: named !== undefined };
}

function isLimit(answer: LimitAnswer): boolean {
  if (answer.status === 429) return true;
  return answer.status === 403 && (isSpent(answer.headers) || answer.headers.has("retry-after") || /rate limit/i.test(answer.text));
}

function isSpent(headers: Headers): boolean {
  return headers.get("x-ratelimit-remaining")?.trim() === "0";
}

/** The wait the server asks for in ms, by its own clock where it shows that. */
function namedWait(headers: Headers, now: number): number | undefined {
  const sent = Date.parse(headers.get("date") ?? "");
  const serverNow = Number.isNaN(sent) ? now : sent;
  const after = headers.get("retry-after")?.trim() ?? "";
  if (/^[0-9]+$/.test(after)) return Number(after) * 1000;
  const date = Date.parse(after);
  if (!Number.isNaN(date)) return date - serverNow;
  const reset = headers.get("x-ratelimit-reset")?.trim() ?? "";
  return isSpent(headers) && /^[0-9]{1,12}$/.test(reset) ? Number(reset) * 1000 - serverNow : undefined;
}
