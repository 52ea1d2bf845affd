/** Programs that are changed by hand before, during and after a run. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { childEnv } from "../../src/adapters/exec.ts";
import type { Config } from "../../src/config/load.ts";
import { createDaemon } from "../../src/daemon.ts";
import type { Drift } from "../../src/domain/drift.ts";
import type { Run, RunKind } from "../../src/domain/run.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { adopt, adoptAfterRun, DRIFT_ACTOR } from "../../src/run/adopt.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { configWorkspace, rootTaskfile, taskfile } from "../support/config-workspace.ts";
import { subsystem as subsystemWith } from "../support/subsystem.ts";
import { until } from "../support/wait.ts";

const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** A program and a `.version` that states its checksum, as a build by hand leaves them. */
function put(path: string, text: string, version: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o755 });
  writeFileSync(join(dirname(path), ".version"), `commit: abcdef1\nchecksum: ${digestOf(text).slice(7)}\nversion: ${version}\n`);
}

/** A rollback to a kept v1, in a daemon that nothing tells of changed files. */
async function rollBack(t: TestContext, onStage: (stage: string, live: string) => void): Promise<{ readonly status: () => ReturnType<Awaited<ReturnType<typeof createDaemon>>["app"]["status"]>; readonly config: Config; readonly close: () => Promise<void> }> {
  const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("api"), "api/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/acme/api", "BIN_NAME: api"), "slipstream.yaml": "subsystems: { api: { process: false } }\n", ".slipstream/secrets.env": `WEBHOOK_SECRET=${"0123456789abcdef".repeat(4)}\n` });
  const config = await w.load({ env: childEnv(process.env) });
  const live = join(w.dir, "api/.bin/api");
  put(live, "second", "v2.0.0");
  put(join(w.dir, "api/.bin/.previous/v1/api"), "first", "v1.0.0");
  const wrapStore = (store: Store): Store => {
    store.versions.keepPrevious({ subsystem: "api", version: "v1.0.0", digest: digestOf("first"), path: ".bin/.previous/v1" });
    const append: Store["events"]["append"] = (event) => {
      if (event.type === "stage_completed") onStage(event.stage ?? "", live);
      return store.events.append(event);
    };
    return { ...store, events: { ...store.events, append } };
  };
  const daemon = await createDaemon({ config, log: silentLog(), listen: false, wrapStore });
  const stop = new AbortController();
  const running = daemon.run(stop.signal);
  const close = () => (stop.abort(), running);
  t.after(close);
  await daemon.app.request({ verb: "rollback", subsystem: "api", actor: "test" });
  await until(async () => (await daemon.app.status()).subsystems[0]?.lastRun?.status === "succeeded", { what: "the rollback" });
  return { status: () => daemon.app.status(), config, close };
}

describe("a program that is changed by hand while a run is under way", { timeout: 60_000 }, () => {
  it("behind its swap is noticed as soon as the run is over", async (t) => {
    const { status } = await rollBack(t, (stage, live) => stage === "swap" && put(live, "by hand", "v7.0.0"));
    const { drift, current } = await until(async () => (await status()).subsystems.find((s) => s.drift !== undefined), { what: "the change to be noticed" });
    assert.deepEqual([drift?.before, drift?.digest, drift?.verified, current?.version], [digestOf("first"), digestOf("by hand"), true, "v7.0.0"]);
  });

  it("before its swap is told, and kept under its own name", async (t) => {
    const { status, config, close } = await rollBack(t, (stage, live) => stage === "restore" && put(live, "by hand", "v7.0.0"));
    assert.deepEqual((await status()).subsystems.map((s) => [s.current?.version, s.drift]), [["v1.0.0", undefined]]);
    await close();
    const store = openStore(join(config.stateDir, "slipstream.db"), () => systemClock.now());
    t.after(() => store.close());
    assert.deepEqual(store.events.after(0, 1_000).filter((e) => e.type === "drift_found").map((e) => e.message), ["v7.0.0"]);
    assert.deepEqual(["previous", "quarantined"].flatMap((state) => store.versions.list("api", state as "previous")).filter((v) => v.digest === digestOf("by hand")).map((v) => v.version), ["v7.0.0"]);
  });
});

