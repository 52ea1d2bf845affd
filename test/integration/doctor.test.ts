/** `doctor` on real folders, files, ports, programs and a real Process Compose. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { exec } from "../../src/adapters/exec.ts";
import { createMachine, filesystemOf } from "../../src/adapters/machine.ts";
import { controlSocketPath } from "../../src/adapters/socket-path.ts";
import { judge } from "../../src/cli/doctor.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Finding } from "../../src/domain/examination.ts";
import { examine } from "../../src/examine.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { createUpstream, type GitServer, startGitServer } from "../support/git-server.ts";
import { startProcessCompose } from "../support/process-compose.ts";
import { freePorts, workspaceEnv } from "../support/workspace-io.ts";
import { ensureTools } from "../../tools/install.ts";

const SECRET = "4f1c0ffee0ddba11cafe5eed0ddba11f";
const PROCESSES = { api: { command: "sleep 300" }, lone: { command: "sleep 300" } };
const launcher = resolve(import.meta.dirname, "../../bin/slipstream");

/** What is not "ok", as `check status`; the tests may run with a Process Compose before 1.122, which is worth a warning. */
const wrongOf = (findings: readonly Finding[]) => findings.filter((f) => f.status !== "ok" && !/^Process Compose is v/.test(f.message)).map((f) => `${f.check} ${f.status}`);

interface Bench {
  readonly dir: string;
  /** Of the configuration, free a moment ago. */
  readonly port: number;
  /** Rewrites `slipstream.yaml`. */
  configure(more?: Record<string, unknown>): Promise<void>;
  findings(env?: Record<string, string>): Promise<readonly Finding[]>;
  /** What `wrongOf` says of the findings. */
  troubles(env?: Record<string, string>): Promise<string[]>;
}

