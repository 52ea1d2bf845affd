import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { childEnv } from "../../src/adapters/exec.ts";
import type { InitReport } from "../../src/config/starter.ts";
import { type ConfigWorkspace, configWorkspace } from "../support/config-workspace.ts";
import { type Env, init, listing, report } from "../support/init.ts";
import { run, tempDir } from "../support/launcher.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
const gitConfig = (url: string) => `[remote "origin"]\n\turl = ${url}\n`;
const include = (name: string, ...vars: string[]) => `  ${name}:\n    taskfile: ./build.yml\n    dir: ./${name}\n    vars:\n      NAME: ${name}\n${vars.map((v) => `      ${v}\n`).join("")}`;
const BUILD = "version: '3'\ntasks:\n  bin:build: { cmds: [\"true\"] }\n";

/** A workspace as people have them: one subsystem complete, others with a piece missing. */
async function lived(t: TestContext): Promise<ConfigWorkspace> {
  const w = await configWorkspace(t, {
    "Taskfile.yml": `version: '3'\nincludes:\n${include("api", "UPSTREAM_REPO: https://github.com/acme/api")}${include("web", "UPSTREAM_REPO: ''", "VERSION_STRATEGY: commits")}${include("jobs")}`,
    "build.yml": BUILD,
    "process-compose.yml": "version: '0.5'\nprocesses:\n  api: { command: ./api/.bin/api }\n  web-a: { command: ./web/.bin/web }\n  web-b: { command: ./web/.bin/web --second }\n",
    "web/.src/.git/config": gitConfig("https://octocat:ghp_notforyou@github.com/octo-forks/web.git"),
    "jobs/.src/.git": "gitdir: ../../modules/jobs\n",
    "modules/jobs/commondir": "../jobs-main\n",
    "modules/jobs-main/config": gitConfig("git@github.com:octo-forks/jobs.git"),
    "lonely/.src/.git/config": gitConfig("https://ghp_notforyou@github.com/acme/lonely"),
    "notes/readme.txt": "not a program\n",
  });
  await w.write("fetched/.bin/fetcher", "#!/bin/sh\n", 0o755);
  await w.write("web/.bin/webd", "#!/bin/sh\n", 0o755);
  return w;
}

