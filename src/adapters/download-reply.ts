/** What an answer to "give me the asset, from byte N on" means. Only the body of a refusal is read here. */

import type { Digest } from "../domain/artifact.ts";
import { EvidenceError, type SlipstreamError, UpstreamError } from "../domain/errors.ts";
import { iso } from "../kit/clock.ts";
import { limitOf } from "./forge/rate-limit.ts";
import { type HttpReply, type HttpSource, readRefusal } from "./http.ts";

export interface Wanted {
  readonly name: string;
  /** 0 = unknown. */
  readonly bytes: number;
  readonly maxBytes: number;
  readonly digest?: Digest | undefined;
}

/** What is there already of an asset whose connection broke. */
export interface Held {
  readonly offset: number;
  readonly total?: number | undefined;
  /** For If-Range: a strong ETag or a Last-Modified. */
  readonly validator?: string | undefined;
}

/** A body that may be taken; it begins at `offset`. */
export interface Start extends Held {
  readonly reply: HttpReply;
  /** A program never comes as a web page; said in errors, and enough to refuse what has no digest. */
  readonly html: boolean;
}

/** Why a try failed; each has its own number of tries. `answer`: there is a server, and it gives something else. */
export type Because = "connection" | "answer" | "size" | "content";

export type Verdict =
  | { readonly kind: "start"; readonly start: Start }
  /** `startOver`: what is there already is of no use. */
  | { readonly kind: "again"; readonly because: Because; readonly error: SlipstreamError; readonly startOver: boolean };

/** What may pass with time or with a fresh address: expired signatures (403, 404, 410; 618 is GitHub's blob host), full servers. */
const PASSING: ReadonlySet<number> = new Set([403, 404, 408, 410, 416, 425, 618]);
const NO_CREDENTIALS = /credential|token|authenti|authoriz|permission|not accessible|log ?in/i;

/** @throws UpstreamError rate-limited, forge-refused, upstream-too-large, download-failed */
export async function judge(reply: HttpReply, asked: { wanted: Wanted; source: HttpSource; held: Held | undefined }, now: number): Promise<Verdict> {
  const { wanted, held } = asked;
  if (reply.status === 200) return judgeWhole(reply, wanted);
  if (reply.status === 206 && held !== undefined) return judgePart(reply, wanted, held);
  const { origin, status, headers } = reply;
  const text = status === 403 ? await readRefusal(reply) : "";
  const retryAt = limitOf({ origin, api: asked.source.api, status, headers, text }, now)?.at;
  if (retryAt !== undefined) throw new UpstreamError("rate-limited", `download of ${wanted.name} is rate-limited by ${reply.origin} until ${iso(retryAt)}, expected it to be served; a token raises the limit`, { retryable: true, retryAt });
  if (isCredentials(reply, asked.source, text)) throw new UpstreamError("forge-refused", `download of ${wanted.name} is refused by ${reply.origin} (status ${reply.status}), expected access; check the token`);
  const passing = reply.status < 400 || reply.status >= 500 || PASSING.has(reply.status) || reply.status === 401;
  const error = new UpstreamError("download-failed", `answer of ${reply.origin} for asset ${wanted.name} is status ${reply.status}, expected the asset`, { retryable: passing });
  if (!passing) throw error;
  return { kind: "again", because: "answer", error, startOver: reply.status === 416 };
}

function judgeWhole(reply: HttpReply, wanted: Wanted): Verdict {
  const html = isHtml(reply.headers);
  const length = lengthOf(reply.headers);
  const total = wanted.bytes > 0 ? wanted.bytes : length;
  if (length !== undefined && length !== total) return { kind: "again", because: html ? "content" : "size", error: wrongSize(wanted, length, html), startOver: true };
  if (html && wanted.digest === undefined) return { kind: "again", because: "content", error: webPage(wanted), startOver: true };
  if (total !== undefined && total > wanted.maxBytes) throw tooLarge(wanted, total);
  return { kind: "start", start: { reply, offset: 0, total, validator: validatorOf(reply.headers), html } };
}

function judgePart(reply: HttpReply, wanted: Wanted, held: Held): Verdict {
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(reply.headers.get("content-range")?.trim() ?? "");
  const [from, to, total] = [Number(range?.[1]), Number(range?.[2]), Number(range?.[3])];
  const length = lengthOf(reply.headers);
  const validator = validatorOf(reply.headers);
  const fits =
    from === held.offset &&
    to === total - 1 &&
    (held.total === undefined || held.total === total) &&
    (length === undefined || length === total - from) &&
    (validator === undefined || held.validator === undefined || validator === held.validator);
  if (fits && total > wanted.maxBytes) throw tooLarge(wanted, total);
  if (fits) return { kind: "start", start: { reply, offset: from, total, validator: held.validator, html: false } };
  const error = new UpstreamError("download-failed", `rest of asset ${wanted.name} does not fit what came before, expected bytes ${held.offset} to the end of the same file`, { retryable: true });
  return { kind: "again", because: "answer", error, startOver: true };
}

/** A strong ETag, else the Last-Modified, else nothing (RFC 9110 §13.1.5). */
export function validatorOf(headers: Headers): string | undefined {
  const etag = headers.get("etag")?.trim();
  if (etag !== undefined && /^"[!#-~]*"$/.test(etag)) return etag;
  return headers.get("last-modified")?.trim();
}

/** Only the forge itself can speak of our credentials; the host behind its redirect never sees them, and a signed address that expired says 403 as well. */
function isCredentials(reply: HttpReply, source: HttpSource, text: string): boolean {
  const url = new URL(source.url);
  if (reply.origin !== url.origin || (reply.status !== 401 && reply.status !== 403)) return false;
  if (reply.status === 401) return true;
  if (url.search !== "") return false;
  if (reply.headers.has("www-authenticate")) return true;
  return NO_CREDENTIALS.test(text);
}

function lengthOf(headers: Headers): number | undefined {
  const text = headers.get("content-length")?.trim();
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function isHtml(headers: Headers): boolean {
  return /^\s*text\/html\b/i.test(headers.get("content-type") ?? "");
}

export function tooLarge(wanted: Wanted, bytes: number): UpstreamError {
  return new UpstreamError("upstream-too-large", `asset ${wanted.name} is ${bytes} bytes or more, expected at most ${wanted.maxBytes}`);
}

export function wrongSize(wanted: Wanted, bytes: number, html: boolean): EvidenceError {
  return html ? webPage(wanted) : new EvidenceError("artifact-invalid", `asset ${wanted.name} is ${bytes} bytes long, expected ${wanted.bytes > 0 ? wanted.bytes : "what its server announced"}`);
}

export function webPage(wanted: Wanted): EvidenceError {
  return new EvidenceError("digest-mismatch", `asset ${wanted.name} is a web page (content-type text/html), expected the asset itself`);
}
