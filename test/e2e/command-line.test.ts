/** What the command line does when no daemon runs: it looks without writing, and does the whole work itself. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { CheckEntry, RunView, StatusView, UpdatePreview, WhyView } from "../../src/domain/app.ts";
import { leftoversOf } from "../support/leftovers.ts";
import { startProcessCompose } from "../support/process-compose.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, binOf, told } from "../support/story.ts";
import { createWorkspace, type Workspace } from "../support/workspace.ts";
import { slipstreamYaml } from "../support/workspace-files.ts";
import type { CliResult } from "../support/workspace-io.ts";

const SOAK = "300ms";
const runFrom = (result: CliResult): RunView => JSON.parse(result.stdout);

describe("without a daemon the operator", { timeout: 240_000 }, () => {
  let ws: Workspace;
  /** Rewrites `slipstream.yaml`; the next start reads it. */
  const configure = (more: Record<string, unknown> = {}) => writeFile(join(ws.dir, "slipstream.yaml"), slipstreamYaml(ws.places, { soak: SOAK, more }));

  before(async () => {
    ws = await createWorkspace({ soak: SOAK });
    await ws.start({ daemon: false });
  });
  after(() => ws.close());

  test("sees what is installed and what there is upstream; looking writes nothing", async () => {
    await ws.upstreams.api.release("v1.0.1");
    const status: StatusView = await ws.json(["status"]);
    assert.equal(status.daemon.running, false);
    assert.deepEqual(status.subsystems.map((s) => [s.name, s.current?.version, s.process]), [["api", "v1.0.0", "api"], ["web", "v1.0.0", "web"], ["worker", "v1.0.0", "jobs"]]);
    const check: Record<string, CheckEntry> = await ws.json(["check"]);
    assert.deepEqual(check["api"], { name: "api", current: "v1.0.0", latest: "v1.0.1", update_available: true });
    assert.equal(check["web"]?.update_available, false);
    const preview: UpdatePreview = await ws.json(["update", "api", "--dry-run"]);
    assert.deepEqual([preview.verdict, preview.from, preview.to, preview.restarts], ["update", "v1.0.0", "v1.0.1", "api"]);
    assert.deepEqual((await ws.json(["why", "api"]) as WhyView).deliveries, []);
    assert.deepEqual(await ws.json(["runs"]), []);
    assert.equal(existsSync(join(ws.dir, ".slipstream", "slipstream.db")), false);
  });

  test("update does the whole update in the command itself; of two at once, one is told that the workspace is in use", async () => {
    const first = await takeSnapshot(ws);
    const results = await Promise.all([ws.cli(["update", "api", "--json"]), ws.cli(["update", "api", "--json"])]);
    assert.deepEqual(results.map((r) => r.exitCode).sort(), [0, 4]);
    const [done, refused] = results.sort((a, b) => a.exitCode - b.exitCode) as [CliResult, CliResult];
    assert.equal(JSON.parse(refused.stdout).error.code, "workspace-locked");
    const run = runFrom(done);
    assert.deepEqual([run.status, run.trigger, run.fromVersion, run.toVersion, run.context.health?.digestProved], ["succeeded", "operator", "v1.0.0", "v1.0.1", true], told(run));
    await assertRestarted(ws, first, ["api"]);
    assert.equal(await ws.version("api"), "v1.0.1");
    const again = await ws.cli(["update", "api", "--json"]);
    assert.deepEqual([again.exitCode, JSON.parse(again.stdout).reason], [0, "already-current"]);
  });

  test("a subsystem without a process is done once its program is swapped; reload starts what is installed", async () => {
    await configure({ subsystems: { web: { process: false } } });
    await ws.upstreams.web.release("v1.0.1");
    const first = await takeSnapshot(ws);
    const run: RunView = await ws.json(["update", "web"]);
    const { stages } = (await ws.json(["runs", run.id])) as RunView;
    assert.deepEqual([run.status, stages.at(-1)?.name], ["succeeded", "swap"], told(run));
    const now = await takeSnapshot(ws);
    assert.equal(now.get("web")?.pid, first.get("web")?.pid, "it was not restarted");
    assert.equal(now.get("web")?.installed, run.context.digest);
    await configure();
    const reload: RunView = await ws.json(["reload", "web"]);
    assert.deepEqual([reload.status, reload.context.health?.digestProved], ["succeeded", true], told(reload));
    await assertRestarted(ws, now, ["web"]);
    assert.equal(await ws.version("web"), "v1.0.1");
  });

  test("nothing is swapped when stopping the process would end its project, nor when Process Compose is away", async () => {
    await ws.upstreams.web.release("v1.0.2");
    const dir = join(ws.dir, "other");
    const processes = { web: { command: "sleep 300", availability: { exit_on_end: true } }, lone: { command: "sleep 300" } };
    const other = await startProcessCompose({ dir, yaml: JSON.stringify({ version: "0.5", is_tui_disabled: true, processes }), binary: ws.tools.processCompose });
    const [first, bin] = [await takeSnapshot(ws), await binOf(ws, "web")];
    try {
      await configure({ process_compose: { socket: join(dir, "pc.sock") } });
      const unsafe = await ws.cli(["update", "web", "--json"]);
      assert.deepEqual([unsafe.exitCode, runFrom(unsafe).code, runFrom(unsafe).context.swap], [1, "unsafe-process-config", undefined], told(runFrom(unsafe)));
    } finally {
      await other.close();
    }
    const away = await ws.cli(["update", "web", "--json"]);
    assert.deepEqual([away.exitCode, runFrom(away).code, runFrom(away).context.swap], [1, "supervisor-unreachable", undefined], told(runFrom(away)));
    await configure();
    assert.deepEqual(await binOf(ws, "web"), bin);
    await assertRestarted(ws, first, []);
  });

  test("a build that does not end in its time is ended with its children, and nothing is touched", async () => {
    await configure({ subsystems: { worker: { build: { command: ["sh", "-c", "sleep 500"], timeout: "1s" } } } });
    await ws.upstreams.worker.release("v1.0.1");
    const first = await takeSnapshot(ws);
    const { exitCode, stdout } = await ws.cli(["update", "worker", "--json"]);
    const run: RunView = JSON.parse(stdout);
    assert.deepEqual([exitCode, run.code, run.failedStage], [1, "timed-out", "build"], told(run));
    assert.deepEqual((await leftoversOf(ws.dir)).filter((p) => p.command.includes("sleep 500")), []);
    await configure();
    await assertRestarted(ws, first, []);
  });

  test("a rollback with nothing kept says so and fails", async () => {
    const { exitCode, stdout } = await ws.cli(["rollback", "worker"]);
    assert.equal(exitCode, 1);
    assert.match(stdout, /no-previous-version: no earlier version of worker is kept/);
  });

  test("mistakes end with 64 and name what to change", async () => {
    const cases: [readonly [string, ...string[]], RegExp][] = [
      [["update", "nobody"], /"nobody" is unknown/],
      [["why", "nobody"], /expected one of: api, web, worker/],
      [["runs", "0000"], /run 0000 is unknown/],
      [["update"], /the name of a subsystem, --all or --changed/],
      [["frobnicate"], /unknown command/],
      [["status", "--colour"], /unknown option/],
    ];
    for (const [args, said] of cases) {
      const { exitCode, stderr } = await ws.cli(args);
      assert.equal(exitCode, 64, `${args.join(" ")}: ${stderr}`);
      assert.match(stderr, said);
    }
    await configure({ subsystems: { api: { helth: {} }, nobody: {} } });
    const { exitCode, stderr } = await ws.cli(["watch"]);
    await configure();
    assert.equal(exitCode, 64);
    assert.match(stderr, /slipstream\.yaml:\d+: .*helth/);
    assert.match(stderr, /slipstream\.yaml:\d+: .*nobody/);
  });
});
