/** The engine on a real repository and real child processes, with a clock whose heartbeat pause is short. */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { childEnv, exec } from "../../src/adapters/exec.ts";
import { createGit } from "../../src/adapters/git.ts";
import { pidsOfRun } from "../../src/adapters/leftovers.ts";
import { proveRunning } from "../../src/adapters/running-digest.ts";
import { createTask } from "../../src/adapters/task.ts";
import type { Run } from "../../src/domain/run.ts";
import type { Subsystem } from "../../src/domain/subsystem.ts";
import { type Clock, systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import type { RunDeps } from "../../src/run/deps.ts";
import { createEngine, HEARTBEAT_MS } from "../../src/run/engine.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { createUpstream, type Upstream } from "../support/git-server.ts";
import { releaseDeps } from "../support/release-deps.ts";
import { subsystem as subsystemWith } from "../support/subsystem.ts";
import { until } from "../support/wait.ts";

/** The heartbeat's pause of 25 s takes 30 ms here; every other wait is real. */
const quick: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms === HEARTBEAT_MS ? 30 : ms, signal) };

describe("a run", () => {
  let dir: string;
  let upstream: Upstream;
  let store: Store;
  const seen: string[] = [];

  before(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), "engine-")));
    upstream = await createUpstream(join(dir, "upstreams"), "acme/api");
    await mkdir(join(dir, "ws", "api"), { recursive: true });
    await writeFile(join(dir, "ws", "Taskfile.yml"), "version: '3'\n");
    const real = openStore(join(dir, "state.db"), () => Date.now());
    store = { ...real, events: { ...real.events, append: (e) => (seen.push(e.type), real.events.append(e)) } };
  });
  after(async () => {
    store.close();
    await rm(dir, { recursive: true, force: true });
  });

  /** Claims a run to a fresh commit whose build is the given shell text. */
  async function claimed(version: string, script: string): Promise<{ run: Run; subsystem: Subsystem; deps: RunDeps }> {
    const commit = await upstream.commitFiles({ "build.sh": script }, version);
    await upstream.tag(version);
    store.runs.create({ kind: "update", subsystem: "api", status: "queued", trigger: "delivery", toVersion: version, commit, ref: `refs/tags/${version}` });
    const run = store.runs.move((store.runs.nextQueued() as Run).id, "running");
    const subsystem = subsystemWith({ dir: join(dir, "ws", "api"), upstream: upstream.dir, process: null, build: { argv: ["sh", "{src}/build.sh"] } });
    const never = new AbortController().signal;
    const git = await createGit({ exec, env: childEnv(process.env), engine: "auto", maxBytes: 1 << 26, timeoutMs: 20_000 }, never);
    const place = { workspace: join(dir, "ws"), stateDir: join(dir, "ws", ".slipstream"), rootTaskfile: join(dir, "ws", "Taskfile.yml") };
    const deps: RunDeps = { store, clock: quick, log: silentLog(), mask: (t) => t, exec, env: process.env, git, task: createTask({ exec, program: "task", env: process.env }), supervisor: null, prove: proveRunning, ...releaseDeps(store, place.workspace), ...place };
    return { run, subsystem, deps };
  }

  test("says that it is alive while a long build lasts, and keeps only the last of these once it ended", async () => {
    const { run, subsystem, deps } = await claimed("v1.0.0", "sleep 0.4; printf '#!/bin/sh\\necho 1\\n' > .bin/api-server; chmod +x .bin/api-server\n");
    await createEngine(deps).execute(run, subsystem, new AbortController().signal);
    assert.equal(store.runs.get(run.id)?.status, "succeeded", store.runs.get(run.id)?.message);
    assert.ok(seen.filter((t) => t === "heartbeat").length >= 3, seen.join(" "));
    assert.equal(store.events.after(0, 1_000, run.id).filter((e) => e.type === "heartbeat").length, 1);
  });

  test("ends what its build left running in a session of its own", async () => {
    const { run, subsystem, deps } = await claimed("v1.0.1", "setsid sleep 60 </dev/null >/dev/null 2>&1 & printf '#!/bin/sh\\necho 2\\n' > .bin/api-server; chmod +x .bin/api-server\n");
    await createEngine(deps).execute(run, subsystem, new AbortController().signal);
    assert.equal(store.runs.get(run.id)?.status, "succeeded", store.runs.get(run.id)?.message);
    assert.deepEqual(await pidsOfRun(run.id), []);
  });

  test("kills the whole tree of a build when the daemon stops, and leaves the run to the next start", async () => {
    const { run, subsystem, deps } = await claimed("v1.0.2", "trap '' TERM; sleep 60 & sleep 60\n");
    const stop = new AbortController();
    const done = createEngine(deps).execute(run, subsystem, stop.signal);
    await until(async () => (await pidsOfRun(run.id)).length >= 2, { what: "the build to run" });
    stop.abort();
    await done;
    assert.deepEqual(await pidsOfRun(run.id), []);
    assert.equal(store.runs.get(run.id)?.status, "running");
    store.runs.move(run.id, "cancelled");
  });

  test("keeps at most three earlier versions on disk", async () => {
    for (let n = 3; n <= 8; n++) {
      const { run, subsystem, deps } = await claimed(`v1.0.${n}`, `printf '#!/bin/sh\\necho ${n}\\n' > .bin/api-server; chmod +x .bin/api-server\n`);
      await createEngine(deps).execute(run, subsystem, new AbortController().signal);
      assert.equal(store.runs.get(run.id)?.status, "succeeded", store.runs.get(run.id)?.message);
    }
    assert.equal((await readdir(join(dir, "ws", "api", ".bin", ".previous"))).length, 3);
    assert.equal(store.versions.current("api")?.version, "v1.0.8");
    assert.deepEqual((await readdir(join(dir, "ws", ".slipstream", "build"))).length, 0);
  });
});