describe("a program that is changed by hand beside runs", { timeout: 60_000 }, () => {
  async function bench(t: TestContext) {
    const w = await configWorkspace(t, {});
    const subsystem = subsystemWith({ name: "api", dir: join(w.dir, "api"), binary: "api", process: "api", drift: "reload" });
    let now = systemClock.now();
    const store = openStore(":memory:", () => now++);
    t.after(() => store.close());
    const told: Drift[] = [];
    const deps = { store, log: silentLog(), drifted: (_: unknown, drift: Drift) => void told.push(drift) };
    const live = join(w.dir, "api/.bin/api");
    const ended = (kind: RunKind, reload?: NonNullable<Run["context"]["reload"]>) => {
      const run = store.runs.move(store.runs.create({ kind, subsystem: "api", status: "queued", trigger: "operator", actor: DRIFT_ACTOR, toVersion: "v2.0.0" }).id, "running");
      if (reload !== undefined) store.runs.saveContext(run.id, { reload });
      store.endRun(run.id, { status: "failed", deliveries: "failed", code: "unhealthy", message: "test" });
    };
    put(live, "first", "v1.0.0");
    await adopt(deps, subsystem);
    put(live, "second", "v2.0.0");
    await adopt(deps, subsystem);
    assert.deepEqual(told.map((d) => d.digest), [digestOf("second")]);
    return { store, deps, subsystem, told, live, ended };
  }
  const note = (path: "stop-start" | "none") => [{ plan: { process: "api", path }, at: 0 }];

  it("and put back after a reload is a change again, for the process runs the other one", async (t) => {
    const { deps, subsystem, told, live, ended } = await bench(t);
    ended("reload", note("stop-start"));
    for (const [before, text, version] of [["second", "third", "v3.0.0"], ["second", "first", "v1.0.0"]] as const) {
      put(live, text, version);
      await adopt(deps, subsystem);
      assert.deepEqual(told.map((d) => [d.before, d.digest]).at(-1), [digestOf(before), digestOf(text)]);
    }
  });

  for (const [what, reload] of [["no reload", undefined], ["a reload that touched nothing", note("none")]] as const) {
    it(`and put back after ${what} is as it was`, async (t) => {
      const { store, deps, subsystem, told, live, ended } = await bench(t);
      ended("reload", reload);
      put(live, "first", "v1.0.0");
      await adopt(deps, subsystem);
      assert.deepEqual([told.length, store.drifts.of("api")], [1, undefined]);
    });
  }

  it("and put back without its .version is the version it was", async (t) => {
    const { store, deps, subsystem, live } = await bench(t);
    for (const stamp of ["v2.0.0\n", ""]) {
      writeFileSync(live, "first");
      writeFileSync(join(dirname(live), ".version"), stamp);
      await adopt(deps, subsystem);
      const { version, commit } = store.versions.current("api") ?? {};
      assert.deepEqual([version, commit, store.drifts.of("api")], ["v1.0.0", "abcdef1", undefined]);
      put(live, "second", "v2.0.0");
      await adopt(deps, subsystem);
    }
  });

  it("is asked about once more when the run that stood in the way of its reload has reloaded nothing", async (t) => {
    const { deps, subsystem, told, ended } = await bench(t);
    ended("update");
    await adoptAfterRun(deps, subsystem);
    assert.deepEqual(told.map((d) => d.digest), [digestOf("second"), digestOf("second")]);
    ended("reload");
    await adoptAfterRun(deps, subsystem);
    assert.equal(told.length, 2, "but not after its own reload has failed");
  });
});
