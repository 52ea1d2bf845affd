import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";
import { ROOT } from "../../support/launcher.ts";
import { releaseFeed } from "../../support/subsystem.ts";

const NATS = "UPSTREAM_REPO: https://github.com/nats-io/nats-server";
const SHIPPED = await readFile(join(ROOT, "taskfiles/subsystem.yml"), "utf8");

describe("subsystems are discovered from the Taskfiles", () => {
  it("reads bare names", async (t) => {
    const w = await configWorkspace(t, {
      "Taskfile.yml": rootTaskfile("nats"),
      "nats/Taskfile.yml": taskfile(NATS, "UPSTREAM_BRANCH: dev", "VERSION_STRATEGY: releases", "VERSION: v2.10.24", "BIN_NAME: nats-server"),
      "nats/.src/main.go": "",
    });
    const [nats, ...others] = (await w.load()).subsystems;
    assert.equal(others.length, 0);
    assert.deepEqual(
      { ...nats, policy: null, health: null, timeouts: null },
      {
        name: "nats",
        dir: join(w.dir, "nats"),
        mode: "source",
        release: releaseFeed({ repository: "nats-io/nats-server" }),
        upstream: "https://github.com/nats-io/nats-server",
        repositories: ["nats-io/nats-server"],
        branch: "dev",
        strategy: "releases",
        forge: "github",
        others: [],
        prefer: "newest",
        tags: [],
        versions: "semver",
        channel: [],
        drift: "show",
        declaredVersion: "v2.10.24",
        binary: "nats-server",
        process: null,
        varPrefix: "",
        build: { task: "nats:bin:build" },
        buildVars: {},
        policy: null,
        health: null,
        timeouts: null,
        keep: 3,
      },
    );
  });

  it("names the line where a wrong value was given, not the one that passes it on", async (t) => {
    const root = "version: '3'\nincludes:\n  nats:\n    taskfile: ./subsystem.yml\n    dir: ./nats\n    vars:\n      UPSTREAM_REPO: https://github.com/nats-io/nats-server\n      VERSION_STRATEGY: tag\n";
    const w = await configWorkspace(t, { "Taskfile.yml": root, "subsystem.yml": SHIPPED });
    await assert.rejects(w.load(), (e: Error) => /Taskfile\.yml:8: VERSION_STRATEGY/.test(e.message) && !/subsystem\.yml/.test(e.message));
  });

  it("reads prefixed names, whatever the prefix", async (t) => {
    const w = await configWorkspace(t, {
      "Taskfile.yml": rootTaskfile("liftbridge", "telegraf"),
      "liftbridge/Taskfile.yml": taskfile("LB_BIN_NAME: liftbridge", "LB_UPSTREAM_REPO: https://github.com/Basekick-Labs/liftbridge.git", `LB_VERSION: '{{.LB_VERSION | default "master"}}'`),
      "telegraf/Taskfile.yml": taskfile("TG_UPSTREAM_REPO: git@github.com:Basekick-Labs/telegraf.git", "TG_VERSION: v1.33.0"),
    });
    const [lb, tg] = (await w.load()).subsystems;
    assert.deepEqual([lb?.varPrefix, lb?.strategy, lb?.branch, lb?.declaredVersion], ["LB", "commits", "master", "master"]);
    assert.deepEqual(lb?.repositories, ["basekick-labs/liftbridge"]);
    assert.deepEqual([tg?.varPrefix, tg?.strategy, tg?.branch, tg?.binary], ["TG", "tags", "main", "telegraf"]);
    assert.deepEqual(tg?.repositories, ["basekick-labs/telegraf"]);
  });

  it("lets the prefix of the include's own name win when a Taskfile has several", async (t) => {
    const both = taskfile("NATS_UPSTREAM_REPO: https://github.com/a/nats", "OTHER_UPSTREAM_REPO: https://github.com/a/other");
    const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": both });
    assert.equal((await w.load()).subsystems[0]?.upstream, "https://github.com/a/nats");
    const u = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("arc"), "arc/Taskfile.yml": both });
    assert.match((await u.problems())[0]?.message ?? "", /several UPSTREAM_REPO variables; set subsystems\.arc\.upstream/);
  });

  it("works with the shipped pattern included once per subsystem", async (t) => {
    const w = await configWorkspace(t, {
      "Taskfile.yml": [
        "includes:",
        "  nats:",
        "    taskfile: ./taskfiles/subsystem.yml",
        "    dir: ./nats",
        `    vars: { UPSTREAM_REPO: https://github.com/nats-io/nats-server, BIN_NAME: nats-server, VERSION: '{{.VERSION | default "v2.10.24"}}' }`,
        "  arc:",
        "    taskfile: ./taskfiles/subsystem.yml",
        "    dir: ./services/arc",
        "    vars: { UPSTREAM_REPO: https://github.com/basekick-labs/arc, VERSION: develop }",
        "  docs: { taskfile: ./taskfiles/subsystem.yml, dir: ./docs, vars: { UPSTREAM_REPO: https://github.com/gohugoio/hugo } }",
      ].join("\n"),
      "taskfiles/subsystem.yml": SHIPPED,
    });
    const config = await w.load();
    assert.deepEqual(
      config.subsystems.map((s) => [s.name, s.binary, s.strategy, s.branch, s.declaredVersion, s.dir]),
      [
        ["arc", "arc", "commits", "develop", "develop", join(w.dir, "services/arc")],
        ["docs", "docs", "tags", "main", undefined, join(w.dir, "docs")],
        ["nats", "nats-server", "tags", "main", "v2.10.24", join(w.dir, "nats")],
      ],
    );
    assert.deepEqual(config.warnings.map((x) => /include (\w+) fixes (\w+)/.exec(x)?.slice(1)), [["arc", "VERSION"]]);
  });

  it("ranks values as Task does: environment, root, include, included Taskfile", async (t) => {
    const root = (include: string) => `vars:\n  BASE: root\nincludes:\n  nats:\n    taskfile: ./nats\n    vars: { A: 'include${include}' }\n`;
    const own = (line: string) => taskfile(line, "UPSTREAM_REPO: 'https://h.example/{{.BASE}}/{{.A}}'");
    const upstream = async (files: Record<string, string>, env = {}) => (await (await configWorkspace(t, files)).load({ env })).subsystems[0]?.upstream;
    const env = { BASE: "env", A: "env", B: "env" };
    assert.equal(await upstream({ "Taskfile.yml": root(""), "nats/Taskfile.yml": own("X: y") }, env), "https://h.example/root/include");
    assert.equal(await upstream({ "Taskfile.yml": root("-{{.B}}"), "nats/Taskfile.yml": own("X: y") }, env), "https://h.example/root/include-env");
    assert.equal(await upstream({ "Taskfile.yml": root(""), "nats/Taskfile.yml": own("A: own") }, env), "https://h.example/root/own");
    assert.equal(await upstream({ "Taskfile.yml": root(""), "nats/Taskfile.yml": own("A: '{{.A}}-own'") }, env), "https://h.example/root/include-own");
  });

  it("does not take an include for a subsystem because the environment or the root has an upstream", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": `vars:\n  UPSTREAM_REPO: https://github.com/a/b\n${rootTaskfile("tools")}`, "tools/Taskfile.yml": taskfile("X: y") });
    assert.deepEqual((await w.load({ env: { UPSTREAM_REPO: "https://github.com/c/d" } })).subsystems, []);
  });

  it("takes a date, or a tag that a pattern takes in, for a tag and not for a branch", async (t) => {
    const tracked = async (version: string, own = "") => {
      const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": taskfile(NATS, `VERSION: ${version}`), "slipstream.yaml": own });
      const [s] = (await w.load()).subsystems;
      return `${s?.strategy} ${s?.branch} ${s?.declaredVersion}`;
    };
    for (const date of ["2024-05-12", "'20240512'", "RELEASE.2024-05-12T01-02-03Z"]) assert.equal(await tracked(date), `tags main ${date.replaceAll("'", "")}`);
    assert.equal(await tracked("nightly", "subsystems: { nats: { tags: [nightly, 'v*'] } }"), "tags main nightly");
    assert.equal(await tracked("srv/v1.2.3", "subsystems: { nats: { tags: 'srv/v{version}' } }"), "tags main srv/v1.2.3");
    assert.equal(await tracked("develop", "subsystems: { nats: { tags: '!*-nightly' } }"), "commits develop develop");
    assert.equal(await tracked("release-24.04"), "commits release-24.04 release-24.04");
  });

  it("takes the pin for a branch unless a branch was set, and a version for a tag", async (t) => {
    const tracked = async (...vars: string[]) => {
      const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": taskfile(NATS, ...vars) });
      const [s] = (await w.load()).subsystems;
      return `${s?.strategy} ${s?.branch}`;
    };
    assert.equal(await tracked(), "tags main");
    assert.equal(await tracked("VERSION: v1.2.3"), "tags main");
    assert.equal(await tracked("VERSION: nats-v1.2.3"), "tags main");
    assert.equal(await tracked("VERSION: latest"), "tags main");
    assert.equal(await tracked("VERSION: develop"), "commits develop");
    assert.equal(await tracked("VERSION: develop", "UPSTREAM_BRANCH: trunk"), "commits trunk");
    assert.equal(await tracked("VERSION: develop", `UPSTREAM_BRANCH: '{{.UPSTREAM_BRANCH | default "main"}}'`), "commits develop");
    assert.equal(await tracked("VERSION: a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"), "commits main");
    assert.equal(await tracked("VERSION: develop", "VERSION_STRATEGY: tags"), "tags develop");
  });

  it("reads the repository's name from every form of clone URL", async (t) => {
    const urls = {
      "https://github.com/Owner/Name": "owner/name",
      "https://github.com/owner/name.git/": "owner/name",
      "ssh://git@github.com/owner/name.git": "owner/name",
      "git@github.com:owner/name.git": "owner/name",
      "http://127.0.0.1:4100/acme/api.git": "acme/api",
      "file:///srv/git/acme/api.git": "acme/api",
    };
    const names = Object.keys(urls).map((_, i) => `s${i}`);
    const files = Object.fromEntries(Object.keys(urls).map((url, i) => [`s${i}/Taskfile.yml`, taskfile(`UPSTREAM_REPO: '${url}'`)]));
    const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile(...names), ...files, "slipstream.yaml": "defaults: { mode: source }" });
    assert.deepEqual((await w.load()).subsystems.map((s) => s.repositories), Object.values(urls).map((name) => [name]));
  });

  it("allows two subsystems of one repository", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("a", "b"), "a/Taskfile.yml": taskfile(NATS), "b/Taskfile.yml": taskfile(NATS) });
    assert.deepEqual((await w.load()).subsystems.map((s) => s.repositories), [["nats-io/nats-server"], ["nats-io/nats-server"]]);
  });

  it("calls the tasks of a flattened include without a prefix", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": "includes:\n  nats: { taskfile: ./nats, flatten: true }\n", "nats/Taskfile.yml": taskfile(NATS) });
    assert.deepEqual((await w.load()).subsystems[0]?.build, { task: "bin:build" });
  });

  it("skips a missing optional include and warns of a remote one", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": "includes:\n  a: { taskfile: ./a, optional: true }\n  b: https://example.com/Taskfile.yml\n" });
    const config = await w.load();
    assert.deepEqual(config.subsystems, []);
    assert.match(config.warnings.join(), /include b is remote.*subsystems\.b/);
  });
});

