/** Starts and stops a real Process Compose for a test. */

import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { createSupervisor, type ProcessState, type SupervisorAddress } from "../../src/adapters/process-compose.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { Secret } from "../../src/kit/secret.ts";
import { ensureTools } from "../../tools/install.ts";
import { until } from "./wait.ts";

export interface ProcessComposeOptions {
  /** Working directory; the process file, the socket and the logs are put here. Keep it short: a socket path holds about 100 bytes. */
  readonly dir: string;
  /** The process file. JSON is YAML too: `JSON.stringify({ processes: … })` will do. `$` must be doubled. */
  readonly yaml: string;
  readonly binary: string;
  /** `unix` by default. */
  readonly transport?: "unix" | "tcp";
  /** Its absolute path; `pc.sock` in `dir` by default. */
  readonly socket?: string;
  /** Added to PATH and HOME, which is all the environment it gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Keep running when no process does. */
  readonly keepProject?: boolean;
  /** In a session of its own, so that Ctrl-C in the terminal does not reach it. */
  readonly detached?: boolean;
  /** At least 20 characters; v1.94 and later. */
  readonly token?: string;
}

export interface ProcessComposeForTest {
  readonly address: SupervisorAddress;
  readonly pid: number;
  states(): Promise<ReadonlyMap<string, ProcessState>>;
  /** False once it ended, for whatever reason. */
  isRunning(): boolean;
  /** What it and its processes printed. */
  output(): string;
  /** Stops the project through its API; what does not end is killed by pid. */
  close(): Promise<void>;
}

const STOP_MS = 10_000;

/** The Process Compose under test: `PROCESS_COMPOSE` when set (to try another version by hand), else the pinned one. */
export async function processComposeBinary(): Promise<string> {
  return process.env["PROCESS_COMPOSE"] ?? (await ensureTools()).processCompose;
}

export async function startProcessCompose(options: ProcessComposeOptions): Promise<ProcessComposeForTest> {
  await mkdir(options.dir, { recursive: true });
  const file = join(options.dir, "process-compose.yaml");
  await writeFile(file, options.yaml);
  const place = options.transport === "tcp" ? { host: "127.0.0.1", port: await freePort() } : { socket: options.socket ?? join(options.dir, "pc.sock") };
  const at = "socket" in place ? ["-U", "-u", place.socket] : ["--address", place.host, "-p", String(place.port)];
  const keep = options.keepProject === true ? ["--keep-project"] : [];
  const out = join(options.dir, "pc.out");
  const fd = openSync(out, "a");
  const child = spawn(options.binary, ["-f", file, "-t=false", ...at, "-L", join(options.dir, "pc.log"), ...keep], {
    cwd: options.dir,
    env: { PATH: process.env["PATH"] ?? "", HOME: options.dir, ...(options.token === undefined ? {} : { PC_API_TOKEN: options.token }), ...options.env },
    stdio: ["ignore", fd, fd],
    detached: options.detached ?? false,
  });
  closeSync(fd);
  const address = { ...place, ...(options.token === undefined ? {} : { token: new Secret("test", options.token) }) };
  const supervisor = createSupervisor({ address, clock: systemClock, log: silentLog() });
  const never = new AbortController().signal;
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const states = async () => new Map((await supervisor.list(never)).map((s) => [s.name, s]));
  const output = () => readFileSync(out, "utf8");
  const seen = new Set<number>();
  const pc = {
    address,
    pid: child.pid as number,
    isRunning,
    output,
    async states() {
      const all = await states();
      for (const s of all.values()) if (s.isRunning) seen.add(s.pid);
      return all;
    },
    async close() {
      if (isRunning()) await pc.states().catch(() => undefined);
      if (isRunning()) await post(address, "/project/stop", options.token).catch(() => child.kill("SIGTERM"));
      // With --keep-project it stays after the project ended.
      await until(() => !isRunning(), { what: "Process Compose to end", timeoutMs: options.keepProject === true ? 1_000 : STOP_MS }).catch(() => child.kill("SIGTERM"));
      await until(() => !isRunning(), { what: "Process Compose to end", timeoutMs: 2_000 }).catch(() => child.kill("SIGKILL"));
      for (const pid of seen) killGroup(pid);
    },
  };
  await until(async () => !isRunning() || (await states()).size > 0, { what: "Process Compose to answer" });
  if (!isRunning()) throw new Error(`Process Compose ended at its start:\n${output()}`);
  return pc;
}

/** Only groups whose leader this Process Compose started; one that ended is not there any more. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {}
}

async function post(address: SupervisorAddress, path: string, token: string | undefined): Promise<void> {
  const to = "socket" in address ? { socketPath: address.socket } : { host: address.host, port: address.port };
  await new Promise<void>((resolve, reject) => {
    const req = request({ ...to, path, method: "POST", agent: false, timeout: STOP_MS, headers: token === undefined ? {} : { "X-PC-Token-Key": token } }, (res) => res.resume().on("end", resolve));
    req.on("timeout", () => req.destroy(new Error("timed out")));
    req.on("error", reject);
    req.end();
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
