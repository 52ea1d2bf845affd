import assert from "node:assert/strict";
import { inspect } from "node:util";
import { describe, it } from "node:test";
import type { Config } from "../../../src/config/load.ts";
import { configWorkspace } from "../../support/config-workspace.ts";

const LONG = "0123456789abcdef";
const ROOT = { "Taskfile.yml": "version: '3'\n" };
const keys = (config: Config) => Object.fromEntries(config.webhookSecrets.map((s) => [s.name, s.reveal()]));

describe("webhook secrets", () => {
  it("are named by what follows WEBHOOK_SECRET_, several at once", async (t) => {
    const w = await configWorkspace(t, ROOT);
    const config = await w.load({ env: { WEBHOOK_SECRET: `${LONG}0`, WEBHOOK_SECRET_NEXT: `${LONG}1`, WEBHOOK_SECRET_OUR_FORKS: `${LONG}2`, WEBHOOK_SECRETS: "no" } });
    assert.deepEqual(keys(config), { default: `${LONG}0`, next: `${LONG}1`, our_forks: `${LONG}2` });
    assert.deepEqual(config.warnings, []);
  });

  it("come from secrets.env first, then from a file, then from the environment", async (t) => {
    const w = await configWorkspace(t, { ...ROOT, file: `file-${LONG}\n` });
    const env = { WEBHOOK_SECRET: `env-${LONG}`, WEBHOOK_SECRET_FILE: "file" };
    await w.write("file", `file-${LONG}\n`, 0o600);
    assert.deepEqual(keys(await w.load({ env: { WEBHOOK_SECRET: `env-${LONG}` } })), { default: `env-${LONG}` });
    assert.deepEqual(keys(await w.load({ env })), { default: `file-${LONG}` });
    await w.write(".slipstream/secrets.env", `# ours\n\nexport WEBHOOK_SECRET="own-${LONG}"\nWEBHOOK_SECRET_B='b=${LONG}'\n`, 0o600);
    const config = await w.load({ env });
    assert.deepEqual(keys(config), { default: `own-${LONG}`, b: `b=${LONG}` });
    assert.deepEqual(config.warnings, []);
  });

  it("that others may read, or that are short, are warned of", async (t) => {
    const w = await configWorkspace(t, ROOT);
    const own = await w.write(".slipstream/secrets.env", "WEBHOOK_SECRET=short\n", 0o640);
    const { warnings } = await w.load();
    assert.deepEqual(warnings, [`${own} has mode 640, expected 600; run: chmod 600 ${own}`, "WEBHOOK_SECRET has 5 characters, expected at least 16; remove it, and slipstream init makes a long one"]);
  });

  it("in the environment of Process Compose are warned of", async (t) => {
    const w = await configWorkspace(t, ROOT);
    const env = { WEBHOOK_SECRET: LONG, PC_PROC_NAME: "slipstream" };
    assert.match((await w.load({ env })).warnings.join(), /Process Compose hands to every process it starts; move it to \S+secrets\.env/);
    await w.write(".slipstream/secrets.env", `WEBHOOK_SECRET=${LONG}\n`, 0o600);
    assert.deepEqual((await w.load({ env })).warnings, []);
  });

  it("given as --secret work, with a warning that ps shows them", async (t) => {
    const config = await (await configWorkspace(t, ROOT)).load({ flags: { secret: LONG } });
    assert.deepEqual(keys(config), { flag: LONG });
    assert.match(config.warnings.join(), /--secret is visible to everyone on this machine in ps/);
  });

  it("that are empty, missing or written wrongly are problems, all at once", async (t) => {
    const w = await configWorkspace(t, ROOT);
    await w.write(".slipstream/secrets.env", "WEBHOOK_SECRET_A=\nA B\nX=1\nX=2\n", 0o600);
    const problems = await w.problems({ env: { WEBHOOK_SECRET: "", WEBHOOK_SECRET_B_FILE: "gone" }, flags: { secret: "" } });
    assert.deepEqual(
      problems.map((p) => `${p.file}:${p.line ?? ""} ${p.message.split(" ").slice(0, 3).join(" ")}`).sort(),
      [".slipstream/secrets.env:1 WEBHOOK_SECRET_A is empty,", ".slipstream/secrets.env:2 is no KEY=VALUE", ".slipstream/secrets.env:4 X is set", "command line: --secret is empty,", "environment: WEBHOOK_SECRET is empty,", "gone: is missing, but"].sort(),
    );
  });
});

describe("other secrets", () => {
  it("are the token of GitHub and of Process Compose, by file or value", async (t) => {
    const w = await configWorkspace(t, { ...ROOT, "slipstream.yaml": "process_compose: { port: 1 }" });
    await w.write("token", "from-path-1\n", 0o600);
    await w.write("own", "from-config-1\n", 0o600);
    const env = { GITHUB_TOKEN: "ghp_1234567890", PC_API_TOKEN: "from-env-1" };
    const load = async (more: object) => (await w.load({ env: { ...env, ...more } })).supervisor?.token?.reveal();
    assert.equal((await w.load({ env })).githubToken?.name, "github");
    assert.equal(await load({}), "from-env-1");
    assert.equal(await load({ PC_API_TOKEN_PATH: "token" }), "from-env-1");
    assert.equal(await load({ PC_API_TOKEN: "", PC_API_TOKEN_PATH: "token" }), "from-path-1");
    assert.equal(await load({ PC_API_TOKEN: "" }), undefined);
    await w.write("slipstream.yaml", "process_compose: { port: 1, token_file: own }");
    assert.equal(await load({ PC_API_TOKEN_PATH: "token" }), "from-config-1");
  });

  it("are known for masking: every line of secrets.env, and whatever the environment calls a secret", async (t) => {
    const w = await configWorkspace(t, ROOT);
    await w.write(".slipstream/secrets.env", `SMTP=mailpass1\nWEBHOOK_SECRET=${LONG}\n`, 0o600);
    const { secrets } = await w.load({ env: { OM_BUILD_EVENT_TOKEN: "token-000", AWS_SECRET_ACCESS_KEY: "aws-000000", WEBHOOK_SECRET: "leftover-env", PATH: "/bin", X_TOKEN_FILE: "/x" } });
    assert.deepEqual(secrets.map((s) => s.reveal()).sort(), [LONG, "aws-000000", "leftover-env", "mailpass1", "token-000"]);
  });

  it("never show in a printed configuration", async (t) => {
    const config = await (await configWorkspace(t, ROOT)).load({ env: { WEBHOOK_SECRET: LONG } });
    const { childEnv: _, ...rest } = config;
    assert.ok(!`${inspect(rest, { depth: 9 })}${JSON.stringify(rest)}`.includes(LONG));
  });
});