describe("doctor", { timeout: 240_000 }, () => {
  let tools: Awaited<ReturnType<typeof ensureTools>>;
  let root: string;
  let git: GitServer;

  before(async () => {
    tools = await ensureTools();
    root = await realpath(await mkdtemp(join(tmpdir(), "slipstream-doctor-")));
    git = await startGitServer(root);
    const upstream = await createUpstream(root, "acme/api");
    await upstream.commitFiles({ "main.go": "package main\n" }, "first");
    await upstream.tag("v1.0.0");
  });
  after(async () => {
    await git?.close();
    await rm(root, { recursive: true, force: true });
  });

  /** A workspace with one installed subsystem, all in order but for the daemon and Process Compose. */
  async function bench(t: TestContext): Promise<Bench> {
    const dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-d-")));
    t.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
    const [port] = (await freePorts(1)) as [number];
    await mkdir(join(dir, ".slipstream"), { mode: 0o700 });
    await mkdir(join(dir, "api", ".bin"), { recursive: true });
    const files: Record<string, string> = {
      "Taskfile.yml": "version: '3'\nincludes:\n  api: ./api\n",
      "api/Taskfile.yml": `version: '3'\nvars:\n  UPSTREAM_REPO: ${git.url}/acme/api.git\n  VERSION: v1.0.0\n`,
      "api/.bin/api": "#!/bin/sh\n",
      "api/.bin/.version": "commit: 1234567\nversion: v1.0.0\n",
      ".slipstream/secrets.env": `WEBHOOK_SECRET=${SECRET}\n`,
      "process-compose.yaml": JSON.stringify({ version: "0.5", is_tui_disabled: true, processes: PROCESSES }),
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
    await chmod(join(dir, "api/.bin/api"), 0o755);
    await chmod(join(dir, ".slipstream/secrets.env"), 0o600);
    const configure: Bench["configure"] = (more = {}) => writeFile(join(dir, "slipstream.yaml"), JSON.stringify({ listen: { port }, tools: { task: tools.task }, process_compose: { socket: join(dir, "pc.sock") }, subsystems: { api: { mode: "source" } }, ...more }, null, 1));
    await configure();
    const findings: Bench["findings"] = async (more = {}) => {
      const env = { ...workspaceEnv(), ...more };
      return judge(await examine({ workspace: dir, env, load: () => loadConfig({ workspace: dir, env }) }));
    };
    return { dir, port, configure, findings, troubles: async (env) => wrongOf(await findings(env)) };
  }

  const project = (dir: string, token?: string) => startProcessCompose({ dir, yaml: JSON.stringify({ version: "0.5", is_tui_disabled: true, processes: PROCESSES }), binary: tools.processCompose, ...(token === undefined ? {} : { token }) });
  /** What is always to be seen in a workspace that never ran. */
  const QUIET = ["daemon warn", "webhook warn"];

  test("a workspace in order has nothing but a daemon that is not running yet, and is left as it was", async (t) => {
    const b = await bench(t);
    const pc = await project(b.dir);
    t.after(() => pc.close());
    const before = (await readdir(b.dir, { recursive: true })).sort();
    const findings = await b.findings();
    assert.deepEqual(wrongOf(findings), QUIET, JSON.stringify(findings, null, 1));
    assert.deepEqual((await readdir(b.dir, { recursive: true })).sort(), before);
    const said = (check: string) => findings.find((f) => f.check === check)?.message ?? "";
    assert.match(said("node"), /^Node\.js is \d+\.\d+\.\d+ \(\/.*\)$/);
    assert.match(said("task"), /^Task is \d+\.\d+\.\d+$/);
    assert.match(said("supervisor"), /^Process Compose is v?1\.\d+\.\d+ at .*pc\.sock/);
    assert.match(said("subsystem api"), /installed, built from source, and its upstream answers/);
  });

  test("a Process Compose that is away, wants a token, or lacks the process: each with its mend", async (t) => {
    const b = await bench(t);
    assert.deepEqual(await b.troubles(), ["supervisor warn", ...QUIET]);
    const token = "a-token-of-at-least-twenty-characters";
    const pc = await project(b.dir, token);
    t.after(() => pc.close());
    const refused = (await b.findings()).find((f) => f.check === "supervisor");
    assert.deepEqual([refused?.status, /us without a token \(401\)/.test(refused?.message ?? "")], ["fail", true], refused?.message);
    await writeFile(join(b.dir, ".slipstream/secrets.env"), `WEBHOOK_SECRET=${SECRET}\nPC_API_TOKEN=${token}\n`);
    assert.deepEqual(await b.troubles(), QUIET);
    await writeFile(join(b.dir, "process-compose.yaml"), JSON.stringify({ processes: { ...PROCESSES, jobs: { command: "true" } } }));
    await b.configure({ subsystems: { api: { mode: "source", process: "jobs" } } });
    const lost = (await b.findings()).find((f) => f.check === "processes");
    assert.match(lost?.message ?? "", /process jobs of api is unknown to Process Compose, expected one of: api, lone/);
  });

  test("a process file that would disturb updates, with its lines", async (t) => {
    const b = await bench(t);
    const lines = ["processes:", "  api:", "    command: exec ./api/.bin/api-server", "    is_daemon: true", "    shutdown: { timeout_seconds: 5 }", "    watch:", "      paths:", "        - path: api"];
    await writeFile(join(b.dir, "process-compose.yaml"), `${lines.join("\n")}\n`);
    const found = (await b.findings()).filter((f) => f.check === "process file");
    assert.deepEqual(found.map((f) => [f.status, /\(\S+\/(process-compose\.yaml:\d+)\)/.exec(f.message)?.[1]]), [["warn", "process-compose.yaml:8"], ["fail", "process-compose.yaml:4"]], JSON.stringify(found));
  });

  test("secrets that others may read, that are missing, short, or lie where every process gets them; their values are never said", async (t) => {
    const b = await bench(t);
    const secrets = join(b.dir, ".slipstream/secrets.env");
    await chmod(secrets, 0o644);
    await chmod(join(b.dir, ".slipstream"), 0o755);
    await writeFile(join(b.dir, ".env"), `# the web\nexport WEBHOOK_SECRET = ${SECRET}\nGITHUB_TOKEN=\nPORT=1\n`);
    const findings = await b.findings({ PC_PROC_NAME: "slipstream", GITHUB_TOKEN: SECRET });
    const wrong = findings.filter((f) => /^(secret|dotenv|environment|config)/.test(f.check) && f.status !== "ok");
    assert.deepEqual(wrong.map((f) => `${f.check} ${f.status}`), ["secrets-file warn", "secrets-file fail", "dotenv warn", "environment warn"]);
    assert.match(wrong[1]?.message ?? "", /secrets\.env has mode 644, expected 600/);
    assert.equal(wrong[1]?.mend, `chmod 600 ${secrets}`);
    assert.match(wrong[2]?.message ?? "", /\.env holds WEBHOOK_SECRET, which/);
    assert.match(wrong[3]?.message ?? "", /GITHUB_TOKEN stands in the environment/);
    await writeFile(secrets, "WEBHOOK_SECRET=short\n");
    assert.ok((await b.troubles()).includes("secret warn"));
    await rm(secrets);
    const missing = (await b.findings()).find((f) => f.check === "secret");
    assert.deepEqual([missing?.status, /slipstream init/.test(missing?.mend ?? "")], ["fail", true]);
    assert.equal(JSON.stringify(findings).includes(SECRET), false);
  });

  test("a misspelt key is a finding with its line, and the rest is examined all the same", async (t) => {
    const b = await bench(t);
    await b.configure({ subsystems: { api: { helth: {} } } });
    const findings = await b.findings();
    const config = findings.filter((f) => f.check === "config");
    assert.equal(config.length, 1);
    assert.match(config[0]?.message ?? "", /slipstream\.yaml:\d+: .*helth/);
    const byCheck = new Map(findings.map((f) => [f.check, f.status]));
    assert.deepEqual(["secret", "secrets-file", "state", "disk", "port", "task", "supervisor"].map((c) => `${c} ${byCheck.get(c)}`), ["secret ok", "secrets-file ok", "state ok", "disk ok", "port ok", "task ok", "supervisor warn"]);
    assert.match(findings.find((f) => f.check === "port")?.message ?? "", new RegExp(`port ${b.port} `), "the configured one, not the default");
  });

  test("a port of another program, one that answers HTTP and one that does not, and the slipstream of another workspace", async (t) => {
    const b = await bench(t);
    const onPort = async (server: Server) => {
      await once(server.listen(b.port, "127.0.0.1"), "listening");
      const found = (await b.findings()).find((f) => f.check === "port");
      server.close();
      await once(server, "close");
      return `${found?.status} ${found?.message}`;
    };
    const answering = (text: string) => createHttpServer((_req, res) => res.writeHead(200, { connection: "close" }).end(text));
    assert.match(await onPort(answering("<html>hello</html>")), /^fail .* is taken by another program/);
    assert.match(await onPort(createServer((socket) => socket.destroy())), /^fail .* is taken by another program/);
    assert.match(await onPort(answering(JSON.stringify({ status: "ok", version: "0.1.0", journal: "writable" }))), /^fail .* slipstream of another workspace/);
    assert.match((await b.findings()).find((f) => f.check === "port")?.message ?? "", /is free$/);
  });

  test("a state folder that is a file, an upstream that is gone, a program that cannot run", async (t) => {
    const b = await bench(t);
    await writeFile(join(b.dir, "taken"), "");
    await b.configure({ state_dir: "taken" });
    assert.match((await b.findings()).find((f) => f.check === "state")?.message ?? "", /taken is not usable \(it is no folder\)/);
    await writeFile(join(b.dir, "api/Taskfile.yml"), `version: '3'\nvars:\n  UPSTREAM_REPO: ${git.url}/acme/gone.git\n`);
    await chmod(join(b.dir, "api/.bin/api"), 0o644);
    await rm(join(b.dir, "api/.bin/.version"));
    await b.configure();
    const found = (await b.findings()).filter((f) => f.check === "subsystem api");
    assert.deepEqual(found.map((f) => f.status), ["fail", "fail"], JSON.stringify(found));
    assert.match(found[0]?.message ?? "", /api is not executable/);
    assert.match(found[1]?.message ?? "", /upstream of api could not be read: .*gone/);
  });

  test("a daemon that takes the connection and never answers is said to be silent, and does not hold the rest up", async (t) => {
    const b = await bench(t);
    const held = new Set<Socket>();
    const silent = createServer((socket) => void held.add(socket));
    await once(silent.listen(controlSocketPath(join(b.dir, ".slipstream"))), "listening");
    t.after(() => {
      for (const socket of held) socket.destroy();
      silent.close();
    });
    const findings = await b.findings();
    const daemon = findings.find((f) => f.check === "daemon");
    assert.deepEqual([daemon?.status, /the daemon is silent for 5 s/.test(daemon?.message ?? "")], ["fail", true], daemon?.message);
    assert.equal(findings.find((f) => f.check === "subsystem api")?.message, "api is installed, built from source");
  });

  test("the command ends with 1 and names the mend where something is wrong, with 1 in a folder that is no workspace, and as JSON", async (t) => {
    const b = await bench(t);
    const doctor = (...args: string[]) => new Promise<{ code: unknown; stdout: string; stderr: string }>((done) => execFile(launcher, ["doctor", ...args], { env: workspaceEnv() }, (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr })));
    const secrets = join(b.dir, ".slipstream/secrets.env");
    await chmod(secrets, 0o644);
    const away = await doctor("--workspace", b.dir);
    assert.deepEqual([away.code, away.stderr, away.stdout.includes("\u001b")], [1, "", false], away.stdout);
    assert.match(away.stdout, /^FAIL {2}.*secrets\.env has mode 644, expected 600.*\n {6}.*chmod 600/m);
    assert.match(away.stdout, /^warn {2}Process Compose at .*pc\.sock is not answering.*\n {6}start it on that address/m);
    assert.match(away.stdout, /\nchecks: \d+ ok, 3 to look at, 1 wrong; defects in files: 1\n$/);
    await chmod(secrets, 0o600);
    const nowhere = await doctor("--workspace", join(b.dir, "nowhere"), "--json");
    const { findings } = JSON.parse(nowhere.stdout) as { findings: Finding[] };
    // Without a configuration it looks at port 8080, which somebody else on this machine may hold.
    assert.deepEqual([nowhere.code, findings.filter((f) => f.status === "fail" && f.check !== "port").map((f) => f.check)], [1, ["workspace"]]);
    const pc = await project(b.dir);
    t.after(() => pc.close());
    assert.equal((await doctor("--workspace", b.dir)).code, 0);
  });
});

