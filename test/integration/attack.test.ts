/** Attacks that must not succeed: names that are shell code, builds that look for secrets, planted links, strangers who want our disk or our log. Real Task, git, daemon and HTTP. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { childEnv, exec } from "../../src/adapters/exec.ts";
import { digestOf, placeVerified, readSmall } from "../../src/adapters/files.ts";
import { openLogFile } from "../../src/adapters/log-file.ts";
import { createMask, Secret } from "../../src/kit/secret.ts";
import { ensureTools } from "../../tools/install.ts";
import { openFrontDoor, rawConnection } from "../support/front-door.ts";
import { type GitServer, createUpstream, startGitServer, type Upstream } from "../support/git-server.ts";
import { releasePublished, tagPushed } from "../support/github.ts";
import { until } from "../support/wait.ts";
import { runCli, runTool, sendPayload } from "../support/workspace-io.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/slipstream");
const WEBHOOK_SECRET = "whsec-0123456789abcdef0123456789abcdef";
const OTHERS = { GITHUB_TOKEN: "ghp_attack0123456789abcdefghij", PC_API_TOKEN: "pc-attack-token-0123456789abcdef", DB_PASSWORD: "db-attack-password-0123456789" };
const SECRETS = [WEBHOOK_SECRET, ...Object.values(OTHERS)];
/** Every mark the allow-list of ref names lets through, in one name. */
const ODD_BUT_SAFE = "release/1.0_x-y+z@a=b,c%d";

interface Target {
  readonly dir: string;
  readonly url: string;
  readonly marker: string;
  readonly upstream: Upstream;
  readonly hostile: readonly string[];
  /** What the daemon printed. */
  output(): string;
  close(): Promise<void>;
}

/** One subsystem whose Taskfile pastes the version into shell lines unquoted, as people write it; nothing runs under a supervisor. */
async function openTarget(): Promise<Target> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-attack-")));
  const marker = join(dir, "PWNED");
  const repositories = join(dir, ".upstreams");
  await mkdir(repositories);
  const git = await startGitServer(repositories);
  const upstream = await createUpstream(repositories, "acme/naive");
  await upstream.commitFiles({ "a.txt": "1" }, "first");
  await upstream.tag("v1.0.0");
  await upstream.commitFiles({ "a.txt": "2" }, "second");
  for (const tag of ["v1.0.1", ODD_BUT_SAFE]) await upstream.tag(tag);
  const touch = `touch\${IFS}${marker}`;
  const hostile = [`v1.0.9;${touch}`, `v1.0.9$(${touch})`, `v1.0.9\`${touch}\``, `v1.0.9|${touch}`, `v1.0.9&&${touch}`, `v1.0.9>${marker}`, `v1.0.9{{"$(${touch})"}}`, `{{"v1.0.9;"}}${touch}`];
  for (const tag of hostile) await upstream.tag(tag);
  await writeWorkspace(dir, upstream.url(git.url));
  const daemon = startDaemon(dir);
  const close = () => closeTarget(dir, git, daemon);
  const url = await until(() => /"url":"([^"]+)"/.exec(daemon.output())?.[1], { what: "the daemon to listen", onTimeout: daemon.output }).catch((error: unknown) => close().then(() => Promise.reject(error)));
  return { dir, url, marker, upstream, hostile, output: daemon.output, close };
}

async function closeTarget(dir: string, git: GitServer, daemon: { stop(): Promise<void> }): Promise<void> {
  await daemon.stop();
  await git.close();
  await rm(dir, { recursive: true, force: true });
}

async function writeWorkspace(dir: string, upstream: string): Promise<void> {
  const naive = join(dir, "naive");
  await mkdir(join(naive, ".bin"), { recursive: true });
  await mkdir(join(dir, ".slipstream"));
  await writeFile(join(dir, ".slipstream", "secrets.env"), `WEBHOOK_SECRET=${WEBHOOK_SECRET}\n`, { mode: 0o600 });
  await writeFile(join(naive, ".bin", "naive"), "#!/bin/sh\necho v1.0.0\n", { mode: 0o755 });
  await writeFile(join(naive, ".bin", ".version"), "../../../../outside\n");
  const build = [
    `env > ${dir}/build-env.txt`,
    `ps -eo args > ${dir}/build-ps.txt || true`,
    "cat ../../../secrets.env || true",
    "printf '#!/bin/sh\\necho %s\\n' {{.NAIVE_VERSION}} > .bin/naive",
    "chmod 755 .bin/naive",
  ];
  const vars = { NAIVE_UPSTREAM_REPO: upstream, NAIVE_VERSION: '{{.NAIVE_VERSION | default "v1.0.0"}}' };
  await writeFile(join(dir, "Taskfile.yml"), stringify({ version: "3", includes: { naive: { taskfile: "./naive/Taskfile.yml", dir: "./naive" } } }));
  await writeFile(join(naive, "Taskfile.yml"), stringify({ version: "3", vars, tasks: { "bin:build": { cmds: build } } }));
  await writeFile(join(dir, "slipstream.yaml"), stringify({ tools: { task: (await ensureTools()).task }, subsystems: { naive: { process: false } } }));
}

