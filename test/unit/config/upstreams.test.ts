import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";
import { releaseFeed } from "../../support/subsystem.ts";

type T = Parameters<typeof configWorkspace>[0];
const GITHUB = "UPSTREAM_REPO: https://github.com/nats-io/nats-server";
const SOURCE = { "nats/.src/main.go": "" };
const one = (t: T, own: string, vars: readonly string[] = [GITHUB], more: Record<string, string> = {}) => configWorkspace(t, { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": taskfile(...vars), "slipstream.yaml": own, ...more });
const load = async (t: T, own: string, vars?: readonly string[], more?: Record<string, string>) => (await (await one(t, own, vars, more)).load()).subsystems[0];
const problems = async (t: T, own: string, vars?: readonly string[], more?: Record<string, string>) => (await (await one(t, own, vars, more)).problems()).map((p) => `${p.file}:${p.line} ${p.message}`);
const several = (...entries: string[]) => `subsystems:\n  nats:\n    upstreams:\n${entries.map((e) => `      - ${e}\n`).join("")}`;

describe("several upstreams", () => {
  it("go in order, the first as the subsystem's own, whatever the Taskfile names", async (t) => {
    const own = several("{ upstream: https://github.com/ours/nats-fork, repositories: [Ours/Nats-Mirror], branch: stable }", "{ upstream: git@gitea.example:acme/nats.git, forge: gitea }", "{ upstream: /srv/git/acme/nats-copy.git }");
    const nats = await load(t, own, [GITHUB, "UPSTREAM_BRANCH: dev"], SOURCE);
    assert.deepEqual([nats?.upstream, nats?.branch, nats?.repositories, nats?.forge, nats?.prefer, nats?.mode], ["https://github.com/ours/nats-fork", "stable", ["ours/nats-fork", "ours/nats-mirror"], "github", "newest", "source"]);
    assert.deepEqual(nats?.others, [
      { upstream: "git@gitea.example:acme/nats.git", branch: "dev", repositories: ["acme/nats"], forge: "gitea" },
      { upstream: "/srv/git/acme/nats-copy.git", branch: "dev", repositories: ["acme/nats-copy"] },
    ]);
  });

  it("have each its own releases, with what the subsystem says of all of them", async (t) => {
    const own = `${several("{ upstream: https://github.com/ours/nats }", "{ upstream: https://gitea.example/acme/nats.git, forge: gitea, release: { trust: none } }", "{ release: { repository: acme/dist, api: https://ghe.example/api/v3 } }")}    release: { asset: "{name}.tgz", max_mb: 7, repository: ours/dist, api: 'https://ghe.elsewhere.example/api/v3' }\n    prefer: order\n`;
    const nats = await load(t, own, [GITHUB, "RELEASE_REPO: nats-io/releases"]);
    const feed = (fields: object) => releaseFeed({ asset: "{name}.tgz", maxBytes: 7 * 1024 ** 2, ...fields });
    assert.deepEqual([nats?.mode, nats?.prefer, nats?.release], ["release", "order", feed({ repository: "ours/dist" })]);
    assert.deepEqual(nats?.others, [
      { upstream: "https://gitea.example/acme/nats.git", branch: "main", repositories: ["acme/nats"], release: feed({ repository: "acme/nats", api: "https://gitea.example/api/v1", trust: "none" }), forge: "gitea" },
      { upstream: "https://ghe.example/acme/dist", branch: "main", repositories: ["acme/dist"], release: feed({ repository: "acme/dist", api: "https://ghe.example/api/v3" }), forge: "github" },
    ]);
  });

  it("are described without any Taskfile variable", async (t) => {
    const own = `${several("{ release: { repository: acme/nats } }", "{ upstream: https://github.com/acme/nats-lts }")}    mode: release\n`;
    const nats = await load(t, own, ["X: y"]);
    assert.deepEqual([nats?.upstream, nats?.others.map((o) => o.release?.repository)], ["https://github.com/acme/nats", ["acme/nats-lts"]]);
  });

  it("are instead of upstream, and beside it a problem", async (t) => {
    const [problem, ...more] = await problems(t, `${several("{ upstream: https://github.com/a/b }")}    upstream: https://github.com/c/d\n`);
    assert.equal(problem, "slipstream.yaml:5 upstream of nats is given beside upstreams, expected one of the two; make it the first entry of subsystems.nats.upstreams");
    assert.deepEqual(more, []);
  });

  const GITEA_TWIN = "{ upstream: https://gitea.example/acme/nats, forge: gitea }";
  for (const [what, entries, wanted] of [
    ["the same URL twice", ["{ upstream: https://github.com/acme/nats }", "{ upstream: https://github.com/acme/nats.git/ }"], "slipstream.yaml:5 subsystems.nats.upstreams.1 is the same upstream as one above it, expected each once"],
    ["the same owner/name twice", ["{ upstream: /srv/git/acme/nats.git }", GITEA_TWIN], "slipstream.yaml:5 subsystems.nats.upstreams.1 is acme/nats, which an upstream above it is as well, expected each repository in one entry; remove it from one, or set forge in both where their forges differ in kind"],
    ["an alias that is another entry", ["{ upstream: /srv/git/acme/nats.git, repositories: [ours/nats] }", "{ upstream: /srv/git/ours/nats.git }"], "slipstream.yaml:5 subsystems.nats.upstreams.1 is ours/nats, which an upstream above it is as well, expected each repository in one entry; remove it from one, or set forge in both where their forges differ in kind"],
    ["a login in a lower one", ["{ upstream: https://github.com/acme/nats }", "{ upstream: https://me:hunter22@gitea.example/a/b }"], "slipstream.yaml:5 the upstream of nats holds a login, expected none; give it to git through a credential helper"],
    ["a branch that is no ref", ["{ upstream: https://github.com/acme/nats }", "{ upstream: /srv/git/ours/nats.git, branch: --upload-pack=x }"], 'slipstream.yaml:5 branch of nats is "--upload-pack=x", expected a git ref; set subsystems.nats.upstreams.1.branch in slipstream.yaml'],
    ["an alias that is no name", ["{ upstream: https://github.com/acme/nats }", "{ upstream: /srv/git/ours/nats.git, repositories: [nats] }"], "slipstream.yaml:5 repositories of nats has an entry that is no owner/name"],
    ["nothing to build a lower one from", ["{ upstream: https://github.com/acme/nats }", "{ release: { repository: acme/dist } }"], "slipstream.yaml:5 subsystems.nats.upstreams.1 names no upstream, expected the clone URL that nats is built from; set subsystems.nats.upstreams.1.upstream, or mode: release"],
    ["nothing to build the first one from", ["{ release: { repository: acme/dist } }", "{ upstream: https://github.com/acme/nats }"], "slipstream.yaml:4 subsystems.nats.upstreams.0 names no upstream, expected the clone URL that nats is built from; set subsystems.nats.upstreams.0.upstream, or mode: release"],
    ["an entry without a place", ["{ branch: main }"], "slipstream.yaml:4 subsystems.nats.upstreams.0: names no upstream, expected upstream or release.repository"],
    ["a misspelt key", ["{ upstream: https://github.com/acme/nats, brnch: main }"], "slipstream.yaml:4 subsystems.nats.upstreams.0.brnch is not a known key; did you mean branch?"],
  ] as const) {
    it(`with ${what} are a problem with its line`, async (t) => assert.deepEqual(await problems(t, several(...entries), [GITHUB], SOURCE), [wanted]));
  }

  it("may have one name on two forges that are told apart by whose receiver proves it", async (t) => {
    const nats = await load(t, several("{ upstream: https://github.com/acme/nats }", GITEA_TWIN), [GITHUB], SOURCE);
    assert.deepEqual([nats?.forge, nats?.others[0]?.forge, nats?.others[0]?.repositories], ["github", "gitea", ["acme/nats"]]);
  });

  it("need each a known forge in release mode", async (t) => {
    assert.deepEqual(await problems(t, several("{ upstream: https://github.com/acme/nats }", "{ upstream: https://elsewhere.example/acme/nats-x }")), [
      "slipstream.yaml:5 mode of nats is release, but the API of the forge that has acme/nats-x is unknown, because its upstream is not on github.com; set subsystems.nats.upstreams.1.release.api in slipstream.yaml (or subsystems.nats.upstreams.1.release.repository, where the releases are on github.com)",
    ]);
  });
});

describe("the forge of an upstream", () => {
  const upstream = (url: string) => [`UPSTREAM_REPO: '${url}'`];
  const api = async (t: T, url: string, keys: string, top = "") => (await load(t, `${top}subsystems: { nats: { mode: release, ${keys} } }`, upstream(url)))?.release?.api;

  it("says where its API is", async (t) => {
    for (const [url, forge, wanted] of [
      ["https://gitea.example/acme/nats", "gitea", "https://gitea.example/api/v1"],
      ["https://gitea.example:8443/acme/nats", "gitea", "https://gitea.example:8443/api/v1"],
      ["ssh://git@Gitea.example:2222/acme/nats", "gitea", "https://gitea.example/api/v1"],
      ["git@gitea.example:acme/nats.git", "gitea", "https://gitea.example/api/v1"],
      ["http://127.0.0.1:3000/acme/nats", "gitea", "http://127.0.0.1:3000/api/v1"],
      ["http://gitea.lan:3000/acme/nats", "gitea", "https://gitea.lan/api/v1"],
      ["https://ghe.example/acme/nats", "github", "https://ghe.example/api/v3"],
      ["git@corp.ghe.com:acme/nats.git", "github", "https://api.corp.ghe.com"],
      ["ssh://git@ssh.github.com:443/acme/nats", "github", "https://api.github.com"],
    ] as const) assert.equal(await api(t, url, `forge: ${forge}`), wanted, url);
  });

  it("does not outrank an API that is told, unless the general one is of another kind", async (t) => {
    const general = "defaults: { release: { api: 'https://gitea.example/api/v1' } }\n";
    assert.equal(await api(t, "https://ghe.example/acme/nats", "forge: github, release: { api: 'https://api.ghe.example' }"), "https://api.ghe.example");
    assert.equal(await api(t, "https://other.example/acme/nats", "forge: gitea", general), "https://gitea.example/api/v1");
    assert.equal(await api(t, "https://github.com/acme/nats", "forge: github", general), "https://api.github.com");
  });

  it("is told by its place, else by its API, else unknown", async (t) => {
    const forge = async (url: string, keys = "", more: Record<string, string> = {}) => (await load(t, `subsystems: { nats: { ${keys} } }`, upstream(url), more))?.forge;
    assert.equal(await forge("git@github.com:acme/nats.git"), "github");
    assert.equal(await forge("ssh://git@ssh.github.com:443/acme/nats"), "github");
    assert.equal(await forge("https://ghe.example/acme/nats", "release: { api: 'https://ghe.example/api/v3' }", SOURCE), "github");
    assert.equal(await forge("https://gitea.example/acme/nats", "release: { api: 'https://gitea.example/api/v1' }"), "gitea");
    assert.equal(await forge("https://gitea.example/acme/nats"), undefined);
    assert.equal(await forge("https://gitea.example/acme/nats", "forge: gitea", SOURCE), "gitea");
    assert.equal(await forge("https://github.com/acme/nats", "release: { api: 'https://gitea.example/api/v1' }"), "gitea", "the releases are what is told about");
    assert.equal(await forge("https://github.com/acme/nats", "release: { api: 'https://gitea.example/api/v1' }", SOURCE), "github");
  });
});
