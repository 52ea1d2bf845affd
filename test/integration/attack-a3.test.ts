/** Attacks on receivers, live configuration, drift and `doctor --fix`: what a holder of one secret, a hostile checkout or a careless edit must not achieve. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { childEnv } from "../../src/adapters/exec.ts";
import { digestIfAny, readSmall } from "../../src/adapters/files.ts";
import { fixDefects } from "../../src/config/defects/fix.ts";
import { startLive } from "../../src/config/live.ts";
import { createDaemon } from "../../src/daemon.ts";
import { StateError } from "../../src/domain/errors.ts";
import { createFollower } from "../../src/follow-files.ts";
import { createReceivers } from "../../src/ingest/receivers/receivers.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { Secret } from "../../src/kit/secret.ts";
import { adopt } from "../../src/run/adopt.ts";
import { openStore } from "../../src/store/store.ts";
import { configWorkspace, rootTaskfile, taskfile } from "../support/config-workspace.ts";
import { openFrontDoor, SECRET } from "../support/front-door.ts";
import { LAUNCHER, run } from "../support/launcher.ts";
import { until } from "../support/wait.ts";

const FILES = { "Taskfile.yml": rootTaskfile("api"), "api/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/acme/api", "BIN_NAME: api"), ".slipstream/secrets.env": `WEBHOOK_SECRET=${"0123456789abcdef".repeat(4)}\n` };
const A = "a".repeat(40);
const B = "b".repeat(40);

function push(repository: string, message = "x"): string {
  return JSON.stringify({ ref: "refs/heads/x", before: A, after: B, created: false, deleted: false, forced: false, head_commit: { id: B, message }, repository: { full_name: repository, node_id: "R_1" } });
}

async function post(url: string, body: string, how: { readonly secret: string; readonly event?: string; readonly id: string; readonly type?: string }): Promise<{ readonly status: number; readonly body: { readonly delivery: string; readonly state?: string; readonly reason?: string; readonly error?: { readonly code: string } } }> {
  const signature = `sha256=${createHmac("sha256", how.secret).update(body).digest("hex")}`;
  const answer = await fetch(url, { method: "POST", body, headers: { "content-type": how.type ?? "application/json", "x-github-event": how.event ?? "push", "x-github-delivery": how.id, "x-hub-signature-256": signature } });
  return { status: answer.status, body: (await answer.json()) as never };
}

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "slipstream-attack-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

describe("a holder of a signature", { timeout: 60_000 }, () => {
  it("cannot send a signed JSON body again as a form, whose payload stands in a commit message", async (t) => {
    const door = await openFrontDoor();
    t.after(() => door.close());
    const forged = JSON.stringify({ action: "published", release: { id: 1, tag_name: "v9.9.9", draft: false, prerelease: false }, repository: { full_name: "acme/one", node_id: "R_2" } });
    const body = push("mallory/own", `see &payload=${encodeURIComponent(forged)}&`);
    const answer = await post(`${door.url}/webhook`, body, { secret: SECRET, event: "release", id: "again", type: "application/x-www-form-urlencoded" });
    assert.deepEqual([answer.status, answer.body.error?.code], [400, "form-invalid"]);
  });

  it("who sends another's body first cannot put his own name under it", async (t) => {
    const one = new Secret("one", "the secret of the first one");
    const two = new Secret("two", "the secret of the second one");
    const receivers = createReceivers([
      { name: "github-one", forge: "github", path: "/one", secrets: [one], repositories: ["acme/*"] },
      { name: "github-two", forge: "github", path: "/two", secrets: [two], repositories: ["other/*"] },
    ]);
    const door = await openFrontDoor({ receivers: () => receivers });
    t.after(() => door.close());
    const body = push("acme/one");
    const early = await post(`${door.url}/two`, body, { secret: two.reveal(), id: "early" });
    assert.deepEqual([early.body.state, early.body.reason], ["ignored", "repository-not-configured"]);
    const real = await post(`${door.url}/one`, body, { secret: one.reveal(), id: "real" });
    const stored = door.store.inbox.get(real.body.delivery);
    assert.deepEqual([real.status, stored?.state, stored?.receiver, stored?.key, stored?.externalId], [202, "received", "github-one", "one", "real"]);
  });
});

describe("what lies in the place of a program", { timeout: 60_000 }, () => {
  it("never holds up the daemon: a pipe, a device or a folder is no program", async (t) => {
    const dir = await folder(t);
    const put = { pipe: (path: string) => void execFileSync("mkfifo", [path]), device: (path: string) => symlink("/dev/zero", path), folder: (path: string) => mkdir(path) };
    for (const [what, make] of Object.entries(put)) {
      const path = join(dir, what);
      await make(path);
      await assert.rejects(digestIfAny(path), /is no regular file/, what);
      assert.equal(await readSmall(path), undefined, what);
    }
  });

  it("leaves the other programs served when the daemon starts", async (t) => {
    const w = await configWorkspace(t, { ...FILES, "Taskfile.yml": rootTaskfile("api", "web"), "web/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/acme/web", "BIN_NAME: web"), "web/.bin/web": "#!/bin/sh\n" });
    await mkdir(join(w.dir, "api/.bin"), { recursive: true });
    execFileSync("mkfifo", [join(w.dir, "api/.bin/api")]);
    const daemon = await createDaemon({ config: await w.load({ env: childEnv(process.env) }), log: silentLog(), listen: false });
    t.after(() => daemon.run(AbortSignal.abort()));
    const { subsystems } = await daemon.app.status();
    assert.deepEqual(subsystems.map((s) => [s.name, s.current !== undefined]), [["api", false], ["web", true]]);
  });
});

describe("a program that replaces itself", { timeout: 60_000 }, () => {
  for (const [reloads, asked] of [[2, 1], [3, 0]] as const) {
    it(`after ${reloads} reloads for drift within the hour is ${asked === 0 ? "only shown" : "reloaded again"}`, async (t) => {
      const w = await configWorkspace(t, { ...FILES, "slipstream.yaml": "subsystems: { api: { drift: reload, process: api } }\n", "process-compose.yaml": "processes: { api: { command: api/.bin/api } }\n" });
      const put = async (text: string) => {
        await w.write("api/.bin/api", text);
        await w.write("api/.bin/.version", `commit: abcdef1\nchecksum: ${createHash("sha256").update(text).digest("hex")}\nversion: v1.0.0\n`);
      };
      const config = await w.load({ env: childEnv(process.env) });
      const path = join(config.stateDir, "slipstream.db");
      const before = openStore(path, () => systemClock.now());
      await put("first");
      await adopt({ store: before, log: silentLog() }, config.subsystems[0] as never);
      for (let i = 0; i < reloads; i++) before.endRun(before.runs.create({ kind: "reload", subsystem: "api", status: "queued", trigger: "operator", actor: "drift", toVersion: "v1.0.0" }).id, { status: "skipped", deliveries: "done", code: "superseded", message: "test" });
      before.close();
      await put("second");
      const daemon = await createDaemon({ config, log: silentLog(), listen: false });
      const { subsystems } = await daemon.app.status();
      await daemon.run(AbortSignal.abort());
      assert.equal(subsystems[0]?.drift?.verified, true);
      const after = openStore(path, () => systemClock.now());
      t.after(() => after.close());
      assert.equal(after.inbox.claim(10, 1_000).filter((c) => c.delivery.change.kind === "request").length, asked);
    });
  }
});

describe("a configuration that was taken and cannot be used", { timeout: 60_000 }, () => {
  it("is said, leaves the one before in force, and is tried again at the next save", async (t) => {
    const w = await configWorkspace(t, { ...FILES, "slipstream.yaml": "log_level: info\n" });
    const live = await startLive(() => w.load());
    let broken = true;
    const taken: string[] = [];
    const take = async ({ config }: { readonly config: { readonly logLevel: string } }) => {
      if (broken) throw new StateError("tool-missing", "git is not runnable");
      taken.push(config.logLevel);
    };
    const stop = new AbortController();
    let looks = 0;
    const running = createFollower({ live, clock: systemClock, log: silentLog(), take, look: async () => void looks++ }).run(stop.signal);
    t.after(() => (stop.abort(), running));
    await until(() => looks > 0, { what: "the watch to stand" });
    await w.write("slipstream.yaml", "log_level: warn\n");
    await until(() => live.problems().length > 0, { what: "the trouble to be said" });
    assert.match(live.problems().map((p) => p.message).join(), /cannot be put into force: git is not runnable/);
    assert.equal(live.current().logLevel, "info");
    broken = false;
    await w.write("slipstream.yaml", "# again\nlog_level: warn\n");
    await until(() => taken.length > 0, { what: "the second try" });
    assert.deepEqual([taken, live.problems(), live.current().logLevel], [["warn"], [], "warn"]);
  });
});

describe("a state_dir that is edited while a daemon runs", { timeout: 60_000 }, () => {
  it("makes no second engine of a command, which would look for the daemon in the new place", async (t) => {
    const w = await configWorkspace(t, FILES);
    const env = childEnv(process.env);
    const daemon = await createDaemon({ config: await w.load({ env }), log: silentLog(), listen: false });
    await w.write("slipstream.yaml", "state_dir: .state\n");
    const second = async () => createDaemon({ config: await w.load({ env }), log: silentLog(), listen: false });
    await assert.rejects(second(), { code: "workspace-locked" });
    await daemon.run(AbortSignal.abort());
    await (await second()).run(AbortSignal.abort());
    await symlink(join(w.dir, ".state"), join(w.dir, ".linked"));
    await w.write("slipstream.yaml", "state_dir: .linked\n");
    await (await second()).run(AbortSignal.abort());
  });
});

describe("a hostile checkout", { timeout: 120_000 }, () => {
  it("cannot lead the backups of doctor --fix out of the workspace", async (t) => {
    const w = await configWorkspace(t, { "Taskfile.yml": "version: '3'\ntasks:\n  bin:build:\n    cmds:\n      - go build -o .bin/x .\n" });
    const outside = await folder(t);
    await mkdir(join(w.dir, ".slipstream"));
    await chmod(join(w.dir, ".slipstream"), 0o700);
    await symlink(outside, join(w.dir, ".slipstream/backups"));
    const before = await readFile(join(w.dir, "Taskfile.yml"), "utf8");
    const { files } = await fixDefects({ workspace: w.dir, env: {}, dryRun: false, now: Date.UTC(2026, 5, 1) });
    assert.match(files.map((f) => f.refused).join(), /backups: is a symbolic link/);
    assert.deepEqual([await readdir(outside), await readFile(join(w.dir, "Taskfile.yml"), "utf8")], [[], before]);
  });

  it("with a chain of ten thousand tasks does not end doctor", async (t) => {
    const chain = Array.from({ length: 10_000 }, (_, i) => `  t${i}: { deps: [t${i + 1}] }\n`).join("");
    const w = await configWorkspace(t, { "Taskfile.yml": `version: '3'\ntasks:\n${chain}`, "process-compose.yaml": "processes: { a: { command: task t0 } }\n" });
    assert.deepEqual((await fixDefects({ workspace: w.dir, env: {}, dryRun: true, now: 0 })).files, []);
  });

  it("made of defects is not proved mend by mend until the end of time: what is left says so", async (t) => {
    const tasks = Array.from({ length: 30 }, (_, i) => `  t${i}:\n    cmds:\n      - task bin:build\n`).join("");
    const w = await configWorkspace(t, { "Taskfile.yml": `# ${"x".repeat(1_000_000)}\nversion: '3'\ntasks:\n  bin:build: go build\n${tasks}` });
    const { files, left } = await fixDefects({ workspace: w.dir, env: {}, dryRun: true, now: 0 });
    assert.deepEqual(files.map((f) => f.ids), [["D5"]]);
    const open = left.filter((d) => d.id === "D5");
    assert.ok(open.length > 0 && open.length < 30, String(open.length));
    assert.match(open.at(-1)?.whyNotSafe ?? "", /there are too many to look at each/);
  });

  it("cannot drive the terminal through the names in its files", async (t) => {
    const w = await configWorkspace(t, { ...FILES, "slipstream.yaml": '"k\\e]0;owned\\a\\x9b31m\\n::warning::x": 1\n' });
    for (const args of [["status"], ["status", "--json"], ["doctor", "--json"]]) {
      const { stdout, stderr } = await run([LAUNCHER, ...args, "--workspace", w.dir], w.dir, childEnv(process.env));
      assert.match(stdout + stderr, /is not a known key/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      assert.doesNotMatch(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|^::/m, args.join(" "));
    }
  });
});

it("a file of another kind that was saved as slipstream.yaml is refused with the first hundred of its problems", async (t) => {
  const w = await configWorkspace(t, { ...FILES, "slipstream.yaml": Array.from({ length: 3_000 }, (_, i) => `k${i}: 1\n`).join("") });
  assert.equal((await w.problems()).length, 100);
  await w.write("slipstream.yaml", `subsystems:\n${Array.from({ length: 1_001 }, (_, i) => `  s${i}: {}\n`).join("")}`);
  assert.deepEqual((await w.problems()).map((p) => p.message), ["subsystems: has too many entries, expected at most 1000"]);
});
