import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { startLive } from "../../../src/config/live.ts";
import { ConfigError } from "../../../src/domain/errors.ts";
import { configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";

const NATS = taskfile("UPSTREAM_REPO: https://github.com/nats-io/nats-server", "VERSION: v2.10.24");
const start = async (t: Parameters<typeof configWorkspace>[0], more: Record<string, string> = {}) => {
  const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": NATS, ".slipstream/secrets.env": "WEBHOOK_SECRET=first-secret-of-sixteen\n", ...more });
  return { w, live: await startLive(() => w.load()) };
};

describe("a configuration that is followed", () => {
  it("is the same object while nothing in it changes, whatever is rewritten", async (t) => {
    const { w, live } = await start(t, { "slipstream.yaml": "log_level: info\n" });
    const first = live.current();
    await w.write("slipstream.yaml", "# a remark\nlog_level: info\n");
    assert.deepEqual(await live.reload(), { outcome: "unchanged" });
    assert.equal(live.current(), first);
  });

  it("is taken over whole when an edit is good", async (t) => {
    const { w, live } = await start(t);
    await w.write("nats/Taskfile.yml", NATS.replace("nats-server", "nats-fork"));
    const reloaded = await live.reload();
    assert.equal(reloaded.outcome, "taken");
    assert.equal(live.current().subsystems[0]?.upstream, "https://github.com/nats-io/nats-fork");
    assert.deepEqual(live.problems(), []);
  });

  it("counts a secret that only differs in its value", async (t) => {
    const { w, live } = await start(t);
    await w.write(".slipstream/secrets.env", "WEBHOOK_SECRET=other-secret-of-sixteen\n");
    assert.equal((await live.reload()).outcome, "taken");
    assert.equal(live.current().webhookSecrets[0]?.reveal(), "other-secret-of-sixteen");
  });

  it("stays as it was while an edit is wrong, with the file and line of what is wrong", async (t) => {
    const { w, live } = await start(t);
    const first = live.current();
    await w.write("slipstream.yaml", "log_level: info\nlimts: {}\n");
    const refused = await live.reload();
    assert.equal(refused.outcome, "refused");
    assert.deepEqual(live.problems().map((p) => [p.file, p.line]), [[join(w.dir, "slipstream.yaml"), 2]]);
    assert.equal(live.current(), first);
    await w.write("slipstream.yaml", "log_level: info\n");
    assert.equal((await live.reload()).outcome, "taken", "a repair is news even where it says what was in force");
    assert.deepEqual(live.problems(), []);
  });

  for (const [what, make] of [
    ["a file that is gone", async () => undefined],
    ["an empty file", (path: string) => writeFile(path, "# nothing\n")],
    ["a folder", (path: string) => mkdir(path)],
    ["a pipe", async (path: string) => void execFileSync("mkfifo", [path])],
    ["a link that leads nowhere", (path: string) => symlink("/nonexistent/slipstream.yaml", path)],
  ] as const) {
    it(`keeps its pins and policies where slipstream.yaml has become ${what}`, async (t) => {
      const { w, live } = await start(t, { "slipstream.yaml": "subsystems: { nats: { pin: v2.10.24 } }\n" });
      const path = join(w.dir, "slipstream.yaml");
      await rm(path);
      await make(path);
      assert.equal((await live.reload()).outcome, "refused");
      assert.deepEqual([live.current().subsystems[0]?.pin, live.problems().map((p) => p.file)], ["v2.10.24", [path]]);
      await rm(path, { force: true, recursive: true });
      await w.write("slipstream.yaml", "log_level: info\n");
      assert.equal((await live.reload()).outcome, "taken");
    });
  }

  it("goes back to the one before when the new one cannot be used, and tries it again", async (t) => {
    const { w, live } = await start(t, { "slipstream.yaml": "log_level: info\n" });
    const first = live.current();
    await w.write("slipstream.yaml", "log_level: warn\n");
    await live.reload();
    assert.deepEqual(live.refuse(new Error("no git")).map((p) => p.message), ["cannot be put into force: no git"]);
    assert.equal(live.current(), first);
    assert.equal((await live.reload()).outcome, "taken");
    assert.deepEqual([live.current().logLevel, live.problems()], ["warn", []]);
  });

  it("survives a workspace that cannot be read at all", async (t) => {
    const { w, live } = await start(t);
    await rm(w.dir, { recursive: true });
    assert.equal((await live.reload()).outcome, "refused");
    assert.equal(live.current().subsystems.length, 1);
  });

  it("names what counts only after a restart, until it is back as it was", async (t) => {
    const { w, live } = await start(t);
    await w.write("slipstream.yaml", "listen: { port: 9191 }\nstate_dir: .state\n");
    await w.write(".state/secrets.env", "WEBHOOK_SECRET=first-secret-of-sixteen\n");
    await live.reload();
    assert.deepEqual(live.restart(), ["listen", "state_dir"]);
    await w.write("slipstream.yaml", "log_level: info\n");
    await live.reload();
    assert.deepEqual(live.restart(), []);
  });

  it("knows every file that counts: those it read, those that are missing, those a broken edit asks for", async (t) => {
    const { w, live } = await start(t);
    const has = (...names: string[]) => live.files().has(join(w.dir, ...names));
    for (const name of ["slipstream.yaml", "slipstream.yml", "Taskfile.yml", "nats/Taskfile.yml", "process-compose.yaml", ".slipstream/secrets.env", "nats/.src"]) assert.ok(has(...name.split("/")), name);
    await w.write("Taskfile.yml", rootTaskfile("nats", "arc"));
    assert.equal((await live.reload()).outcome, "refused");
    assert.ok(has("arc", "Taskfile.yml"), "an include that is not there yet");
    assert.ok(has("nats", "Taskfile.yml"));
    await w.write("arc/Taskfile.yml", taskfile("UPSTREAM_REPO: https://github.com/acme/arc"));
    assert.equal((await live.reload()).outcome, "taken");
    assert.deepEqual(live.current().subsystems.map((s) => s.name), ["arc", "nats"]);
  });

  it("is not left without any subsystem by a file that was emptied", async (t) => {
    const { w, live } = await start(t);
    await w.write("Taskfile.yml", "");
    assert.equal((await live.reload()).outcome, "refused");
    assert.match(live.problems()[0]?.message ?? "", /leaves no subsystem, expected nats/);
    assert.equal(live.current().subsystems.length, 1);
  });

  it("names a process that vanished from the process-compose file, unless that is meant", async (t) => {
    const processes = "version: '0.5'\nprocesses: { nats: { command: ./nats/.bin/nats }, other: { command: 'true' } }\n";
    const { w, live } = await start(t, { "process-compose.yaml": processes });
    await w.write("process-compose.yaml", processes.replace("nats: {", "renamed: {").replace("./nats/.bin/nats", "true"));
    await live.reload();
    assert.deepEqual([...live.lost()], [["nats", "nats"]]);
    await w.write("slipstream.yaml", "subsystems: { nats: { process: false } }\n");
    await live.reload();
    assert.deepEqual([...live.lost()], []);
    await w.write("slipstream.yaml", "log_level: info\n");
    await w.write("process-compose.yaml", processes);
    await live.reload();
    assert.deepEqual([live.current().subsystems[0]?.process, ...live.lost()], ["nats"]);
  });

  it("does not start with a configuration that is wrong", async (t) => {
    const w = await configWorkspace(t, { "slipstream.yaml": "limts: {}\n" });
    await assert.rejects(startLive(() => w.load()), ConfigError);
  });
});
