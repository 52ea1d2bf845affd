/** The composition root: configuration in, supervised workers out. The one file that knows every room. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createDownload } from "./adapters/download.ts";
import { childEnv, exec } from "./adapters/exec.ts";
import { removeTree } from "./adapters/files.ts";
import { createForges } from "./adapters/forge/forges.ts";
import type { Forge } from "./adapters/forge/port.ts";
import { createGit, type Git } from "./adapters/git.ts";
import { readLogFile } from "./adapters/log-file.ts";
import { thisPlatform } from "./kit/platform.ts";
import { createSupervisor } from "./adapters/process-compose.ts";
import { proveRunning } from "./adapters/running-digest.ts";
import { controlSocketPath } from "./adapters/socket-path.ts";
import { createTask } from "./adapters/task.ts";
import type { Config } from "./config/load.ts";
import type { App, StatusView } from "./domain/app.ts";
import type { Subsystem } from "./domain/subsystem.ts";
import { acceptRequest } from "./ingest/operator.ts";
import { createReceive } from "./ingest/receive.ts";
import { createGithubReceiver } from "./ingest/receivers/github.ts";
import { createRefused, type Refused } from "./ingest/refused.ts";
import { createJanitor } from "./janitor/janitor.ts";
import { type Bell, createBell } from "./kit/bell.ts";
import { type Clock, systemClock } from "./kit/clock.ts";
import type { Log } from "./kit/log.ts";
import { createMask } from "./kit/secret.ts";
import { supervise, type Worker } from "./kit/worker.ts";
import { createFeed } from "./resolve/feed.ts";
import { createPreview } from "./resolve/preview.ts";
import { createUpstream } from "./resolve/upstream.ts";
import { createResolveWorker } from "./resolve/worker.ts";
import { adopt } from "./run/adopt.ts";
import { createManifest, type ManifestWriter } from "./run/manifest.ts";
import { planFor } from "./run/plan.ts";
import { createProgress, type ProgressBoard } from "./run/progress.ts";
import { createRunWorker } from "./run/worker.ts";
import { createControlApi } from "./status/api/control.ts";
import { createProbes } from "./status/probes.ts";
import { createViews } from "./status/views.ts";
import { takeLock } from "./store/lock.ts";
import { openStore, type Store } from "./store/store.ts";
import { VERSION } from "./kit/program-version.ts";
import { createServer, type HttpServer } from "./web/server.ts";

export interface DaemonOptions {
  readonly config: Config;
  readonly log: Log;
  readonly clock?: Clock;
  /** False for a CLI verb that runs the engine in-process: no HTTP, no control socket. */
  readonly listen: boolean;
  /** For harnesses that watch or break the store. */
  readonly wrapStore?: (store: Store) => Store;
}

export interface Daemon {
  readonly app: App;
  /** Runs until the signal fires, then stops everything it started. */
  run(signal: AbortSignal, ready?: (url: string) => void): Promise<void>;
}

const statePath = (config: Config): string => join(config.stateDir, "slipstream.db");