function startDaemon(dir: string): { output(): string; stop(): Promise<void> } {
  const env = childEnv(process.env, { ...OTHERS, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" });
  const child = spawn(LAUNCHER, ["watch", "--workspace", dir, "--port", "0"], { env, cwd: tmpdir(), stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((done) => child.once("close", () => done()));
  const stop = async () => {
    child.kill("SIGTERM");
    await until(() => child.exitCode !== null || child.signalCode !== null, { what: "the daemon to stop" }).catch(() => child.kill("SIGKILL"));
    await ended;
  };
  return { output: () => Buffer.concat(chunks).toString(), stop };
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
}

describe("a hostile upstream", { timeout: 120_000 }, () => {
  let target: Target;
  const cli = (verb: string, ...args: string[]) => runCli(LAUNCHER, [verb, "--workspace", target.dir, ...args]);
  before(async () => {
    target = await openTarget();
  });
  after(() => target?.close());

  it("could run commands through such a Taskfile, if its tag names ever reached it", async () => {
    const { task } = await ensureTools();
    for (const tag of target.hostile) {
      await runTool([task, "-d", target.dir, "naive:bin:build", `NAIVE_VERSION=${tag}`], target.dir).catch(() => undefined);
      assert.ok(existsSync(target.marker), `${tag} is an attack`);
      await rm(target.marker);
    }
    await writeFile(join(target.dir, "naive", ".bin", "naive"), "#!/bin/sh\necho v1.0.0\n", { mode: 0o755 });
  });

  it("gets nothing to run by signed tags that are shell code or templates: each is ignored at the door", async () => {
    const commit = await target.upstream.git("rev-parse", "HEAD");
    for (const tag of target.hostile) {
      for (const payload of [tagPushed("acme/naive", tag, commit), releasePublished("acme/naive", tag)]) {
        const { answer } = await sendPayload({ url: target.url, secret: WEBHOOK_SECRET }, payload);
        assert.deepEqual([answer.status, answer.body.state, answer.body.reason], [202, "ignored", "event-not-used"], tag);
      }
    }
    assert.deepEqual(JSON.parse((await cli("runs", "--json")).stdout), []);
    assert.equal(existsSync(target.marker), false);
  });

  it("gets nothing to run when an operator names such a tag, and the newest version is never one", async () => {
    const named = await cli("update", "naive", "--version", target.hostile[0] as string);
    assert.equal(named.exitCode, 1, named.stdout + named.stderr);
    assert.equal(JSON.parse((await cli("check", "naive", "--json")).stdout).naive.latest, "v1.0.1");
    assert.equal(existsSync(target.marker), false);
  });

  it("may use every mark a tag is allowed to have: it stays one word for the shell", async () => {
    const { stdout, stderr, exitCode } = await cli("update", "naive", "--version", ODD_BUT_SAFE, "--json");
    assert.equal(exitCode, 0, stdout + stderr);
    assert.equal(await readFile(join(target.dir, "naive", ".bin", "naive"), "utf8"), `#!/bin/sh\necho ${ODD_BUT_SAFE}\n`);
  });

  it("cannot lead the kept version out of .bin/.previous by what .version says", async () => {
    const kept = await readdir(join(target.dir, "naive", ".bin", ".previous"));
    assert.equal(kept.length, 1);
    assert.match(kept[0] as string, /^\.\._\.\._\.\._\.\._outside-[0-9a-f]{12}$/);
    assert.deepEqual((await readdir(join(target.dir, "naive", ".bin", ".previous", kept[0] as string))).sort(), [".version", "naive"]);
  });

  it("finds no secret in the environment of its build, nor in any argv of the machine", async () => {
    const env = await readFile(join(target.dir, "build-env.txt"), "utf8");
    assert.match(env, /^SLIPSTREAM_RUN=/m);
    assert.doesNotMatch(env, /^(WEBHOOK_SECRET|GITHUB_TOKEN|PC_API_TOKEN|DB_PASSWORD|GIT_CONFIG_\w+)=/m);
    const seen = env + (await readFile(join(target.dir, "build-ps.txt"), "utf8"));
    for (const secret of SECRETS) assert.equal(seen.includes(secret), false, secret);
  });

  it("that prints the webhook secret prints it masked; no log, answer or table holds one", async () => {
    const [run] = JSON.parse((await cli("runs", "--json")).stdout) as { id: string }[];
    const { stdout: logs } = await cli("logs", run?.id as string);
    assert.match(logs, /WEBHOOK_SECRET=\[secret\]/);
    const shown = await Promise.all([cli("status", "--json"), cli("why", "naive", "--json"), cli("runs", run?.id as string, "--json")]);
    const state = filesBelow(join(target.dir, ".slipstream")).filter((path) => !path.endsWith("secrets.env"));
    assert.ok(state.some((path) => path.endsWith("slipstream.db")) && state.some((path) => path.endsWith("-build.log")));
    const all = [target.output(), ...shown.map((r) => r.stdout + r.stderr), ...state.map((path) => readFileSync(path, "latin1"))];
    for (const secret of SECRETS) assert.equal(all.some((text) => text.includes(secret)), false, secret);
  });

  it("and other users find the state, the logs and the control socket closed", async () => {
    const state = join(target.dir, ".slipstream");
    const mode = async (name: string) => (await stat(join(state, name))).mode & 0o777;
    assert.deepEqual(await Promise.all(["control.sock", "slipstream.db", "slipstream.db-wal", "logs"].map(mode)), [0o600, 0o600, 0o600, 0o700]);
  });
});

describe("a planted file", () => {
  const dir = mkdtempSync(join(tmpdir(), "slipstream-planted-"));
  after(() => rm(dir, { recursive: true, force: true }));

  it("where a binary is staged is replaced, not followed", async () => {
    await writeFile(join(dir, "victim"), "precious");
    await writeFile(join(dir, "new"), "program");
    await symlink(join(dir, "victim"), join(dir, ".slipstream-run"));
    await placeVerified(join(dir, "new"), join(dir, ".slipstream-run"), await digestOf(join(dir, "new")));
    assert.equal(await readFile(join(dir, "victim"), "utf8"), "precious");
    assert.ok((await lstat(join(dir, ".slipstream-run"))).isFile());
  });

  it("that never ends, in place of a version stamp, is not read", { timeout: 10_000 }, async () => {
    await symlink("/dev/zero", join(dir, "endless"));
    assert.equal(await readSmall(join(dir, "endless")), undefined);
    const { exitCode } = await exec({ argv: ["mkfifo", join(dir, "fifo")], cwd: dir, env: childEnv(process.env), timeoutMs: 5_000 }, new AbortController().signal);
    assert.equal(exitCode, 0);
    assert.equal(await readSmall(join(dir, "fifo")), undefined);
  });

  it("does not matter to a log: a secret that crosses the end of a long line leaves no part of itself", async () => {
    const secret = "ghp_0123456789abcdefghijklmnop";
    const log = openLogFile(join(dir, "stage.log"), createMask([new Secret("token", secret)]));
    for (let cut = 1; cut < secret.length; cut++) log.line("x".repeat(16 * 1024 - cut) + secret);
    log.close();
    assert.equal((await readFile(join(dir, "stage.log"), "utf8")).includes(secret.slice(0, 4)), false);
  });
});

describe("a stranger", { timeout: 60_000 }, () => {
  /** Requests that no rule of HTTP or of ours lets through, none of them signed. */
  const BAD = [
    "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /webhook HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    `POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: sha256=${"0".repeat(64)}\r\nContent-Length: 2\r\n\r\n{}`,
    "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
  ];

  it("who sends thousands of bad requests grows neither the journal nor the log", async (t) => {
    const door = await openFrontDoor();
    t.after(() => door.close());
    const before = door.store.events.lastId();
    const rounds = 100;
    for (const bad of BAD) {
      const connection = await rawConnection(door.port);
      connection.send(bad.repeat(rounds));
      await connection.until((text) => text.split("HTTP/1.1 ").length > rounds);
      connection.destroy();
    }
    assert.equal(door.store.events.lastId(), before);
    assert.equal(door.rings(), 0);
    assert.ok(door.lines.length <= BAD.length, `${door.lines.length} log lines for ${BAD.length * rounds} requests`);
  });
});
