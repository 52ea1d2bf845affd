import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";

const NATS = taskfile("UPSTREAM_REPO: https://github.com/nats-io/nats-server", "BIN_NAME: nats-server");
const processes = (entries: Record<string, object>) => JSON.stringify({ processes: entries });
const workspace = (t: Parameters<typeof configWorkspace>[0], files: Record<string, string>) => configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": NATS, ...files });

describe("a subsystem is matched with the process that runs it", () => {
  for (const [what, entries, wanted] of [
    ["the one of its name", { nats: { command: "x" }, other: { command: "./nats/.bin/nats-server" } }, "nats"],
    ["the one that runs its binary", { a: { command: "exec ./nats/.bin/nats-server -p 1" }, b: { command: "./xnats/.bin/nats-server" }, c: { command: "nats/.bin/nats-server-old" } }, "a"],
    ["the one whose entrypoint is its binary", { a: { entrypoint: ["nats/.bin/nats-server", "-p"] } }, "a"],
    ["the one that runs it from its folder", { a: { command: "exec ./.bin/nats-server", working_dir: "./nats" }, b: { command: "exec ./.bin/nats-server", working_dir: "./arc" } }, "a"],
    ["the one that runs its task", { a: { command: "task nats:run" }, b: { command: "task nats:runner" }, c: { command: "task arc:run" } }, "a"],
    ["none of two that run it", { a: { command: "nats/.bin/nats-server" }, b: { command: "task nats:run" } }, null],
    ["none", { a: { command: "sleep 1" } }, null],
  ] as const) {
    it(what, async (t) => {
      const config = await (await workspace(t, { "process-compose.yml": processes(entries) })).load();
      assert.equal(config.subsystems[0]?.process, wanted);
      assert.equal(config.warnings.some((w) => w.includes("set subsystems.nats.process")), what.includes("two"));
    });
  }

  it("the absolute path of its binary", async (t) => {
    const w = await workspace(t, {});
    await w.write("process-compose.yaml", processes({ broker: { command: `exec "${join(w.dir, "nats/.bin/nats-server")}" -p` } }));
    assert.equal((await w.load()).subsystems[0]?.process, "broker");
  });

  it("the configured one, or none when process is false", async (t) => {
    const w = await workspace(t, { "process-compose.yml": processes({ nats: { command: "x" }, broker: { command: "y" } }), "slipstream.yaml": "subsystems: { nats: { process: broker } }" });
    assert.equal((await w.load()).subsystems[0]?.process, "broker");
    await w.write("slipstream.yaml", "subsystems: { nats: { process: false } }");
    assert.equal((await w.load()).subsystems[0]?.process, null);
    await w.write("slipstream.yaml", "subsystems:\n  nats:\n    process: gone");
    const problems = await w.problems();
    assert.deepEqual(problems.map((p) => [p.file, p.line]), [["slipstream.yaml", 3]]);
    assert.match(problems[0]?.message ?? "", /process of nats is gone, expected one that \S+process-compose\.yml has/);
  });

  it("keeps the configured one when there is no process-compose file", async (t) => {
    const w = await workspace(t, { "slipstream.yaml": "subsystems: { nats: { process: broker } }" });
    assert.equal((await w.load()).subsystems[0]?.process, "broker");
  });
});

describe("the process-compose file", () => {
  const wanted = async (files: Record<string, string>, env: Record<string, string>, t: Parameters<typeof configWorkspace>[0]) => {
    const w = await workspace(t, files);
    return (await w.load({ env: { PC_PORT_NUM: "1", ...env } })).supervisor?.file?.slice(w.dir.length + 1);
  };
  const ours = processes({ nats: { command: "x" } });

  it("is the configured one, then PC_CONFIG_FILES, then the one in the workspace", async (t) => {
    const files = { "process-compose.yml": ours, "a.yml": ours, "b.yml": ours, "slipstream.yaml": "process_compose: { file: a.yml }" };
    assert.equal(await wanted(files, { PC_CONFIG_FILES: "b.yml" }, t), "a.yml");
    assert.equal(await wanted({ ...files, "slipstream.yaml": "" }, { PC_CONFIG_FILES: "b.yml" }, t), "b.yml");
    assert.equal(await wanted({ ...files, "slipstream.yaml": "" }, {}, t), "process-compose.yml");
  });

  it("is a compose.yml only when it has processes", async (t) => {
    assert.equal(await wanted({ "compose.yml": "services: {}" }, {}, t), undefined);
    assert.equal(await wanted({ "compose.yml": "services: {}", "compose.yaml": ours }, {}, t), "compose.yaml");
  });

  it("that is named but missing, or broken, is a problem", async (t) => {
    const w = await workspace(t, { "slipstream.yaml": "process_compose: { file: gone.yml }" });
    assert.deepEqual((await w.problems()).map((p) => p.file), ["gone.yml"]);
    const broken = await workspace(t, { "process-compose.yml": "processes:\n  a: [\n" });
    assert.deepEqual((await broken.problems()).map((p) => [p.file, p.line]), [["process-compose.yml", 3]]);
  });
});

