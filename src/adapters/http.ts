/** Outbound HTTP: redirects are followed by hand, so that credentials stay with the host they are for and nobody sends us elsewhere. */

import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { SlipstreamError, StateError, UpstreamError } from "../domain/errors.ts";
import { deadline, systemClock } from "../kit/clock.ts";
import type { Secret } from "../kit/secret.ts";
import { checkedUrl, firstHop, type Hop, headersFor, nextHop, placeOf, refusal, shown } from "./http-hops.ts";

/** One address to read from, and what may be told to whom. */
export interface HttpSource {
  /** https, or http on a loopback address only. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How the token is introduced: `Bearer` unless told otherwise. */
  readonly scheme?: "Bearer" | "token";
  /** Sent to the origin of `url` alone, never over plain http to another machine, never after a redirect to another origin. */
  readonly token?: Secret;
  /** Hosts (`host` or `host:port`, `*.` in front for subdomains) that a redirect may lead to besides the url's own. */
  readonly redirectHosts: readonly string[];
  /** Origin of the forge's API, where there is one: it alone is believed when it names a short wait. */
  readonly api?: string;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  /** Where it came from after redirects, origin only. */
  readonly origin: string;
  /** Can be read once. Throws like `openHttp`; never decompressed. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Hangs up; needed whenever the body is not read to its end. */
  discard(): Promise<void>;
}

export interface HttpOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the answer's head, for each hop. */
  readonly headMs?: number;
  /** The longest silence within the body while somebody waits for more of it. */
  readonly idleMs?: number;
}

const MAX_REDIRECTS = 5;
const HEAD_MS = 30_000;
const IDLE_MS = 30_000;
/** A text that trickles in is given up, however steadily it trickles. */
const TEXT_MS = 60_000;
const FIRST_TEXT_BYTES = 64 * 1024;
const MAX_POST_REPLY_BYTES = 64 * 1024;
const MAX_REFUSAL_BYTES = 64 * 1024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * GET; follows at most five redirects.
 * @throws UpstreamError upstream-unreachable (retryable), download-failed (an address, redirect or encoding that is not allowed), StateError cancelled
 */
export async function openHttp(source: HttpSource, options: HttpOptions, signal: AbortSignal): Promise<HttpReply> {
  let hop = firstHop(source);
  for (let redirects = 0; ; redirects++) {
    const res = await send({ url: hop.url, method: "GET", headers: headersFor(source, options.headers ?? {}, hop), headMs: options.headMs ?? HEAD_MS }, signal);
    const status = res.statusCode ?? 0;
    if (!REDIRECTS.has(status)) return replyOf(res, { hop, status, idleMs: options.idleMs ?? IDLE_MS }, signal);
    res.destroy();
    if (redirects === MAX_REDIRECTS) throw refusal(`redirect of ${placeOf(hop.url)} is number ${redirects + 1}, expected at most ${MAX_REDIRECTS}`);
    if (res.headers.location === undefined) throw refusal(`answer of ${placeOf(hop.url)} is ${status} without a location, expected one`);
    hop = nextHop(source, hop, res.headers.location);
  }
}

function replyOf(res: IncomingMessage, about: { hop: Hop; status: number; idleMs: number }, signal: AbortSignal): HttpReply {
  const headers = new Headers();
  for (const [name, values] of Object.entries(res.headersDistinct)) for (const value of values ?? []) headers.append(name, value);
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity" && encoding !== "") {
    res.destroy();
    throw refusal(`content-encoding of ${placeOf(about.hop.url)} is "${shown(encoding)}", expected none; a digest is for the bytes as they are`);
  }
  return {
    status: about.status,
    headers,
    origin: about.hop.url.origin,
    body: bodyOf(res, { url: about.hop.url, idleMs: about.idleMs }, signal),
    discard: async () => void res.destroy(),
  };
}

/** What a server says when it says no: the beginning tells it all, and one that says too much says nothing. @throws like `openHttp` */
export async function readRefusal(reply: HttpReply): Promise<string> {
  try {
    return await readText(reply, MAX_REFUSAL_BYTES);
  } catch (error) {
    if (error instanceof UpstreamError && error.code === "upstream-too-large") return "";
    throw error;
  }
}

