/** One project of every kind of process under a real Process Compose, and the engine that changes their programs: real executables, real swaps, no build. */

import { readFileSync } from "node:fs";
import { appendFile, chmod, copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { digestOf } from "../../src/adapters/files.ts";
import { createSupervisor, type Supervisor } from "../../src/adapters/process-compose.ts";
import { createProcessComposeApi, type ProcessComposeApi } from "../../src/adapters/process-compose-api.ts";
import { proveRunning } from "../../src/adapters/running-digest.ts";
import type { Run } from "../../src/domain/run.ts";
import type { Subsystem } from "../../src/domain/subsystem.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import type { RunDeps } from "../../src/run/deps.ts";
import { createEngine } from "../../src/run/engine.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { type ProcessComposeForTest, type ProcessComposeOptions, startProcessCompose } from "./process-compose.ts";
import { releaseDeps } from "./release-deps.ts";
import { subsystem as subsystemWith } from "./subsystem.ts";

export const never = new AbortController().signal;
/** Version v2 of every program runs well; v3 is what `onlyBad` lets fail. */
export const [OLD, NEW, BAD] = ["v1", "v2", "v3-bad"] as const;

export interface KindsBench {
  readonly dir: string;
  readonly store: Store;
  readonly deps: RunDeps;
  readonly supervisor: Supervisor;
  readonly api: ProcessComposeApi;
  pc(): ProcessComposeForTest;
  /** Ends the whole project and starts it again on the same socket. */
  restartProject(): Promise<void>;
  /** A program in place with its other versions kept, as a subsystem of the process of its name. */
  add(name: string, fields?: Partial<Subsystem>): Promise<Kind>;
  close(): Promise<void>;
}

export interface Kind {
  readonly subsystem: Subsystem;
  digest(version: string): string;
  /** Digest of what is installed. */
  installed(): Promise<string>;
  /** The row of a run to one of the kept versions, already claimed. */
  claim(version: string, how?: Pick<Run, "noReload">): Run;
  /** Swaps in that version as a run does, and tells how that ended. */
  change(version: string, deps?: Partial<RunDeps>): Promise<Run>;
}

/** Where a subsystem's program lies, relative to the project's folder. */
export const binaryOf = (name: string): string => `./${name}/.bin/${name}`;
/** A process that runs it. */
export const program = (name: string, extra: object = {}): object => ({ command: `exec ${binaryOf(name)} 1000`, shutdown: { timeout_seconds: 5 }, ...extra });

/** A replica that writes down when it comes up and when it is gone. With `badIn`, version v3 fails in the replica of that number: at its start, or `late`, once its neighbour is up. */
export function noted(name: string, badIn = "none", late = false): object {
  const fails = `echo fails-$$n >> ${name}.events; exit 5`;
  const lines = [
    `n=$$PC_REPLICA_NUM; if tail -c 8 ${binaryOf(name)} | grep -q bad; then if [ "$$n" = ${badIn} ]; then bad=1; else touch ${name}.neighbour; fi; fi`,
    late ? "" : `if [ -n "$$bad" ]; then ${fails}; fi`,
    `${binaryOf(name)} 1000 & p=$$!; echo up-$$n >> ${name}.events`,
    `trap 'kill $$p; wait $$p; echo down-$$n >> ${name}.events; exit 0' TERM`,
    `if [ -n "$$bad" ]; then while ! [ -e ${name}.neighbour ]; do sleep 0.1; done; kill $$p; ${fails}; fi; wait $$p`,
  ];
  return { command: lines.join("\n"), shutdown: { timeout_seconds: 5 } };
}

export function eventsOf(bench: KindsBench, name: string): string[] {
  return readFileSync(join(bench.dir, `${name}.events`), "utf8").trim().split("\n");
}

/** The programs have to be there before their processes: `subsystems` are added first. */
export async function kindsBench(processes: Record<string, object>, subsystems: Readonly<Record<string, Partial<Subsystem>>>, options: Pick<ProcessComposeOptions, "binary"> & Partial<ProcessComposeOptions> & { readonly prepare?: (dir: string) => Promise<void> }): Promise<KindsBench & { kinds: ReadonlyMap<string, Kind> }> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "kinds-")));
  const store = openStore(":memory:", () => Date.now());
  const start = () => startProcessCompose({ dir, yaml: JSON.stringify({ version: "0.5", processes }, null, 2), ...options });
  const add = (name: string, fields: Partial<Subsystem> = {}) => addKind({ dir, store, deps: () => bench.deps }, name, fields);
  const kinds = new Map<string, Kind>();
  for (const [name, fields] of Object.entries(subsystems)) kinds.set(name, await add(name, fields));
  await options.prepare?.(dir);
  let pc = await start();
  const { address } = pc;
  const supervisor = createSupervisor({ address, clock: systemClock, log: silentLog() });
  const unused = () => Promise.reject(new Error("not needed here"));
  const place = { workspace: dir, stateDir: join(dir, ".slipstream"), rootTaskfile: join(dir, "Taskfile.yml") };
  const deps: RunDeps = { store, clock: systemClock, log: silentLog(), mask: (t) => t, exec: unused, env: {}, git: {} as RunDeps["git"], task: {} as RunDeps["task"], supervisor, prove: proveRunning, ...releaseDeps(store, dir), ...place };
  const bench: KindsBench = {
    dir,
    store,
    deps,
    supervisor,
    api: createProcessComposeApi({ address, clock: systemClock }),
    pc: () => pc,
    async restartProject() {
      await pc.close();
      pc = await start();
    },
    add,
    async close() {
      await pc.close();
      store.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return { ...bench, kinds };
}

async function addKind(at: { dir: string; store: Store; deps: () => RunDeps }, name: string, fields: Partial<Subsystem>): Promise<Kind> {
  const { dir, store, deps } = at;
  const subsystem = subsystemWith({ name, dir: join(dir, name), binary: name, process: name, health: { soakMs: 300, timeoutMs: 10_000, proof: "required" }, ...fields });
  const digests = new Map<string, string>();
  for (const version of [OLD, NEW, BAD]) {
    const path = version === OLD ? ".bin" : `.bin/.previous/${version}`;
    const digest = await putProgram(join(subsystem.dir, path, name), `${name} ${version}`);
    digests.set(version, digest);
    if (version === OLD) store.versions.setCurrent({ subsystem: name, version, digest });
    else store.versions.keepPrevious({ subsystem: name, version, digest, path });
  }
  const claim = (version: string, how: Pick<Run, "noReload"> = {}) => store.runs.move(store.runs.create({ kind: "rollback", subsystem: name, status: "queued", trigger: "operator", toVersion: version, ...how }).id, "running");
  return {
    subsystem,
    digest: (version) => digests.get(version) as string,
    installed: () => digestOf(join(subsystem.dir, ".bin", name)),
    claim,
    async change(version, other = {}) {
      const run = claim(version);
      await createEngine({ ...deps(), ...other }).execute(run, subsystem, never);
      return store.runs.get(run.id) as Run;
    },
  };
}

/** A native program like no other: `sleep` with `mark` behind its end. */
async function putProgram(path: string, mark: string): Promise<string> {
  let sleep: string | undefined;
  for (const place of ["/usr/bin/sleep", "/bin/sleep"]) sleep ??= await realpath(place).catch(() => undefined);
  await mkdir(dirname(path), { recursive: true });
  await copyFile(sleep as string, path);
  await appendFile(path, mark);
  await chmod(path, 0o755);
  await writeFile(join(dirname(path), ".version"), "");
  return digestOf(path);
}
