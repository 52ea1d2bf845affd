import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFile, chmod, copyFile, mkdir, mkdtemp, readFile, realpath, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { readProcEntry, startedAtMs } from "../../src/adapters/proc.ts";
import { proveRunning } from "../../src/adapters/running-digest.ts";
import { ensureTools } from "../../tools/install.ts";
import { PROGRAM_WAYS } from "../support/compatibility-programs.ts";
import { until } from "../support/wait.ts";

const never = new AbortController().signal;
const LINUX = process.platform === "linux" ? {} : { skip: "needs /proc" };
let path = "";

before(async () => {
  const { task } = await ensureTools();
  path = [dirname(process.execPath), dirname(task), process.env["PATH"]].join(delimiter);
  await promisify(execFile)("python3", ["--version"], { env: { PATH: path } }).catch(() => assert.fail("python3 is not on PATH, expected it: install Python 3, for these tests run real programs of it"));
});

/** Every program says that it is up and then does nothing; `mark` makes it another file. */
const NODE = (mark: string) => `// ${mark}\nrequire("node:fs").writeFileSync(process.env.UP, "");\nsetInterval(() => {}, 1e6);\n`;
const PYTHON = (mark: string) => `# ${mark}\nimport os, time\nopen(os.environ["UP"], "w").close()\ntime.sleep(1000)\n`;
const SHELL = (mark: string) => `#!/bin/sh\n# ${mark}\n: > "$UP"\nwhile :; do sleep 1; done\n`;
/** Writes over its own arguments as libraries for process titles do (proc_pid_stat(5), arg_start). */
const RETITLE = `import os\nf = open("/proc/self/stat").read().rsplit(")", 1)[1].split()\nstart, end = int(f[45]), int(f[46])\nm = open("/proc/self/mem", "r+b", 0)\nm.seek(start)\nm.write(b"app: idle".ljust(end - start, b"\\0"))\n`;
const JAVA = `exec -a java node hold.js`;

interface Way {
  /** Name of the file below x/.bin. */
  readonly file: string;
  readonly content: (mark: string, dir: string) => string | Promise<Buffer>;
  /** When it is not the entry's `how`. */
  readonly command?: string;
  readonly beside?: (dir: string) => Promise<unknown>;
}

const ways: Readonly<Record<string, Way>> = {
  "./x/.bin/app (a native program)": { file: "app", content: native, command: "./x/.bin/app 1000" },
  "./x/.bin/app (a script that begins with #!/usr/bin/env node)": { file: "app", content: (mark) => `#!/usr/bin/env node\n${NODE(mark)}`, command: "./x/.bin/app" },
  "node ./x/.bin/app.js": { file: "app.js", content: NODE },
  "python3 -u ./x/.bin/app.py": { file: "app.py", content: PYTHON },
  "python3 ./x/.bin/app.pyz": { file: "app.pyz", content: zipapp },
  "java -Xmx64m -jar ./x/.bin/app.jar": { file: "app.jar", content: zipapp, command: `${JAVA} -Xmx64m -jar ./x/.bin/app.jar`, beside: holder },
  "java -cp lib/a.jar:x/.bin/app.jar Main": { file: "app.jar", content: zipapp, command: `${JAVA} -cp lib/a.jar:x/.bin/app.jar Main`, beside: holder },
  "sh ./x/.bin/run.sh": { file: "run.sh", content: SHELL },
  'bash -c "exec ./x/.bin/run"': { file: "run", content: SHELL },
  "task x:run": { file: "app.py", content: PYTHON, beside: (dir) => writeFile(join(dir, "Taskfile.yml"), JSON.stringify({ version: "3", tasks: { "x:run": { cmds: ["python3 ./x/.bin/app.py"] } } })) },
  "cd x/.bin && node app.js": { file: "app.js", content: NODE },
  "node ./current.js (a link to x/.bin/app.js)": { file: "app.js", content: NODE, command: "node ./current.js", beside: (dir) => symlink("x/.bin/app.js", join(dir, "current.js")) },
  "python3 ./x/.bin/app.py (which goes to another folder)": { file: "app.py", content: (mark) => `import os\nos.chdir("/")\n${PYTHON(mark)}`, command: "python3 ./x/.bin/app.py" },
  "python3 -m app": { file: "app.py", content: PYTHON, command: "cd x/.bin && python3 -m app" },
  "sh ./x/.bin/run.sh (which ends in: exec another program)": { file: "run.sh", content: (mark) => `# ${mark}\nexec sh -c ': > "$UP"; exec sleep 1000'\n`, command: "sh ./x/.bin/run.sh" },
  ". ./x/.bin/run.sh": { file: "run.sh", content: SHELL, command: ". ./x/.bin/run.sh; true" },
  "node ./x/.bin/app.js (which sets process.title)": { file: "app.js", content: (mark) => `process.title = "app";\n${NODE(mark)}`, command: "node ./x/.bin/app.js" },
  "python3 ./x/.bin/app.py (which sets its title)": { file: "app.py", content: (mark) => `${RETITLE}${PYTHON(mark)}`, command: "python3 ./x/.bin/app.py" },
};