describe("what cannot be known without running Task is a problem that names the key to set", () => {
  const variants = {
    "a shell command": "UPSTREAM_REPO: { sh: git remote get-url origin }",
    "a reference": "UPSTREAM_REPO: { ref: .OTHER }",
    "a function": "UPSTREAM_REPO: '{{.NAME | upper}}'",
    "a list": "UPSTREAM_REPO: [a]",
  };
  for (const [what, line] of Object.entries(variants)) {
    it(`${what} in UPSTREAM_REPO`, async (t) => {
      const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": taskfile("NAME: nats", line) });
      const problems = await w.problems();
      assert.deepEqual(problems.map((p) => [p.file, p.line]), [["nats/Taskfile.yml", 4]]);
      assert.match(problems[0]?.message ?? "", /set subsystems\.nats\.upstream in slipstream\.yaml$/);
      await w.write("slipstream.yaml", "subsystems:\n  nats: { upstream: https://github.com/nats-io/nats-server }\n");
      assert.equal((await w.load()).subsystems[0]?.name, "nats");
    });
  }

  for (const [variable, key, value] of [["UPSTREAM_BRANCH", "branch", "main"], ["VERSION_STRATEGY", "strategy", "tags"], ["VERSION", "strategy", "tags"], ["BIN_NAME", "binary", "nats-server"]] as const) {
    it(`a function in ${variable}, until ${key} is set`, async (t) => {
      const w = await configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": taskfile(NATS, `${variable}: '{{.X | lower}}'`) });
      assert.deepEqual((await w.problems()).map((p) => [p.file, p.line, /set (\S+) in/.exec(p.message)?.[1]]), [["nats/Taskfile.yml", 4, `subsystems.nats.${key}`]]);
      await w.write("slipstream.yaml", `subsystems:\n  nats: { ${key}: ${value} }\n`);
      assert.equal((await w.load()).subsystems.length, 1);
    });
  }

  it("leaves variables alone that are not needed", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": `vars:\n  NOW: { sh: date }\n${rootTaskfile("nats")}`, "nats/Taskfile.yml": taskfile(NATS, "SRC: '{{.TASKFILE_DIR | toSlash}}'") });
    assert.equal((await w.load()).subsystems.length, 1);
  });

  it("follows a needed variable to the one that is not understood", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": `vars:\n  HOST: { sh: hostname }\n${rootTaskfile("nats")}`, "nats/Taskfile.yml": taskfile("UPSTREAM_REPO: 'https://{{.HOST}}/a/b'") });
    assert.match((await w.problems())[0]?.message ?? "", /^sh: is not understood here/);
  });
});

