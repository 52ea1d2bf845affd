/** A daemon that is edited while it runs: its configuration, its secrets, the Taskfiles, the process file, and a program that somebody builds by hand. */

import assert from "node:assert/strict";
import { appendFile, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse, stringify } from "yaml";
import type { App, StatusView, SubsystemStatus } from "../../src/domain/app.ts";
import { releasePublished, tagPushed } from "../support/github.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { assertRestarted, endOf, operatorOf, runOf, told, verdictOn } from "../support/story.ts";
import { until } from "../support/wait.ts";
import { createWorkspace, type Workspace } from "../support/workspace.ts";
import { runTool } from "../support/workspace-io.ts";

// biome-ignore lint/suspicious/noExplicitAny: the file as people write it
type Any = any;

describe("a running daemon", { timeout: 240_000 }, () => {
  let ws: Workspace;
  let app: App;
  let pid: number | undefined;
  const path = (...names: string[]) => join(ws.dir, ...names);
  /** Edits slipstream.yaml the way editors save: a new file in the place of the old one. */
  const edit = async (change: (file: Any) => void) => {
    const file = parse(await readFile(path("slipstream.yaml"), "utf8"));
    change(file);
    await writeFile(path("slipstream.yaml.new"), stringify(file));
    await rename(path("slipstream.yaml.new"), path("slipstream.yaml"));
  };
  const statusWhen = (what: string, holds: (view: StatusView) => boolean) => until(async () => (await app.status().then((v) => (holds(v) ? v : null))), { what, onTimeout: async () => JSON.stringify(await app.status()) });
  const one = (view: StatusView, name: string) => view.subsystems.find((s) => s.name === name) as SubsystemStatus;
  const problem = (view: StatusView, pattern: RegExp) => view.problems.some((p) => pattern.test(p));

  before(async () => {
    ws = await createWorkspace({ soak: "300ms" });
    await ws.start({ daemon: true });
    app = operatorOf(ws);
    ({ pid } = (await app.status()).daemon);
  });
  after(() => ws.close());

  test("takes over an edit of slipstream.yaml without a restart", async () => {
    const { commit } = await ws.upstreams.web.release("v1.1.0");
    const before = await ws.deliver(tagPushed("octo-forks/other", "v1.1.0", commit));
    assert.equal(before.answer.body.reason, "repository-not-configured");
    await edit((file) => {
      file.subsystems.web = { repositories: ["octo-forks/web", "octo-forks/other"], branch: "release" };
      file.subsystems.worker = { enabled: false };
    });
    await statusWhen("the subsystem that was turned off to go", (v) => v.subsystems.length === 2);
    const sent = await ws.deliver(releasePublished("octo-forks/other", "v1.1.0"));
    const run = await runOf(app, sent);
    assert.equal(run.status, "succeeded", `a fork that was added counts: ${told(run)}`);
    await edit((file) => {
      file.subsystems.worker = {};
    });
    await statusWhen("the subsystem to come back", (v) => v.subsystems.length === 3);
    assert.equal((await app.status()).daemon.pid, pid, "the daemon is the same process");
  });

  test("keeps the last good configuration while an edit is wrong, and says so with file and line", async () => {
    const good = await readFile(path("slipstream.yaml"), "utf8");
    await writeFile(path("slipstream.yaml"), `${good}\nlimts: {}\n`);
    const line = good.split("\n").length + 1;
    const view = await statusWhen("the problem to be shown", (v) => problem(v, /limts/));
    assert.ok(problem(view, new RegExp(`slipstream\\.yaml:${line}: .*limts.*last good configuration stays in force`)), JSON.stringify(view.problems));
    const said = await ws.cli(["status"]);
    assert.equal(said.exitCode, 0, `the daemon is asked although the file is wrong: ${said.stderr}`);
    assert.match(said.stdout, /warning: .*slipstream\.yaml:\d+: limts/);
    const { commit } = await ws.upstreams.api.release("v1.1.0");
    const run = await runOf(app, await ws.deliver(tagPushed("acme/api", "v1.1.0", commit)));
    assert.equal(run.status, "succeeded", told(run));
    assert.equal(await ws.version("api"), "v1.1.0");
    await writeFile(path("slipstream.yaml"), good);
    await statusWhen("the problem to go", (v) => !problem(v, /limts/));
  });

  test("keeps the last good configuration while a Taskfile is broken, and takes over its repair", async () => {
    const good = await readFile(path("worker", "Taskfile.yml"), "utf8");
    await writeFile(path("worker", "Taskfile.yml"), `vars: {\n${good}`);
    await statusWhen("the broken Taskfile to be named", (v) => problem(v, /worker\/Taskfile\.yml:\d+: is not valid YAML/));
    assert.equal((await app.status()).subsystems.length, 3);
    await writeFile(path("worker", "Taskfile.yml"), good.replace('default "v1.0.0"', 'default "v1.0.1"'));
    await statusWhen("the problem to go", (v) => v.problems.every((p) => !p.includes("Taskfile.yml:")));
  });

  test("follows the process file", async () => {
    const good = await readFile(path("process-compose.yaml"), "utf8");
    const changed = parse(good) as Any;
    const { jobs, ...rest } = changed.processes;
    await writeFile(path("process-compose.yaml"), stringify({ ...changed, processes: { ...rest, "jobs-two": jobs } }));
    await statusWhen("the other process to be found", (v) => one(v, "worker").process === "jobs-two");
    await writeFile(path("process-compose.yaml"), good);
    await statusWhen("the process to be as before", (v) => one(v, "worker").process === "jobs");
  });

  test("accepts a new secret at once, and no longer one that was removed", async () => {
    const secrets = path(".slipstream", "secrets.env");
    const first = await readFile(secrets, "utf8");
    const second = "a-second-secret-of-more-than-sixteen-characters";
    const news = () => releasePublished("acme/api", "v0.9.0", { id: Math.ceil(performance.now() * 1000) });
    assert.equal((await ws.deliver(news(), { secret: second })).answer.status, 401);
    await appendFile(secrets, `WEBHOOK_SECRET_NEXT=${second}\n`);
    await until(async () => (await ws.deliver(news(), { secret: second })).answer.status === 202, { what: "the new secret to be accepted" });
    assert.equal((await ws.deliver(news())).answer.status, 202, "the old one still is");
    await writeFile(secrets, `WEBHOOK_SECRET_NEXT=${second}\n`);
    await until(async () => (await ws.deliver(news())).answer.status === 401, { what: "the removed secret to be refused" });
    await writeFile(secrets, "");
    await statusWhen("the missing secret to be named", (v) => problem(v, /WEBHOOK_SECRET is missing/));
    assert.equal((await ws.deliver(news(), { secret: second })).answer.status, 202, "without any the last good ones stay");
    await writeFile(secrets, first);
    await until(async () => (await ws.deliver(news())).answer.status === 202, { what: "the first secret to be back" });
  });

  test("lets a run that is under way end as it began", async () => {
    const gate = path("gate");
    const build = `while [ ! -e '${gate}' ]; do sleep 0.1; done; cd .src && go build -buildvcs=false -o ../.bin/worker .`;
    await edit((file) => {
      file.subsystems.worker = { build: { command: ["sh", "-c", build] } };
      file.subsystems.web.strategy = "commits";
    });
    await statusWhen("the edit to be taken over", (v) => one(v, "web").strategy === "commits");
    const { commit } = await ws.upstreams.worker.release("v1.1.0");
    const sent = await ws.deliver(tagPushed("acme/worker", "v1.1.0", commit));
    const { runId = "" } = await verdictOn(app, sent);
    await until(async () => (await app.run(runId)).stages.some((s) => s.name === "build" && s.status === "running"), { what: "the build to be under way" });
    await edit((file) => {
      file.subsystems.worker = { build: { command: ["sh", "-c", "exit 9"] } };
      file.subsystems.web.strategy = "tags";
    });
    await statusWhen("the second edit to be taken over", (v) => one(v, "web").strategy === "tags");
    await mkdir(gate);
    const run = await endOf(app, runId);
    assert.equal(run.status, "succeeded", told(run));
    const next = await ws.upstreams.worker.release("v1.2.0");
    const failed = await runOf(app, await ws.deliver(tagPushed("acme/worker", "v1.2.0", next.commit)));
    assert.deepEqual([failed.status, failed.failedStage], ["failed", "build"], "the next one takes the edit");
    assert.match(failed.message ?? "", /exit code 9/);
  });

  test("notices a program that was built by hand, checks it against its .version, and leaves its process alone", async () => {
    const before = await takeSnapshot(ws);
    const { digest: known } = one(await app.status(), "api").current as { digest: string };
    await ws.upstreams.api.release("v1.2.0");
    await byHand("v1.2.0");
    const view = await statusWhen("the change to be noticed and verified", (v) => one(v, "api").drift?.verified === true);
    const { drift, current } = one(view, "api");
    assert.deepEqual([drift?.before, drift?.digest, drift?.version, current?.version], [known, await ws.digest("api"), "v1.2.0", "v1.2.0"]);
    assert.equal((await takeSnapshot(ws)).get("api")?.pid, before.get("api")?.pid, "nothing was restarted");
    const said = await ws.cli(["status"]);
    assert.match(said.stdout, /api .*changed by hand .*verified.*slipstream reload api/);
    assert.ok((await app.events({ after: 0 })).some((e) => e.type === "drift_found" && e.subsystem === "api"));
  });

  test("a reload settles it", async () => {
    const before = await takeSnapshot(ws);
    assert.equal((await ws.cli(["reload", "api"])).exitCode, 0);
    await assertRestarted(ws, before, ["api"]);
    assert.equal(one(await app.status(), "api").drift, undefined);
    assert.equal(await ws.version("api"), "v1.2.0");
  });

  test("says when a program does not fit its .version, and never restarts it by itself", async () => {
    await edit((file) => {
      file.subsystems.api = { ...file.subsystems.api, drift: "reload" };
      file.subsystems.web.strategy = "commits";
    });
    await statusWhen("the edit to be taken over", (v) => one(v, "web").strategy === "commits");
    const before = await takeSnapshot(ws);
    const program = await readFile(path("api", ".bin", "api-server"));
    await writeFile(path("odd"), Buffer.concat([program, Buffer.from("\n")]), { mode: 0o755 });
    await rename(path("odd"), path("api", ".bin", "api-server"));
    const { drift } = one(await statusWhen("the change to be noticed", (v) => one(v, "api").drift !== undefined), "api");
    assert.equal(drift?.verified, false);
    assert.match(drift?.detail ?? "", /another program's/);
    assert.equal((await takeSnapshot(ws)).get("api")?.pid, before.get("api")?.pid);
  });

  test("restarts what was built by hand where the configuration says so", async () => {
    const before = await takeSnapshot(ws);
    await ws.upstreams.api.release("v1.3.0");
    await byHand("v1.3.0");
    await until(async () => (await ws.version("api")) === "v1.3.0", { what: "the program to be restarted", onTimeout: async () => JSON.stringify(await app.status()) });
    const [run] = await app.runs({ subsystem: "api" });
    const ended = await endOf(app, run?.id ?? "");
    assert.deepEqual([ended.kind, ended.actor, ended.status], ["reload", "drift", "succeeded"], told(ended));
    await assertRestarted(ws, before, ["api"]);
    assert.equal(one(await app.status(), "api").drift, undefined);
    assert.equal((await app.status()).daemon.pid, pid, "the daemon is the same process to the end");
  });

  /** What a developer does: `task api:src:update api:bin:build`. */
  async function byHand(version: string): Promise<void> {
    await runTool([ws.tools.task, "-d", ws.dir, "api:src:update", `VERSION=${version}`], ws.dir);
    await runTool([ws.tools.task, "-d", ws.dir, "api:bin:build", `VERSION=${version}`], ws.dir);
  }
});
