import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, realpath, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { delimiter, join, relative } from "node:path";
import { describe, it } from "node:test";
import { childEnv } from "../../src/adapters/exec.ts";
import { VERSION } from "../../src/kit/program-version.ts";
import { install, LAUNCHER, oldNode, pack, packageThatTells, pathWithoutNode, pinNode, ROOT, run, tempDir, told } from "../support/launcher.ts";
import { processComposeBinary, startProcessCompose } from "../support/process-compose.ts";
import { until } from "../support/wait.ts";

const env = childEnv(process.env);
const pathAfter = (first: string) => ({ ...env, PATH: `${first}${delimiter}${env["PATH"]}` });
/** The smallest workspace: one without subsystems. */
const TASKFILE = "version: '3'\ntasks: {}\n";

describe("the launcher in a checkout", () => {
  it("runs from another folder, through absolute, relative and chained symlinks", async (t) => {
    const dir = await tempDir(t);
    await mkdir(join(dir, "my bin"));
    await symlink(LAUNCHER, join(dir, "absolute"));
    await symlink(relative(join(dir, "my bin"), LAUNCHER), join(dir, "my bin/relative"));
    await symlink("my bin/relative", join(dir, "chained"));
    for (const command of [LAUNCHER, "./absolute", "my bin/relative", "./chained"]) {
      assert.equal((await run([command, "--version"], dir, env)).stdout, VERSION, command);
    }
    const found = { ...env, PATH: `${dir}${delimiter}${env["PATH"]}` };
    assert.equal((await run(["chained", "--version"], "/", found)).stdout, VERSION, "found on PATH");
  });

  it("takes the pinned Node although Node 20 comes first on PATH", async (t) => {
    const dir = await tempDir(t);
    const old = await oldNode(join(dir, "old"));
    assert.equal((await run([LAUNCHER, "--version"], dir, pathAfter(old))).stdout, VERSION);
    const launcher = await packageThatTells(join(dir, "package"));
    const pinned = await pinNode(join(dir, "package"));
    assert.equal(await realpath((await told([launcher], dir, pathAfter(old))).execPath), pinned);
  });

  it("finds the pinned Node above the package, where npm puts it", async (t) => {
    const dir = await tempDir(t);
    const launcher = await packageThatTells(join(dir, "node_modules/slipstreamd"), "dist/main.js");
    const pinned = await pinNode(dir);
    const got = await told([launcher], "/", { PATH: await pathWithoutNode(join(dir, "path")) });
    assert.equal(await realpath(got.execPath), pinned);
    assert.equal(got.main, join(dir, "node_modules/slipstreamd/dist/main.js"));
  });

  it("takes a Node on PATH that is new enough when none is pinned", async (t) => {
    const dir = await tempDir(t);
    const launcher = await packageThatTells(dir);
    const path = await pathWithoutNode(join(dir, "path"));
    await symlink(process.execPath, join(path, "node"));
    assert.equal((await told([launcher], "/", { PATH: path })).version, process.version);
  });

  it("says which Node it found and what to install when there is none new enough", async (t) => {
    const dir = await tempDir(t);
    const launcher = await packageThatTells(dir);
    const path = await pathWithoutNode(join(dir, "path"));
    const none = await run([launcher], "/", { PATH: path });
    assert.equal(none.exitCode, 1);
    assert.match(none.stderr, /Node\.js 24\.15 or newer is needed, and there is none on PATH/);
    const old = await oldNode(join(dir, "old"));
    const tooOld = await run([launcher], "/", { PATH: `${old}${delimiter}${path}` });
    assert.equal(tooOld.exitCode, 1);
    assert.match(tooOld.stderr, new RegExp(`needed, and ${join(old, "node")} is v\\d+\\.\\d+\\.\\d+\\.`));
    assert.match(tooOld.stderr, /npm ci/);
    assert.equal(tooOld.stdout, "");
  });

  it("hands over arguments, folder, environment and exit code unchanged", async (t) => {
    const dir = await tempDir(t);
    const launcher = await packageThatTells(join(dir, "package"));
    await pinNode(join(dir, "package"));
    const argv = ["update", "", "two words", "$HOME", "it's", '"quoted"', "--", "-x", "*"];
    const given = { PATH: env["PATH"] ?? "", PWD: dir, EXIT_CODE: "70", CDPATH: "/tmp", NODE: "unrelated", node: "kept", root: "kept", dir: "kept", self: "kept" };
    const result = await run([launcher, ...argv], dir, given);
    assert.equal(result.exitCode, 70);
    const { _, SHLVL, OLDPWD, ...got } = JSON.parse(result.stdout).env;
    assert.deepEqual(got, given);
    assert.deepEqual(JSON.parse(result.stdout).argv, argv);
    assert.equal(JSON.parse(result.stdout).cwd, dir);
  });

  it("becomes the program: its pid is Node's, and signals reach it", async (t) => {
    const dir = await tempDir(t);
    const launcher = await packageThatTells(dir);
    await pinNode(dir);
    const child = spawn(launcher, [], { env: { ...env, STAY: "1" }, stdio: ["ignore", "pipe", "ignore"] });
    t.after(() => child.kill("SIGKILL"));
    const [first] = (await once(child.stdout, "data")) as [Buffer];
    assert.equal(JSON.parse(String(first)).pid, child.pid);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [null, "SIGTERM"]);
  });
});

