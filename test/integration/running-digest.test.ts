import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFile, chmod, copyFile, mkdtemp, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it, type TestContext } from "node:test";
import { createSupervisor } from "../../src/adapters/process-compose.ts";
import { readProcEntry, startedAtMs } from "../../src/adapters/proc.ts";
import { proveRunning, type RunningClaim, type RunningProof } from "../../src/adapters/running-digest.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { processComposeBinary, startProcessCompose } from "../support/process-compose.ts";
import { until } from "../support/wait.ts";

const never = new AbortController().signal;
const LINUX = process.platform === "linux" ? {} : { skip: "needs /proc" };
let sleep: string;

before(async () => {
  for (const path of ["/usr/bin/sleep", "/bin/sleep"]) sleep ??= await realpath(path).catch(() => undefined as unknown as string);
});

async function folder(t: TestContext): Promise<string> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "dig-")));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function digestOf(path: string): Promise<string> {
  return `sha256:${createHash("sha256").update(await readFile(path)).digest("hex")}`;
}

/** A native program like no other: `sleep` with `mark` behind its end. The file is put in place by rename, as a swap does. */
async function putNative(binary: string, mark: string): Promise<string> {
  await copyFile(sleep, `${binary}.new`);
  await appendFile(`${binary}.new`, mark);
  await chmod(`${binary}.new`, 0o755);
  await rename(`${binary}.new`, binary);
  return digestOf(binary);
}

async function putScript(path: string, mark: string): Promise<string> {
  await writeFile(`${path}.new`, `#!/bin/bash\n# ${mark}\nwhile :; do sleep 0.2; done\n`, { mode: 0o755 });
  await rename(`${path}.new`, path);
  return digestOf(path);
}

/** In a group of its own, which is killed at the end. */
async function run(t: TestContext, argv: readonly [string, ...string[]], cwd?: string): Promise<number> {
  const child: ChildProcess = spawn(argv[0], argv.slice(1), { stdio: "ignore", detached: true, ...(cwd === undefined ? {} : { cwd }) });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  t.after(async () => {
    process.kill(-(child.pid as number), "SIGKILL");
    await ended;
  });
  await new Promise((resolve, reject) => child.once("spawn", () => resolve(undefined)).once("error", reject));
  return child.pid as number;
}

/** The first proof that is given; a program takes a moment to start. */
async function proved(claim: RunningClaim, what: string): Promise<RunningProof> {
  let last: RunningProof | undefined;
  const look = async () => {
    last = await proveRunning(claim, never);
    return last.proved ? last : undefined;
  };
  return await until(look, { what: `the proof of ${what}`, timeoutMs: 5_000, onTimeout: () => last?.detail ?? "" });
}

const short = (p: RunningProof) => [p.proved, p.proof];