describe("slipstream init in a workspace", () => {
  it("writes only what discovery cannot find out, and the daemon accepts it without a problem", async (t) => {
    const w = await lived(t);
    const told = await report(w.dir);
    assert.deepEqual(told.problems, []);
    const config = await w.load();
    assert.deepEqual(config.subsystems.map((s) => [s.name, s.upstream, s.binary, s.process, s.build]), [
      ["api", "https://github.com/acme/api", "api", "api", { task: "api:bin:build" }],
      ["jobs", "git@github.com:octo-forks/jobs.git", "jobs", null, { task: "jobs:bin:build" }],
      ["web", "https://github.com/octo-forks/web.git", "webd", null, { task: "web:bin:build" }],
    ]);
    assert.deepEqual(config.supervisor?.address, { socket: join(w.dir, ".slipstream/pc.sock") });
    const own = await readFile(join(w.dir, "slipstream.yaml"), "utf8");
    assert.doesNotMatch(own, /acme\/api/, "what the Taskfile says is not said again");
    assert.match(own, /docs\/configure\.md/);
  });

  it("tells what it could not find out, each with what to do", async (t) => {
    const w = await lived(t);
    const { open } = await report(w.dir);
    const about = (word: RegExp) => open.filter((u) => word.test(u.what)).map((u) => `${u.what} → ${u.todo}`).join("\n");
    assert.match(about(/^fetched /), /nothing says which repository releases it → include it/);
    assert.match(about(/^lonely /), /no include .* has a task bin:build/);
    assert.match(about(/runs jobs/), /no process in process-compose\.yml runs jobs → .*subsystems\.jobs\.process/);
    assert.match(about(/pc\.sock/), /process-compose up -t=false -U -u \.slipstream\/pc\.sock/);
    assert.ok(open.every((u) => u.todo !== ""));
  });

  it("never shows or writes a login that a remote holds", async (t) => {
    const w = await lived(t);
    const { out, err } = await init(w.dir);
    const files = await listing(w.dir);
    assert.doesNotMatch(`${out}${err}${JSON.stringify(await report(w.dir))}${files["slipstream.yaml"]}`, /ghp_|octocat/);
    assert.match(out, /https:\/\/github\.com\/octo-forks\/web\.git/);
  });

  it("does not take over the login of an UPSTREAM_REPO, and says that it is there", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": `version: '3'\nincludes:\n${include("api", "UPSTREAM_REPO: https://octocat:ghp_notforyou@github.com/acme/api")}`, "build.yml": BUILD });
    const { out } = await init(w.dir);
    assert.doesNotMatch(out, /ghp_|octocat/);
    assert.match(out, /UPSTREAM_REPO of api holds a login/);
    assert.equal((await w.load()).subsystems[0]?.upstream, "https://github.com/acme/api");
  });

  it("makes a private secret and shows how to read it, never what it is", async (t) => {
    const w = await lived(t);
    const { out } = await init(w.dir);
    const secret = /^WEBHOOK_SECRET=([0-9a-f]{64})\n$/.exec(await readFile(join(w.dir, ".slipstream/secrets.env"), "utf8"))?.[1] ?? "none";
    assert.deepEqual([await modeOf(join(w.dir, ".slipstream")), await modeOf(join(w.dir, ".slipstream/secrets.env"))], ["700", "600"]);
    assert.equal(await readFile(join(w.dir, ".slipstream/.gitignore"), "utf8"), "*\n");
    assert.equal((await w.load()).webhookSecrets[0]?.reveal(), secret);
    assert.ok(!out.includes(secret));
    const { secret: told } = await report(w.dir);
    assert.equal((await run(["sh", "-c", told.show ?? ""], w.dir, childEnv(process.env))).stdout.trim(), secret);
  });

  it("prints the exact webhook settings, one block per repository", async (t) => {
    const w = await lived(t);
    const { out } = await init(w.dir);
    const block = out.slice(out.indexOf("  octo-forks/web (web)"));
    assert.match(block, /^ {2}octo-forks\/web \(web\)\n +Open +https:\/\/github\.com\/octo-forks\/web\/settings\/hooks\/new\n +Payload URL +https:\/\/<your public address>\/webhook\n +Content type +application\/json\n +Secret +in \.slipstream\/secrets\.env \(WEBHOOK_SECRET\); this shows it: sed .*\n +SSL verification +enabled\n +Events +.*: Pushes\n/);
  });

  it("prints what Gitea and Forgejo ask for, with the secret and the path that are for them", async (t) => {
    const w = await configWorkspace(t, {
      "Taskfile.yml": `version: '3'\nincludes:\n${include("api", "UPSTREAM_REPO: https://git.example.com/acme/api.git")}`,
      "build.yml": BUILD,
      "slipstream.yaml": "receivers: { forgejo: { path: /hooks/tea }, github: {} }\nsubsystems: { api: { forge: gitea, mode: source } }\n",
    });
    await w.write(".slipstream/.gitignore", "*\n");
    await w.write(".slipstream/secrets.env", `WEBHOOK_SECRET=${SECRET}0\nWEBHOOK_SECRET_FORGEJO=${SECRET}1\n`, 0o600);
    const { out } = await init(w.dir);
    assert.match(out, /Webhook settings on Gitea\/Forgejo \(you/);
    const block = out.slice(out.indexOf("  acme/api (api)"));
    assert.match(block, /^ {2}acme\/api \(api\): Gitea and Forgejo send nothing to private addresses unless \[webhook\] ALLOWED_HOST_LIST .*\n +Open +https:\/\/git\.example\.com\/acme\/api\/settings\/hooks, then .*\n +Target URL +https:\/\/<your public address>\/hooks\/tea\n +HTTP method +POST\n +POST content type +application\/json\n +Secret +in \.slipstream\/secrets\.env \(WEBHOOK_SECRET_FORGEJO\); .*\n +Trigger on +Custom events: Create, Push\n/);
  });

  it("changes nothing the second time, and says so", async (t) => {
    const w = await lived(t);
    await init(w.dir);
    const before = await listing(w.dir);
    const { code, out } = await init(w.dir);
    assert.equal(code, 0);
    assert.match(out, /Nothing is missing, so nothing was changed/);
    assert.deepEqual(await listing(w.dir), before);
  });

  it("makes one secret when it runs twice at once", async (t) => {
    for (const there of [undefined, "GITHUB_TOKEN=ghp_0123456789abcdef"]) {
      const w = await lived(t);
      if (there !== undefined) await w.write(".slipstream/secrets.env", there, 0o600);
      await Promise.all([init(w.dir), init(w.dir), init(w.dir), init(w.dir)]);
      const lines = (await readFile(join(w.dir, ".slipstream/secrets.env"), "utf8")).trimEnd().split("\n");
      assert.deepEqual(lines.map((l) => l.split("=")[0]), there === undefined ? ["WEBHOOK_SECRET"] : ["GITHUB_TOKEN", "WEBHOOK_SECRET"]);
      assert.deepEqual((await readdir(join(w.dir, ".slipstream"))).sort(), [".gitignore", "secrets.env"], "nothing half-written stays");
      await w.load();
    }
  });

  it("writes nothing in a dry run, and shows what it would write without the secret", async (t) => {
    const w = await lived(t);
    const before = await listing(w.dir);
    const { code, out } = await init(w.dir, ["--dry-run"]);
    assert.equal(code, 0);
    assert.deepEqual(await listing(w.dir), before);
    assert.match(out, /WEBHOOK_SECRET=\[secret\]/);
    assert.match(out, / {2}\| {3}web:\n/);
    const would = await report(w.dir, ["--dry-run"]);
    assert.deepEqual(would.files.map((f) => [f.path, f.change]), [[".slipstream", "created"], [".slipstream/.gitignore", "created"], [".slipstream/secrets.env", "created"], ["slipstream.yaml", "created"]]);
  });
});

