/**
 * Process Compose's REST API, as much of it as slipstream uses, over a unix socket or TCP.
 * Replies differ by version: process info has Go names (`DependsOn`) up to about v1.87 and camelCase later; both are read. Errors are `400 {"error"}`, for an unknown process too.
 */

import { request } from "node:http";
import { z } from "zod";
import { StateError, SupervisorError } from "../domain/errors.ts";
import { type Clock, deadline } from "../kit/clock.ts";
import type { Secret } from "../kit/secret.ts";

/** `token` is sent as X-PC-Token-Key (Process Compose 1.94 and later). */
export type SupervisorAddress = ({ readonly socket: string } | { readonly host: string; readonly port: number }) & { readonly token?: Secret };

export interface ProcessState {
  readonly name: string;
  /** Process Compose's own word: Running, Completed, Restarting, … */
  readonly status: string;
  /** Of the last instance; Process Compose does not clear it when the process ends. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** Stays `Ready` after a process ended by itself: never trust it alone. */
  readonly ready: "Ready" | "Not Ready" | "-";
  /** Automatic restarts only. */
  readonly restarts: number;
  readonly exitCode: number;
  readonly successExitCodes: readonly number[];
}

const MAX_REPLY_BYTES = 8 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
/** Waits between tries of a GET while nothing listens: Process Compose may be restarting. */
const RETRY_AFTER_MS = [200, 400, 800] as const;
const NOT_LISTENING = new Set(["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE"]);

const StateReply = z.object({
  name: z.string(),
  status: z.string(),
  pid: z.number(),
  is_running: z.boolean(),
  is_ready: z.enum(["Ready", "Not Ready", "-"]).catch("-"),
  restarts: z.number(),
  exit_code: z.number(),
  success_exit_codes: z.array(z.number()).nullish(),
});
const ListReply = z.object({ data: z.array(StateReply).nullable() });
const ProjectReply = z.object({ version: z.string().catch(""), startTime: z.string().catch("unknown") });
const LogsReply = z.object({ logs: z.array(z.string()).nullable() });
const ErrorReply = z.object({ error: z.string() });

/** An object whose keys may start with a capital letter. */
function anyCase<S extends z.ZodRawShape>(shape: S) {
  return z.preprocess((v) => {
    if (typeof v !== "object" || v === null) return v;
    return Object.fromEntries(Object.entries(v).map(([k, value]) => [k.charAt(0).toLowerCase() + k.slice(1), value]));
  }, z.object(shape));
}

const Probe = anyCase({ initialDelay: z.number().default(0), periodSeconds: z.number().default(10), timeoutSeconds: z.number().default(1), failureThreshold: z.number().default(3) });
/** Enums are integers here, and 0 is left out (types/process.go). */
const InfoReply = anyCase({
  /** As in the process file; a replica's own name has a number behind it. */
  name: z.string().default(""),
  isDaemon: z.boolean().default(false),
  restartPolicy: anyCase({ restart: z.number().default(0), backoffSeconds: z.number().default(0), exitOnEnd: z.boolean().default(false), exitOnSkipped: z.boolean().default(false) }).prefault({}),
  shutDownParams: anyCase({ shutDownCommand: z.string().default(""), shutDownTimeout: z.number().default(0), parentOnly: z.boolean().default(false) }).prefault({}),
  dependsOn: z.record(z.string(), anyCase({ condition: z.number().default(0) })).nullish(),
  readinessProbe: Probe.nullish(),
  readyLogLine: z.string().default(""),
  schedule: z.looseObject({}).nullish(),
  watch: z.unknown().optional(),
});

export type ProcessInfo = z.output<typeof InfoReply>;

export interface ProcessComposeApi {
  version(signal: AbortSignal): Promise<string>;
  /** When the project was started, as Process Compose writes it: another text is another project. */
  startedAt(signal: AbortSignal): Promise<string>;
  list(signal: AbortSignal): Promise<readonly ProcessState[]>;
  state(process: string, signal: AbortSignal): Promise<ProcessState>;
  info(process: string, signal: AbortSignal): Promise<ProcessInfo>;
  /** Returns after the signal was sent, or after the process ended where a timeout is configured. A refusal is not an error here: what counts is whether the process is gone. */
  stop(process: string, timeoutMs: number, signal: AbortSignal): Promise<{ readonly refused?: string }>;
  /** `registered`: an earlier instance is not gone yet, nothing was started. */
  start(process: string, signal: AbortSignal): Promise<"started" | "registered">;
  restart(process: string, timeoutMs: number, signal: AbortSignal): Promise<{ readonly refused?: string }>;
  logs(process: string, count: number, signal: AbortSignal): Promise<readonly string[]>;
}

