/** The release API of GitHub, GitHub Enterprise Server, Gitea and Forgejo: the same paths below different bases (GitHub docs: REST releases). */

import { messageOf, SlipstreamError, StateError, UpstreamError } from "../../domain/errors.ts";
import type { Release } from "../../domain/release.ts";
import type { ReleaseFeed } from "../../domain/subsystem.ts";
import { type Clock, deadline } from "../../kit/clock.ts";
import type { Secret } from "../../kit/secret.ts";
import { type HttpReply, type HttpSource, openHttp, readText } from "../http.ts";
import { parseLossless, releaseOf, releasesOf } from "./github-release.ts";
import { apiUrl, assetSource } from "./github-source.ts";
import type { Forge } from "./port.ts";
import { createRateLimits, type RateLimits } from "./rate-limit.ts";
import { createShared, type Shared } from "./shared.ts";

const HEADERS = { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28" };
/** A hundred releases with a hundred assets each stay below it. */
const MAX_REPLY_BYTES = 16 * 1024 * 1024;
const MAX_TEXT_BYTES = 1024 * 1024;
const MAX_REFUSAL_BYTES = 64 * 1024;
const REQUEST_MS = 60_000;
const MAX_CACHED = 64;
/** What callers of the port expect. */
const TOLD = new Set(["upstream-unreachable", "rate-limited", "version-not-found", "forge-refused", "upstream-too-large"]);

interface Kept {
  readonly etag: string;
  readonly value: unknown;
}

interface Context {
  readonly token?: Secret;
  readonly limits: RateLimits;
  readonly shared: Shared;
  /** By url, the oldest use first. */
  readonly cache: Map<string, Kept>;
}

/** One question to a forge. */
interface Ask {
  readonly source: HttpSource;
  readonly maxBytes: number;
  /** What is asked for, as it reads in messages. */
  readonly what: string;
  readonly missing: () => UpstreamError;
}

/** The token goes to the origin of every feed's API, so make one forge for each token. */
export function createGithubForge(deps: { readonly token?: Secret; readonly clock: Clock }): Forge {
  const token = deps.token === undefined ? {} : { token: deps.token };
  const context: Context = { ...token, limits: createRateLimits({ clock: deps.clock, authenticated: deps.token !== undefined }), shared: createShared(), cache: new Map() };
  const one = async (feed: ReleaseFeed, parts: readonly string[], what: string, signal: AbortSignal) => {
    const missing = () => new UpstreamError("version-not-found", `${what} is not at ${feed.api}, expected a published release; the API may lag behind its webhook${privateHint(deps.token)}`, { retryable: true });
    const ask = { source: { url: apiUrl(feed, parts), redirectHosts: [], ...token }, maxBytes: MAX_REPLY_BYTES, what, missing };
    const release = await read(context, ask, (value) => releaseOf(value), signal);
    if (release.draft) throw missing();
    return release;
  };
  return {
    async releases(feed, signal) {
      const what = `list of releases of ${feed.repository}`;
      const missing = () => new UpstreamError("forge-refused", `repository ${feed.repository} is not at ${feed.api}, expected one that exists there${privateHint(deps.token)}`);
      // Gitea calls GitHub's per_page limit, and gives 50 at most.
      const ask = { source: { url: `${apiUrl(feed, [])}?per_page=100&limit=50`, redirectHosts: [], ...token }, maxBytes: MAX_REPLY_BYTES, what, missing };
      const all = await read<readonly Release[]>(context, ask, releasesOf, signal);
      return all.filter((r) => !r.draft);
    },
    release: (feed, id, signal) => one(feed, [id], `release ${id} of ${feed.repository}`, signal),
    releaseByTag: (feed, tag, signal) => one(feed, ["tags", tag], `release ${tag} of ${feed.repository}`, signal),
    async text(feed, asset, signal) {
      const what = `asset ${asset.name} of ${feed.repository}`;
      const missing = () => new UpstreamError("version-not-found", `${what} is not to be fetched, expected the content of an uploaded asset${privateHint(deps.token)}`, { retryable: true });
      const reply = await answer(context, { source: assetSource(feed, asset, deps.token), maxBytes: MAX_TEXT_BYTES, what, missing }, {}, signal);
      if (/^\s*text\/html\b/i.test(reply.headers.get("content-type") ?? "")) throw unreadable(what, "a web page");
      return reply.text;
    },
    source: (feed, asset) => assetSource(feed, asset, deps.token),
  };
}

function privateHint(token: Secret | undefined): string {
  return token === undefined ? " (a private repository needs a GITHUB_TOKEN)" : " (and one that GITHUB_TOKEN may read)";
}

function unreadable(what: string, actual: string): UpstreamError {
  return new UpstreamError("upstream-unreachable", `${what} is answered with ${actual}, expected the forge's own answer`, { retryable: true });
}

/** The parsed answer; the one that is kept when the forge says that nothing has changed. */
async function read<T>(context: Context, ask: Ask, parse: (value: unknown) => T | undefined, signal: AbortSignal): Promise<T> {
  const url = ask.source.url;
  const work = async (all: AbortSignal): Promise<T> => {
    const kept = context.cache.get(url);
    const headers = kept === undefined ? HEADERS : { ...HEADERS, "if-none-match": kept.etag };
    const reply = await answer(context, ask, headers, all);
    if (reply.status === 304 && kept !== undefined) return keep(context.cache, url, kept) as T;
    const value = parse(jsonOf(ask.what, reply.text));
    if (value === undefined) throw unreadable(ask.what, "something else");
    const etag = reply.headers.get("etag");
    if (etag === null) context.cache.delete(url);
    else keep(context.cache, url, { etag, value });
    return value;
  };
  return await context.shared.run(url, work, signal);
}

function jsonOf(what: string, text: string): unknown {
  try {
    return parseLossless(text);
  } catch {
    throw unreadable(what, "something that is no JSON");
  }
}

/** Keeps the most recently used. */
function keep(cache: Map<string, Kept>, url: string, kept: Kept): unknown {
  cache.delete(url);
  cache.set(url, kept);
  const [oldest] = cache.keys();
  if (cache.size > MAX_CACHED && oldest !== undefined) cache.delete(oldest);
  return kept.value;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A 200 with its text, or the 304 that was asked for. */
async function answer(context: Context, ask: Ask, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> {
  context.limits.check(new URL(ask.source.url).origin);
  const within = deadline(REQUEST_MS, signal);
  try {
    const reply = await openHttp(ask.source, { headers }, within);
    if (reply.status === 304 && headers["if-none-match"] !== undefined) {
      await reply.discard();
      return { status: 304, headers: reply.headers, text: "" };
    }
    if (reply.status !== 200) throw await refusal(context, ask, reply);
    const text = await readText(reply, ask.maxBytes);
    context.limits.answered(reply.origin);
    return { status: 200, headers: reply.headers, text };
  } catch (error) {
    if (signal.aborted) throw new StateError("cancelled", `request for ${ask.what} is cancelled, expected an answer`, { cause: error });
    if (error instanceof SlipstreamError && TOLD.has(error.code)) throw error;
    if (error instanceof SlipstreamError && error.code === "download-failed") throw new UpstreamError("forge-refused", `${ask.what} is not to be had: ${error.message}`, { cause: error });
    const why = within.aborted ? `no whole answer within ${REQUEST_MS / 1000} s` : messageOf(error);
    throw new UpstreamError("upstream-unreachable", `${ask.what} is not to be had from ${new URL(ask.source.url).origin} (${why}), expected an answer`, { cause: error, retryable: true });
  }
}

async function refusal(context: Context, ask: Ask, reply: HttpReply): Promise<UpstreamError> {
  const { status, origin, headers } = reply;
  if (status === 403 || status === 429) {
    const limited = context.limits.note({ origin, status, headers, text: await beginningOf(reply) });
    if (limited !== undefined) return limited;
  } else await reply.discard();
  if (status === 404 || status === 410) return ask.missing();
  // A signed address that has expired is refused like that; the next try gets a fresh one.
  const elsewhere = origin !== new URL(ask.source.url).origin;
  if ((status === 401 || status === 403) && !elsewhere) {
    const help = context.token === undefined ? "a GITHUB_TOKEN that may read it" : "GITHUB_TOKEN to be valid and to allow reading it";
    return new UpstreamError("forge-refused", `${ask.what} is refused by ${origin} (HTTP ${status}), expected ${help}`);
  }
  const temporary = elsewhere || status >= 500 || status === 408 || status < 400;
  return new UpstreamError(temporary ? "upstream-unreachable" : "forge-refused", `${ask.what} is answered with HTTP ${status} by ${origin}, expected 200`, { retryable: temporary });
}

/** What a refusal says; one that says too much says nothing. */
async function beginningOf(reply: HttpReply): Promise<string> {
  try {
    return await readText(reply, MAX_REFUSAL_BYTES);
  } catch (error) {
    if (error instanceof UpstreamError && error.code === "upstream-too-large") return "";
    throw error;
  }
}
