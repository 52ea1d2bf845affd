/** kill -9 of the daemon at every stage boundary: the next start finishes or reverts, and nothing is half-swapped. Real Task, Process Compose, git and programs. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { rollbackPoints, updatePoints } from "../support/crash-points.ts";
import { tagPushed } from "../support/github.ts";
import { compareSnapshots, takeSnapshot } from "../support/snapshot.ts";
import { until } from "../support/wait.ts";
import { createWorkspace, type Workspace } from "../support/workspace.ts";

const HARNESS = resolve(import.meta.dirname, "../support/crash-daemon.ts");
const LAUNCHER = resolve(import.meta.dirname, "../../bin/slipstream");

describe("kill -9 of the daemon", { timeout: 540_000 }, () => {
  let ws: Workspace;
  let patch = 0;
  const children = new Set<ChildProcess>();

  before(async () => {
    ws = await createWorkspace({ soak: "300ms", config: { subsystems: { api: { test: { command: ["true"] } } } } });
    await ws.start({ daemon: false });
  });
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await ws.close();
  });

  /** Starts a daemon of ours and waits until it answers. */
  async function start(argv: readonly [string, ...string[]]): Promise<{ child: ChildProcess; ended: Promise<NodeJS.Signals | null> }> {
    const child = spawn(argv[0], argv.slice(1), { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, PATH: `${join(ws.tools.task, "..")}:${process.env.PATH}` } });
    children.add(child);
    child.stdout?.resume();
    let errors = "";
    child.stderr?.on("data", (chunk) => (errors += String(chunk)));
    const ended = new Promise<NodeJS.Signals | null>((done) => child.once("exit", (_code, signal) => (children.delete(child), done(signal))));
    await until(() => child.exitCode !== null || child.signalCode !== null || fetch(`${ws.url}/health`).then((r) => r.ok), { what: "the daemon to answer or to end", onTimeout: () => errors });
    return { child, ended };
  }
  const normal = () => start([LAUNCHER, "watch", "--workspace", ws.dir, "--port", String(ws.places.daemonPort)]);
  const deadly = (point: string) => start([process.execPath, HARNESS, ws.dir, String(ws.places.daemonPort), point]);

  async function stop(daemon: { child: ChildProcess; ended: Promise<unknown> }): Promise<void> {
    daemon.child.kill("SIGTERM");
    await daemon.ended;
  }

  /** Delivers a release while a daemon that dies at `point` is up, then lets an ordinary one recover. Returns the run. */
  async function crashAndRecover(point: string, behaviour: "good" | "never-ready") {
    const version = `v1.0.${++patch}`;
    const { commit } = await ws.upstreams.api.release(version, behaviour);
    const daemon = await deadly(point);
    const sent = await ws.deliver(tagPushed("acme/api", version, commit));
    assert.equal(sent.answer.status, 202);
    assert.equal(await daemon.ended, "SIGKILL", `the daemon dies at ${point}`);
    const second = await normal();
    try {
      const run = await until(
        async () => {
          const [latest] = await ws.json(["runs", "--subsystem", "api", "--limit", "1"]);
          return latest?.toVersion === version && !["queued", "running"].includes(latest.status) ? latest : null;
        },
        { what: `the run to ${version} to end after a crash at ${point}`, timeoutMs: 60_000, onTimeout: async () => JSON.stringify(await ws.json(["runs", "--subsystem", "api", "--limit", "1"])) },
      );
      return { run, version };
    } finally {
      await stop(second);
    }
  }

  async function assertWhole(before: Awaited<ReturnType<typeof takeSnapshot>>): Promise<void> {
    const now = await takeSnapshot(ws);
    for (const [name, seen] of now) {
      assert.notEqual(seen.pid, 0, `${name} runs`);
      assert.equal(seen.running, seen.installed, `${name} runs what is installed`);
    }
    const { untouched } = compareSnapshots(before, now);
    assert.deepEqual(
      untouched.filter((n) => n !== "api"),
      [...before.keys()].filter((n) => n !== "api"),
      "neighbours are untouched",
    );
    const stray = (await readdir(join(ws.dir, "api", ".bin"))).filter((n) => n.startsWith(".slipstream-") || n.endsWith(".new"));
    assert.deepEqual(stray, [], "nothing half-made is left");
  }

  for (const point of updatePoints()) {
    test(`at ${point} still ends with the new version running`, async () => {
      const seen = await takeSnapshot(ws);
      const { run, version } = await crashAndRecover(point, "good");
      assert.equal(run.status, "succeeded", `${run.code}: ${run.message}`);
      assert.equal(run.context.health.digestProved, true);
      assert.equal(await ws.version("api"), version);
      await assertWhole(seen);
    });
  }

  for (const point of rollbackPoints()) {
    test(`at ${point} of a bad version still ends with the old one running`, async () => {
      const seen = await takeSnapshot(ws);
      const old = await ws.version("api");
      const { run, version } = await crashAndRecover(point, "never-ready");
      assert.equal(run.status, "rolled_back", `${run.code}: ${run.message}`);
      assert.equal(await ws.version("api"), old);
      await assertWhole(seen);
      const why = await ws.json(["why", "api"]);
      assert.ok(why.quarantined.some((q: { version: string }) => q.version === version));
    });
  }
});