export function createProcessComposeApi(deps: { address: SupervisorAddress; clock: Clock }): ProcessComposeApi {
  const at = (verb: string, process: string) => `/process/${verb}${encodeURIComponent(process)}`;
  async function get<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    const reply = await retried(deps, path, signal);
    if (reply.status !== 200) throw refusal(path, reply);
    return parsed(path, schema, reply.body);
  }
  async function act(method: string, path: string, timeoutMs: number, signal: AbortSignal): Promise<{ readonly refused?: string }> {
    const reply = await call({ address: deps.address, method, path, timeoutMs }, signal);
    if (reply.status === 401) throw refusal(path, reply);
    return reply.status === 200 ? {} : { refused: errorText(reply) };
  }
  return {
    version: async (signal) => (await get("/project/state", ProjectReply, signal)).version,
    startedAt: async (signal) => (await get("/project/state", ProjectReply, signal)).startTime,
    list: async (signal) => ((await get("/processes", ListReply, signal)).data ?? []).map(toState),
    state: async (process, signal) => toState(await get(at("", process), StateReply, signal)),
    info: (process, signal) => get(at("info/", process), InfoReply, signal),
    stop: (process, timeoutMs, signal) => act("PATCH", at("stop/", process), timeoutMs + REQUEST_TIMEOUT_MS, signal),
    async start(process, signal) {
      const { refused } = await act("POST", at("start/", process), REQUEST_TIMEOUT_MS, signal);
      if (refused === undefined) return "started";
      if (/already running/.test(refused)) return "registered";
      throw new SupervisorError("supervisor-refused", `start of process ${process} is refused by Process Compose (${refused}), expected it to start`);
    },
    restart: (process, timeoutMs, signal) => act("POST", at("restart/", process), timeoutMs + REQUEST_TIMEOUT_MS, signal),
    logs: async (process, count, signal) => (await get(`${at("logs/", process)}/0/${count}`, LogsReply, signal)).logs ?? [],
  };
}

function toState(s: z.output<typeof StateReply>): ProcessState {
  return { name: s.name, status: s.status, pid: s.pid, isRunning: s.is_running, ready: s.is_ready, restarts: s.restarts, exitCode: s.exit_code, successExitCodes: s.success_exit_codes ?? [] };
}

function parsed<T>(path: string, schema: z.ZodType<T>, body: string): T {
  try {
    return schema.parse(JSON.parse(body));
  } catch (cause) {
    throw new SupervisorError("supervisor-refused", `answer of Process Compose to ${path} is not understood, expected the fields of its versions 1.85 to 1.122`, { cause });
  }
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

function errorText(reply: Reply): string {
  try {
    return ErrorReply.parse(JSON.parse(reply.body)).error;
  } catch {
    return `HTTP ${reply.status}`;
  }
}

function refusal(path: string, reply: Reply): SupervisorError {
  if (reply.status === 401) return new SupervisorError("supervisor-refused", "token is refused by Process Compose, expected the one it was started with (PC_API_TOKEN)");
  const text = errorText(reply);
  if (/no such process/.test(text)) return new SupervisorError("process-unknown", `process in ${path} is unknown to Process Compose, expected one of its process file`);
  // Its router takes an escaped slash for a separator (routes.go, UseRawPath).
  if (reply.status === 404 && path.includes("%2F")) return new SupervisorError("unsafe-process-config", `process ${decodeURIComponent(path.split("/").at(-1) ?? "")} has a slash in its name, expected one that this Process Compose finds; rename the process, or run Process Compose 1.122.0 or newer`);
  return new SupervisorError("supervisor-refused", `request ${path} is refused by Process Compose (${text}), expected an answer`);
}

async function retried(deps: { address: SupervisorAddress; clock: Clock }, path: string, signal: AbortSignal): Promise<Reply> {
  for (const waitMs of [...RETRY_AFTER_MS, undefined]) {
    try {
      return await call({ address: deps.address, method: "GET", path, timeoutMs: REQUEST_TIMEOUT_MS }, signal);
    } catch (error) {
      const code = error instanceof SupervisorError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined;
      if (waitMs === undefined || code === undefined || !NOT_LISTENING.has(code)) throw error;
      await deps.clock.sleep(waitMs, signal);
    }
  }
  throw new Error("unreachable");
}

interface Call {
  readonly address: SupervisorAddress;
  readonly method: string;
  readonly path: string;
  readonly timeoutMs: number;
}

/** @throws SupervisorError supervisor-unreachable (retryable) · StateError cancelled */
async function call(c: Call, signal: AbortSignal): Promise<Reply> {
  const { token, ...place } = c.address;
  const to = "socket" in place ? { socketPath: place.socket } : { host: place.host, port: place.port };
  const headers = token === undefined ? {} : { "X-PC-Token-Key": token.reveal() };
  try {
    return await new Promise<Reply>((resolve, reject) => {
      const req = request({ ...to, method: c.method, path: c.path, headers, agent: false, signal: deadline(c.timeoutMs, signal) }, (res) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        res.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > MAX_REPLY_BYTES) res.destroy(new Error(`reply is larger than ${MAX_REPLY_BYTES} bytes`));
        });
        res.on("error", reject);
        res.on("end", () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }));
      });
      req.on("error", reject);
      req.end();
    });
  } catch (cause) {
    if (signal.aborted) throw new StateError("cancelled", `request ${c.path} is cancelled, expected an answer of Process Compose`, { cause });
    const where = "socket" in place ? place.socket : `${place.host}:${place.port}`;
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).name;
    throw new SupervisorError("supervisor-unreachable", `Process Compose at ${where} is not answering (${why}), expected it to run there`, { cause, retryable: true });
  }
}
