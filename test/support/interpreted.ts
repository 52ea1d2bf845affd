/** A running workspace of programs that nobody compiles: node, python3 and sh, built by a copy or taken out of a release. */

import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { stringify } from "yaml";
import type { ProcessState } from "../../src/adapters/process-compose.ts";
import { ensureTools } from "../../tools/install.ts";
import { startDaemon } from "./daemon.ts";
import { type FakeForge, releaseDelivery, startForge } from "./forge.ts";
import { createUpstream, startGitServer, type Upstream } from "./git-server.ts";
import { tagPushed } from "./github.ts";
import { startProcessCompose } from "./process-compose.ts";
import { until } from "./wait.ts";
import { freePorts, type Sent, sendPayload, workspaceEnv } from "./workspace-io.ts";
import { REPOSITORY } from "./workspace-running.ts";

interface Plan {
  readonly file: string;
  /** Of its process. */
  readonly command: string;
  readonly content: (version: string) => string;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Every program writes its version and its pid into the file `ran` of its folder, and then does nothing. */
const NODE = (name: string) => (version: string) => `require("node:fs").writeFileSync("${name}/ran", "${version} " + process.pid);\nsetInterval(() => {}, 1e6);\n`;
const PYTHON = (name: string) => (version: string) => `import os, time\nopen("${name}/ran", "w").write("${version} " + str(os.getpid()))\ntime.sleep(1000)\n`;
const SHELL = (name: string, last: string) => (version: string) => `printf '%s %s' '${version}' "$$" > ${name}/ran\n${last}\n`;

/** Its second start finds the first one's child alive, and waits for that. */
const HOLD = `[ -e stuck/held ] || { setsid python3 ./stuck/.bin/app.py & echo $! > stuck/held; }\nexec tail --pid="$(cat stuck/held)" -f /dev/null\n`;

export const INTERPRETED = {
  web: { file: "app.js", command: "node ./web/.bin/app.js", content: NODE("web") },
  jobs: { file: "app.py", command: "python3 -u ./jobs/.bin/app.py", content: PYTHON("jobs") },
  cron: { file: "run.sh", command: "sh ./cron/.bin/run.sh", content: SHELL("cron", "while :; do sleep 1; done") },
  kiosk: { file: "kiosk.js", command: "node ./kiosk/.bin/kiosk.js", content: NODE("kiosk"), config: { mode: "release", release: { repository: "acme/kiosk", asset: "{binary}" } } },
  stuck: { file: "app.py", command: "sh ./hold.sh", content: PYTHON("stuck"), config: { process: "stuck" } },
  shim: { file: "run.sh", command: "sh ./shim/.bin/run.sh", content: SHELL("shim", "exec sleep 1000") },
  trusted: { file: "run.sh", command: "sh ./trusted/.bin/run.sh", content: SHELL("trusted", "exec sleep 1000"), config: { health: { proof: "off" } } },
} as const satisfies Record<string, Plan>;

export type InterpretedName = keyof typeof INTERPRETED;
const NAMES = Object.keys(INTERPRETED) as InterpretedName[];
export const FIRST = "v1.0.0";

export interface InterpretedWorkspace {
  readonly dir: string;
  readonly forge: FakeForge;
  /** Commits, tags and delivers a version; in release mode it publishes and announces it. */
  release(name: InterpretedName, version: string): Promise<Sent>;
  processes(): Promise<ReadonlyMap<string, ProcessState>>;
  /** Version and pid that the program which started last wrote down. */
  ran(name: InterpretedName): Promise<string>;
  installed(name: InterpretedName): Promise<string>;
  close(): Promise<void>;
}

export async function createInterpretedWorkspace(): Promise<InterpretedWorkspace> {
  const tools = await ensureTools();
  const dir = await mkdtemp(join(await realpath(tmpdir()), "inter-"));
  const open: { close(): Promise<unknown> }[] = [];
  const close = async () => {
    for (const one of open.reverse()) await one.close();
    await endHeld(dir);
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const [git, forge] = [await startGitServer(join(dir, ".upstreams")), await startForge()];
    open.push(git, forge);
    const upstreams = new Map<InterpretedName, Upstream>();
    for (const name of NAMES) upstreams.set(name, await createUpstream(join(dir, ".upstreams"), `acme/${name}`));
    const secret = randomBytes(32).toString("hex");
    await writeFiles({ dir, gitUrl: git.url, forge, secret, task: tools.task });
    const path = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
    const pc = await startProcessCompose({ dir, yaml: processFile(), binary: tools.processCompose, socket: join(dir, ".slipstream", "pc.sock"), env: { ...workspaceEnv(), PATH: path } });
    open.push(pc);
    const ran = (name: InterpretedName) => readFile(join(dir, name, "ran"), "utf8");
    await until(async () => (await Promise.all(NAMES.map(ran))).every((text) => text.startsWith(FIRST)), { what: "every program to run", onTimeout: pc.output });
    const [daemonPort] = (await freePorts(1)) as [number];
    const url = `http://127.0.0.1:${daemonPort}`;
    const daemon = await startDaemon({ dir, url, places: { launcher: join(REPOSITORY, "bin", "slipstream"), daemonPort }, tools });
    open.push({ close: () => daemon.stop() });
    return {
      ...{ dir, forge, ran, close, processes: pc.states },
      installed: (name) => readFile(join(dir, name, ".bin", INTERPRETED[name].file), "utf8"),
      async release(name, version) {
        const { file, content } = INTERPRETED[name];
        if (name === "kiosk") {
          const { id } = forge.publish("acme/kiosk", { tag: version, assets: [{ name: file, content: Buffer.from(content(version)) }] });
          return sendPayload({ url, secret }, releaseDelivery(forge, id, "published"));
        }
        const commit = await (upstreams.get(name) as Upstream).commitFiles({ [file]: content(version) }, version);
        await (upstreams.get(name) as Upstream).tag(version);
        return sendPayload({ url, secret }, tagPushed(`acme/${name}`, version, commit));
      },
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

interface Files {
  readonly dir: string;
  readonly gitUrl: string;
  readonly forge: FakeForge;
  readonly secret: string;
  readonly task: string;
}

async function writeFiles({ dir, gitUrl, forge, secret, task }: Files): Promise<void> {
  await mkdir(join(dir, ".slipstream"), { mode: 0o700 });
  await writeFile(join(dir, ".slipstream", "secrets.env"), `WEBHOOK_SECRET=${secret}\n`, { mode: 0o600 });
  await writeFile(join(dir, "Taskfile.yml"), "version: '3'\n");
  await writeFile(join(dir, "hold.sh"), HOLD);
  await writeFile(join(dir, "process-compose.yaml"), processFile());
  const subsystems = NAMES.map((name) => {
    const { file, config = {} }: Plan = INTERPRETED[name];
    return [name, { upstream: `${gitUrl}/acme/${name}.git`, mode: "source", binary: file, build: { command: ["cp", `{src}/${file}`, "{binary}"] }, ...config }];
  });
  await writeFile(
    join(dir, "slipstream.yaml"),
    stringify({ tools: { task }, defaults: { health: { soak: "300ms", timeout: "5s" }, release: { api: forge.api, asset_hosts: [forge.assetHost] } }, subsystems: Object.fromEntries(subsystems) }),
  );
  for (const name of NAMES) {
    const { file, content }: Plan = INTERPRETED[name];
    await mkdir(join(dir, name, ".bin"), { recursive: true });
    // A copy of a text has no permission to run, and needs none.
    await writeFile(join(dir, name, ".bin", file), content(FIRST), { mode: 0o644 });
    await writeFile(join(dir, name, ".bin", ".version"), `${FIRST}\n`);
  }
}

function processFile(): string {
  const processes = NAMES.map((name) => [name, { command: INTERPRETED[name].command, shutdown: { timeout_seconds: 5 } }]);
  return stringify({ version: "0.5", is_tui_disabled: true, processes: Object.fromEntries(processes) });
}

/** The child that outlived its launcher on purpose. */
async function endHeld(dir: string): Promise<void> {
  const pid = Number(await readFile(join(dir, "stuck", "held"), "utf8").catch(() => "0"));
  const command = pid > 0 ? await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "") : "";
  if (command.includes("stuck/.bin")) process.kill(pid, "SIGKILL");
}
