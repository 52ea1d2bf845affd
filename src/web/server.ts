/** The HTTP server: one for the world on a TCP port, one for the operator on a unix socket. Raw routes are asked first, everything else goes to hono. */

import { createServer as createNodeServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import { deadline } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Worker } from "../kit/worker.ts";
import { BASE_HEADERS, errorBody, errorResponse, hasBody, type Refusal, refusalOf, refusalResponse, sendRefusal } from "./errors.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { bind, type Listen } from "./listen.ts";

/** Handles a request by itself and returns true, or leaves it alone and returns false. The signal fires when connections are about to be cut. */
export type RawHandler = (req: IncomingMessage, res: ServerResponse, signal: AbortSignal) => boolean;

export interface ServerDeps {
  readonly listen: Listen;
  readonly log: Log;
  readonly raw?: RawHandler;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly limits?: Limits;
}

export interface HttpServer extends Worker {
  /** Resolves once it listens. @throws StateError address-in-use */
  readonly ready: Promise<Listen>;
  /** Where it listens; before that, where it will. */
  address(): Listen;
}

/** Listens while its worker runs; a stop lets open requests finish for `graceMs`, then cuts them. */
export function createServer(deps: ServerDeps): HttpServer {
  const limits = deps.limits ?? LIMITS;
  const { promise: ready, resolve, reject } = Promise.withResolvers<Listen>();
  ready.catch(() => {});
  const cut = new AbortController();
  const open = new Set<ServerResponse>();
  const server = nodeServer(deps, limits, open, cut.signal);
  let bound = deps.listen;
  return {
    name: "socket" in deps.listen ? "control-server" : "web-server",
    ready,
    address: () => bound,
    async run(signal) {
      try {
        await bind(server, deps.listen);
      } catch (error) {
        reject(error);
        throw error;
      }
      const address = server.address();
      if (!("socket" in deps.listen) && address !== null && typeof address === "object") bound = { host: deps.listen.host, port: address.port };
      resolve(bound);
      try {
        await stopped(server, signal);
      } finally {
        await close(server, open, cut, limits);
      }
    },
  };
}

function nodeServer(deps: ServerDeps, limits: Limits, open: Set<ServerResponse>, signal: AbortSignal): Server {
  const server = createNodeServer({
    headersTimeout: limits.headersWithinMs,
    requestTimeout: limits.requestWithinMs,
    connectionsCheckingInterval: limits.checkEveryMs,
    maxHeaderSize: limits.headerBytes,
    keepAliveTimeout: limits.keepAliveMs,
  });
  server.maxConnections = limits.connections;
  // A socket whose answers nobody reads has no other time limit.
  server.timeout = limits.keepAliveMs + limits.graceMs;
  // When the house is full, those who only sit there make room.
  server.on("drop", () => server.closeIdleConnections());
  const listener = getRequestListener(deps.fetch, { overrideGlobalObjects: false, errorHandler: (error) => (error instanceof RequestError ? refusalResponse(MALFORMED) : errorResponse(error, deps.log)) });
  const answering = new WeakMap<Duplex, ServerResponse>();
  const handle = (req: IncomingMessage, res: ServerResponse) => {
    open.add(res);
    answering.set(req.socket, res);
    res.once("close", () => open.delete(res));
    for (const [name, value] of Object.entries(BASE_HEADERS)) res.setHeader(name, value);
    if (!server.listening) res.setHeader("connection", "close");
    try {
      if (deps.raw?.(req, res, signal) === true) return;
      const refusal = apiBodyRefusal(req, limits);
      if (refusal !== undefined) return sendRefusal(req, res, refusal, limits);
      if (req.headers.expect !== undefined) res.writeContinue();
      void listener(req, res);
    } catch (error) {
      deps.log.error({ err: error }, "request failed");
      sendRefusal(req, res, refusalOf(error), limits);
    }
  };
  server.on("request", handle);
  server.on("checkContinue", handle);
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => answerBroken(error, socket, answering.get(socket)));
  return server;
}

/** Bodies of API requests are read by hono, so their size has to be known before. */
function apiBodyRefusal(req: IncomingMessage, limits: Limits): Refusal | undefined {
  if (!hasBody(req)) return undefined;
  const length = req.headers["content-length"];
  if (length === undefined) return { status: 411, code: "length-required", message: "the body has no Content-Length, expected one" };
  return Number(length) > limits.apiBodyBytes ? { status: 413, code: "too-large", message: `the body is larger than ${limits.apiBodyBytes} bytes` } : undefined;
}

const BROKEN: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, code: "too-slow", message: "the request did not arrive in time" },
  HPE_HEADER_OVERFLOW: { status: 431, code: "headers-too-large", message: "the request headers are too large" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, code: "too-large", message: "the chunk extensions are too large" },
};
const MALFORMED: Refusal = { status: 400, code: "bad-request", message: "the request is not well-formed HTTP" };

/** What node's parser gave up on still gets an answer, unless one is already on its way. */
function answerBroken(error: NodeJS.ErrnoException, socket: Duplex, res: ServerResponse | undefined): void {
  const busy = res?.headersSent === true && !res.writableFinished;
  if (socket.writable && !busy && error.code !== "ECONNRESET") {
    const refusal = BROKEN[error.code ?? ""] ?? MALFORMED;
    const body = errorBody(refusal);
    const headers = { ...BASE_HEADERS, "content-type": "application/json; charset=utf-8", "content-length": Buffer.byteLength(body), connection: "close" };
    socket.write(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join("")}\r\n${body}`);
  }
  (socket as Socket).destroySoon();
}

function stopped(server: Server, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

async function close(server: Server, open: ReadonlySet<ServerResponse>, cut: AbortController, limits: Limits): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const res of open) if (!res.headersSent) res.setHeader("connection", "close");
  deadline(limits.graceMs).addEventListener("abort", () => {
    cut.abort();
    setImmediate(() => server.closeAllConnections());
  }, { once: true });
  await closed;
}