async function* bodyOf(res: IncomingMessage, about: { url: URL; idleMs: number }, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = res[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let giveUp: (why: Error) => void = () => undefined;
  // Told to the waiting reader directly: what a destroyed stream still says is up to the stream.
  const end = (why: string) => {
    giveUp(new Error(why));
    res.destroy(new Error(why));
  };
  const cancel = () => end("cancelled");
  signal.addEventListener("abort", cancel, { once: true });
  try {
    for (;;) {
      if (signal.aborted) throw new Error("cancelled");
      const calm = watchdog(about.idleMs, () => end(`nothing came for ${about.idleMs} ms`));
      const next = await new Promise<IteratorResult<Buffer>>((resolve, reject) => {
        giveUp = reject;
        chunks.next().then(resolve, reject);
      }).finally(calm);
      if (next.done === true) return;
      yield next.value;
    }
  } catch (cause) {
    throw unreachable(about.url, cause, signal);
  } finally {
    signal.removeEventListener("abort", cancel);
    res.destroy();
  }
}

/** The whole body as text. @throws UpstreamError upstream-too-large, upstream-unreachable when it takes longer than a minute */
export async function readText(reply: HttpReply, maxBytes: number): Promise<string> {
  const started = systemClock.monotonic();
  // Not a list of parts: each of them may hold a single byte, and would cost a hundred.
  let text = Buffer.alloc(Math.min(maxBytes, FIRST_TEXT_BYTES));
  let bytes = 0;
  try {
    for await (const part of reply.body) {
      const end = bytes + part.length;
      if (end > maxBytes) throw new UpstreamError("upstream-too-large", `answer of ${reply.origin} is larger than ${maxBytes} bytes, expected less`);
      if (systemClock.monotonic() - started > TEXT_MS) throw new UpstreamError("upstream-unreachable", `answer of ${reply.origin} is not complete after ${TEXT_MS} ms, expected it by then`, { retryable: true });
      if (end > text.length) text = Buffer.concat([text.subarray(0, bytes)], Math.min(maxBytes, Math.max(end, 2 * text.length)));
      text.set(part, bytes);
      bytes = end;
    }
  } finally {
    await reply.discard();
  }
  return text.toString("utf8", 0, bytes);
}

/** One POST to this machine or over https; redirects are not followed, the answer is capped at 64 KiB. @throws like `openHttp` */
export async function postOnce(url: string, request: { headers: Readonly<Record<string, string>>; body: Uint8Array; timeoutMs: number }, signal: AbortSignal): Promise<{ status: number; text: string; ms: number }> {
  const started = systemClock.monotonic();
  const hop: Hop = { url: checkedUrl(url), home: true };
  const headers = { ...headersFor({ url, redirectHosts: [] }, request.headers, hop), "content-length": String(request.body.length) };
  const within = deadline(request.timeoutMs, signal);
  try {
    const res = await send({ url: hop.url, method: "POST", headers, headMs: request.timeoutMs, body: request.body }, within);
    const reply = replyOf(res, { hop, status: res.statusCode ?? 0, idleMs: request.timeoutMs }, within);
    return { status: reply.status, text: await readText(reply, MAX_POST_REPLY_BYTES), ms: Math.round(systemClock.monotonic() - started) };
  } catch (error) {
    const late = error instanceof SlipstreamError && error.code === "cancelled" && !signal.aborted;
    throw late ? unreachable(hop.url, new Error(`no whole answer within ${request.timeoutMs} ms`), signal) : error;
  }
}

interface Sent {
  readonly url: URL;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly headMs: number;
  readonly body?: Uint8Array;
}

/** One exchange on a connection of its own, up to the answer's head. Settles by itself: a request that has handed its connection over says nothing more, not even when destroyed. */
function send(sent: Sent, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(unreachable(sent.url, signal.reason, signal));
    const req = (sent.url.protocol === "https:" ? httpsRequest : httpRequest)(sent.url, { method: sent.method, headers: sent.headers, agent: false });
    const settle = () => {
      calm();
      signal.removeEventListener("abort", cancel);
    };
    const fail = (cause: unknown) => {
      settle();
      reject(unreachable(sent.url, cause, signal));
    };
    const give = (why: string) => {
      fail(new Error(why));
      req.destroy();
    };
    const cancel = () => give("cancelled");
    const calm = watchdog(sent.headMs, () => give(`no answer within ${sent.headMs} ms`));
    signal.addEventListener("abort", cancel, { once: true });
    req.on("error", fail);
    // 101, asked for or not: whatever speaks there now, it is not HTTP.
    req.on("upgrade", (_res, socket) => {
      socket.on("error", () => undefined);
      socket.destroy();
      give("it changed to another protocol");
    });
    req.on("close", () => fail(new Error("connection closed without an answer")));
    req.on("response", (res) => {
      // Whoever reads the body hears of it too; until then there may be nobody to hear, and that must end no process.
      res.on("error", () => undefined);
      settle();
      resolve(res);
    });
    req.end(sent.body);
  });
}

function unreachable(url: URL, cause: unknown, signal: AbortSignal): SlipstreamError {
  if (signal.aborted) return new StateError("cancelled", `request to ${placeOf(url)} was cancelled`, { cause });
  const detail = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
  return new UpstreamError("upstream-unreachable", `${placeOf(url)} is not reachable (${detail}), expected a complete answer`, { cause, retryable: true });
}

/** Bites after `ms` unless calmed before. */
function watchdog(ms: number, bite: () => void): () => void {
  const calm = new AbortController();
  void systemClock.sleep(ms, calm.signal).then(() => {
    if (!calm.signal.aborted) bite();
  });
  return () => calm.abort();
}
