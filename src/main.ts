/** The entry: `watch` runs the daemon, any other verb the CLI; owns signals and exit codes, nothing else. */

import { realpath } from "node:fs/promises";
import { userInfo } from "node:os";
import { resolve } from "node:path";
import { createControlClient } from "./adapters/control-client.ts";
import { busyPorts, writeExample } from "./adapters/example.ts";
import { postOnce } from "./adapters/http.ts";
import { controlSocketPath } from "./adapters/socket-path.ts";
import { appendText, createText } from "./adapters/text-files.ts";
import type { Context, GlobalOptions, Reply } from "./cli/context.ts";
import { hookFor, type ToSend } from "./cli/hook.ts";
import { createPrinter } from "./cli/io.ts";
import { runCli } from "./cli/program.ts";
import { ciOffers } from "./config/ci.ts";
import { startLive } from "./config/live.ts";
import { fixDefects } from "./config/defects/fix.ts";
import { type Config, loadConfig, processEnv } from "./config/load.ts";
import { readOwnFile } from "./config/own-file.ts";
import { initialize } from "./config/starter.ts";
import { createDaemon, createReader, type DaemonOptions } from "./daemon.ts";
import type { App } from "./domain/app.ts";
import { codeOf, ConfigError } from "./domain/errors.ts";
import { examine } from "./examine.ts";
import { systemClock } from "./kit/clock.ts";
import { newId } from "./kit/id.ts";
import { createLog, type Log, silentLog } from "./kit/log.ts";
import { createGrowingMask, type Mask } from "./kit/secret.ts";
import { VERSION } from "./kit/program-version.ts";
import { recordedVersions } from "./run/recorded.ts";

type WatchOptions = Parameters<Context["watch"]>[0];

const env = processEnv();
/** GitHub itself waits as long for an answer (GitHub docs: handling webhook deliveries). */
const DELIVER_MS = 10_000;
/** A daemon answers within a second or two of its start, unless it has a crash to mend. */
const DAEMON_STARTS_MS = 5_000;
const LOOK_EVERY_MS = 100;

function load(options: WatchOptions): Promise<Config> {
  const { config, port, host, secret, ci } = options;
  const flags = { ...(ci === true ? { build: true } : {}), ...(config === undefined ? {} : { config }), ...(port === undefined ? {} : { port }), ...(host === undefined ? {} : { host }), ...(secret === undefined ? {} : { secret }) };
  return loadConfig({ workspace: workspaceOf(options), env, flags });
}

function workspaceOf(options: GlobalOptions): string {
  return options.workspace ?? env.INIT_CWD ?? process.cwd();
}

function logFor(config: Config, mask: Mask): Log {
  return createLog({ level: config.logLevel, mask, pretty: process.stderr.isTTY });
}

async function watch(options: WatchOptions): Promise<void> {
  const live = await startLive(async () => {
    const config = await load(options);
    checkReceivers(config);
    return config;
  });
  const config = live.current();
  const masks = createGrowingMask(config.secrets);
  const log = logFor(config, masks.mask);
  for (const warning of config.warnings) log.warn({ warning }, "configuration warning");
  const daemon = await createDaemon({ config, live, log, masks, listen: true });
  await daemon.run(stopSignal(log), (url) => log.info({ url, workspace: config.workspace, subsystems: config.subsystems.map((s) => s.name), version: VERSION }, "listening"));
  log.info({}, "stopped");
}

/** @throws ConfigError when nobody could be heard */
function checkReceivers({ receivers, webhookSecrets, stateDir }: Config): void {
  if (receivers.length > 0) return;
  const message = webhookSecrets.length === 0 ? "WEBHOOK_SECRET is missing, expected one: without it anybody could start builds. Make one with: slipstream init" : "secrets are for no receiver of slipstream.yaml, expected one for each; set one for it, or leave receivers out";
  throw new ConfigError([{ file: `${stateDir}/secrets.env`, message }]);
}

/** Fires at the first SIGTERM, SIGINT or SIGHUP; a second one ends the process at once. */
function stopSignal(log: Log): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(130);
      log.info({ signal: name }, "stopping");
      stop.abort();
    });
  }
  return stop.signal;
}

