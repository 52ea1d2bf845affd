/** The composition root: configuration in, supervised workers out. The one file that knows every room. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createDownload } from "./adapters/download.ts";
import { exec } from "./adapters/exec.ts";
import { removeTree } from "./adapters/files.ts";
import { readLogFile } from "./adapters/log-file.ts";
import { proveRunning } from "./adapters/running-digest.ts";
import { controlSocketPath } from "./adapters/socket-path.ts";
import type { Live } from "./config/live.ts";
import type { Config } from "./config/load.ts";
import type { App, StatusView } from "./domain/app.ts";
import type { OperatorRequest } from "./domain/change.ts";
import type { Delivery } from "./domain/delivery.ts";
import { formatProblem } from "./domain/errors.ts";
import { isAbout, originsOf, type Subsystem } from "./domain/subsystem.ts";
import { createFollower } from "./follow-files.ts";
import { type Gear, gearFor } from "./gear.ts";
import { acceptRequest } from "./ingest/operator.ts";
import { createReceive } from "./ingest/receive.ts";
import type { Receiver } from "./ingest/receivers/receiver.ts";
import { createReceivers } from "./ingest/receivers/receivers.ts";
import { createRefused, type Refused } from "./ingest/refused.ts";
import { createJanitor } from "./janitor/janitor.ts";
import { type Bell, createBell } from "./kit/bell.ts";
import { type Clock, systemClock } from "./kit/clock.ts";
import type { Log } from "./kit/log.ts";
import { thisPlatform } from "./kit/platform.ts";
import { VERSION } from "./kit/program-version.ts";
import { createGrowingMask, type GrowingMask } from "./kit/secret.ts";
import { supervise, type Worker } from "./kit/worker.ts";
import { createFeed, type Feed } from "./resolve/feed.ts";
import { createPreview } from "./resolve/preview.ts";
import { createUpstream, type Upstream } from "./resolve/upstream.ts";
import { createResolveWorker } from "./resolve/worker.ts";
import { adopt, adoptAfterRun, DRIFT_ACTOR, mayReloadAgain } from "./run/adopt.ts";
import type { RunSettings } from "./run/deps.ts";
import { createManifest, type ManifestWriter } from "./run/manifest.ts";
import { planFor } from "./run/plan.ts";
import { createProgress, type ProgressBoard } from "./run/progress.ts";
import { createRunWorker } from "./run/worker.ts";
import { createControlApi } from "./status/api/control.ts";
import { createProbes } from "./status/probes.ts";
import { createViews } from "./status/views.ts";
import { takeLocks } from "./store/lock.ts";
import { openStore, type Store } from "./store/store.ts";
import { createServer, type HttpServer } from "./web/server.ts";

export interface DaemonOptions {
  readonly config: Config;
  /** Follows the files the configuration came from; without it the configuration stays as it is. */
  readonly live?: Live;
  readonly log: Log;
  /** Shared with the log, so that a secret that is edited in is masked there as well. */
  readonly masks?: GrowingMask;
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
  const lock = takeLocks(join(config.stateDir, "lock.db"), join(config.workspace, ".slipstream", "lock.db"));
  try {
    const opened = openStore(statePath(config), () => clock.now());
    const store = options.wrapStore?.(opened) ?? opened;
    store.inbox.releaseClaims();
    const gear = await gearFor(config, { clock, log });
    const daemon = { running: options.listen, pid: process.pid, version: VERSION, startedAt: clock.now() };
    const parts: Parts = { ...partsOf({ gear, log, clock, store, ...(options.live === undefined ? {} : { live: options.live }), ...(options.masks === undefined ? {} : { masks: options.masks }) }), daemon, ...(options.listen ? { refused: createRefused({ clock, log }) } : {}) };
    for (const s of config.subsystems) await adoptIn(parts, s);
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
  return buildApp({ ...partsOf({ gear: await gearFor(config, { clock, log }), log, clock, store }), daemon: { running: false, version: VERSION } });
}

/** What a first start would know, for a workspace that has no state yet. */
async function adoptedInMemory(config: Config, clock: Clock, log: Log): Promise<Store> {
  const store = openStore(":memory:", () => clock.now());
  for (const s of config.subsystems) await adopt({ store, log }, s);
  return store;
}

interface Given {
  readonly gear: Gear;
  readonly live?: Live;
  readonly masks?: GrowingMask;
  readonly log: Log;
  readonly clock: Clock;
  readonly store: Store;
}

interface Parts extends Omit<Given, "gear" | "masks"> {
  /** What the last good configuration asks for; read afresh at every use. */
  readonly now: { gear: Gear; lookups: Lookups; receivers: readonly Receiver[] };
  /** The configuration in force. */
  readonly config: () => Config;
  readonly masks: GrowingMask;
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
  const { clock, log, store, gear } = given;
  const now = { gear, ...madeOf(gear) };
  const config = () => now.gear.config;
  return {
    ...given,
    now,
    config,
    masks: given.masks ?? createGrowingMask(gear.config.secrets),
    progress: createProgress(),
    manifest: createManifest({ store, clock, log, workspace: gear.config.workspace, subsystems: () => config().subsystems }),
    bells: { inbox: createBell(clock), runs: createBell(clock) },
    address: {},
  };
}

interface Lookups {
  readonly upstream: Upstream;
  readonly feed: Feed;
}

