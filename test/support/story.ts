/** Following what a daemon made of a delivery: its verdict, its run, its events, and what that did to the files. */

import assert from "node:assert/strict";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createControlClient } from "../../src/adapters/control-client.ts";
import { controlSocketPath } from "../../src/adapters/socket-path.ts";
import type { App, RunView } from "../../src/domain/app.ts";
import type { Delivery } from "../../src/domain/delivery.ts";
import { isTerminal } from "../../src/domain/run.ts";
import { compareSnapshots, type Snapshot, takeSnapshot } from "./snapshot.ts";
import { until } from "./wait.ts";
import type { RunningWorkspace, SubsystemName } from "./workspace.ts";
import type { Sent } from "./workspace-io.ts";

const VERDICT_MS = 30_000;
const RUN_MS = 90_000;

/** The App port of the workspace's running daemon. */
export function operatorOf(ws: Pick<RunningWorkspace, "dir">): App {
  return createControlClient(controlSocketPath(join(ws.dir, ".slipstream")));
}

/** The delivery once it has its verdict. */
export function verdictOn(app: App, sent: Sent): Promise<Delivery> {
  const decided = async () => {
    const delivery = await app.delivery(sent.answer.body.delivery);
    return delivery.state === "received" ? null : delivery;
  };
  return until(decided, { what: `the verdict on delivery ${sent.id}`, timeoutMs: VERDICT_MS });
}

/** The run once it ended, or once it is held. */
export function endOf(app: App, runId: string): Promise<RunView> {
  const ended = async () => {
    const run = await app.run(runId);
    return isTerminal(run.status) || run.status === "held" ? run : null;
  };
  return until(ended, { what: `run ${runId} to end`, timeoutMs: RUN_MS, onTimeout: async () => JSON.stringify(await app.run(runId)) });
}

/** The run a delivery led to, once it ended or is held. Fails when it led to none. */
export async function runOf(app: App, sent: Sent): Promise<RunView> {
  const { runId, reason } = await verdictOn(app, sent);
  assert.ok(runId, `delivery ${sent.id} led to no run (${reason})`);
  return endOf(app, runId);
}

/** One line about a run, for messages of assertions. */
export function told(run: RunView): string {
  return `${run.subsystem} ${run.toVersion} is ${run.status}${run.failedStage === undefined ? "" : ` at ${run.failedStage}`}: ${run.code} ${run.message}`;
}

/** Since `before`, exactly these processes got another pid, every other one is untouched, and all run what is installed. */
export async function assertRestarted(ws: RunningWorkspace, before: Snapshot, restarted: readonly string[]): Promise<Snapshot> {
  const now = await takeSnapshot(ws);
  const difference = compareSnapshots(before, now);
  assert.deepEqual(difference.restarted, [...restarted].sort(), "what restarted");
  assert.deepEqual(
    difference.untouched,
    [...before.keys()].filter((name) => !restarted.includes(name)),
    "what was left untouched",
  );
  for (const [name, seen] of now) {
    assert.notEqual(seen.pid, 0, `${name} runs`);
    assert.equal(seen.running, seen.installed, `${name} runs what is installed`);
  }
  return now;
}

/** Inode, size and time of every file in a subsystem's `.bin`: equal only while nobody wrote there. */
export async function binOf(ws: RunningWorkspace, name: SubsystemName): Promise<string[]> {
  const root = join(ws.dir, name, ".bin");
  const entries = await readdir(root, { recursive: true });
  return Promise.all(entries.sort().map(async (entry) => {
    const { ino, size, mtimeMs } = await lstat(join(root, entry));
    return `${entry} ${ino} ${size} ${mtimeMs}`;
  }));
}

/** The fields of an installed `.version`. */
export async function stampOf(ws: RunningWorkspace, name: SubsystemName, ...below: string[]): Promise<Record<string, string>> {
  const text = await readFile(join(ws.dir, name, ".bin", ...below, ".version"), "utf8");
  return Object.fromEntries(text.trim().split("\n").map((line) => line.split(/:\s*(.*)/s, 2) as [string, string]));
}
