/** The App port of a running daemon, over its control socket. */

import { request as httpRequest } from "node:http";
import type { App } from "../domain/app.ts";
import { type ErrorCode, StateError, UsageError } from "../domain/errors.ts";

const TIMEOUT_MS = 90_000;
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

export interface ControlClient extends App {
  /** Whether a daemon answers on the socket. */
  alive(): Promise<boolean>;
}

/** Nothing is sent before the first call. Calls throw StateError daemon-unreachable when nobody listens, or nobody answers for `timeoutMs`. */
export function createControlClient(socketPath: string, timeoutMs: number = TIMEOUT_MS): ControlClient {
  const place = { socketPath, timeout: timeoutMs };
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => JSON.parse(await send(place, method, path, body)) as T;
  const query = (fields: Record<string, string | number | undefined>) => {
    const q = new URLSearchParams(Object.entries(fields).flatMap(([k, v]): [string, string][] => (v === undefined ? [] : [[k, String(v)]])));
    return q.size === 0 ? "" : `?${q}`;
  };
  const id = encodeURIComponent;
  return {
    alive: () => send(place, "GET", "/v1/status").then(() => true, (error: unknown) => (error instanceof StateError && error.code === "daemon-unreachable" ? false : Promise.reject(error))),
    status: () => call("GET", "/v1/status"),
    runs: (f) => call("GET", `/v1/runs${query({ subsystem: f.subsystem, limit: f.limit })}`),
    run: (run) => call("GET", `/v1/runs/${id(run)}`),
    logs: (run) => send(place, "GET", `/v1/runs/${id(run)}/logs`),
    why: (s) => call("GET", `/v1/why/${id(s)}`),
    check: (names) => call("GET", `/v1/check?${new URLSearchParams(names.map((n): [string, string] => ["subsystem", n]))}`),
    preview: (s, version) => call("GET", `/v1/preview/${id(s)}${query({ version })}`),
    request: (r) => call("POST", "/v1/requests", r),
    delivery: (d) => call("GET", `/v1/deliveries/${id(d)}`),
    events: (f) => call("GET", `/v1/events${query({ after: f.after, run: f.runId, wait_ms: f.waitMs })}`),
    close: async () => undefined,
  };
}

function send(place: { readonly socketPath: string; readonly timeout: number }, method: string, path: string, body?: unknown): Promise<string> {
  return new Promise((resolve, reject) => {
    const unreachable = (error: unknown) => reject(new StateError("daemon-unreachable", `daemon at ${place.socketPath} is not answering, expected a running slipstream watch`, { cause: error }));
    const req = httpRequest({ ...place, method, path, headers: body === undefined ? {} : { "content-type": "application/json" } }, (res) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      res.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_REPLY_BYTES) req.destroy(new Error("reply too large"));
        else chunks.push(chunk);
      });
      res.on("error", unreachable);
      res.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        if ((res.statusCode ?? 500) < 400) resolve(text);
        else reject(failure(res.statusCode ?? 500, text));
      });
    });
    req.on("timeout", () => req.destroy(new Error("timed out")));
    req.on("error", unreachable);
    req.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function failure(status: number, text: string): Error {
  try {
    const { error } = JSON.parse(text) as { error: { code: ErrorCode; message: string } };
    return status === 404 ? new UsageError(error.code, error.message) : new StateError(error.code, error.message);
  } catch {
    return new StateError("internal", `daemon answered ${status}, expected a known reply`);
  }
}
