/** The command line as a whole. */

import { Command, CommanderError, InvalidArgumentError } from "commander";
import { type ErrorCode, SlipstreamError } from "../domain/errors.ts";
import { addActs, examples } from "./act.ts";
import { inert } from "./ci.ts";
import { addCompletion } from "./completion.ts";
import { type Context, EXIT, EXIT_MEANINGS, type GlobalOptions } from "./context.ts";
import { addDoctor } from "./doctor.ts";
import { addInit } from "./init.ts";
import { safe } from "./io.ts";
import { addMan } from "./man.ts";
import { addShows } from "./show.ts";
import { addSimulate } from "./simulate.ts";
import { addWorkflow } from "./workflow.ts";

/** Runs one command line and returns the exit code; errors are printed, never thrown. */
export async function runCli(argv: readonly string[], version: string, context: Context): Promise<number> {
  let code: number = EXIT.done;
  const program = createProgram(version, context, (c) => {
    code = c;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const json = argv.includes("--json");
    if (json) context.print.json({ error: { code: error instanceof SlipstreamError ? error.code : "internal", message: error instanceof Error ? error.message : String(error) } });
    else {
      // Names from files of others stand in it, and a build machine reads the same stream for commands.
      context.print.note(inert(safe(`slipstream: ${error instanceof SlipstreamError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}`)));
    }
    return error instanceof SlipstreamError ? (CODES[error.code] ?? EXIT.failed) : EXIT.failed;
  }
}

const CODES: Partial<Record<ErrorCode, number>> = {
  "config-invalid": EXIT.usage,
  usage: EXIT.usage,
  "unknown-subsystem": EXIT.usage,
  "unknown-run": EXIT.usage,
  "workspace-locked": EXIT.locked,
  "database-newer": EXIT.newer,
};

/** The commander program; `exit` is told how a verb ended. */
export function createProgram(version: string, context: Context, exit: (code: number) => void): Command {
  const program = new Command("slipstream");
  program
    .description("Keeps every program of a workspace at its latest verified release, within seconds of the push, touching nothing else.")
    .version(version, "-V, --version")
    .option("-w, --workspace <dir>", "the workspace (default: the folder the command was started in)")
    .option("-c, --config <file>", "the configuration (default: slipstream.yaml in the workspace)")
    .option("--json", "print results as JSON")
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError("(slipstream --help shows what there is)")
    .configureOutput({ writeErr: (text) => context.print.note(text.trimEnd()) })
    .addHelpText("after", examples("slipstream watch --port 8080", "slipstream status", "slipstream update nats", "slipstream why nats"))
    .addHelpText("after", `\nExit codes:\n${Object.entries(EXIT).map(([name, code]) => `  ${String(code).padEnd(3)} ${EXIT_MEANINGS[name as keyof typeof EXIT]}`).join("\n")}`);
  addWatch(program, context);
  addShows(program, context, exit);
  addActs(program, context, exit);
  addSimulate(program, context, exit);
  addDoctor(program, context, exit);
  addInit(program, context);
  addWorkflow(program, context);
  addCompletion(program, context);
  addMan(program, context);
  // The options every verb shares may stand before or after the verb.
  for (const command of program.commands) {
    command
      .option("-w, --workspace <dir>", "the workspace")
      .option("-c, --config <file>", "the configuration")
      .option("--json", "print results as JSON")
      .exitOverride()
      .configureOutput({ writeErr: (text) => context.print.note(text.trimEnd()) });
  }
  return program;
}

function addWatch(program: Command, context: Context): void {
  program
    .command("watch")
    .alias("serve")
    .description("the daemon: receive webhooks and keep the workspace up to date")
    .option("-p, --port <port>", "port to listen on (default 8080)", port)
    .option("--host <host>", "address to listen on (default 127.0.0.1)")
    .option("--secret <secret>", "the webhook secret; everybody on the machine can see it in ps: prefer .slipstream/secrets.env")
    .addHelpText("after", examples("slipstream watch", "slipstream watch --port 9090 --workspace /srv/telemetry", "WEBHOOK_SECRET_FILE=/run/secrets/hook slipstream watch"))
    .action(async (_local: unknown, command: Command) => context.watch(command.optsWithGlobals<GlobalOptions & { port?: number; host?: string; secret?: string }>()));
}

function port(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0 || n > 65_535) throw new InvalidArgumentError("expected a number from 0 to 65535");
  return n;
}
