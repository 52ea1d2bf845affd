import assert from "node:assert/strict";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DEFAULT_POLICY } from "../../../src/domain/policy.ts";
import { type ConfigWorkspace, configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";

const NATS = taskfile("UPSTREAM_REPO: https://github.com/nats-io/nats-server", "VERSION: v2.10.24");
const workspace = (t: Parameters<typeof configWorkspace>[0], own: string, more: Record<string, string> = {}) =>
  configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": NATS, "slipstream.yaml": own, ...more });
const brief = async (w: ConfigWorkspace, more?: Parameters<ConfigWorkspace["problems"]>[0]) => (await w.problems(more)).map((p) => `${p.file}${p.line === undefined ? "" : `:${p.line}`} ${p.message}`);

describe("a workspace without slipstream.yaml works with safe defaults", () => {
  it("listens on loopback only and runs two updates at a time", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": NATS });
    const config = await w.load({ env: { PATH: "/bin" } });
    assert.deepEqual(
      { ...config, subsystems: config.subsystems.map((s) => [s.name, s.health, s.policy, s.timeouts]) },
      {
        workspace: w.dir,
        stateDir: join(w.dir, ".slipstream"),
        rootTaskfile: join(w.dir, "Taskfile.yml"),
        listen: { host: "127.0.0.1", port: 8080 },
        supervisor: null,
        git: { engine: "auto", maxBytes: 1024 ** 3, timeoutMs: 600_000 },
        limits: { parallelRuns: 2 },
        tools: { task: "task" },
        webhookSecrets: [],
        receivers: [],
        secrets: [],
        subsystems: [["nats", { soakMs: 10_000, timeoutMs: 60_000, proof: "required" }, DEFAULT_POLICY, { source: 600_000, build: 1_800_000, test: 900_000 }]],
        withoutProcess: [],
        warnings: [],
        childEnv: { PATH: "/bin" },
        logLevel: "info",
      },
    );
  });

  it("accepts an empty slipstream.yaml", async (t) => {
    assert.equal((await (await workspace(t, "# nothing yet\n")).load()).subsystems.length, 1);
  });
});

describe("slipstream.yaml outranks the Taskfiles", () => {
  it("overrides everything of a subsystem", async (t) => {
    const own = `
subsystems:
  nats:
    dir: elsewhere
    mode: source
    upstream: https://github.com/our/nats
    repositories: [nats-io/nats-server, 'https://github.com/Fork/NATS.git']
    branch: dev
    strategy: commits
    pin: v2.10.30
    binary: nats-server
    process: false
    build: { command: [make, all], vars: { TAGS: x }, timeout: 90 }
    test: { task: 'nats:test', timeout: 2h }
    smoke: { command: [.bin/nats-server, --version] }
    health: { soak: 500ms }
    policy: { major: auto, approval_wait: 1h30m }
defaults:
  health: { soak: 3s, timeout: 5m }
  policy: { minor: approval, major: refuse }
`;
    const [nats] = (await (await workspace(t, own)).load()).subsystems;
    assert.deepEqual([nats?.mode, nats?.branch, nats?.strategy, nats?.pin, nats?.binary, nats?.process], ["source", "dev", "commits", "v2.10.30", "nats-server", null]);
    assert.deepEqual(nats?.repositories, ["our/nats", "nats-io/nats-server", "fork/nats"]);
    assert.deepEqual([nats?.build, nats?.buildVars, nats?.test, nats?.smoke], [{ argv: ["make", "all"] }, { TAGS: "x" }, { task: "nats:test" }, { argv: [".bin/nats-server", "--version"] }]);
    assert.deepEqual(nats?.timeouts, { source: 600_000, build: 90_000, test: 7_200_000 });
    assert.deepEqual(nats?.health, { soakMs: 500, timeoutMs: 300_000, proof: "required" });
    assert.deepEqual(nats?.policy, { ...DEFAULT_POLICY, minor: "approval", major: "auto", approvalWaitMs: 5_400_000 });
  });

  it("drops a disabled subsystem, even one whose Taskfile cannot be understood", async (t) => {
    const w = await workspace(t, "subsystems:\n  nats: { enabled: false }\n", { "nats/Taskfile.yml": taskfile("UPSTREAM_REPO: { sh: x }") });
    assert.deepEqual((await w.load()).subsystems, []);
  });

  it("describes a subsystem that no Taskfile includes", async (t) => {
    const w = await workspace(t, "subsystems:\n  extra: { upstream: 'https://github.com/a/extra', build: { command: [make] } }\n");
    assert.deepEqual((await w.load()).subsystems.map((s) => [s.name, s.dir]), [["extra", join(w.dir, "extra")], ["nats", join(w.dir, "nats")]]);
  });

  it("lets the command line's port and host win, and warns of an open host", async (t) => {
    const w = await workspace(t, "listen: { port: 9000 }\n");
    assert.deepEqual((await w.load()).listen, { host: "127.0.0.1", port: 9000 });
    const open = await w.load({ flags: { port: 9001, host: "0.0.0.0" } });
    assert.deepEqual(open.listen, { host: "0.0.0.0", port: 9001 });
    assert.match(open.warnings.join(), /listens on 0\.0\.0\.0/);
  });

  it("reads the file --config names", async (t) => {
    const w = await workspace(t, "log_level: debug\n", { "other.yaml": "log_level: warn\n" });
    assert.equal((await w.load({ flags: { config: "other.yaml" } })).logLevel, "warn");
    assert.deepEqual(await brief(w, { flags: { config: "gone.yaml" } }), ["gone.yaml is missing, but --config names it"]);
  });
});