describe("Taskfiles that cannot be used are problems with their line", () => {
  it("names a missing Taskfile", async (t) => {
    const w = await configWorkspace(t, {});
    assert.deepEqual((await w.problems()).map((p) => p.file), ["Taskfile.yml"]);
  });

  it("names an include without a file, broken YAML, a bad name, an internal include and a bad upstream together", async (t) => {
    const w = await configWorkspace(t, {
      "Taskfile.yml": "includes:\n  gone: ./gone\n  broken: ./broken\n  Bad_Name: ./named\n  inner: { taskfile: ./inner, internal: true }\n  odd: ./odd\n  login: ./login\n  root: ./Other.yml\n",
      "broken/Taskfile.yml": "vars:\n  A: [\n",
      "named/Taskfile.yml": taskfile(NATS),
      "inner/Taskfile.yml": taskfile(NATS),
      "inner/.src/main.go": "",
      "odd/Taskfile.yml": taskfile("UPSTREAM_REPO: 'ext::sh -c id'"),
      "login/Taskfile.yml": taskfile("UPSTREAM_REPO: https://me:hunter22@github.com/a/b"),
      "Other.yml": taskfile(NATS),
    });
    const problems = await w.problems();
    assert.deepEqual(
      problems.map((p) => `${p.file}:${p.line}`),
      ["Taskfile.yml:2", "broken/Taskfile.yml:3", "Taskfile.yml:4", "Taskfile.yml:5", "login/Taskfile.yml:3", "odd/Taskfile.yml:3", "Taskfile.yml:8"],
    );
    assert.doesNotMatch(problems.map((p) => p.message).join(), /hunter22/);
  });
});
