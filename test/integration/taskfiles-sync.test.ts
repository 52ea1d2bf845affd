/** The shipped `sync:*` and root tasks under real Task, and that configuration sees what Task sees. */

import assert from "node:assert/strict";
import { chmod, cp, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadConfig } from "../../src/config/load.ts";
import { ROOT } from "../support/launcher.ts";
import { createTaskfileFixture, LIMIT_MS, run, type TaskfileFixture } from "../support/taskfile-workspace.ts";

let place: TaskfileFixture;
before(async () => {
  place = await createTaskfileFixture();
});
after(() => place.close());

describe("the sync and root tasks", { timeout: LIMIT_MS }, () => {
  it("call slipstream, under both names", async () => {
    const w = await place.workspace();
    const said = async (...args: string[]) => (await w.ok(...args, "SLIPSTREAM=echo")).replaceAll(w.dir, "W");
    assert.equal(await said("sync:check"), "check --workspace W all");
    assert.equal(await said("version:check", "SUBSYSTEM=nats"), "check --workspace W nats");
    assert.equal(await said("sync:update", "SUBSYSTEM=nats"), "update --workspace W nats");
    assert.equal(await said("version:update"), "update --workspace W --all");
    assert.equal(await said("sync:status"), "status --workspace W");
    assert.equal(await said("sync:why", "SUBSYSTEM=nats"), "why --workspace W nats");
    assert.equal(await said("sync:run", "SYNC_PORT=9000"), "watch --workspace W --port 9000");
    assert.equal((await run([place.tools.task, "sync:check", "SLIPSTREAM=echo", "--", "--json"], w.dir)).stdout, `check --workspace ${w.dir} all --json`);
    place.files.set("/health", Buffer.from('{"status":"ok"}'));
    assert.equal(await w.ok("sync:health", `SYNC_PORT=${new URL(place.url).port}`), '{"status":"ok"}');
  });

  it("refuse a SUBSYSTEM or PROC that is no name", async () => {
    const w = await place.workspace();
    for (const evil of ["a;touch pwned", "$(touch pwned)", "'; touch pwned; '", "-x", "A"]) {
      for (const task of ["sync:check", "sync:update", "sync:why"]) await w.fails(/SUBSYSTEM is .*, expected small letters/, task, "SLIPSTREAM=echo", `SUBSYSTEM=${evil}`);
      const reload = await run([place.tools.task, "reload", "SLIPSTREAM=echo", `PROC=${evil === "A" ? "" : evil}`], ROOT);
      assert.notEqual(reload.exitCode, 0);
      assert.match(reload.stderr, /PROC is .*, expected the name of a process/);
    }
    assert.deepEqual((await readdir(w.dir)).filter((f) => f.includes("pwned")), []);
    assert.equal((await run([place.tools.task, "reload", "SLIPSTREAM=echo", "PROC=nats"], ROOT)).stdout, `reload --workspace ${ROOT} nats`);
  });

  it("start:fg hands the socket to Process Compose and its children, in a folder nobody else enters", async () => {
    const dir = await place.folder();
    for (const file of ["Taskfile.yml", "process-compose.yml", "taskfiles"]) await cp(join(ROOT, file), join(dir, file), { recursive: true });
    const fake = join(dir, "echo-pc");
    await writeFile(fake, '#!/bin/sh\necho "$PC_SOCKET_PATH" "$@"\nstat -c %a .slipstream\n');
    await chmod(fake, 0o755);
    const socket = join(dir, ".slipstream/pc.sock");
    assert.equal((await run([place.tools.task, "start:fg", `PROCESS_COMPOSE=${fake}`], dir)).stdout, `${socket} up -f ${dir}/process-compose.yml -t=false -U -u ${socket}\n700`);
  });

  it("the process-compose file is valid for Process Compose", async () => {
    const result = await run([place.tools.processCompose, "up", "-f", "process-compose.yml", "--dry-run", "-t=false", "-L", join(await place.folder(), "pc.log")], ROOT);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(`${result.stdout}${result.stderr}`, /Validated 3 configured processes/);
  });
});

describe("slipstream reads the same values from the Taskfiles as Task does", { timeout: LIMIT_MS }, () => {
  it("for every scope and every default", async () => {
    const w = await place.workspace({ VERSION: '{{.VERSION | default .PIN | default "v1.0.0"}}', UPSTREAM_REPO: "https://{{.HOST}}/{{.OWNER | default `acme`}}/{{env \"REPO\"}}.git" });
    const file = join(w.dir, "Taskfile.yml");
    const taskfile = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
    const show = { cmds: ["echo '{{.UPSTREAM_REPO}} {{.VERSION}} {{.BIN_NAME}} {{.UPSTREAM_BRANCH}}'"], silent: true };
    const shipped = join(w.dir, "taskfiles/subsystem.yml");
    await writeFile(shipped, (await readFile(shipped, "utf8")).replace("\ntasks:\n", `\ntasks:\n  show: ${JSON.stringify(show)}\n`));
    for (const [vars, env] of [
      [{ HOST: "root.example" }, { REPO: "r1", HOST: "env.example" }],
      [{ HOST: "{{.BASE}}.example", BASE: "late" }, { REPO: "r2", BASE: "env" }],
      [{ BASE: "b", HOST: '{{default "x" .BASE}}.example', PIN: "v3.0.0", OWNER: "me" }, { REPO: "r3" }],
      [{ HOST: "h.example" }, { REPO: "r4", VERSION: "v4.0.0", UPSTREAM_BRANCH: "dev", BIN_NAME: "leak" }],
    ] as [Record<string, string>, Record<string, string>][]) {
      await writeFile(file, JSON.stringify({ ...taskfile, vars }));
      const [hello] = (await loadConfig({ workspace: w.dir, env })).subsystems;
      const told = await run([place.tools.task, "hello:show"], w.dir, env);
      assert.equal(`${hello?.upstream} ${hello?.declaredVersion} ${hello?.binary} ${hello?.branch}`, told.stdout, told.stderr);
      assert.equal(basename(hello?.dir ?? ""), "hello");
    }
  });
});