/** A daemon goes on with the last good configuration while the files are wrong, and says so; only without one is that the end. @throws the error itself */
async function daemonDespite(options: GlobalOptions, error: unknown): Promise<App> {
  const workspace = error instanceof ConfigError && options.ci !== true ? await realpath(workspaceOf(options)).catch(() => undefined) : undefined;
  if (workspace === undefined) throw error;
  const { file } = await readOwnFile(workspace, options.config, []);
  const client = createControlClient(controlSocketPath(resolve(workspace, file.state_dir ?? ".slipstream")));
  if (await client.alive()) return client;
  throw error;
}

async function open(options: GlobalOptions, mode: "read" | "act"): Promise<App> {
  const config = await load(options).catch((error: unknown) => error);
  if (!isConfig(config)) return daemonDespite(options, config);
  if (options.ci === true) return inProcess(config, await recordedVersions(config.workspace, config.subsystems));
  const client = createControlClient(controlSocketPath(config.stateDir));
  if (await client.alive()) return client;
  if (mode === "read") return createReader(config, silentLog());
  try {
    return await inProcess(config);
  } catch (error) {
    if (codeOf(error) === "workspace-locked" && (await answersSoon(config))) return client;
    throw error;
  }
}

/** Whether who holds the lock turns out to be a daemon: one that has just been started takes it before it answers. */
async function answersSoon(config: Config): Promise<boolean> {
  const last = systemClock.monotonic() + DAEMON_STARTS_MS;
  for (let left = DAEMON_STARTS_MS; left > 0; left = last - systemClock.monotonic()) {
    if (await createControlClient(controlSocketPath(config.stateDir), left).alive()) return true;
    await systemClock.sleep(Math.min(LOOK_EVERY_MS, left));
  }
  return false;
}

/** The same engine in this process, under the workspace's lock, until the verb is done. */
async function inProcess(config: Config, wrapStore?: DaemonOptions["wrapStore"]): Promise<App> {
  const daemon = await createDaemon({ config, log: silentLog(), listen: false, ...(wrapStore === undefined ? {} : { wrapStore }) });
  const stop = new AbortController();
  const running = daemon.run(stop.signal);
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.once(name, () => {
      process.stderr.write("\nstopping; what is under way goes on when slipstream runs next\n");
      stop.abort();
      void running.finally(() => process.exit(130));
    });
  }
  return {
    ...daemon.app,
    close: async () => {
      stop.abort();
      await running;
    },
  };
}

const isConfig = (loaded: unknown): loaded is Config => typeof loaded === "object" && loaded !== null && "subsystems" in loaded;

async function deliver(options: GlobalOptions, daemon: string, sent: ToSend): Promise<Reply> {
  const config = await load(options);
  checkReceivers(config);
  const { path, headers, body, repository } = hookFor(config.receivers, sent, `simulate-${newId(systemClock.now())}`);
  const url = new URL(path, daemon).href;
  const { status, ms, text } = await postOnce(url, { headers, body, timeoutMs: DELIVER_MS }, new AbortController().signal);
  return { url, status, ms, body: jsonOr(text), repository };
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const init: Context["init"] = (options) => initialize({ ...options, workspace: workspaceOf(options), env, now: systemClock.now(), makeExample: writeExample, busyPorts });

async function main(): Promise<void> {
  const print = createPrinter({ stdout: process.stdout, stderr: process.stderr, plain: env.NO_COLOR !== undefined && env.NO_COLOR !== "" });
  const context: Context = { print, actor: `cli:${userInfo().username}`, now: () => systemClock.now(), ci: ciOffers(env), append: appendText, create: createText, open, watch, init, deliver, layout: load, subsystems: async (options) => (await load(options)).subsystems, examine: (options) => examine({ workspace: workspaceOf(options), env, load: () => load(options), ...(options.config === undefined ? {} : { config: options.config }) }), fix: (options) => fixDefects({ workspace: workspaceOf(options), env, config: options.config, dryRun: options.dryRun, now: systemClock.now() }) };
  process.exitCode = await runCli(process.argv.slice(2), VERSION, context);
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // `slipstream runs | head` closes the pipe early; that is no failure.
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
void main();
