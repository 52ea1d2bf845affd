import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { busyPorts, writeExample } from "../../src/adapters/example.ts";
import { childEnv } from "../../src/adapters/exec.ts";
import { EXAMPLE_BUILD, examplePlan } from "../../src/config/example.ts";
import { initialize } from "../../src/config/starter.ts";
import { ensureTools } from "../../tools/install.ts";
import { configWorkspace } from "../support/config-workspace.ts";
import { init, listing, NOW, report } from "../support/init.ts";
import { run, tempDir } from "../support/launcher.ts";

describe("slipstream init --example", () => {
  it("makes a workspace that the daemon accepts, and Task builds its first version", async (t) => {
    const dir = join(await tempDir(t), "try");
    const told = await report(dir, ["--example"]);
    assert.deepEqual(told.problems, []);
    assert.deepEqual(told.subsystems.map((s) => [s.name, s.mode, s.process]), [["clock", "source", "clock"], ["hello", "source", "hello"]]);
    assert.equal(told.supervisor, ".slipstream/pc.sock");
    assert.deepEqual(told.next.map((n) => n.command), [EXAMPLE_BUILD, "slipstream doctor", "process-compose up -t=false -U -u .slipstream/pc.sock", "slipstream simulate hello"]);
    for (const name of ["hello", "clock"]) {
      const git = (...args: string[]) => run(["git", "-C", join(dir, ".upstream", name), ...args], dir, childEnv(process.env)).then((r) => r.stdout.trim());
      assert.equal(await git("tag"), "v1.0.0\nv1.1.0");
      assert.equal(await git("status", "--porcelain"), "", "a person can go on from here");
      assert.equal(await git("log", "-1", "--format=%an <%ae> %ct"), `Example <example@localhost> ${NOW / 1000}`);
    }
    const { task } = await ensureTools();
    const built = await run([task, ...EXAMPLE_BUILD.split(" ").slice(1)] as [string, ...string[]], dir, childEnv(process.env), 180_000);
    assert.equal(built.exitCode, 0, built.stdout + built.stderr);
    for (const name of ["hello", "clock"]) assert.match(await readFile(join(dir, name, ".bin/.version"), "utf8"), /^version: v1\.0\.0$/m);
  });

  it("refuses a folder that holds a workspace, and touches nothing in it", async (t) => {
    for (const name of ["Taskfile.yml", "taskfile.yaml", "process-compose.yaml", "compose.yml", "slipstream.yaml", "hello/main.go", ".upstream/hello/x"]) {
      const w = await configWorkspace(t, { [name]: "# mine\n" });
      const before = await listing(w.dir);
      const { code, err } = await init(w.dir, ["--example"]);
      assert.equal(code, 64, name);
      assert.match(err, /is there, expected an empty folder/);
      assert.deepEqual(await listing(w.dir), before, name);
    }
  });

  it("goes into a folder with other files, and removes what it began when it fails", async (t) => {
    const w = await configWorkspace(t, { "notes.txt": "mine\n", taskfiles: "a file where a folder has to be\n" });
    const before = await listing(w.dir);
    const { code, err } = await init(w.dir, ["--example"]);
    assert.notEqual(code, 0);
    assert.match(err, /cannot be written/);
    assert.deepEqual(await listing(w.dir), before);
  });

  it("survives somebody else who makes the same one at once", async (t) => {
    const dir = join(await tempDir(t), "try");
    const ended = await Promise.allSettled([1, 2, 3].map(() => writeExample(dir, examplePlan(), NOW)));
    assert.equal(ended.filter((e) => e.status === "fulfilled").length, 1);
    assert.deepEqual((await report(dir)).subsystems.map((s) => s.name), ["clock", "hello"]);
  });

  it("writes nothing in a dry run, not even the folder", async (t) => {
    const dir = join(await tempDir(t), "try");
    const told = await report(dir, ["--example", "--dry-run"]);
    await assert.rejects(stat(dir));
    assert.ok(told.files.some((f) => f.path === "Taskfile.yml"));
    assert.match(told.files.find((f) => f.path === "slipstream.yaml")?.text ?? "", /socket: \.slipstream\/pc\.sock/);
  });

  it("says which of its ports are taken", async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    assert.deepEqual(await busyPorts([port]), [port]);
    const told = await initialize({ workspace: join(await tempDir(t), "try"), env: {}, now: NOW, example: true, dryRun: true, makeExample: writeExample, busyPorts: async (ports) => ports.slice(1, 2) });
    assert.deepEqual(told.open, [{ what: "port 9001 of 127.0.0.1 is in use, and the example needs it", todo: "stop what uses it, or change it in process-compose.yml" }]);
  });
});