/** Takes the workspace's lock and builds everything. @throws StateError workspace-locked, database-newer, database-unusable, tool-missing */
export async function createDaemon(options: DaemonOptions): Promise<Daemon> {
  const { config, log } = options;
  const clock = options.clock ?? systemClock;
  const lock = takeLock(join(config.stateDir, "lock.db"));
  try {
    const opened = openStore(statePath(config), () => clock.now());
    const store = options.wrapStore?.(opened) ?? opened;
    store.inbox.releaseClaims();
    const git = await gitFor(config);
    const parts: Parts = { ...partsOf({ config, log, clock, store, git }), daemon: { running: options.listen, pid: process.pid, version: VERSION, startedAt: clock.now() }, ...(options.listen ? { refused: createRefused({ clock, log }) } : {}) };
    for (const s of config.subsystems) await adopt(store, s, log);
    const app = buildApp(parts);
    return {
      app,
      run: (signal, ready) =>
        serve(parts, { app, listen: options.listen, ready }, signal).finally(() => {
          store.close();
          lock.release();
        }),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The App port for verbs that only look, when no daemon is up: no lock, nothing written. */
export async function createReader(config: Config, log: Log): Promise<App> {
  const clock = systemClock;
  const store = existsSync(statePath(config)) ? openStore(statePath(config), () => clock.now(), { readOnly: true }) : await adoptedInMemory(config, clock, log);
  const git = await gitFor(config);
  return buildApp({ ...partsOf({ config, log, clock, store, git }), daemon: { running: false, version: VERSION } });
}

/** What a first start would know, for a workspace that has no state yet. */
async function adoptedInMemory(config: Config, clock: Clock, log: Log): Promise<Store> {
  const store = openStore(":memory:", () => clock.now());
  for (const s of config.subsystems) await adopt(store, s, log);
  return store;
}

interface Given {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly store: Store;
  readonly git: Git;
}

interface Parts extends Given {
  readonly forge: Forge;
  readonly progress: ProgressBoard;
  readonly manifest: ManifestWriter;
  readonly bells: { readonly inbox: Bell; readonly runs: Bell };
  /** Filled once the front door listens. */
  readonly address: { url?: string };
  readonly daemon: StatusView["daemon"];
  /** Missing when nothing listens. */
  readonly refused?: Refused;
}

function partsOf(given: Given): Omit<Parts, "daemon" | "refused"> {
  const { config, clock, log, store } = given;
  return {
    ...given,
    forge: createForges({ clock, feeds: config.subsystems.flatMap((s) => s.release ?? []), ...(config.githubToken === undefined ? {} : { token: config.githubToken }) }),
    progress: createProgress(),
    manifest: createManifest({ store, clock, log, workspace: config.workspace, subsystems: () => config.subsystems }),
    bells: { inbox: createBell(clock), runs: createBell(clock) },
    address: {},
  };
}

function gitFor(config: Config): Promise<Git> {
  const token = config.githubToken === undefined ? {} : { token: { host: "github.com", secret: config.githubToken } };
  return createGit({ exec, env: childEnv(config.childEnv), engine: config.git.engine, maxBytes: config.git.maxBytes, timeoutMs: config.git.timeoutMs, ...token }, AbortSignal.timeout(30_000));
}

const finder = (config: Config) => (name: string): Subsystem | undefined => config.subsystems.find((s) => s.name === name);

function buildApp(p: Parts): App {
  const { config, store, clock } = p;
  const subsystems = () => config.subsystems;
  const { story, ...views } = createViews({ store, clock, workspace: config.workspace, version: VERSION, subsystems, warnings: () => config.warnings, daemon: () => ({ ...p.daemon, ...p.address }), readLog: (path) => readLogFile(join(config.stateDir, path)), frontDoor: () => p.refused?.counts(), progress: (runId) => p.progress.get(runId) });
  const preview = createPreview({
    store,
    ...lookups(p),
    subsystems,
    looked: (found) => p.manifest.looked(found),
    stages: (s) => planFor("update", s).map((stage) => stage.name),
  });
  return {
    ...views,
    why: async (name) => ({ ...story(name), ...(await preview.latest(name)) }),
    check: preview.check,
    preview: preview.preview,
    request: async (request) => acceptRequest({ store, now: () => clock.now(), bell: p.bells.inbox, names: () => config.subsystems.map((s) => s.name) }, request),
    close: async () => store.close(),
  };
}

function lookups({ git, forge }: Parts) {
  return { upstream: createUpstream(git, forge), feed: createFeed({ forge, platform: thisPlatform() }) };
}

async function serve(p: Parts, how: { app: App; listen: boolean; ready: ((url: string) => void) | undefined }, signal: AbortSignal): Promise<void> {
  const servers = how.listen ? createServers(p, how.app) : [];
  const workers: readonly Worker[] = [...createWorkers(p), ...servers];
  const [web] = servers;
  if (web !== undefined) {
    void Promise.all(servers.map((s) => s.ready)).then(
      () => {
        p.address.url = urlOf(web.address());
        how.ready?.(p.address.url);
      },
      () => undefined, // a server that cannot listen ends by surprise and is reported by the supervisor
    );
  }
  await supervise(workers, p.log, signal);
}

function urlOf(address: ReturnType<HttpServer["address"]>): string {
  if ("socket" in address) return address.socket;
  return `http://${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

function createWorkers(p: Parts): readonly Worker[] {
  const { config, log, clock, store, git, bells, forge, progress, manifest } = p;
  const deps = {
    store,
    clock,
    log,
    mask: createMask(config.secrets),
    exec,
    env: config.childEnv,
    git,
    forge,
    download: createDownload({ clock }),
    platform: thisPlatform(),
    progress,
    manifest,
    task: createTask({ exec, program: config.tools.task, env: config.childEnv }),
    supervisor: config.supervisor === null ? null : createSupervisor({ address: { ...config.supervisor.address, ...(config.supervisor.token === undefined ? {} : { token: config.supervisor.token }) }, clock, log }),
    prove: proveRunning,
    workspace: config.workspace,
    stateDir: config.stateDir,
    rootTaskfile: config.rootTaskfile,
  };
  return [
    createResolveWorker({ store, clock, log, ...lookups(p), looked: (found) => manifest.looked(found), subsystems: () => config.subsystems, adopt: (s) => adopt(store, s, log), bell: bells.inbox, queued: bells.runs }),
    createRunWorker({ ...deps, bell: bells.runs, ended: bells.inbox, subsystem: finder(config), parallel: config.limits.parallelRuns }),
    createJanitor({ store, clock, log, ended: bells.inbox, removeLogs: (runId) => removeTree(join(config.stateDir, "logs", runId)) }),
  ];
}

function createServers(p: Parts, app: App): readonly HttpServer[] {
  const { config, log, clock, store, bells } = p;
  const concerns = (repository: string) => config.subsystems.filter((s) => s.repositories.includes(repository)).map((s) => s.name);
  const receive = createReceive({ inbox: store.inbox, receivers: [createGithubReceiver({ secrets: config.webhookSecrets })], clock, log, bell: bells.inbox, refused: p.refused ?? createRefused({ clock, log }), concerns });
  return [
    createServer({ listen: config.listen, log, raw: receive, fetch: createProbes({ store, clock, version: VERSION }).fetch }),
    createServer({ listen: { socket: controlSocketPath(config.stateDir) }, log, fetch: createControlApi(app).fetch }),
  ];
}