/** The lookups in force, whenever they are asked. */
function lookups({ now }: Parts): Lookups {
  const upstream: Upstream = { candidate: (...asked) => now.lookups.upstream.candidate(...asked), versions: (...asked) => now.lookups.upstream.versions(...asked), named: (...asked) => now.lookups.upstream.named(...asked) };
  const feed: Feed = { once: () => now.lookups.feed.once(), list: (...asked) => now.lookups.feed.list(...asked), provisional: (...asked) => now.lookups.feed.provisional(...asked), candidate: (...asked) => now.lookups.feed.candidate(...asked), named: (...asked) => now.lookups.feed.named(...asked) };
  return { upstream, feed };
}

function madeOf({ git, forge, config }: Gear): { lookups: Lookups; receivers: readonly Receiver[] } {
  return { lookups: { upstream: createUpstream(git, forge), feed: createFeed({ forge, platform: thisPlatform() }) }, receivers: createReceivers(config.receivers) };
}

/** Makes an edited configuration count: for the next delivery, the next look and the next run. */
async function take(p: Parts, config: Config): Promise<void> {
  const gear = await gearFor(config, p, p.now.gear);
  const made = madeOf(gear);
  p.masks.learn(config.secrets);
  p.log.level = config.logLevel;
  Object.assign(p.now, { gear, ...made });
  for (const s of config.subsystems) await adoptIn(p, s);
  await p.manifest.changed();
  p.bells.inbox.ring();
  p.bells.runs.ring();
}

/** Notes what is installed; a program that was put there by hand is restarted where the configuration says so and the program is what its `.version` says. */
function adoptIn(p: Parts, subsystem: Subsystem, how = adopt): Promise<void> {
  const { store, log } = p;
  return how(
    {
      store,
      log,
      drifted: (s, drift) => {
        if (s.drift !== "reload" || !drift.verified || s.process === null || s.notManaged !== undefined) return;
        if (!mayReloadAgain(store, s.name, p.clock.now())) return log.warn({ subsystem: s.name, digest: drift.digest }, "program changes all the time, not reloaded again within the hour");
        ask(p, { verb: "reload", subsystem: s.name, actor: DRIFT_ACTOR });
      },
    },
    subsystem,
  );
}

function ask(p: Parts, request: OperatorRequest): Delivery {
  return acceptRequest({ store: p.store, now: () => p.clock.now(), bell: p.bells.inbox, names: () => p.config().subsystems.map((s) => s.name) }, request);
}

function buildApp(p: Parts): App {
  const { store, clock } = p;
  const subsystems = () => p.config().subsystems;
  const { stateDir, workspace } = p.config();
  const { story, ...views } = createViews({ store, clock, workspace, version: VERSION, subsystems, warnings: () => [...troubles(p), ...p.config().warnings], daemon: () => ({ ...p.daemon, ...p.address }), readLog: (path) => readLogFile(join(stateDir, path)), frontDoor: () => p.refused?.counts(), progress: (runId) => p.progress.get(runId) });
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
    request: async (request) => ask(p, request),
    close: async () => store.close(),
  };
}

/** What is wrong with the files as they are now, while an earlier state of them is in force. */
function troubles({ live }: Parts): readonly string[] {
  const problems = live?.problems() ?? [];
  const wrong = problems.map((problem) => `${formatProblem(problem)}; the last good configuration stays in force`);
  const restart = live?.restart() ?? [];
  for (const [name, process] of live?.lost() ?? []) wrong.push(`process ${process} of ${name} is no longer in the process-compose file, so updates of ${name} restart nothing; put it back, or set process: false for ${name}`);
  return restart.length === 0 ? wrong : [...wrong, `${restart.join(" and ")} changed, which counts after a restart of slipstream`];
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
  const { log, clock, store, bells, progress, manifest, live } = p;
  const { workspace, stateDir } = p.config();
  const fixed = { store, clock, log, mask: p.masks.mask, exec, download: createDownload({ clock }), platform: thisPlatform(), progress, manifest, prove: proveRunning, workspace, stateDir };
  const settings = (): RunSettings => {
    const { config, git, forge, task, supervisor } = p.now.gear;
    return { git, forge, task, supervisor, env: config.childEnv, rootTaskfile: config.rootTaskfile };
  };
  const find = (name: string) => p.config().subsystems.find((s) => s.name === name);
  const following = live === undefined ? [] : [createFollower({ live, clock, log, take: ({ config }) => take(p, config), look: (s) => adoptIn(p, s) })];
  return [
    createResolveWorker({ store, clock, log, ...lookups(p), looked: (found) => manifest.looked(found), subsystems: () => p.config().subsystems, adopt: (s) => adoptIn(p, s), bell: bells.inbox, queued: bells.runs }),
    createRunWorker({ ...fixed, settings, bell: bells.runs, ended: bells.inbox, subsystem: find, look: (s) => adoptIn(p, s, adoptAfterRun), parallel: () => p.config().limits.parallelRuns }),
    createJanitor({ store, clock, log, ended: bells.inbox, removeLogs: (runId) => removeTree(join(stateDir, "logs", runId)) }),
    ...following,
  ];
}

function createServers(p: Parts, app: App): readonly HttpServer[] {
  const { log, clock, store, bells } = p;
  const { listen, stateDir } = p.config();
  const concerns = (repository: string, { forge }: Receiver) => p.config().subsystems.filter((s) => originsOf(s).some((o) => isAbout(o, { repository, forge }))).map((s) => s.name);
  const receive = createReceive({ inbox: store.inbox, receivers: () => p.now.receivers, clock, log, bell: bells.inbox, refused: p.refused ?? createRefused({ clock, log }), concerns });
  return [
    createServer({ listen, log, raw: receive, fetch: createProbes({ store, clock, version: VERSION }).fetch }),
    createServer({ listen: { socket: controlSocketPath(stateDir) }, log, fetch: createControlApi(app).fetch }),
  ];
}
