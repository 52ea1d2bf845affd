/** A daemon of a workspace that the test itself starts and stops, beside Process Compose. */

import { spawn } from "node:child_process";
import { dirname } from "node:path";
import { until } from "./wait.ts";
import type { RunningWorkspace } from "./workspace.ts";

export interface DaemonForTest {
  readonly pid: number;
  /** Its log so far. */
  output(): string;
  /** Sends SIGTERM and returns how it ended and after how long. */
  stop(): Promise<{ readonly exitCode: number | null; readonly ms: number }>;
  /** SIGKILL, when it still runs. */
  kill(): void;
}

/** Starts `slipstream watch` and waits until it answers; `more` goes into its environment. */
export async function startDaemon(ws: Pick<RunningWorkspace, "dir" | "url" | "tools"> & { readonly places: Pick<RunningWorkspace["places"], "launcher" | "daemonPort"> }, more: Readonly<Record<string, string>> = {}): Promise<DaemonForTest> {
  const env = { ...process.env, PATH: `${dirname(ws.tools.task)}:${process.env["PATH"]}`, ...more };
  const child = spawn(ws.places.launcher, ["watch", "--workspace", ws.dir, "--port", String(ws.places.daemonPort)], { stdio: ["ignore", "pipe", "pipe"], env });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  const ended = new Promise<number | null>((done) => child.once("exit", done));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const daemon: DaemonForTest = {
    pid: child.pid as number,
    output: () => text,
    kill: () => void (isRunning() && child.kill("SIGKILL")),
    async stop() {
      const at = performance.now();
      child.kill("SIGTERM");
      return { exitCode: await ended, ms: performance.now() - at };
    },
  };
  await until(async () => !isRunning() || (await fetch(`${ws.url}/health`)).ok, { what: "the daemon to answer", onTimeout: () => text });
  if (!isRunning()) throw new Error(`the daemon ended at its start:\n${text}`);
  return daemon;
}
