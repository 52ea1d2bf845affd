/** The release API of GitHub, GitHub Enterprise Server, Gitea and Forgejo: the same paths below different bases (GitHub docs: REST releases). */

import { messageOf, SlipstreamError, StateError, UpstreamError } from "../../domain/errors.ts";
import type { Release } from "../../domain/release.ts";
import type { ReleaseFeed } from "../../domain/subsystem.ts";
import { type Clock, deadline } from "../../kit/clock.ts";
import type { Secret } from "../../kit/secret.ts";
import { type HttpReply, type HttpSource, openHttp, readRefusal, readText } from "../http.ts";
import { parseLossless, releaseOf, releasesOf } from "./github-release.ts";
import { apiBase, apiUrl, assetSource, credentials, isGitea } from "./github-source.ts";
import type { Forge } from "./port.ts";
import { createRateLimits, type RateLimits } from "./rate-limit.ts";
import { createShared, type Shared } from "./shared.ts";

const HEADERS = { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28" };
/** The worst JSON of that size takes about 0.7 s to parse, during which nothing else happens. */
const MAX_REPLY_BYTES = 8 * 1024 * 1024;
/** Releases asked for at once; fewer where those with many assets (about 2 KB each) would not fit. */
const PAGES = [100, 30, 10] as const;
const MAX_TEXT_BYTES = 1024 * 1024;
const REQUEST_MS = 60_000;
/** A checksum file is small, and whoever waits for it has a whole batch to judge. */
const TEXT_MS = 5_000;
const MAX_CACHED = 64;
/** What belongs to an asset's id never changes, but an address by tag and name may lag behind a replaced asset for a while. */
const TEXTS = { most: 64, maxChars: 256 * 1024, keptMs: 10 * 60_000 } as const;
/** What callers of the port expect. */
const TOLD = new Set(["upstream-unreachable", "rate-limited", "version-not-found", "forge-refused", "upstream-too-large"]);

interface Kept {
  readonly etag: string;
  readonly value: unknown;
}

interface KeptText {
  readonly text: string;
  readonly until: number;
}

interface Context {
  readonly clock: Clock;
  readonly token?: Secret;
  readonly limits: RateLimits;
  readonly shared: Shared;
  /** By url, the oldest use first. */
  readonly cache: Map<string, Kept>;
  /** How many releases of a repository fit into an answer, where that is not the most. */
  readonly fitting: Map<string, number>;
  /** Content of small assets, the oldest use first. */
  readonly texts: Map<string, KeptText>;
}

/** One question to a forge. */
interface Ask {
  readonly source: HttpSource;
  readonly maxBytes: number;
  readonly withinMs?: number;
  /** What is asked for, as it reads in messages. */
  readonly what: string;
  /** Name of the token that would help. */
  readonly token: string;
  readonly missing: () => UpstreamError;
}

/** The token goes to the origin of every feed's API, so make one forge for each token. `textMs`: how long a checksum file may take (5 s). */
export function createGithubForge(deps: { readonly token?: Secret; readonly clock: Clock; readonly textMs?: number }): Forge {
  const token = deps.token === undefined ? {} : { token: deps.token };
  const context: Context = { clock: deps.clock, ...token, fitting: new Map(), texts: new Map(), limits: createRateLimits({ clock: deps.clock, authenticated: deps.token !== undefined }), shared: createShared(), cache: new Map() };
  const one = async (feed: ReleaseFeed, parts: readonly string[], what: string, signal: AbortSignal) => {
    const missing = () => new UpstreamError("version-not-found", `${what} is not at ${feed.api}, expected a published release; the API may lag behind its webhook${privateHint(feed, deps.token)}`, { retryable: true });
    const ask = { source: { url: apiUrl(feed, parts), redirectHosts: [], api: apiBase(feed).origin, ...credentials(feed, deps.token) }, maxBytes: MAX_REPLY_BYTES, what, token: tokenOf(feed), missing };
    const release = await read(context, ask, (value) => releaseOf(value), signal);
    if (release.draft) throw missing();
    return release;
  };
  return {
    async releases(feed, signal) {
      const what = `list of releases of ${feed.repository}`;
      const missing = () => new UpstreamError("forge-refused", `repository ${feed.repository} is not at ${feed.api}, expected one that exists there${privateHint(feed, deps.token)}`);
      // Gitea calls GitHub's per_page limit, and gives 50 at most.
      const page = (count: number) => ({ source: { url: `${apiUrl(feed, [])}?per_page=${count}&limit=${Math.min(50, count)}`, redirectHosts: [], api: apiBase(feed).origin, ...credentials(feed, deps.token) }, maxBytes: MAX_REPLY_BYTES, what, token: tokenOf(feed), missing });
      const all = await readFitting(context, { key: apiUrl(feed, []), page }, signal);
      return all.filter((r) => !r.draft);
    },
    release: (feed, id, signal) => one(feed, [id], `release ${id} of ${feed.repository}`, signal),
    releaseByTag: (feed, tag, signal) => one(feed, ["tags", tag], `release ${tag} of ${feed.repository}`, signal),
    async text(feed, asset, signal) {
      const what = `asset ${asset.name} of ${feed.repository}`;
      const missing = () => new UpstreamError("version-not-found", `${what} is not to be fetched, expected the content of an uploaded asset${privateHint(feed, deps.token)}`, { retryable: true });
      return await textOf(context, { source: assetSource(feed, asset, deps.token), maxBytes: MAX_TEXT_BYTES, withinMs: deps.textMs ?? TEXT_MS, what, token: tokenOf(feed), missing }, asset.id, signal);
    },
    source: (feed, asset) => assetSource(feed, asset, deps.token),
  };
}

function tokenOf(feed: ReleaseFeed): string {
  return isGitea(feed) ? "GITEA_TOKEN" : "GITHUB_TOKEN";
}

function privateHint(feed: ReleaseFeed, token: Secret | undefined): string {
  return token === undefined ? ` (a private repository needs a ${tokenOf(feed)})` : ` (and one that ${tokenOf(feed)} may read)`;
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
    if (reply.status === 304 && kept !== undefined) {
      keep(context.cache, url, kept, MAX_CACHED);
      return kept.value as T;
    }
    const value = parse(jsonOf(ask.what, reply.text));
    if (value === undefined) throw unreadable(ask.what, "something else");
    const etag = reply.headers.get("etag");
    if (etag === null) context.cache.delete(url);
    else keep(context.cache, url, { etag, value }, MAX_CACHED);
    return value;
  };
  return await context.shared.run(url, work, signal);
}

