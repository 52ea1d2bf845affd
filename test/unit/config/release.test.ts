import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { LoadInput } from "../../../src/config/load.ts";
import { type ConfigWorkspace, configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";
import { releaseFeed } from "../../support/subsystem.ts";

type T = Parameters<typeof configWorkspace>[0];
type Files = Record<string, string>;
const GITHUB = "UPSTREAM_REPO: https://github.com/nats-io/nats-server";
const LOCAL = "UPSTREAM_REPO: /srv/git/acme/nats.git";
const ELSEWHERE = "UPSTREAM_REPO: https://gitea.example/acme/nats";
const SOURCE: Files = { "nats/.src/main.go": "" };

/** A workspace with one subsystem: the lines of its Taskfile, and what `slipstream.yaml` says. */
const one = (t: T, vars: readonly string[], own = "", more: Files = {}) => configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": taskfile(...vars), "slipstream.yaml": own, ...more });
const load = async (w: ConfigWorkspace, env: LoadInput["env"] = {}) => (await w.load({ env })).subsystems[0];
const brief = async (w: ConfigWorkspace, env: LoadInput["env"] = {}) => (await w.problems({ env })).map((p) => `${p.file}${p.line === undefined ? "" : `:${p.line}`} ${p.message}`);

describe("the mode of a subsystem", () => {
  for (const [what, wanted, vars, own, more] of [
    ["source where there is source", "source", [GITHUB], "", SOURCE],
    ["release where there is none and the upstream is on github.com", "release", [GITHUB], "", {}],
    ["source where the upstream is a folder of this machine", "source", [LOCAL], "", {}],
    ["source where the upstream is on a forge whose API nobody told", "source", [ELSEWHERE], "", {}],
    ["release where the API of that forge is told", "release", [ELSEWHERE], "defaults: { release: { api: 'https://gitea.example/api/v1' } }", {}],
    ["release where a repository is told", "release", [LOCAL], "subsystems: { nats: { release: { repository: acme/platform } } }", {}],
    ["source where slipstream.yaml says so", "source", [GITHUB], "subsystems: { nats: { mode: source } }", {}],
    ["release where slipstream.yaml says so, source or not", "release", [GITHUB], "subsystems: { nats: { mode: release } }", SOURCE],
    ["source where commits are followed, source or not", "source", [GITHUB, "VERSION_STRATEGY: commits"], "", {}],
    ["source where slipstream.yaml says that commits are followed", "source", [GITHUB], "subsystems: { nats: { strategy: commits } }", {}],
    ["release where commits are followed and a repository is told", "release", [GITHUB, "VERSION_STRATEGY: commits", "RELEASE_REPO: acme/platform"], "", {}],
    ["release where commits are followed and defaults tell a repository", "release", [GITHUB, "VERSION_STRATEGY: commits"], "defaults: { release: { repository: acme/platform } }", {}],
    ["release where commits are followed and slipstream.yaml wants releases", "release", [GITHUB, "VERSION_STRATEGY: commits"], "subsystems: { nats: { mode: release } }", {}],
    ["that of its own strategy, not that of the Taskfile", "release", [GITHUB, "VERSION_STRATEGY: commits"], "subsystems: { nats: { strategy: tags } }", {}],
    ["that of defaults", "release", [GITHUB], "defaults: { mode: release }", SOURCE],
    ["judged anew where it says auto and defaults do not", "source", [GITHUB], "defaults: { mode: release }\nsubsystems: { nats: { mode: auto } }", SOURCE],
  ] as const) {
    it(`is ${what}`, async (t) => assert.equal((await load(await one(t, vars, own, more)))?.mode, wanted));
  }

  it("follows the folder that slipstream.yaml gives it", async (t) => {
    const w = await one(t, [GITHUB], "subsystems: { nats: { dir: elsewhere } }", SOURCE);
    assert.equal((await load(w))?.mode, "release");
    await w.write("elsewhere/.src/main.go", "");
    assert.equal((await load(w))?.mode, "source");
  });

  it("decides which deliveries concern it: those of its releases, or those of its upstream", async (t) => {
    const own = (mode: string) => `subsystems: { nats: { mode: ${mode}, release: { repository: Acme/Platform }, repositories: [fork/nats] } }`;
    assert.deepEqual((await load(await one(t, [GITHUB], own("release"))))?.repositories, ["acme/platform", "fork/nats"]);
    assert.deepEqual((await load(await one(t, [GITHUB], own("source"))))?.repositories, ["nats-io/nats-server", "fork/nats"]);
    assert.deepEqual((await load(await one(t, [GITHUB])))?.repositories, ["nats-io/nats-server"]);
  });
});

describe("the repository of the releases", () => {
  const own = "subsystems: { nats: { release: { repository: own/a } } }\n";
  const defaults = "defaults: { release: { repository: defaults/c } }\n";
  const env = { RELEASE_REPO: "env/d" };
  const repository = async (t: T, vars: readonly string[], yaml: string, more = {}) => (await load(await one(t, vars, yaml), more))?.release?.repository;

  it("is told by slipstream.yaml, then the Taskfile, then defaults, then the environment, then the upstream", async (t) => {
    const variable = [GITHUB, "RELEASE_REPO: task/b"];
    assert.equal(await repository(t, variable, own + defaults, env), "own/a");
    assert.equal(await repository(t, variable, defaults, env), "task/b");
    assert.equal(await repository(t, [GITHUB, "RELEASE_REPO: ''"], defaults, env), "defaults/c");
    assert.equal(await repository(t, [GITHUB], "", env), "env/d");
    assert.equal(await repository(t, [GITHUB], "", { RELEASE_REPO: "" }), "nats-io/nats-server");
  });

  it("is read from the Taskfile like its other variables: prefixed, with default, or out of the environment", async (t) => {
    assert.equal(await repository(t, ["NATS_UPSTREAM_REPO: https://github.com/a/b", "NATS_RELEASE_REPO: task/prefixed", "RELEASE_REPO: task/bare"], ""), "task/prefixed");
    assert.equal(await repository(t, [GITHUB, `RELEASE_REPO: '{{.RELEASE_REPO | default "task/default"}}'`], ""), "task/default");
    assert.equal(await repository(t, [GITHUB, `RELEASE_REPO: '{{.RELEASE_REPO | default "task/default"}}'`], "", env), "env/d");
  });

  it("may be told once for the whole workspace, at the top of the root Taskfile", async (t) => {
    const atTop = { "Taskfile.yml": `${rootTaskfile("nats")}vars: { RELEASE_REPO: root/e }\n` };
    const told = async (vars: readonly string[], own: string) => (await load(await one(t, vars, own, atTop), env))?.release?.repository;
    assert.equal(await told([LOCAL], defaults), "root/e");
    assert.equal(await told([LOCAL, "RELEASE_REPO: task/b"], ""), "task/b");
  });

  for (const given of ["https://github.com/Acme/Platform", "https://github.com/acme/platform.git", "git@github.com:acme/platform.git", "ssh://git@github.com/acme/platform", "ACME/platform"]) {
    it(`may be given as ${given}`, async (t) => {
      assert.equal(await repository(t, [LOCAL, `RELEASE_REPO: '${given}'`], ""), "acme/platform");
      assert.equal(await repository(t, [LOCAL], `subsystems: { nats: { release: { repository: '${given}' } } }`), "acme/platform");
    });
  }

  for (const given of ["platform", "acme/platform/x", "../platform", "acme/..", "https://gitea.example/acme/platform", "https://github.com/acme", "https://github.com/acme/platform/releases", "https://me:hunter22@github.com/acme/platform", "https://github.com.evil.example/acme/platform"]) {
    it(`may not be ${given}`, async (t) => {
      const is = given.includes(":") ? "no owner/name" : JSON.stringify(given);
      const rest = "expected owner/name or a clone URL on github.com; correct it, or set subsystems.nats.release.repository in slipstream.yaml";
      assert.deepEqual(await brief(await one(t, [GITHUB, `RELEASE_REPO: ${given}`])), [`nats/Taskfile.yml:4 RELEASE_REPO of nats is ${is}, ${rest}`]);
      assert.deepEqual(await brief(await one(t, [GITHUB]), { RELEASE_REPO: given }), [`environment RELEASE_REPO of nats is ${is}, ${rest}`]);
      const yaml = `subsystems:\n  nats:\n    release:\n      repository: ${given}\n`;
      const wanted = "expected owner/name or a clone URL on github.com without a login; where another forge has it, give owner/name here and the forge as api beside it";
      assert.deepEqual(await brief(await one(t, [GITHUB], yaml)), [`slipstream.yaml:4 subsystems.nats.release.repository: ${wanted}`]);
      assert.deepEqual(await brief(await one(t, [GITHUB], `defaults:\n  release:\n    repository: ${given}\n`)), [`slipstream.yaml:3 defaults.release.repository: ${wanted}`]);
    });
  }

  it("that cannot be known without running Task is a problem, but only where it is needed", async (t) => {
    const vars = [GITHUB, "RELEASE_REPO: { sh: git remote get-url origin }"];
    const w = await one(t, vars);
    assert.deepEqual(await brief(w), ["nats/Taskfile.yml:4 sh: is not understood here (only literals, env and default are); set subsystems.nats.release.repository in slipstream.yaml"]);
    await w.write("slipstream.yaml", "subsystems: { nats: { release: { repository: own/a } } }");
    assert.equal((await load(w))?.release?.repository, "own/a");
    assert.equal((await load(await one(t, vars, "", SOURCE)))?.mode, "source");
    assert.equal((await load(await one(t, [...vars, "VERSION_STRATEGY: releases"], "", SOURCE)))?.release?.repository, "nats-io/nats-server");
  });
});

describe("the API of the forge", () => {
  const api = async (t: T, vars: readonly string[], own = "", env = {}) => (await load(await one(t, vars, own), env))?.release?.api;
  const repository = "subsystems: { nats: { release: { repository: acme/platform } } }";

  it("is that of github.com for an upstream there, however it is written", async (t) => {
    for (const url of ["https://github.com/a/b", "git@github.com:a/b.git", "ssh://git@github.com/a/b.git", "ssh://git@ssh.github.com:443/a/b.git"]) assert.equal(await api(t, [`UPSTREAM_REPO: '${url}'`]), "https://api.github.com", url);
    for (const url of ["https://github.com.evil.example/a/b", "https://evil.example/github.com/b", "git@evil.example:github.com/b", "file:///github.com/a/b", "/github.com/b"]) assert.equal(await api(t, [`UPSTREAM_REPO: '${url}'`]), undefined, url);
  });

  it("is that of github.com for a repository that somebody named, whatever the upstream", async (t) => {
    assert.equal(await api(t, [LOCAL], repository), "https://api.github.com");
    assert.equal(await api(t, [ELSEWHERE, "RELEASE_REPO: acme/platform"]), "https://api.github.com");
    assert.equal(await api(t, [LOCAL], "defaults: { release: { repository: acme/platform } }"), "https://api.github.com");
    assert.equal(await api(t, [LOCAL], "", { RELEASE_REPO: "acme/platform" }), "https://api.github.com");
    assert.equal(await api(t, ["UPSTREAM_REPO: ''", "RELEASE_REPO: acme/platform"]), "https://api.github.com");
  });

  it("is the one that slipstream.yaml gives, its own before that of defaults", async (t) => {
    const defaults = "defaults: { release: { api: 'https://gitea.example/api/v1/' } }\n";
    assert.equal(await api(t, [GITHUB], defaults), "https://gitea.example/api/v1");
    assert.equal(await api(t, [GITHUB], `${defaults}subsystems: { nats: { release: { api: 'https://ghe.example/api/v3' } } }`), "https://ghe.example/api/v3");
    assert.equal(await api(t, [LOCAL], "subsystems: { nats: { release: { api: 'http://127.0.0.1:4100/' } } }"), "http://127.0.0.1:4100");
  });

  it("that is unknown in release mode is a problem that names the key, at the line that wants release mode", async (t) => {
    const wanted = "mode of nats is release, but the API of the forge that has acme/nats is unknown, because its upstream is not on github.com; set subsystems.nats.release.api in slipstream.yaml (or subsystems.nats.release.repository, where the releases are on github.com)";
    assert.deepEqual(await brief(await one(t, [ELSEWHERE], "subsystems:\n  nats:\n    mode: release\n")), [`slipstream.yaml:3 ${wanted}`]);
    assert.deepEqual(await brief(await one(t, [LOCAL], "defaults:\n  mode: release\n")), [`slipstream.yaml:2 ${wanted}`]);
  });

  it("and the repository that are both unknown are one problem", async (t) => {
    const wanted = ["slipstream.yaml:2 mode of nats is release, but the repository of its releases is unknown, expected owner/name; set subsystems.nats.release.repository in slipstream.yaml"];
    assert.deepEqual(await brief(await one(t, ["UPSTREAM_REPO: ''"], "subsystems:\n  nats: { mode: release }\n")), wanted);
    assert.deepEqual(await brief(await configWorkspace(t, { "slipstream.yaml": "subsystems:\n  nats: { mode: release }\n" })), wanted);
  });

  it("is not asked for where the upstream is wrong, which has been said", async (t) => {
    const problems = await brief(await one(t, ["UPSTREAM_REPO: 'ext::sh -c id'"], "subsystems: { nats: { mode: release } }"));
    assert.deepEqual(problems, ["nats/Taskfile.yml:3 the upstream of nats is no clone URL, expected https://, ssh://, git@host:owner/name, file:// or an absolute path"]);
  });
});

describe("a subsystem that comes out of a release", () => {
  it("needs neither upstream nor build", async (t) => {
    const nats = await load(await one(t, ["UPSTREAM_REPO: ''", "RELEASE_REPO: Acme/Platform"]));
    assert.deepEqual([nats?.mode, nats?.upstream, nats?.build, nats?.release], ["release", "https://github.com/acme/platform", { task: "nats:bin:build" }, releaseFeed({ repository: "acme/platform" })]);
  });

  for (const [api, upstream] of [
    ["https://ghe.example/api/v3", "https://ghe.example/acme/platform"],
    ["https://gitea.example:3000/api/v1", "https://gitea.example:3000/acme/platform"],
    ["https://api.acme.ghe.com", "https://acme.ghe.com/acme/platform"],
    ["http://127.0.0.1:4100", "http://127.0.0.1:4100/acme/platform"],
  ] as const) {
    it(`has its upstream where ${api} is, unless one is given`, async (t) => {
      const own = `subsystems: { nats: { release: { repository: acme/platform, api: '${api}' } } }`;
      assert.equal((await load(await one(t, ["UPSTREAM_REPO: ''"], own)))?.upstream, upstream);
      assert.equal((await load(await one(t, [LOCAL], own)))?.upstream, "/srv/git/acme/nats.git");
    });
  }

  it("may be an internal include, and keeps a build that is configured", async (t) => {
    const files = { "Taskfile.yml": "includes:\n  nats: { taskfile: ./nats, internal: true }\n", "nats/Taskfile.yml": taskfile(GITHUB) };
    assert.deepEqual((await load(await configWorkspace(t, files)))?.build, { task: "nats:bin:build" });
    assert.deepEqual((await load(await one(t, [GITHUB], "subsystems: { nats: { build: { command: [make] } } }")))?.build, { argv: ["make"] });
  });

  it("takes RELEASE_VERSION for its pin, unless it is latest or a pin is set (V63)", async (t) => {
    const pin = async (vars: readonly string[], own = "", env = {}, more = {}) => (await load(await one(t, [GITHUB, ...vars], own, more), env))?.pin;
    assert.equal(await pin(["RELEASE_VERSION: v2.10.30"]), "v2.10.30");
    assert.equal(await pin([], "", { RELEASE_VERSION: "nats-v2.10.31" }), "nats-v2.10.31");
    assert.equal(await pin(["RELEASE_VERSION: v2.10.30"], "", { RELEASE_VERSION: "v2" }), "v2.10.30");
    assert.equal(await pin(["RELEASE_VERSION: ''"], "", { RELEASE_VERSION: "v2" }), "v2");
    assert.equal(await pin(["RELEASE_VERSION: latest"], "", { RELEASE_VERSION: "v2" }), undefined);
    assert.equal(await pin([], "", { RELEASE_VERSION: "latest" }), undefined);
    assert.equal(await pin([], "", { RELEASE_VERSION: "" }), undefined);
    assert.equal(await pin(["RELEASE_VERSION: v2.10.30"], "subsystems: { nats: { pin: v1.0.0 } }"), "v1.0.0");
    assert.equal(await pin(["RELEASE_VERSION: v2.10.30"], "", {}, SOURCE), undefined);
    for (const text of ["1.2.3", "v1.2.3", "hello-v1.2.3", "1.2"]) {
      assert.equal(await pin([`RELEASE_VERSION: ${text}`]), text);
      assert.equal(await pin([], `subsystems: { nats: { pin: '${text}' } }`), text);
    }
  });

  it("refuses a RELEASE_VERSION that is none, or that cannot be known without running Task", async (t) => {
    const wanted = 'RELEASE_VERSION of nats is "-x", expected latest or a git ref; correct it, or set subsystems.nats.pin in slipstream.yaml';
    assert.deepEqual(await brief(await one(t, [GITHUB, "RELEASE_VERSION: -x"])), [`nats/Taskfile.yml:4 ${wanted}`]);
    assert.deepEqual(await brief(await one(t, [GITHUB]), { RELEASE_VERSION: "-x" }), [`environment ${wanted}`]);
    assert.deepEqual(await brief(await one(t, [GITHUB, "RELEASE_VERSION: 2.x.1"])), ['nats/Taskfile.yml:4 RELEASE_VERSION of nats is "2.x.1", expected one version, or a series such as 2.x or 2.10.x; correct it, or set subsystems.nats.pin in slipstream.yaml']);
    const unknown = await one(t, [GITHUB, "RELEASE_VERSION: { sh: x }"]);
    assert.deepEqual(await brief(unknown), ["nats/Taskfile.yml:4 sh: is not understood here (only literals, env and default are); set subsystems.nats.pin in slipstream.yaml"]);
    await unknown.write("slipstream.yaml", "subsystems: { nats: { pin: v1.0.0 } }");
    assert.equal((await load(unknown))?.pin, "v1.0.0");
  });
});

describe("a subsystem that is built here by strategy releases", () => {
  const releases = [GITHUB, "VERSION_STRATEGY: releases"];

  it("knows the releases of its upstream, whose tags are checked out, and not those of a distribution", async (t) => {
    assert.deepEqual((await load(await one(t, releases, "", SOURCE)))?.release, releaseFeed({ repository: "nats-io/nats-server" }));
    const other = "subsystems: { nats: { release: { repository: acme/platform, api: 'https://gitea.example/api/v1', asset_wait: 5m } } }";
    assert.deepEqual((await load(await one(t, releases, other, SOURCE)))?.release, releaseFeed({ repository: "nats-io/nats-server", assetWaitMs: 300_000 }));
    assert.deepEqual((await load(await one(t, [...releases, "RELEASE_REPO: acme/platform"], "", SOURCE)))?.release, releaseFeed({ repository: "nats-io/nats-server" }));
  });

  it("knows them at the API that is configured for its upstream", async (t) => {
    const api = "https://gitea.example/api/v1";
    const own = `subsystems: { nats: { mode: source, release: { api: '${api}' } } }`;
    assert.deepEqual((await load(await one(t, [ELSEWHERE, "VERSION_STRATEGY: releases"], own)))?.release, releaseFeed({ repository: "acme/nats", api }));
  });

  it("has none where no API is known, nor by another strategy", async (t) => {
    assert.equal((await load(await one(t, [ELSEWHERE, "VERSION_STRATEGY: releases"], "", SOURCE)))?.release, undefined);
    assert.equal((await load(await one(t, [GITHUB, "VERSION_STRATEGY: tags"], "", SOURCE)))?.release, undefined);
  });
});

describe("a workspace without a Taskfile", () => {
  const release = (name: string, more = "") => `  ${name}: { mode: release, release: { repository: acme/${name} }${more} }\n`;

  it("works where slipstream.yaml describes every subsystem and all are in release mode", async (t) => {
    const w = await configWorkspace(t, { "slipstream.yaml": `subsystems:\n${release("api")}${release("web", ", binary: webd")}  old: { enabled: false }\n` });
    const config = await w.load();
    assert.equal(config.rootTaskfile, join(w.dir, "Taskfile.yml"));
    assert.deepEqual(config.subsystems.map((s) => [s.name, s.dir, s.upstream, s.binary]), [["api", join(w.dir, "api"), "https://github.com/acme/api", "api"], ["web", join(w.dir, "web"), "https://github.com/acme/web", "webd"]]);
  });

  it("is a problem as soon as one of them is built here, or there is none", async (t) => {
    const missing = "Taskfile.yml is missing, expected the Taskfile of the workspace; point --workspace at the folder that has it";
    const w = await configWorkspace(t, { "slipstream.yaml": `subsystems:\n${release("api")}  web: { upstream: /srv/git/acme/web.git, build: { command: [make] } }\n` });
    assert.deepEqual(await brief(w), [missing]);
    await w.write("slipstream.yaml", `subsystems:\n${release("api", ", enabled: false")}`);
    assert.deepEqual(await brief(w), [missing]);
  });

  it("still says that two subsystems may not share a binary", async (t) => {
    const w = await configWorkspace(t, { "slipstream.yaml": `subsystems:\n${release("api", ", dir: x, binary: y")}${release("web", ", dir: x, binary: y")}` });
    assert.match((await brief(w)).join(), /^slipstream\.yaml binary \S+\/x\/\.bin\/y belongs to api and web/);
  });
});

describe("GITHUB_TOKEN", () => {
  it("is warned of where a release API is not https", async (t) => {
    const w = await one(t, [GITHUB], "subsystems: { nats: { release: { api: 'http://127.0.0.1:4100' } } }");
    const wanted = "GITHUB_TOKEN is set and the release.api of nats is http://127.0.0.1:4100, expected https; what listens there may be given the token";
    assert.deepEqual((await w.load({ env: { GITHUB_TOKEN: "ghp_1234567890" } })).warnings, [wanted]);
    assert.deepEqual((await w.load()).warnings, []);
    assert.deepEqual((await (await one(t, [GITHUB])).load({ env: { GITHUB_TOKEN: "ghp_1234567890" } })).warnings, []);
  });
});
