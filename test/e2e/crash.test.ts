/** kill -9 of the daemon at every stage boundary: the next start finishes or reverts, and nothing is half-swapped. Real Task, Process Compose, git and programs. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type CrashBench, createCrashBench } from "../support/crash-bench.ts";
import { rollbackPoints, updatePoints } from "../support/crash-points.ts";
import { tagPushed } from "../support/github.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { createWorkspace, type Workspace } from "../support/workspace.ts";

describe("kill -9 of the daemon", { timeout: 540_000 }, () => {
  let ws: Workspace;
  let bench: CrashBench;
  let patch = 0;

  before(async () => {
    ws = await createWorkspace({ soak: "300ms", config: { subsystems: { api: { test: { command: ["true"] } } } } });
    bench = createCrashBench(ws);
    await ws.start({ daemon: false });
  });
  after(async () => {
    bench.close();
    await ws.close();
  });

  /** Makes a release and crashes in the middle of its update. */
  async function crash(point: string, behaviour: "good" | "crash") {
    const version = `v1.0.${++patch}`;
    const { commit } = await ws.upstreams.api.release(version, behaviour);
    const run = await bench.crashAndRecover(point, version, () => ws.deliver(tagPushed("acme/api", version, commit)));
    return { run, version };
  }

  for (const point of updatePoints()) {
    test(`at ${point} still ends with the new version running`, async () => {
      const seen = await takeSnapshot(ws);
      const { run, version } = await crash(point, "good");
      assert.equal(run.status, "succeeded", `${run.code}: ${run.message}`);
      assert.equal(run.context.health?.digestProved, true);
      assert.equal(await ws.version("api"), version);
      await bench.assertWhole(seen);
    });
  }

  for (const point of rollbackPoints()) {
    test(`at ${point} of a bad version still ends with the old one running`, async () => {
      const seen = await takeSnapshot(ws);
      const old = await ws.version("api");
      const { run, version } = await crash(point, "crash");
      assert.equal(run.status, "rolled_back", `${run.code}: ${run.message}`);
      assert.equal(await ws.version("api"), old);
      await bench.assertWhole(seen);
      const why = await ws.json(["why", "api"]);
      assert.ok(why.quarantined.some((q: { version: string }) => q.version === version));
    });
  }
});
