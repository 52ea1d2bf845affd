import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { hookOf, receiverFacts, receiversOf } from "../../../src/config/receivers.ts";
import type { ForgeKind, Subsystem } from "../../../src/domain/subsystem.ts";
import { Secret } from "../../../src/kit/secret.ts";
import { configWorkspace } from "../../support/config-workspace.ts";
import { subsystem } from "../../support/subsystem.ts";

const LONG = "0123456789abcdef";
const secret = (n: number | string) => `${LONG}${n}`;

async function workspace(t: TestContext, env: Record<string, string>, yaml?: string) {
  const w = await configWorkspace(t, { "Taskfile.yml": "version: '3'\n", ...(yaml === undefined ? {} : { "slipstream.yaml": yaml }) });
  return { load: (more: object = {}) => w.load({ env, ...more }), problems: async () => (await w.problems({ env })).map((p) => `${p.file}:${p.line ?? ""} ${p.message}`) };
}

/** `github on /webhook: default, next` */
async function heard(t: TestContext, env: Record<string, string>, yaml?: string, more: object = {}): Promise<string[]> {
  const { receivers } = await (await workspace(t, env, yaml)).load(more);
  return receivers.map((r) => `${r.name}${r.name === r.forge ? "" : ` (${r.forge})`} on ${r.path}: ${r.secrets.map((s) => s.name).join(", ")}`);
}

describe("without receivers in slipstream.yaml", () => {
  for (const [what, env, expected] of [
    ["one secret serves both forges on one path", { WEBHOOK_SECRET: secret(0) }, ["gitea on /webhook: default", "github on /webhook: default"]],
    ["secrets that name no forge serve both", { WEBHOOK_SECRET: secret(0), WEBHOOK_SECRET_NEXT: secret(1) }, ["gitea on /webhook: default, next", "github on /webhook: default, next"]],
    ["a forge with secrets named for it takes only those", { WEBHOOK_SECRET: secret(0), WEBHOOK_SECRET_GITEA: secret(1) }, ["gitea on /webhook: gitea", "github on /webhook: default"]],
    ["Forgejo's name is as good as Gitea's", { WEBHOOK_SECRET_FORGEJO: secret(0), WEBHOOK_SECRET_GITEA_OLD: secret(1), WEBHOOK_SECRET_GITHUB: secret(2) }, ["gitea on /webhook: forgejo, gitea_old", "github on /webhook: github"]],
    ["a forge without any secret is not listened to", { WEBHOOK_SECRET_GITHUB: secret(0), WEBHOOK_SECRET_GITHUB_NEXT: secret(1) }, ["github on /webhook: github, github_next"]],
    ["without secrets there is nobody", {}, []],
  ] as const) {
    it(what, async (t) => assert.deepEqual(await heard(t, env), expected));
  }
  it("--secret serves every receiver, beside what is named for it", async (t) => {
    assert.deepEqual(await heard(t, { WEBHOOK_SECRET_GITEA: secret(1) }, undefined, { flags: { secret: secret(2) } }), ["gitea on /webhook: gitea, flag", "github on /webhook: flag"]);
  });
  it("a secret that both have is warned of only where both forges are in use", () => {
    const webhook = [new Secret("default", secret(0))];
    const of = (...forges: (ForgeKind | undefined)[]): readonly Subsystem[] => forges.map((forge, i) => subsystem({ name: `s${i}`, ...(forge === undefined ? {} : { forge }) }));
    const warnings = (subsystems: readonly Subsystem[], secrets = webhook) => {
      const found: string[] = [];
      receiversOf({ workspace: "/ws", file: {}, yaml: null, webhook: secrets, subsystems }, [], found);
      return found;
    };
    assert.deepEqual([warnings(of("github")), warnings(of("gitea")), warnings(of("github", undefined))], [[], [], []]);
    assert.match(warnings(of("github", "gitea")).join(), /^receivers gitea and github share a secret, expected one each/);
    assert.match(warnings([subsystem({ forge: "github", others: [{ ...subsystem(), forge: "gitea" }] })]).join(), /share a secret/, "of several upstreams, too");
    assert.match(warnings(of("github", "gitea"), [new Secret("github", secret(0)), new Secret("gitea", secret(0))]).join(), /share a secret/, "one value under two names");
    assert.deepEqual(warnings(of("github", "gitea"), [new Secret("github", secret(0)), new Secret("gitea", secret(1))]), []);
  });
});