describe("the proof that the new program runs", LINUX, () => {
  it("is given to a program whose mapped file has the digest", async (t) => {
    const binary = join(await folder(t), "sleep");
    const digest = await putNative(binary, "new");
    const pid = await run(t, [binary, "1000"]);
    assert.deepEqual(await proved({ pid, digest, binary, sinceMs: Date.now() }, "a direct child"), { proved: true, proof: "exe", pid, detail: `pid ${pid} runs ${binary} with digest ${digest}` });
  });

  it("is given to the child of a wrapper, and names the child", async (t) => {
    const binary = join(await folder(t), "sleep");
    const digest = await putNative(binary, "new");
    const pid = await run(t, ["bash", "-c", `bash -c '"${binary}" 1000; true'; true`]);
    const proof = await proved({ pid, digest, binary, sinceMs: 0 }, "the program");
    assert.deepEqual(short(proof), [true, "exe"]);
    assert.notEqual(proof.pid, pid);
  });

  it("comes as soon as a slow wrapper has started the program, and not before", async (t) => {
    const dir = await folder(t);
    const binary = join(dir, "sleep");
    const digest = await putNative(binary, "new");
    const pid = await run(t, ["bash", "-c", `until [ -e go ]; do sleep 0.1; done; exec "${binary}" 1000`], dir);
    assert.deepEqual(short(await proveRunning({ pid, digest, binary, sinceMs: 0 }, never)), [false, "different"]);
    await writeFile(join(dir, "go"), "");
    const proof = await proved({ pid, digest, binary, sinceMs: 0 }, "the program");
    assert.equal(proof.pid, pid);
  });

  it("is refused while the old program runs on from its deleted file, whoever names the new one", async (t) => {
    const binary = join(await folder(t), "sleep");
    const oldDigest = await putNative(binary, "old");
    const old = await run(t, ["bash", "-c", '"$0" 1000; true', binary]);
    await until(async () => (await proveRunning({ pid: old, digest: oldDigest, binary, sinceMs: 0 }, never)).proved, { what: "the old program to run" });
    const digest = await putNative(binary, "new");
    const proof = await proveRunning({ pid: old, digest, binary, sinceMs: 0 }, never);
    assert.deepEqual(short(proof), [false, "different"]);
    assert.match(proof.detail, /\(deleted\).*sha256:/);
  });

  it("is given to an interpreted program started after the swap, also by a relative name", async (t) => {
    const dir = await folder(t);
    const sinceMs = Date.now();
    const binary = join(dir, "tool");
    const digest = await putScript(binary, "new");
    for (const argv of [[binary], ["bash", "./tool"], ["bash", "-c", "bash tool; true"]] as const) {
      const pid = await run(t, argv, dir);
      const proof = await proved({ pid, digest, binary, sinceMs }, argv.join(" "));
      assert.equal(proof.proof, "command-line");
    }
  });

  it("is refused to an interpreted program that was started before the swap", async (t) => {
    const binary = join(await folder(t), "tool");
    const old = await putScript(binary, "old");
    const pid = await run(t, ["bash", binary]);
    await until(async () => (await proveRunning({ pid, digest: old, binary, sinceMs: 0 }, never)).proved, { what: "the old script to run" });
    await until(async () => Date.now() - (await startOf(pid)) > 300, { what: "some time to pass" });
    const digest = await putScript(binary, "new");
    assert.deepEqual(short(await proveRunning({ pid, digest, binary, sinceMs: Date.now() }, never)), [false, "different"]);
  });

  it("is refused to an interpreted program whose file has another digest", async (t) => {
    const binary = join(await folder(t), "tool");
    await putScript(binary, "other");
    const pid = await run(t, ["bash", binary]);
    assert.deepEqual(short(await proveRunning({ pid, digest: `sha256:${"0".repeat(64)}`, binary, sinceMs: 0 }, never)), [false, "different"]);
  });

  it("is refused to a pid that is gone", async (t) => {
    const binary = join(await folder(t), "sleep");
    const digest = await putNative(binary, "new");
    const child = spawn(binary, ["0"], { stdio: "ignore" });
    await new Promise((resolve) => child.once("exit", resolve));
    assert.deepEqual(short(await proveRunning({ pid: child.pid as number, digest, binary, sinceMs: 0 }, never)), [false, "different"]);
  });

  it("is unavailable, and says so, for a program of another user", async (t) => {
    const binary = join(await folder(t), "sleep");
    const claim = { pid: 1, digest: await putNative(binary, "new"), binary, sinceMs: 0 };
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      const proof = await proveRunning(claim, never);
      assert.deepEqual(short(proof), [false, "unavailable"]);
      assert.match(proof.detail, /this user/);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it("holds under Process Compose: refused after the swap, given after the reload", async (t) => {
    const dir = await realpath(await mkdtemp(join(tmpdir(), "dig-")));
    const binary = join(dir, "sleep");
    await putNative(binary, "old");
    const yaml = JSON.stringify({ processes: { web: { command: `"${binary}" 1000; true`, shutdown: { timeout_seconds: 5 } }, other: { command: "sleep 1000" } } }, null, 2);
    const pc = await startProcessCompose({ dir, yaml, binary: await processComposeBinary() });
    t.after(async () => {
      await pc.close();
      await rm(dir, { recursive: true, force: true });
    });
    const supervisor = createSupervisor({ address: pc.address, clock: systemClock, log: silentLog() });
    await until(async () => (await supervisor.state("web", never)).isRunning, { what: "web to run" });
    const plan = await supervisor.plan("web", never);
    const sinceMs = Date.now();
    const digest = await putNative(binary, "new");
    const prove = async (pid: number, signal: AbortSignal) => {
      const p = await proveRunning({ pid, digest, binary, sinceMs }, signal);
      return { ok: p.proved, detail: p.detail };
    };
    assert.match((await prove(plan.oldPid, never)).detail, /\(deleted\)/);
    await supervisor.reload(plan, never);
    const { pid } = await supervisor.waitHealthy(plan, { soakMs: 300, timeoutMs: 10_000, prove }, never);
    assert.equal((await proveRunning({ pid, digest, binary, sinceMs }, never)).proof, "exe");
  });
});

async function startOf(pid: number): Promise<number> {
  const entry = await readProcEntry(pid);
  return (entry && (await startedAtMs(entry, Date.now()))) ?? Number.NaN;
}