/** As many releases as fit into an answer. */
async function readFitting(context: Context, list: { readonly key: string; page(count: number): Ask }, signal: AbortSignal): Promise<readonly Release[]> {
  const most = context.fitting.get(list.key) ?? PAGES[0];
  const counts = PAGES.filter((count) => count <= most);
  for (const [n, count] of counts.entries()) {
    try {
      return await read<readonly Release[]>(context, list.page(count), releasesOf, signal);
    } catch (error) {
      const fewer = counts[n + 1];
      if (fewer === undefined || !(error instanceof UpstreamError) || error.code !== "upstream-too-large") throw error;
      context.fitting.set(list.key, fewer);
    }
  }
  throw new StateError("internal", `list ${list.key} was asked for no releases at all, expected at least ${PAGES.at(-1)}`);
}

/** The content of a small asset, fetched once. */
async function textOf(context: Context, ask: Ask, id: string, signal: AbortSignal): Promise<string> {
  const { texts, clock } = context;
  const key = JSON.stringify(["text", id, ask.source.url, ask.source.redirectHosts]);
  const work = async (all: AbortSignal): Promise<string> => {
    const kept = texts.get(key);
    if (kept !== undefined && clock.monotonic() < kept.until) {
      keep(texts, key, kept, TEXTS.most);
      return kept.text;
    }
    texts.delete(key);
    const { text, headers } = await answer(context, ask, {}, all);
    if (/^\s*text\/html\b/i.test(headers.get("content-type") ?? "")) throw unreadable(ask.what, "a web page");
    if (text.length <= TEXTS.maxChars) keep(texts, key, { text, until: clock.monotonic() + TEXTS.keptMs }, TEXTS.most);
    return text;
  };
  return await context.shared.run(key, work, signal);
}

function jsonOf(what: string, text: string): unknown {
  try {
    return parseLossless(text);
  } catch {
    throw unreadable(what, "something that is no JSON");
  }
}

/** Keeps the most recently used. */
function keep<T>(cache: Map<string, T>, key: string, kept: T, most: number): void {
  cache.delete(key);
  cache.set(key, kept);
  const [oldest] = cache.keys();
  if (cache.size > most && oldest !== undefined) cache.delete(oldest);
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A 200 with its text, or the 304 that was asked for. */
async function answer(context: Context, ask: Ask, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> {
  context.limits.spend(new URL(ask.source.url).origin);
  const withinMs = ask.withinMs ?? REQUEST_MS;
  const within = deadline(withinMs, signal);
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
    const why = within.aborted ? `no whole answer within ${withinMs / 1000} s` : messageOf(error);
    throw new UpstreamError("upstream-unreachable", `${ask.what} is not to be had from ${new URL(ask.source.url).origin} (${why}), expected an answer`, { cause: error, retryable: true });
  }
}

async function refusal(context: Context, ask: Ask, reply: HttpReply): Promise<UpstreamError> {
  const { status, origin, headers } = reply;
  if (status === 403 || status === 429) {
    const limited = context.limits.note({ origin, api: ask.source.api, status, headers, text: await readRefusal(reply) });
    if (limited !== undefined) return limited;
  } else await reply.discard();
  if (status === 404 || status === 410) return ask.missing();
  // A signed address that has expired is refused like that; the next try gets a fresh one.
  const elsewhere = origin !== new URL(ask.source.url).origin;
  if ((status === 401 || status === 403) && !elsewhere) {
    const help = context.token === undefined ? `a ${ask.token} that may read it` : `${ask.token} to be valid and to allow reading it`;
    return new UpstreamError("forge-refused", `${ask.what} is refused by ${origin} (HTTP ${status}), expected ${help}`);
  }
  const temporary = elsewhere || status >= 500 || status === 408 || status < 400;
  return new UpstreamError(temporary ? "upstream-unreachable" : "forge-refused", `${ask.what} is answered with HTTP ${status} by ${origin}, expected 200`, { retryable: temporary });
}