describe("receivers in slipstream.yaml", () => {
  const ALL = { WEBHOOK_SECRET: secret(0), WEBHOOK_SECRET_GITHUB: secret(1), WEBHOOK_SECRET_GITEA: secret(2), WEBHOOK_SECRET_WORK: secret(3) };
  it("are those alone, with forge, path and secrets by their names unless told otherwise", async (t) => {
    assert.deepEqual(await heard(t, ALL, "receivers: { gitea: {} }\n"), ["gitea on /webhook: gitea"]);
  });
  it("list what they want", async (t) => {
    const yaml = "receivers:\n  forgejo-home: { path: /hooks/home }\n  work: { forge: gitea, path: /hooks/work, secrets: [WEBHOOK_SECRET_WORK, WEBHOOK_SECRET] }\n  github: {}\n";
    assert.deepEqual(await heard(t, ALL, yaml), ["forgejo-home (gitea) on /hooks/home: gitea", "github on /webhook: github", "work (gitea) on /hooks/work: default, work"]);
  });
  it("have the secrets they list to themselves: who may sign for a few repositories may not sign for those of another", async (t) => {
    const set = { WEBHOOK_SECRET_GITHUB_A: secret(0), WEBHOOK_SECRET_GITHUB_B: secret(1) };
    const yaml = "receivers:\n  github-a: { path: /a, secrets: [WEBHOOK_SECRET_GITHUB_A], repositories: [a/*] }\n  github-b: { path: /b, repositories: [b/*] }\n";
    assert.deepEqual(await heard(t, set, yaml), ["github-a (github) on /a: github_a", "github-b (github) on /b: github_b"]);
    const file = { receivers: { "github-a": { secrets: ["WEBHOOK_SECRET_GITHUB_A"] }, gitea: {} } };
    assert.deepEqual(hookOf("gitea", file, ["WEBHOOK_SECRET_GITHUB_A"]).variables, []);
  });
  it("of one forge with one secret and other repositories are warned of", async (t) => {
    const { warnings } = await (await workspace(t, { WEBHOOK_SECRET: secret(0) }, "receivers:\n  github-a: { path: /a, repositories: [a/*] }\n  github-b: { path: /b, repositories: [b/*] }\n")).load();
    assert.match(warnings.join(), /^receivers github-a and github-b share a secret, expected one each: .*list different ones under receivers\.<name>\.secrets$/);
  });
  it("have their patterns in lower case", async (t) => {
    const { receivers } = await (await workspace(t, ALL, "receivers: { github: { repositories: [Acme/*, ours/one] } }\n")).load();
    assert.deepEqual(receivers.map((r) => r.repositories), [["acme/*", "ours/one"]]);
  });
  it("with --secret are given it all the same, and a secret of that name in the environment is not taken for it", async (t) => {
    const yaml = "receivers: { github: { secrets: [WEBHOOK_SECRET] } }\n";
    assert.deepEqual(await heard(t, ALL, yaml, { flags: { secret: secret(9) } }), ["github on /webhook: default, flag"]);
    assert.deepEqual(await heard(t, { ...ALL, WEBHOOK_SECRET_FLAG: secret(8), WEBHOOK_SECRET_DEFAULT: secret(7) }, yaml), ["github on /webhook: default"]);
  });
  it("that are wrong are problems, each at its line", async (t) => {
    const yaml = [
      "receivers:",
      "  mine: {}",
      "  github:",
      "    secrets:",
      "      - WEBHOOK_SECRET",
      "      - WEBHOOK_SECRET_NOBODY",
      "      - WEBHOOK_SECRET_GITEA",
      "  github-two: {}",
      "  gitea:",
      "    path: /webhook/tea",
      "  forgejo:",
      "    path: /api/hooks",
      "  operator:",
      "    { forge: github, path: /hooks/operator }",
      "",
    ].join("\n");
    assert.deepEqual((await (await workspace(t, ALL, yaml)).problems()).map((line) => line.replace(/;.*/, "")), [
      "slipstream.yaml:2 forge of receiver mine is not told by its name, expected github or gitea (for Forgejo, too)",
      "slipstream.yaml:6 secret WEBHOOK_SECRET_NOBODY of receiver github is not set, expected it in .slipstream/secrets.env",
      "slipstream.yaml:7 secret WEBHOOK_SECRET_GITEA of receiver github is bound to gitea by its name, expected one for github",
      "slipstream.yaml:12 path of receiver forgejo is /api/hooks, which the daemon answers itself",
      "slipstream.yaml:13 name of receiver operator is that of people's own requests, expected another",
      "slipstream.yaml:8 path of receiver github-two is /webhook, as that of github for the same forge",
      "slipstream.yaml:10 path of receiver gitea is /webhook/tea, where /webhook of receiver github has the names of subsystems",
    ]);
  });
  it("of two forges with one secret are warned of, and so is one that has none", async (t) => {
    const shared = await (await workspace(t, { WEBHOOK_SECRET: secret(0) }, "receivers: { github: {}, gitea: {} }\n")).load();
    assert.deepEqual([shared.receivers.length, shared.warnings.length], [2, 1]);
    assert.match(shared.warnings.join(), /^receivers gitea and github share a secret/);
    const silent = await (await workspace(t, { WEBHOOK_SECRET_GITHUB: secret(0) }, "receivers: { github: {}, gitea: {} }\n")).load();
    assert.deepEqual(silent.receivers.map((r) => r.name), ["github"]);
    assert.match(silent.warnings.join(), /^receiver gitea has no secret, expected one; set WEBHOOK_SECRET_GITEA in \.slipstream\/secrets\.env$/);
  });
  it("tell a person the path and the secret to enter for each forge", () => {
    const set = ["WEBHOOK_SECRET", "WEBHOOK_SECRET_GITEA", "WEBHOOK_SECRET_WORK"];
    assert.deepEqual(hookOf("github", {}, set), { path: "/webhook", variables: ["WEBHOOK_SECRET", "WEBHOOK_SECRET_WORK"] });
    assert.deepEqual(hookOf("gitea", {}, set), { path: "/webhook", variables: ["WEBHOOK_SECRET_GITEA"] });
    assert.deepEqual(hookOf("gitea", {}, ["WEBHOOK_SECRET_GITHUB"]).variables, []);
    const file = { receivers: { work: { forge: "gitea" as const, path: "/hooks/work", secrets: ["WEBHOOK_SECRET_WORK"] } } };
    assert.deepEqual(hookOf("gitea", file, set), { path: "/hooks/work", variables: ["WEBHOOK_SECRET_WORK"] });
  });
  it("are told to doctor, those that do not listen among them", () => {
    const file = { receivers: { github: {}, work: { forge: "gitea" as const, path: "/hooks/work" } } };
    const github = { name: "github", forge: "github", path: "/webhook", secrets: [new Secret("default", secret(0))], repositories: [] } as const;
    const subsystems = [subsystem({ name: "hub", forge: "github" }), subsystem({ name: "any" }), subsystem({ name: "us", forge: "gitea", notManaged: "it is slipstream" })];
    assert.deepEqual(receiverFacts({ receivers: [github], subsystems }, file), [
      { name: "github", forge: "github", path: "/webhook", explicit: true, keys: ["default"], sharedWith: [], subsystems: ["hub", "any"], bound: ["hub"] },
      { name: "work", forge: "gitea", path: "/hooks/work", explicit: true, keys: [], sharedWith: [], subsystems: ["any"], bound: [] },
    ]);
  });
});