describe("what supervises or runs slipstream is not managed", () => {
  const note = async (t: Parameters<typeof configWorkspace>[0], binary: string, env = {}) => {
    const w = await workspace(t, { "nats/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/a/b", `BIN_NAME: ${binary}`), "process-compose.yml": processes({ nats: { command: "x" } }) });
    return (await w.load({ env })).subsystems[0]?.notManaged;
  };
  it("its own process", async (t) => assert.match((await note(t, "nats-server", { PC_PROC_NAME: "nats" })) ?? "", /process nats runs slipstream itself/));
  it("Process Compose", async (t) => assert.match((await note(t, "process-compose")) ?? "", /supervises every process/));
  it("slipstream", async (t) => assert.match((await note(t, "slipstream")) ?? "", /slipstream itself/));
  it("and nothing else", async (t) => assert.equal(await note(t, "nats-server", { PC_PROC_NAME: "slipstream" }), undefined));
});

describe("Process Compose's own watch", () => {
  const watching = async (t: Parameters<typeof configWorkspace>[0], paths: readonly object[], extra: object = {}) => {
    const w = await workspace(t, { "process-compose.yml": JSON.stringify({ processes: { nats: { command: "x", ...extra, watch: { paths } } } }, null, 1) });
    return (await w.load()).warnings.filter((text) => text.includes("is watched by Process Compose"));
  };

  for (const [what, paths, seen, extra] of [
    ["the program itself", [{ path: "nats/.bin/nats-server" }], 1],
    ["its folder", [{ path: "./nats/.bin" }], 1],
    ["its folder, relative to the working directory", [{ path: ".bin" }], 1, { working_dir: "nats" }],
    ["the whole workspace", [{ path: "." }], 1],
    ["both", [{ path: "nats" }, { path: "nats/.bin", include: ["nats-*"] }], 2],
    ["every file of some name", [{ path: ".", include: ["**/.bin/{nats,other}-server"] }], 1],
    ["only sources", [{ path: "nats", include: ["*.go", "src/**"] }], 0],
    ["all but what is built", [{ path: ".", exclude: ["**/.bin/**"] }], 0],
    ["all but the folder of that name", [{ path: "nats", exclude: [".bin"] }], 0],
    ["the program left out, and not its version beside it", [{ path: "nats/.bin", exclude: ["nats-server"] }], 1],
    ["a neighbour", [{ path: "nats2/.bin" }, { path: "nats/.binary" }], 0],
  ] as const) {
    it(`on ${what} is ${seen === 0 ? "no trouble" : "warned about at the start"}`, async (t) => {
      assert.equal((await watching(t, paths, extra)).length, seen);
    });
  }

  it("leaves out folders such as vendor, unless it is told not to", async (t) => {
    const w = await workspace(t, { "slipstream.yaml": "subsystems: { nats: { dir: vendor/nats } }" });
    for (const [more, seen] of [[{}, 0], [{ disable_default_excludes: true }, 1]] as const) {
      await w.write("process-compose.yml", processes({ nats: { command: "x", watch: { paths: [{ path: ".", ...more }] } } }));
      assert.equal((await w.load()).warnings.filter((text) => text.includes("is watched by")).length, seen);
    }
  });

  it("is warned about with its line", async (t) => {
    const w = await workspace(t, { "process-compose.yml": "x: &watched\n  watch:\n    paths:\n      - path: nats/.bin\nprocesses:\n  nats:\n    <<: *watched\n    command: x\n" });
    assert.match((await w.load()).warnings.join("\n"), /process nats is watched by Process Compose \(\S+process-compose\.yml:4\)/);
  });

  it("of a process that no subsystem has is nobody's concern", async (t) => {
    const w = await workspace(t, { "process-compose.yml": processes({ web: { command: "y", watch: { paths: [{ path: "." }] } } }) });
    assert.doesNotMatch((await w.load()).warnings.join("\n"), /is watched/);
  });
});
