/** `npm run demo`: five scenes on real parts, measured. See `--help`. */

import { parseArgs } from "node:util";
import { messageOf } from "../../src/domain/errors.ts";
import { ensureTools } from "../../tools/install.ts";
import { createReleaseWorkspace, type ReleaseWorkspace } from "../support/release-workspace.ts";
import { createWorkspace, type Workspace } from "../support/workspace.ts";
import type { Tools } from "../support/workspace-running.ts";
import type { SceneResult, Show } from "./measure.ts";
import { failures, HELP, jsonLine, keptRunning, painter, table } from "./report.ts";
import { createScenes, type Machines, type Scene } from "./scenes.ts";

const EXIT = { done: 0, failed: 1, usage: 64, interrupted: 130 } as const;

interface Flags {
  readonly json: boolean;
  readonly keep: boolean;
}

interface Output {
  readonly paint: ReturnType<typeof painter>;
  readonly say: (line: string) => void;
  /** What only a terminal needs to see. */
  readonly progress: (line: string) => void;
}

/** What was made so far. */
interface Made {
  builder?: Workspace;
  user?: ReleaseWorkspace;
}

async function main(args: readonly string[]): Promise<number> {
  let flags: Flags & { help: boolean };
  try {
    const { values } = parseArgs({ args: [...args], options: { json: { type: "boolean" }, keep: { type: "boolean" }, help: { type: "boolean", short: "h" } } });
    flags = { json: values.json ?? false, keep: values.keep ?? false, help: values.help ?? false };
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n(npm run demo -- --help says what there is)\n`);
    return EXIT.usage;
  }
  if (flags.help) {
    process.stdout.write(HELP);
    return EXIT.done;
  }
  const stream = flags.json ? process.stderr : process.stdout;
  const paint = painter(stream);
  const say = (line: string) => void stream.write(`${line}\n`);
  const output: Output = { paint, say, progress: (line) => void (stream.isTTY && say(paint("dim", `  ${line}`))) };
  const stop = new AbortController();
  const onSignal = () => {
    if (!stop.signal.aborted) output.say("stopping and cleaning up …");
    stop.abort(new Error("interrupted"));
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  try {
    return await run(flags, output, stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return EXIT.interrupted;
    process.stderr.write(`the demo could not be played: ${messageOf(error)}\n`);
    return EXIT.failed;
  }
}

async function run(flags: Flags, output: Output, signal: AbortSignal): Promise<number> {
  const { say, paint } = output;
  const began = performance.now();
  const tools = await ensureTools({ signal });
  const made: Made = {};
  let kept: "nothing" | "files" | "all" = "nothing";
  try {
    const results = await playAll(await machines({ made, tools, flags, signal }, output), output, flags.json);
    const failed = results.some((r) => r.broken.length > 0);
    say(`\n${table(results, paint)}`);
    if (failed) say(`\n${paint("red", failures(results, workspaces(made)))}`);
    if (flags.keep) say(`\n${keptRunning(made)}`);
    else say(paint("dim", `\n${failed ? "stopping everything" : "stopping and removing everything"} (${Math.round((performance.now() - began) / 1000)} s in all)`));
    kept = flags.keep ? "all" : failed ? "files" : "nothing";
    return failed ? EXIT.failed : EXIT.done;
  } catch (error) {
    if (!signal.aborted) kept = "files";
    const logs = signal.aborted ? "" : workspaces(made).map(({ dir }) => `\nlogs: ${dir}/pc.out and ${dir}/.slipstream/`).join("");
    throw new Error(`${messageOf(error)}${logs}`, { cause: error });
  } finally {
    if (kept !== "all") for (const ws of workspaces(made)) await ws.close({ keepFiles: kept === "files" });
  }
}

const workspaces = ({ builder, user }: Made) => [builder, user].filter((ws) => ws !== undefined);

/** Starts the machine that builds; the user's machine comes with the first scene that wants it. */
async function machines({ made, tools, flags, signal }: { made: Made; tools: Tools; flags: Flags; signal: AbortSignal }, { say, progress, paint }: Output): Promise<Machines> {
  const options = { tools, outlives: flags.keep, signal, onProgress: progress };
  const show = <W extends Workspace | ReleaseWorkspace>(ws: W): Show<W> => ({ ws, signal, say: (line) => say(`  ${line}`) });
  say(paint("bold", "making a workspace of three programs with upstream repositories"));
  const builder = await createWorkspace(options);
  made.builder = builder;
  progress(`starting them under Process Compose, with the daemon, in ${builder.dir}`);
  await builder.start({ daemon: true });
  const user = async () => {
    progress("making a second workspace, as on a user's machine: no source, and a forge that has the releases");
    made.user = await createReleaseWorkspace(options);
    progress(`starting its programs under a Process Compose of their own, with a daemon, in ${made.user.dir}`);
    await made.user.start({ daemon: true });
    return show(made.user);
  };
  return { builder: show(builder), user };
}

async function playAll(on: Machines, output: Output, json: boolean): Promise<SceneResult[]> {
  const results: SceneResult[] = [];
  const scenes = createScenes();
  for (const [i, scene] of scenes.entries()) {
    output.say(`\n${output.paint("bold", `${i + 1}/${scenes.length} ${scene.name}`)}: ${scene.title}`);
    const result = await scene.play(on).catch((error: unknown) => notPlayed(scene, error, on.builder.signal));
    results.push(result);
    if (json) process.stdout.write(`${jsonLine(result.record)}\n`);
  }
  return results;
}

function notPlayed(scene: Scene, error: unknown, signal: AbortSignal): SceneResult {
  signal.throwIfAborted();
  const record = { scene: scene.name, subsystem: scene.subsystem, from: null, to: null, outcome: "not-played", restarted: [], untouched: [], digest_proved: false, ack_ms: null, healthy_ms: null };
  return { record, broken: [messageOf(error)] };
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
