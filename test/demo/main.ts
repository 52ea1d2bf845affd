/** `npm run demo`: four scenes on real parts, measured. See `--help`. */

import { parseArgs } from "node:util";
import { messageOf } from "../../src/domain/errors.ts";
import { ensureTools } from "../../tools/install.ts";
import { createWorkspace } from "../support/workspace.ts";
import type { SceneResult, Show } from "./measure.ts";
import { failures, HELP, jsonLine, keptRunning, painter, table } from "./report.ts";
import { createScenes, type Scene } from "./scenes.ts";

const EXIT = { done: 0, failed: 1, usage: 64, interrupted: 130 } as const;

interface Flags {
  readonly json: boolean;
  readonly keep: boolean;
}

interface Output {
  readonly paint: ReturnType<typeof painter>;
  readonly say: (line: string) => void;
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
  const output: Output = { paint: painter(stream), say: (line) => void stream.write(`${line}\n`) };
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
  say(paint("bold", "making a workspace of three programs with upstream repositories"));
  const ws = await createWorkspace({ tools, outlives: flags.keep, signal, onProgress: (line) => say(paint("dim", `  ${line}`)) });
  let kept: "nothing" | "files" | "all" = "nothing";
  try {
    say(paint("dim", `  starting them under Process Compose, with the daemon, in ${ws.dir}`));
    await ws.start({ daemon: true });
    const results = await playAll({ ws, signal, say: (line) => say(`  ${line}`) }, output, flags.json);
    const failed = results.some((r) => r.broken.length > 0);
    say(`\n${table(results, paint)}`);
    if (failed) say(`\n${paint("red", failures(results, ws))}`);
    if (flags.keep) say(`\n${keptRunning(ws)}`);
    else say(paint("dim", `\n${failed ? "stopping everything" : "stopping and removing everything"} (${Math.round((performance.now() - began) / 1000)} s in all)`));
    kept = flags.keep ? "all" : failed ? "files" : "nothing";
    return failed ? EXIT.failed : EXIT.done;
  } catch (error) {
    if (!signal.aborted) kept = "files";
    throw new Error(`${messageOf(error)}${signal.aborted ? "" : `\nlogs: ${ws.dir}/pc.out and ${ws.dir}/.slipstream/`}`, { cause: error });
  } finally {
    if (kept !== "all") await ws.close({ keepFiles: kept === "files" });
  }
}

async function playAll(show: Show, output: Output, json: boolean): Promise<SceneResult[]> {
  const results: SceneResult[] = [];
  const scenes = createScenes();
  for (const [i, scene] of scenes.entries()) {
    output.say(`\n${output.paint("bold", `${i + 1}/${scenes.length} ${scene.name}`)}: ${scene.title}`);
    const result = await scene.play(show).catch((error: unknown) => notPlayed(scene, error, show));
    results.push(result);
    if (json) process.stdout.write(`${jsonLine(result.record)}\n`);
  }
  return results;
}

function notPlayed(scene: Scene, error: unknown, show: Show): SceneResult {
  show.signal.throwIfAborted();
  const record = { scene: scene.name, subsystem: scene.subsystem, from: null, to: null, outcome: "not-played", restarted: [], untouched: [], digest_proved: false, ack_ms: null, healthy_ms: null };
  return { record, broken: [messageOf(error)] };
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
