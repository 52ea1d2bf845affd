/** How a workspace is talked to from outside: its programs, the daemon's webhook, the command line, and free ports. */

import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { childEnv, exec } from "../../src/adapters/exec.ts";
import { type Answer, deliver, type Payload, type Signed, signDelivery } from "./github.ts";
import type { ServiceAnswer } from "./service.ts";

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Sent {
  /** `X-GitHub-Delivery` */
  readonly id: string;
  readonly signed: Signed;
  readonly answer: Answer;
  /** `performance.now()` when the request started. */
  readonly at: number;
  /** From the start of the request to its whole answer, in ms. */
  readonly ackMs: number;
}

export interface SendOptions {
  /** Another secret than the workspace's; null sends no signature. */
  readonly secret?: string | null;
  readonly deliveryId?: string;
  /** After `/webhook`, such as `/api`. */
  readonly suffix?: string;
}

const ASK_MS = 2_000;
const CLI_MS = 120_000;
const TOOL_MS = 300_000;
const LOCAL = "127.0.0.1,localhost";

/** Signs and posts one delivery. */
export async function sendPayload(hook: { readonly url: string; readonly secret: string }, payload: Payload, options: SendOptions = {}): Promise<Sent> {
  const { secret = hook.secret, deliveryId, suffix = "" } = options;
  const signed = await signDelivery({ secret: secret ?? "unused", ...payload, ...(deliveryId === undefined ? {} : { deliveryId }) });
  const unsigned = Object.fromEntries(Object.entries(signed.headers).filter(([name]) => !name.startsWith("x-hub-signature")));
  return sendAgain(`${hook.url}/webhook${suffix}`, secret === null ? { ...signed, headers: unsigned } : signed);
}

/** Posts the very same bytes and headers. */
export async function sendAgain(url: string, signed: Signed): Promise<Sent> {
  const at = performance.now();
  const answer = await deliver(url, signed);
  return { id: signed.headers["x-github-delivery"] as string, signed, answer, at, ackMs: performance.now() - at };
}

/** Asks the program on its own port for its version, its pid and its health. @throws when it does not answer within 2 s */
export async function askProgram(port: number): Promise<ServiceAnswer & { readonly healthy: boolean }> {
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(ASK_MS), headers: { connection: "close" } });
  const answer = (await (await get("/version")).json()) as ServiceAnswer;
  const health = await get("/healthz");
  await health.text();
  return { ...answer, healthy: health.ok };
}

/** Runs the launcher in a foreign folder, without what Process Compose may have set in our environment. */
export function runCli(launcher: string, args: readonly string[]): Promise<CliResult> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PC_")));
  return new Promise((done) => {
    execFile(launcher, args, { cwd: tmpdir(), env, timeout: CLI_MS, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      done({ exitCode: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr });
    });
  });
}

/** The environment for programs of a workspace: what builds need, and no proxy between programs of this machine. */
export function workspaceEnv(): Record<string, string> {
  const direct = [process.env["NO_PROXY"] ?? process.env["no_proxy"] ?? "", LOCAL].filter((part) => part !== "").join(",");
  return childEnv(process.env, { NO_PROXY: direct, no_proxy: direct });
}

/** Runs one program of the workspace to its end; its whole group is killed when the signal fires. @throws when it ends badly, with what it printed */
export async function runTool(argv: readonly [string, ...string[]], cwd: string, signal: AbortSignal = new AbortController().signal): Promise<void> {
  const result = await exec({ argv, cwd, env: workspaceEnv(), timeoutMs: TOOL_MS }, signal);
  signal.throwIfAborted();
  if (result.exitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${result.exitCode ?? result.signal}:\n${result.stdout}${result.stderr}`);
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map((server) => new Promise<number>((done) => server.listen(0, "127.0.0.1", () => done((server.address() as { port: number }).port)))),
  );
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