describe("the packed package", () => {
  it("holds the built program and its examples, installs elsewhere and runs from any folder", async (t) => {
    const dir = await tempDir(t);
    const { tarball, files } = await pack(dir);
    for (const wanted of ["bin/slipstream", "dist/main.js", "dist/adapters/git-worker.js", "taskfiles/subsystem.yml", "slipstream.example.yaml", "process-compose.yml", ".env.example", "LICENSE"]) {
      assert.ok(files.includes(wanted), `${wanted} is in the package`);
    }
    assert.deepEqual(files.filter((file) => /^(src|test|tools|node_modules)\/|\.ts$|^\.env$/.test(file)), []);

    const command = await install(tarball, join(dir, "installed"));
    const elsewhere = join(dir, "else where");
    await mkdir(elsewhere);
    const oldFirst = pathAfter(await oldNode(join(dir, "old")));
    assert.equal((await run([command, "--version"], elsewhere, oldFirst)).stdout, VERSION);
    assert.match((await run([command, "--help"], elsewhere, oldFirst)).stdout, /^Usage: slipstream[\s\S]*watch[\s\S]*rollback/);
    await writeFile(join(elsewhere, "Taskfile.yml"), TASKFILE);
    const status = await run([command, "status", "--json", "--workspace", elsewhere], "/", oldFirst);
    assert.equal(status.exitCode, 0, status.stderr);
    assert.equal(JSON.parse(status.stdout).workspace, elsewhere);
  });

  it("carries the version that the program reports", async () => {
    assert.equal(JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")).version, VERSION);
  });
});

describe("the daemon under Process Compose", () => {
  it("starts from another folder with Node 20 on PATH, becomes Ready, and stops when asked", async (t) => {
    const dir = await tempDir(t);
    const workspace = join(dir, "workspace");
    await mkdir(join(workspace, ".slipstream"), { recursive: true, mode: 0o700 });
    await writeFile(join(workspace, ".slipstream/secrets.env"), "WEBHOOK_SECRET=0123456789abcdef0123456789abcdef\n", { mode: 0o600 });
    await writeFile(join(workspace, "Taskfile.yml"), TASKFILE);
    const port = await freePort();
    const probe = { http_get: { host: "127.0.0.1", port: String(port), path: "/health" }, period_seconds: 1, timeout_seconds: 5, failure_threshold: 30 };
    const daemon = { command: `exec '${LAUNCHER}' watch --workspace '${workspace}' --port ${port}`, readiness_probe: probe, shutdown: { timeout_seconds: 10 } };
    const elsewhere = join(dir, "pc");
    const binary = await processComposeBinary();
    const pc = await startProcessCompose({
      dir: elsewhere,
      yaml: JSON.stringify({ version: "0.5", processes: { slipstream: daemon } }),
      binary,
      keepProject: true,
      env: { PATH: pathAfter(await oldNode(join(dir, "old"))).PATH },
    });
    t.after(() => pc.close());
    const state = async () => (await pc.states()).get("slipstream");
    const ready = await until(async () => { const now = await state(); return now?.ready === "Ready" ? now : undefined; }, { what: "the daemon to be Ready", timeoutMs: 30_000, onTimeout: () => pc.output() });
    assert.equal(ready.restarts, 0);
    assert.match(await realpath(`/proc/${ready.pid}/exe`), /\/node-linux-[^/]+\/bin\/node$/);
    assert.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);

    const stopped = await run([binary, "process", "stop", "slipstream", "-U", "-u", join(elsewhere, "pc.sock")], elsewhere, { ...env, HOME: elsewhere });
    assert.equal(stopped.exitCode, 0, stopped.stderr);
    const ended = await until(async () => { const now = await state(); return now?.isRunning === false ? now : undefined; }, { what: "the daemon to end", onTimeout: () => pc.output() });
    assert.deepEqual({ status: ended.status, exitCode: ended.exitCode }, { status: "Completed", exitCode: 0 }, pc.output());
    await assert.rejects(fetch(`http://127.0.0.1:${port}/health`), "nothing listens any more");
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