describe("the token for Gitea or Forgejo", () => {
  const token = async (t: TestContext, env: Record<string, string>) => {
    const config = await (await workspace(t, env)).load();
    return { value: config.giteaToken?.reveal(), masked: config.secrets.map((s) => s.reveal()), warnings: config.warnings };
  };
  it("is GITEA_TOKEN or FORGEJO_TOKEN, and is masked", async (t) => {
    for (const name of ["GITEA_TOKEN", "FORGEJO_TOKEN"]) {
      const { value, masked, warnings } = await token(t, { [name]: secret("t") });
      assert.deepEqual([value, masked.includes(secret("t")), warnings], [secret("t"), true, []]);
    }
    assert.equal((await token(t, { GITHUB_TOKEN: secret("t") })).value, undefined);
  });
  it("that is there twice is GITEA_TOKEN, both are masked, and a difference is warned of", async (t) => {
    assert.deepEqual((await token(t, { GITEA_TOKEN: secret("a"), FORGEJO_TOKEN: secret("a") })).warnings, []);
    const { value, masked, warnings } = await token(t, { GITEA_TOKEN: secret("a"), FORGEJO_TOKEN: secret("b") });
    assert.deepEqual([value, masked.includes(secret("b"))], [secret("a"), true]);
    assert.match(warnings.join(), /^GITEA_TOKEN and FORGEJO_TOKEN are both set and differ, expected one of them; GITEA_TOKEN is used$/);
  });
});
