/** Errors as JSON: `{ "error": { "code", "message" } }`. What strangers see never holds internal text. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { HTTPException } from "hono/http-exception";
import { ConfigError, EvidenceError, PolicyError, SlipstreamError, StateError, SupervisorError, UpstreamError, UsageError } from "../domain/errors.ts";
import { deadline } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Limits } from "./limits.ts";

/** An answer that says no. `code` is public and stable. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const NOT_FOUND: Refusal = { status: 404, code: "not-found", message: "there is nothing at this path" };
const INTERNAL: Refusal = { status: 500, code: "internal", message: "the request failed inside slipstream; its log says why" };

/** What every answer carries unless it says otherwise. */
export const BASE_HEADERS: Readonly<Record<string, string>> = { "x-content-type-options": "nosniff", "cache-control": "no-store" };

export function errorBody(refusal: Refusal): string {
  return JSON.stringify({ error: { code: refusal.code, message: refusal.message } });
}

/** Sends JSON once; does nothing when the client is gone or an answer is on its way. */
export function sendJson(res: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  if (res.headersSent || res.destroyed) return;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  res.writeHead(status, { "content-type": "application/json; charset=utf-8", "content-length": Buffer.byteLength(text), ...headers });
  res.end(text);
}

/** Sends a refusal. Where the body was not read to its end the connection is closed, after a moment in which the rest is thrown away so that the sender sees the answer. */
export function sendRefusal(req: IncomingMessage, res: ServerResponse, refusal: Refusal, limits: Limits): void {
  if (res.headersSent || res.destroyed) return;
  if (req.complete || !hasBody(req)) {
    sendJson(res, refusal.status, errorBody(refusal), refusal.headers);
    return;
  }
  const text = errorBody(refusal);
  res.writeHead(refusal.status, { "content-type": "application/json; charset=utf-8", "content-length": Buffer.byteLength(text), connection: "close", ...refusal.headers });
  res.write(text);
  let left = limits.lingerBytes;
  const end = () => res.end();
  req.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) end();
  });
  req.once("end", end);
  req.once("close", end);
  deadline(limits.lingerMs).addEventListener("abort", end, { once: true });
  req.resume();
}

export function hasBody(req: IncomingMessage): boolean {
  const length = req.headers["content-length"];
  return req.headers["transfer-encoding"] !== undefined || (length !== undefined && Number(length) > 0);
}

/** The refusal for anything thrown. With `trusted` (the operator's own socket) the messages of our own errors are shown; else only what the caller did wrong. */
export function refusalOf(error: unknown, trusted = false): Refusal {
  if (error instanceof HTTPException) return { status: error.status, code: HTTP_CODES[error.status] ?? "refused", message: trusted && error.message !== "" ? error.message : "the request was refused" };
  if (!(error instanceof SlipstreamError)) return INTERNAL;
  const callers = error instanceof UsageError || error instanceof PolicyError;
  const message = trusted || callers ? error.message : INTERNAL.message;
  return { status: statusOf(error), code: error.code, message };
}

const HTTP_CODES: Readonly<Record<number, string>> = { 400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 408: "too-slow", 413: "too-large", 415: "content-type-not-supported", 504: "timed-out" };

function statusOf(error: SlipstreamError): number {
  if (error instanceof UsageError) return error.code.startsWith("unknown-") ? 404 : error.code === "usage" ? 400 : 409;
  if (error instanceof PolicyError || error instanceof EvidenceError || error instanceof ConfigError) return 409;
  if (error instanceof UpstreamError || error instanceof SupervisorError) return 502;
  return error instanceof StateError ? 503 : 500;
}

/** The answer of a hono app to anything thrown (`app.onError`); what is no fault of the caller is logged, once. */
export function errorResponse(error: unknown, log: Log, trusted = false): Response {
  const refusal = refusalOf(error, trusted);
  if (refusal.status >= 500) log.error({ err: error, code: refusal.code }, "request failed");
  return refusalResponse(refusal);
}

/** A refusal as a web response (`app.notFound` answers `refusalResponse(NOT_FOUND)`). */
export function refusalResponse(refusal: Refusal): Response {
  return new Response(errorBody(refusal), { status: refusal.status, headers: { "content-type": "application/json; charset=utf-8", ...refusal.headers } });
}
