/** Release mode on real parts: signed release events, a forge with its asset host, real programs under Process Compose; what is downloaded and restarted, and what is not. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { App, RunView } from "../../src/domain/app.ts";
import { type FakeForge, releaseDelivery, startForge } from "../support/forge.ts";
import { assetName, commitOf, programAsset } from "../support/release-programs.ts";
import { createReleaseWorkspace, type ReleaseWorkspace } from "../support/release-workspace.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, binOf, operatorOf, runOf, stampOf, told, verdictOn } from "../support/story.ts";
import { until } from "../support/wait.ts";

const STAGES = ["download", "verify", "swap", "reload", "health"];
const NAMES = ["api", "worker", "web"] as const;

describe("an update by release", { timeout: 240_000 }, () => {
  let ws: ReleaseWorkspace;
  let app: App;
  /** Has the releases of `worker`. */
  let other: FakeForge;

  before(async () => {
    other = await startForge();
    other.publish("acme/worker", { tag: "v1.0.0", assets: [await programAsset("worker", "v1.0.0")] });
    const worker = { release: { api: other.api, asset_hosts: [other.assetHost] } };
    ws = await createReleaseWorkspace({ empty: true, soak: "300ms", config: { limits: { kept_versions: 2 }, subsystems: { worker } } });
    await ws.start({ daemon: true, missing: NAMES });
    app = operatorOf(ws);
  });
  after(async () => {
    await ws.close();
    await other.close();
  });

  test("one command installs every program of an empty machine out of its first release", async () => {
    const runs: RunView[] = await ws.json(["update", "--all"]);
    for (const run of runs) assert.deepEqual([run.status, run.rule, run.toVersion], ["succeeded", "first-install", "v1.0.0"], told(run));
    assert.deepEqual(runs.map((r) => r.subsystem).sort(), [...NAMES].sort());
    for (const name of NAMES) {
      assert.equal(await ws.version(name), "v1.0.0", name);
      const digest = await ws.digest(name);
      const stamp = await stampOf(ws, name);
      assert.deepEqual({ ...stamp, timestamp: "" }, { commit: commitOf(name, "v1.0.0").slice(0, 7), timestamp: "", checksum: digest.slice("sha256:".length), version: "v1.0.0" });
    }
    assert.deepEqual(NAMES.map((name) => (name === "worker" ? other : ws.forge).downloadsOf(assetName(name))), [1, 1, 1]);
  });
});
