import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, open, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { childEnv } from "../../src/adapters/exec.ts";
import { StateError } from "../../src/domain/errors.ts";
import { isNative } from "../../tools/find.ts";
import { ensureTools, findTools } from "../../tools/install.ts";
import { withLock } from "../../tools/lock.ts";
import { atLeast, PROCESS_COMPOSE, TASK } from "../../tools/pins.ts";
import { silent } from "../../tools/progress.ts";
import { ROOT, run, tempDir } from "../support/launcher.ts";

const never = new AbortController().signal;

/** The environment of a machine with the given programs alone on PATH, an empty cache, and nothing to download from. */
async function machine(dir: string, programs: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const bin = join(dir, "bin");
  await mkdir(bin, { recursive: true });
  for (const [name, target] of Object.entries(programs)) await symlink(target, join(bin, name));
  return { PATH: bin, HOME: dir, SLIPSTREAM_TOOLS_CACHE: join(dir, "cache"), GOPROXY: "off", GOFLAGS: "-mod=mod", GOMODCACHE: join(dir, "modules"), GOCACHE: join(dir, "objects") };
}

async function refusal(env: NodeJS.ProcessEnv): Promise<StateError> {
  const thrown: unknown = await ensureTools({ env, progress: silent }).catch((error: unknown) => error);
  assert.ok(thrown instanceof StateError, `expected a StateError, got ${String(thrown)}`);
  assert.equal(thrown.code, "tool-missing");
  return thrown;
}

async function goProgram(): Promise<string> {
  const { stdout } = await run(["go", "env", "GOROOT"], "/", childEnv(process.env));
  return join(stdout.trim(), "bin/go");
}

describe("the tools for development and tests", () => {
  it("are real programs of the pinned versions or newer", async () => {
    for (const [tool, found] of [[TASK, (await findTools())[0]], [PROCESS_COMPOSE, (await findTools())[1]]] as const) {
      const { stdout } = await run([found.path, ...tool.versionArgs], "/", childEnv(process.env));
      assert.match(stdout, new RegExp(`\\bv?${found.version.slice(1).replaceAll(".", "\\.")}\\b`));
      assert.ok(atLeast(found.version, tool.minimum), `${found.version} is at least ${tool.minimum}`);
      assert.ok(await isNative(found.path));
    }
  });

  it("are taken from PATH when good enough, and nothing is built or written", async (t) => {
    const dir = await tempDir(t);
    const { task, processCompose } = await ensureTools();
    const env = await machine(dir, { task, "process-compose": processCompose });
    const found = await findTools({ env, progress: silent });
    assert.deepEqual(found.map(({ path, from }) => ({ path, from })), [{ path: join(dir, "bin/task"), from: "path" }, { path: join(dir, "bin/process-compose"), from: "path" }]);
    assert.deepEqual(await readdir(dir), ["bin"]);
  });

  it("are never a script named task, nor another program of that name", async (t) => {
    const dir = await tempDir(t);
    const { task, processCompose } = await ensureTools();
    const script = join(dir, "script/task");
    await mkdir(dirname(script));
    await writeFile(script, "#!/bin/sh\necho 3.99.0\n");
    await chmod(script, 0o755);
    const other = join(dir, "other/task");
    await mkdir(dirname(other));
    await copyFile(process.execPath, other, 2);
    const env = await machine(dir, { task, "process-compose": processCompose });
    const path = [dirname(script), dirname(other), "relative", "", env["PATH"]].join(delimiter);
    assert.equal((await ensureTools({ env: { ...env, PATH: path }, progress: silent })).task, join(dir, "bin/task"));
  });

  it("come from the cache when they work, and a damaged one does not count", async (t) => {
    const dir = await tempDir(t);
    const env = await machine(dir, { "process-compose": (await ensureTools()).processCompose });
    const cached = join(dir, "cache", `task-${TASK.pinned}`, "task");
    await mkdir(dirname(cached), { recursive: true });
    await copyFile((await ensureTools()).task, cached);
    const [task] = await findTools({ env, progress: silent });
    assert.deepEqual({ path: task.path, from: task.from }, { path: cached, from: "cache" });
    await using file = await open(cached, "r+");
    await file.truncate(4096);
    await file.close();
    await refusal(env);
  });

  it("say exactly what to install where Go is missing", async (t) => {
    const error = await refusal(await machine(await tempDir(t), {}));
    assert.match(error.message, /go is not on PATH/);
    assert.match(error.message, /go install github\.com\/go-task\/task\/v3\/cmd\/task@v3\.53\.1/);
    assert.match(error.message, /github\.com\/go-task\/task\/releases/);
  });

  it("show why a build failed and leave nothing half-built", async (t) => {
    const dir = await tempDir(t);
    const env = await machine(dir, { go: await goProgram(), task: (await ensureTools()).task });
    const error = await refusal(env);
    assert.match(error.message, /module lookup disabled by GOPROXY=off/);
    assert.match(error.message, /go install github\.com\/f1bonacc1\/process-compose@v1\.122\.0 /);
    assert.deepEqual((await readdir(join(dir, "cache"))).filter((name) => !name.endsWith(".lock")), []);
  });

  it("are built by one of two callers at once, while the other waits for the result", async (t) => {
    const dir = await tempDir(t);
    const { task } = await ensureTools();
    const bin = join(dir, "bin");
    await mkdir(bin);
    await symlink(task, join(bin, "task"));
    // Only Go and our own Task: a Process Compose of this machine must not be found.
    const env = { ...childEnv(process.env), PATH: [bin, dirname(await goProgram())].join(delimiter), SLIPSTREAM_TOOLS_CACHE: join(dir, "cache") };
    const command = [process.execPath, join(ROOT, "tools/install.ts"), "--json"] as const;
    const results = await Promise.all([1, 2].map(() => run([...command], dir, env, 5 * 60_000)));
    const paths = results.map((result) => {
      assert.equal(result.exitCode, 0, result.stderr);
      return JSON.parse(result.stdout.split("\n")[1] ?? "").path as string;
    });
    assert.equal(paths[0], paths[1]);
    assert.ok((await stat(paths[0] ?? "")).size > 1_000_000);
    const built = results.flatMap((result) => result.stderr.split("\n")).filter((line) => /^building .*: done after/.test(line));
    assert.equal(built.length, 1, results.map((result) => result.stderr).join("\n"));
    assert.deepEqual((await readdir(join(dir, "cache"))).filter((name) => name.endsWith(".building")), []);
  });

  it("are not blocked by a builder that was killed", async (t) => {
    const dir = await tempDir(t);
    const lock = join(dir, "tool.lock");
    const holding = `import { withLock } from ${JSON.stringify(join(ROOT, "tools/lock.ts"))};
      await withLock(${JSON.stringify(lock)}, () => new Promise(() => setInterval(() => {}, 1000, console.log("held"))), () => {}, new AbortController().signal);`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", holding], { stdio: ["ignore", "pipe", "inherit"] });
    t.after(() => holder.kill("SIGKILL"));
    await once(createInterface(holder.stdout), "line");
    const order: string[] = [];
    const onWait = () => {
      order.push("waited");
      holder.kill("SIGKILL");
    };
    await withLock(lock, async () => void order.push("worked"), onWait, never);
    assert.deepEqual(order, ["waited", "worked"]);
  });
});