describe("a bad configuration names every problem at once, each with its line", () => {
  it("collects them from all files", async (t) => {
    const own = [
      "listen:", // 1
      "  prot: 80", // 2
      "  port: 99999", // 3
      "git: { timeout: soon }", // 4
      "subsystems:", // 5
      "  nats:", // 6
      "    upsteam: https://github.com/a/b", // 7
      "    strategy: newest", // 8
      "    build:", // 9
      "      task: a", // 10
      "      command: [b]", // 11
      "  lost:", // 12
      "    branch: main", // 13
    ].join("\n");
    const w = await workspace(t, own, { "Taskfile.yml": rootTaskfile("nats", "arc"), "arc/Taskfile.yml": taskfile("UPSTREAM_REPO: { sh: x }"), ".slipstream/secrets.env": "A=1\nnonsense\n", "process-compose.yml": "processes: [\n" });
    const problems = await brief(w, { env: { WEBHOOK_SECRET: "", PC_PORT_NUM: "x" } });
    assert.deepEqual(
      problems.map((p) => p.split(" ")[0]).sort(),
      [".slipstream/secrets.env:2", "arc/Taskfile.yml:3", "environment", "environment", "process-compose.yml:2", ...[12, 12, 2, 3, 4, 7, 8, 9].map((n) => `slipstream.yaml:${n}`)].sort(),
    );
    const all = problems.join("\n");
    assert.match(all, /listen\.prot is not a known key; did you mean port\?/);
    assert.match(all, /nats\.upsteam is not a known key; did you mean upstream\?/);
    assert.match(all, /git\.timeout: expected a duration such as 500ms/);
    assert.match(all, /subsystems\.nats\.build: has both task and command/);
    assert.match(all, /lost is in no include .*set subsystems\.lost\.upstream/);
    assert.match(all, /nothing builds it; set subsystems\.lost\.build\.task or \.command/);
    assert.doesNotMatch(all, /nats is in no include|UPSTREAM_REPO of nats/);
  });

  it("names broken YAML with its line", async (t) => {
    assert.match((await brief(await workspace(t, "listen:\n  port: 1\n port: 2\n")))[0] ?? "", /^slipstream\.yaml:3 is not valid YAML/);
    assert.match((await brief(await workspace(t, "listen: {}\nlisten: {}\n")))[0] ?? "", /^slipstream\.yaml:2 is not valid YAML: Map keys must be unique/);
  });

  it("names aliases that would make the file enormous, and nesting that is too deep", async (t) => {
    const bomb = `a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 8 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(",")}]\n`).join("")}subsystems: *a8\n`;
    assert.match((await brief(await workspace(t, bomb)))[0] ?? "", /^slipstream\.yaml:10 has aliases \(\*name\) that cannot be followed/);
    assert.match((await brief(await workspace(t, `listen: ${"[".repeat(20_000)}`)))[0] ?? "", /^slipstream\.yaml:\d+ is not valid YAML/);
  });

  it("follows an alias to the last node before it with its anchor", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": "version: '3'\nvars: { A: &v /srv/one/api, B: *v, C: &v /srv/two/api, UPSTREAM_REPO: *v }\nincludes: { api: ./api }\n", "api/Taskfile.yml": taskfile("UPSTREAM_REPO: '{{.C}}'", "B: '{{.B}}'"), "slipstream.yaml": "subsystems:\n  api: &s { mode: source, branch: dev }\n  web: { <<: *s, upstream: /srv/three/web, build: { task: x } }\n" });
    assert.deepEqual((await w.load()).subsystems.map((s) => [s.name, s.upstream, s.branch]), [["api", "/srv/two/api", "dev"], ["web", "/srv/three/web", "dev"]]);
  });

  it("suggests the subsystem that was meant", async (t) => {
    const problems = await brief(await workspace(t, "subsystems:\n  natz: { branch: dev, build: { task: x } }\n"));
    assert.match(problems[0] ?? "", /^slipstream\.yaml:2 natz is in no include.*did you mean nats\?$/);
  });

  for (const [what, own, line] of [
    ["a folder outside the workspace", "subsystems:\n  nats:\n    dir: ../nats", 3],
    ["the workspace itself as a folder", "subsystems:\n  nats:\n    dir: .", 3],
    ["a binary with a path", "subsystems:\n  nats:\n    binary: ../../bin/sh", 3],
    ["a hidden binary name", "subsystems:\n  nats:\n    binary: .version", 3],
    ["a branch that git would take for an option", "subsystems:\n  nats:\n    branch: --upload-pack=x", 3],
    ["a pin that git would take for an option", "subsystems:\n  nats:\n    pin: -x", 3],
    ["a pin that is neither a version nor a series", "subsystems:\n  nats:\n    pin: 2.x.1", 3],
    ["a pin with a star", "subsystems:\n  nats:\n    pin: 2.10.*", 3],
    ["a pinned series that is no date where versions are", "subsystems:\n  nats:\n    versions: date\n    pin: 2.x", 4],
    ["a tag pattern with both kinds of places", "subsystems:\n  nats:\n    tags: ['*-v{version}']", 3],
    ["a channel that is a version", "subsystems:\n  nats:\n    channel: 2.0.0-rc.1", 3],
    ["an upstream that runs a program", "subsystems:\n  nats:\n    upstream: 'ext::sh -c id'", 3],
    ["a repository without an owner", "subsystems:\n  nats:\n    repositories:\n      - a/b\n      - x", 5],
    ["a state folder inside a source folder", "state_dir: nats/.src/x", 1],
    ["a socket and a port", "process_compose:\n  socket: a\n  port: 1", 1],
    ["a test without a command", "subsystems:\n  nats:\n    test: { timeout: 5 }", 3],
    ["a name that is none", "subsystems:\n  nats: {}\n  Nats: { upstream: 'https://github.com/a/b', build: { task: x } }", 3],
  ] as const) {
    it(`refuses ${what}`, async (t) => {
      const problems = await (await workspace(t, own)).problems();
      assert.deepEqual(problems.map((p) => [p.file, p.line]), [["slipstream.yaml", line]], JSON.stringify(problems));
    });
  }

  it("says what a pin may be, and takes a series, an exact one and a date", async (t) => {
    assert.deepEqual(await brief(await workspace(t, "subsystems:\n  nats:\n    pin: 2.x.1\n")), ['slipstream.yaml:3 pin of nats is "2.x.1", expected one version, or a series such as 2.x or 2.10.x; correct subsystems.nats.pin in slipstream.yaml']);
    for (const own of ["pin: 2.x", "pin: 2.10.x", "pin: nats-v2.x", "pin: v2.10.30", "pin: 1.2.3.4", "{ versions: date, pin: 2024.05.x }", "{ tags: ['srv/v{version}'], pin: srv/v2.x }"]) {
      const w = await workspace(t, `subsystems:\n  nats: ${own.startsWith("{") ? own : `{ ${own} }`}\n`);
      assert.deepEqual((await w.load()).subsystems.map((s) => s.pin !== undefined), [true], own);
    }
  });

  it("refuses two subsystems with one binary, or one process", async (t) => {
    const more = { "Taskfile.yml": rootTaskfile("nats", "arc"), "arc/Taskfile.yml": NATS };
    const one = await brief(await workspace(t, "subsystems:\n  arc: { dir: nats, binary: x }\n  nats: { binary: x }\n", more));
    assert.match(one.join("\n"), /^slipstream\.yaml binary \S+\/nats\/\.bin\/x belongs to arc and nats/);
    const two = await brief(await workspace(t, "subsystems:\n  arc: { process: p }\n  nats: { process: p }\n", more));
    assert.match(two.join("\n"), /^slipstream\.yaml process p belongs to arc and nats/);
  });

  it("refuses a workspace that is no folder", async (t) => {
    const w = await workspace(t, "");
    await assert.rejects(w.load().then(() => import("../../../src/config/load.ts")).then((m) => m.loadConfig({ workspace: join(w.dir, "gone"), env: {} })), /gone: is no folder, expected the workspace/);
  });
});

describe("Process Compose is found", () => {
  const address = async (w: ConfigWorkspace, env = {}) => (await w.load({ env })).supervisor?.address;

  it("by slipstream.yaml, PC_SOCKET_PATH, PC_PORT_NUM with PC_ADDRESS, then a socket that is there", async (t) => {
    const w = await workspace(t, "process_compose: { socket: run/pc.sock }\n");
    const env = { PC_SOCKET_PATH: "own.sock", PC_PORT_NUM: "8081", PC_ADDRESS: "10.0.0.1" };
    assert.deepEqual(await address(w, env), { socket: join(w.dir, "run/pc.sock") });
    await w.write("slipstream.yaml", "process_compose: { port: 9090 }\n");
    assert.deepEqual(await address(w, env), { host: "127.0.0.1", port: 9090 });
    await w.write("slipstream.yaml", "");
    assert.deepEqual(await address(w, env), { socket: join(w.dir, "own.sock") });
    assert.deepEqual(await address(w, { ...env, PC_SOCKET_PATH: "" }), { host: "10.0.0.1", port: 8081 });
    assert.deepEqual(await address(w, { PC_PORT_NUM: "8081" }), { host: "127.0.0.1", port: 8081 });
    assert.equal(await address(w), undefined);
  });

  it("by the usual sockets, but not by a file of that name", async (t) => {
    const w = await workspace(t, "", { ".pc.sock": "no socket", "pc/x": "" });
    assert.equal(await address(w), undefined);
    const server = createServer().listen(join(w.dir, "pc/.pc.sock"));
    t.after(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    assert.deepEqual(await address(w), { socket: join(w.dir, "pc/.pc.sock") });
  });
});