describe("the machine", () => {
  const machine = createMachine({ exec, env: process.env, clock: systemClock, pid: process.pid, uid: process.getuid?.() });

  test("tells a program of the same name from the one that is meant, and one that is not there", async (t) => {
    const dir = await mkdtemp(join(tmpdir(), "slipstream-m-"));
    t.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
    const fake = join(dir, "task");
    await writeFile(fake, "#!/bin/sh\necho 2.6.2\n", { mode: 0o755 });
    assert.deepEqual(await machine.tool(fake, /Taskfile/), { program: fake, found: true, version: "2.6.2", known: false });
    assert.deepEqual(await machine.tool(join(dir, "nothing")), { program: join(dir, "nothing"), found: false });
    const { found, version } = await machine.tool("git");
    assert.ok(found && /^\d+\.\d+/.test(version ?? ""));
  });

  test("knows the filesystem of a path by its longest mount point, blanks in names included", () => {
    const mounts = "/dev/sda / ext4 rw 0 0\nserver:/x /srv nfs4 rw 0 0\n/dev/sdb /srv/my\\040disk xfs rw 0 0\nproc /proc proc rw 0 0\n";
    assert.deepEqual(["/srv/ws", "/srv/my disk/ws", "/home", "/srv", "/srvx"].map((path) => filesystemOf(path, mounts)), ["nfs4", "xfs", "ext4", "nfs4", "ext4"]);
    assert.equal(filesystemOf("/srv", ""), undefined);
  });
});