/** `sleep` with `mark` behind its end; it says nothing, so its proof alone tells that it is up. */
async function native(mark: string, dir: string): Promise<Buffer> {
  const copy = join(dir, "sleep");
  await copyFile(await realpath("/bin/sleep"), copy);
  await appendFile(copy, mark);
  return readFile(copy);
}

async function zipapp(mark: string, dir: string): Promise<Buffer> {
  const from = await mkdtemp(join(dir, "zip-"));
  await writeFile(join(from, "__main__.py"), PYTHON(mark));
  await promisify(execFile)("python3", ["-m", "zipapp", from, "-o", `${from}.pyz`], { env: { PATH: path } });
  return readFile(`${from}.pyz`);
}

function holder(dir: string): Promise<void> {
  return writeFile(join(dir, "hold.js"), NODE("holds"));
}

interface Place {
  readonly dir: string;
  readonly binary: string;
  /** Puts the next version in place by rename, as a swap does, and returns its digest. */
  put(mark: string): Promise<string>;
  /** Starts it as Process Compose would, and waits until it is up. */
  start(): Promise<number>;
}

async function place(t: TestContext, { file, content, beside }: Way, command: string): Promise<Place> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "script-")));
  const pids: number[] = [];
  t.after(async () => {
    for (const pid of pids) process.kill(-pid, "SIGKILL");
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  });
  const binary = join(dir, "x", ".bin", file);
  await mkdir(dirname(binary), { recursive: true });
  await beside?.(dir);
  return {
    dir,
    binary,
    async put(mark) {
      const bytes = await content(mark, dir);
      await writeFile(`${binary}.new`, bytes);
      await chmod(`${binary}.new`, 0o755);
      await rename(`${binary}.new`, binary);
      return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    },
    async start() {
      const up = join(dir, `up${pids.length}`);
      const { HOME = "/" } = process.env;
      const child = spawn("bash", ["-c", command], { cwd: dir, stdio: "ignore", detached: true, env: { PATH: path, HOME, UP: up } });
      pids.push(child.pid as number);
      if (content !== native) await until(() => readFile(up).then(() => true), { what: `${command} to be up` });
      return child.pid as number;
    },
  };
}

describe("the proof for what is run", { ...LINUX, concurrency: 3 }, () => {
  for (const { how, proof, test } of PROGRAM_WAYS) {
    it(test, async (t) => {
      const way = ways[how];
      assert.ok(way, `${how} has no program here`);
      const at = await place(t, way, way.command ?? how);
      const look = async (pid: number, digest: string, sinceMs: number) => proveRunning({ pid, digest, binary: at.binary, sinceMs }, never);
      const sinceMs = Date.now();
      const old = await at.put("old");
      const pid = await at.start();
      if (proof === "none") {
        const seen = await look(pid, old, sinceMs);
        assert.deepEqual([seen.proved, seen.proof], [false, "hidden"], seen.detail);
        assert.match(seen.detail, /^pid \d+ runs \/.*no process names .*health\.proof: off$/, "it says what was seen, and what to set");
        return;
      }
      const seen = await until(async () => [await look(pid, old, sinceMs)].find((p) => p.proved), { what: `the proof of ${how}`, onTimeout: async () => (await look(pid, old, sinceMs)).detail });
      assert.equal(seen.proof, proof);

      await until(async () => Date.now() - (await startOf(seen.pid as number)) > 300, { what: "some time to pass" });
      const swapped = Date.now();
      const digest = await at.put("new");
      const stale = await look(pid, digest, swapped);
      assert.deepEqual([stale.proved, stale.proof], [false, "different"], `the old one is no proof of the new one: ${stale.detail}`);
      if (proof === "command-line") assert.match(stale.detail, /was started before the swap/);

      const again = await at.start();
      await until(async () => (await look(again, digest, swapped)).proved, { what: `the proof of the new ${how}` });
    });
  }

  it("names the program, not the wrapper that was told its name as well", async (t) => {
    const at = await place(t, { file: "app.py", content: PYTHON }, "timeout 1000 python3 ./x/.bin/app.py");
    const digest = await at.put("one");
    const pid = await at.start();
    const seen = await proveRunning({ pid, digest, binary: at.binary, sinceMs: 0 }, never);
    assert.equal(seen.proof, "command-line");
    assert.notEqual(seen.pid, pid);
  });

  it("is refused when another file is in its place than the one that was installed", async (t) => {
    const at = await place(t, { file: "run.sh", content: SHELL }, "sh ./x/.bin/run.sh");
    const digest = await at.put("one");
    const pid = await at.start();
    await at.put("by hand");
    const seen = await proveRunning({ pid, digest, binary: at.binary, sinceMs: 0 }, never);
    assert.deepEqual([seen.proved, seen.proof], [false, "different"]);
    assert.match(seen.detail, new RegExp(`run.sh has digest sha256:[0-9a-f]{64}, expected ${digest}`));
  });
});

async function startOf(pid: number): Promise<number> {
  const entry = await readProcEntry(pid);
  return (entry && (await startedAtMs(entry, Date.now()))) ?? Number.NaN;
}