describe("what is there already", () => {
  it("keeps slipstream.yaml byte for byte, adds the secret, and says what the file lacks", async (t) => {
    const w = await lived(t);
    const own = "# mine\nlisten: { port: 9090 }\nsubsystems:\n  jobs: { enabled: false }\n";
    await w.write("slipstream.yaml", own);
    const told = await report(w.dir);
    assert.equal(await readFile(join(w.dir, "slipstream.yaml"), "utf8"), own);
    assert.equal(told.files.find((f) => f.path === ".slipstream/secrets.env")?.change, "created");
    assert.deepEqual(told.open.filter((u) => u.what.includes("does not say subsystems.web.upstream")).map((u) => u.todo), ["add it: https://github.com/octo-forks/web.git"]);
    assert.ok(told.problems.some((p) => p.includes("web") && p.includes("UPSTREAM_REPO")), "the daemon would refuse it, and init says so");
    assert.ok(!told.subsystems.some((s) => s.name === "jobs"));
  });

  it("keeps a file it cannot understand, and repeats what is wrong with it", async (t) => {
    const w = await lived(t);
    await w.write("slipstream.yaml", "listen: { prot: 1 }\n");
    const { code, out } = await init(w.dir);
    assert.equal(code, 0);
    assert.match(out, /listen\.prot is not a known key; did you mean port/);
    assert.equal(await readFile(join(w.dir, "slipstream.yaml"), "utf8"), "listen: { prot: 1 }\n");
  });

  it("adds the secret below the lines of secrets.env, and closes file and folder", async (t) => {
    const w = await lived(t);
    await mkdir(join(w.dir, ".slipstream"), { mode: 0o755 });
    const real = await w.write(".slipstream/secrets.env", "# kept\nGITHUB_TOKEN=ghp_0123456789abcdef", 0o644);
    const told = await report(w.dir);
    assert.match(await readFile(real, "utf8"), /^# kept\nGITHUB_TOKEN=ghp_0123456789abcdef\nWEBHOOK_SECRET=[0-9a-f]{64}\n$/);
    assert.deepEqual([await modeOf(real), await modeOf(join(w.dir, ".slipstream"))], ["600", "700"]);
    assert.deepEqual(told.files.slice(0, 3).map((f) => f.change), ["changed", "created", "changed"]);
    assert.match(told.warnings.join("\n"), /^\.slipstream\/secrets\.env was there before init and has mode 644 and lies in a folder without \.gitignore: if it came with the checkout, others know what is in it/);
    assert.deepEqual((await report(w.dir)).warnings, []);
  });

  it("makes no secret where one is set in any way", async (t) => {
    const cases: { file?: string; env?: Env; place: RegExp; named?: boolean }[] = [
      { file: `export WEBHOOK_SECRET="${SECRET}"\n`, place: /^in \.slipstream\/secrets\.env \(WEBHOOK_SECRET\)$/ },
      { file: `WEBHOOK_SECRET_NEXT=${SECRET}\n`, place: /WEBHOOK_SECRET_NEXT/ },
      { file: "WEBHOOK_SECRET_FILE=hook.txt\n", place: /^in the file WEBHOOK_SECRET_FILE names$/, named: true },
      { env: { WEBHOOK_SECRET_FILE: "hook.txt" }, place: /^in the file WEBHOOK_SECRET_FILE names$/, named: true },
      { env: { WEBHOOK_SECRET: SECRET }, place: /^in the environment \(WEBHOOK_SECRET\)$/ },
    ];
    for (const { file, env = {}, place, named } of cases) {
      const w = await lived(t);
      if (file !== undefined) await w.write(".slipstream/secrets.env", file, 0o644);
      if (named === true) await w.write("hook.txt", `${SECRET}\n`, 0o600);
      const { code, out } = await init(w.dir, ["--json"], env);
      const told = JSON.parse(out) as InitReport;
      assert.equal(code, 0);
      assert.match(told.secret.place, place);
      assert.ok(!out.includes(SECRET));
      if (file === undefined) await assert.rejects(stat(join(w.dir, ".slipstream/secrets.env")));
      else assert.deepEqual([await readFile(join(w.dir, ".slipstream/secrets.env"), "utf8"), await modeOf(join(w.dir, ".slipstream/secrets.env"))], [file, "600"]);
      assert.equal((await w.load({ env })).webhookSecrets.length, 1);
    }
  });

  it("leaves an empty secret to a person: a second line would be refused", async (t) => {
    const w = await lived(t);
    await w.write(".slipstream/secrets.env", "WEBHOOK_SECRET=\n", 0o600);
    const told = await report(w.dir);
    assert.equal(await readFile(join(w.dir, ".slipstream/secrets.env"), "utf8"), "WEBHOOK_SECRET=\n");
    assert.ok(told.problems.some((p) => p.includes("secrets.env:1: WEBHOOK_SECRET is empty")), told.problems.join("\n"));
  });

  it("takes the socket that lies there, and asks when there are several", async (t) => {
    const w = await lived(t);
    const listen = async (path: string) => {
      const server = createServer().listen(join(w.dir, path));
      await once(server, "listening");
      t.after(() => server.close());
    };
    await listen("mine.sock");
    assert.equal((await report(w.dir, ["--dry-run"])).supervisor, "mine.sock");
    await listen("other.sock");
    const told = await report(w.dir);
    assert.equal(told.supervisor, null);
    assert.ok(told.open.some((u) => u.what.includes("mine.sock, other.sock") && u.todo.includes("process_compose.socket")));
    assert.match(await readFile(join(w.dir, "slipstream.yaml"), "utf8"), /^# +socket: mine\.sock {2}# or other\.sock$/m);
    await w.load();
  });

  it("says in slipstream.yaml what was only exported", async (t) => {
    const cases: [Env, unknown][] = [
      [{ PC_SOCKET_PATH: "/run/user/1000/pc.sock" }, { socket: "/run/user/1000/pc.sock" }],
      [{ PC_PORT_NUM: "8181", PC_ADDRESS: "localhost" }, { host: "127.0.0.1", port: 8181 }],
    ];
    for (const [env, address] of cases) {
      const w = await lived(t);
      await init(w.dir, [], env);
      assert.deepEqual((await w.load()).supervisor?.address, address);
    }
  });
});

describe("where init cannot work", () => {
  it("still makes file and secret where there is no Taskfile, and says what is missing", async (t) => {
    const w = await configWorkspace(t, {});
    const { code, out } = await init(w.dir);
    assert.equal(code, 0);
    assert.match(out, /there is no Taskfile.*slipstream init --example/s);
    assert.match(out, /docs\/configure\.md/);
    assert.deepEqual((await readdir(w.dir)).sort(), [".slipstream", "slipstream.yaml"]);
    await w.write("Taskfile.yml", "version: '3'\n");
    assert.deepEqual((await w.load()).subsystems, []);
  });

  it("says which folder it cannot read or write, and why", async (t) => {
    const dir = await tempDir(t);
    await writeFile(join(dir, "file"), "");
    const missing = await init(join(dir, "nowhere"));
    assert.deepEqual([missing.code, /nowhere: is no folder that can be read.*ENOENT/s.test(missing.err)], [64, true], missing.err);
    assert.match((await init(join(dir, "file"))).err, /file: is no folder that can be read/);
    await writeFile(join(dir, ".slipstream"), "not a folder");
    const blocked = await init(dir);
    assert.deepEqual([blocked.code, /\.slipstream: is no folder, expected a folder of the user/.test(blocked.err)], [64, true], blocked.err);
    await mkdir(join(dir, "closed"));
    await chmod(dir, 0o755);
    await chmod(join(dir, "closed"), 0o000);
    const asNobody = await unprivileged(() => init(join(dir, "closed")));
    assert.match(asNobody.err, /closed: is no folder that can be read.*EACCES/s);
  });
});

/** Runs as a user whom permissions bind, also where the tests run as root. */
async function unprivileged<T>(act: () => Promise<T>): Promise<T> {
  const NOBODY = 65_534;
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(NOBODY);
  try {
    return await act();
  } finally {
    if (root) process.seteuid?.(0);
  }
}
