/** Daemons that die at an exact point, and ordinary ones that recover what they left. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Run } from "../../src/domain/run.ts";
import { compareSnapshots, takeSnapshot } from "./snapshot.ts";
import { operatorOf } from "./story.ts";
import { until } from "./wait.ts";
import type { Sent } from "./workspace-io.ts";
import type { RunningWorkspace } from "./workspace-running.ts";

const HARNESS = resolve(import.meta.dirname, "crash-daemon.ts");
const LAUNCHER = resolve(import.meta.dirname, "../../bin/slipstream");

interface Daemon {
  readonly child: ChildProcess;
  readonly ended: Promise<NodeJS.Signals | null>;
}

export interface CrashBench {
  /** Delivers while a daemon that dies at `point` is up, then lets an ordinary one recover; returns `api`'s run to that version once it has ended. */
  crashAndRecover(point: string, version: string, deliver: () => Promise<Sent>): Promise<Run>;
  /** Everything runs what is installed, nothing half-made is left, and no neighbour of `api` was touched. */
  assertWhole(before: Awaited<ReturnType<typeof takeSnapshot>>): Promise<void>;
  /** Ends what is still up. */
  close(): void;
}

export function createCrashBench(ws: RunningWorkspace): CrashBench {
  const children = new Set<ChildProcess>();

  async function start(argv: readonly [string, ...string[]]): Promise<Daemon> {
    const child = spawn(argv[0], argv.slice(1), { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, PATH: `${join(ws.tools.task, "..")}:${process.env.PATH}` } });
    children.add(child);
    child.stdout?.resume();
    let errors = "";
    child.stderr?.on("data", (chunk) => (errors += String(chunk)));
    const ended = new Promise<NodeJS.Signals | null>((done) => child.once("exit", (_code, signal) => (children.delete(child), done(signal))));
    await until(() => child.exitCode !== null || child.signalCode !== null || fetch(`${ws.url}/health`).then((r) => r.ok), { what: "the daemon to answer or to end", onTimeout: () => errors });
    return { child, ended };
  }

  const latest = async (): Promise<Run | undefined> => (await operatorOf(ws).runs({ subsystem: "api", limit: 1 }))[0];

  return {
    async crashAndRecover(point, version, deliver) {
      const port = String(ws.places.daemonPort);
      const daemon = await start([process.execPath, HARNESS, ws.dir, port, point]);
      const sent = await deliver();
      assert.equal(sent.answer.status, 202);
      assert.equal(await daemon.ended, "SIGKILL", `the daemon dies at ${point}`);
      const second = await start([LAUNCHER, "watch", "--workspace", ws.dir, "--port", port]);
      try {
        const ended = async () => {
          const run = await latest();
          return run?.toVersion === version && !["queued", "running"].includes(run.status) ? run : null;
        };
        return await until(ended, { what: `the run to ${version} to end after a crash at ${point}`, timeoutMs: 60_000, onTimeout: async () => JSON.stringify(await latest()) });
      } finally {
        second.child.kill("SIGTERM");
        await second.ended;
      }
    },
    async assertWhole(before) {
      const now = await takeSnapshot(ws);
      for (const [name, seen] of now) {
        assert.notEqual(seen.pid, 0, `${name} runs`);
        assert.equal(seen.running, seen.installed, `${name} runs what is installed`);
      }
      const { untouched } = compareSnapshots(before, now);
      assert.deepEqual(untouched.filter((n) => n !== "api"), [...before.keys()].filter((n) => n !== "api"), "neighbours are untouched");
      const stray = (await readdir(join(ws.dir, "api", ".bin"))).filter((n) => n.startsWith(".slipstream-") || n.endsWith(".new") || n.endsWith(".unverified"));
      assert.deepEqual(stray, [], "nothing half-made is left");
    },
    close() {
      for (const child of children) child.kill("SIGKILL");
    },
  };
}
