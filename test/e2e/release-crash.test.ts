/** kill -9 of the daemon at the boundaries that only release mode has; from the swap on both modes are the same code, held by crash.test.ts. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type CrashBench, createCrashBench } from "../support/crash-bench.ts";
import { downloadPoints } from "../support/crash-points.ts";
import { assetName, programAsset } from "../support/release-programs.ts";
import { createReleaseWorkspace, type ReleaseWorkspace } from "../support/release-workspace.ts";
import { takeSnapshot } from "../support/snapshot.ts";

describe("kill -9 of the daemon in release mode", { timeout: 300_000 }, () => {
  let ws: ReleaseWorkspace;
  let bench: CrashBench;
  let patch = 0;

  before(async () => {
    ws = await createReleaseWorkspace({ soak: "300ms" });
    bench = createCrashBench(ws);
    await ws.start({ daemon: false });
  });
  after(async () => {
    bench.close();
    await ws.close();
  });

  for (const point of downloadPoints()) {
    test(`at ${point} still ends with the new version running`, async () => {
      const version = `v1.0.${++patch}`;
      const seen = await takeSnapshot(ws);
      const id = ws.publish("acme/platform", version, [await programAsset("api", version)]);
      const run = await bench.crashAndRecover(point, version, () => ws.announce(id));
      assert.equal(run.status, "succeeded", `${run.code}: ${run.message}`);
      assert.equal(run.context.health?.digestProved, true);
      assert.equal(await ws.version("api"), version);
      assert.equal(ws.forge.downloadsOf(assetName("web")), 0);
      await bench.assertWhole(seen);
    });
  }
});
