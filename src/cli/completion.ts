/** `slipstream completion`: a script for the shell, made from the program itself, and the hidden verb it asks for names. */

import { Argument, type Command, type Option } from "commander";
import { examples } from "./act.ts";
import { bashScript } from "./completion-bash.ts";
import { fishScript } from "./completion-fish.ts";
import { zshScript } from "./completion-zsh.ts";
import { type Context, type GlobalOptions, withApp } from "./context.ts";

/** What stands in a place of the command line: one of some words, names that slipstream is asked for, or a path. */
export type Place = { readonly words: readonly string[] } | "subsystem" | "process" | "run" | "held" | "dir" | "file" | "any";

export interface CompletedOption {
  /** `--long` first, then `-s`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Missing for one without a value. */
  readonly takes?: Place;
}

export interface CompletedVerb {
  /** With its aliases; empty for the program itself. */
  readonly names: readonly string[];
  readonly description: string;
  readonly options: readonly CompletedOption[];
  readonly places: readonly Place[];
}

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
export type Shell = keyof typeof SCRIPTS;
const SHELLS = Object.keys(SCRIPTS) as readonly Shell[];
const KINDS = ["subsystem", "process", "run", "held"] as const;
const RUNS = 50;

export function addCompletion(program: Command, context: Context): void {
  program
    .command("completion")
    .description("print a script that completes verbs, options and names in your shell")
    .addArgument(new Argument("<shell>", "the shell it is for").choices([...SHELLS]))
    .addHelpText("after", examples("source <(slipstream completion bash)", 'slipstream completion zsh > "${fpath[1]}/_slipstream"', "slipstream completion fish > ~/.config/fish/completions/slipstream.fish"))
    .action((shell: Shell, _local: unknown, command: Command) => {
      const text = SCRIPTS[shell](describe(program));
      if (command.optsWithGlobals<GlobalOptions>().json === true) context.print.json({ shell, text });
      else context.print.line(text.trimEnd());
    });
  program
    .command("__complete", { hidden: true })
    .description("names for the shell's completion, one a line")
    .addArgument(new Argument("<kind>").choices([...KINDS]))
    .action(async (kind: (typeof KINDS)[number], _local: unknown, command: Command) => {
      // Who presses the tab key in a folder without a workspace wants no error.
      const names = await namesOf(context, kind, command.optsWithGlobals<GlobalOptions>()).catch(() => []);
      for (const name of names) if (/^[!-~]+$/.test(name)) context.print.line(name);
    });
}

async function namesOf(context: Context, kind: (typeof KINDS)[number], o: GlobalOptions): Promise<readonly string[]> {
  if (kind === "subsystem") return (await context.subsystems(o)).map((s) => s.name);
  if (kind === "process") return (await context.subsystems(o)).flatMap((s) => s.process ?? []);
  const runs = await withApp(context, o, "read", (app) => app.runs({ limit: RUNS }));
  return runs.filter((r) => kind === "run" || r.status === "held").map((r) => r.id);
}

/** The program and its verbs as a shell has to know them; the program itself comes first. */
export function describe(program: Command): readonly CompletedVerb[] {
  const shown = program.commands.filter((c) => !isHidden(c, program));
  const all = shown.flatMap((c) => [c.name(), ...c.aliases()]);
  const verbs = shown.map((c) => ({ names: [c.name(), ...c.aliases()], description: c.description(), options: optionsOf(c), places: c.registeredArguments.map((a) => placeOf(a.name(), c.name(), a.argChoices)) }));
  return [{ names: [], description: program.description(), options: optionsOf(program), places: [{ words: [...all, "help"] }] }, ...verbs, { names: ["help"], description: "show the help of a verb", options: [], places: [{ words: all }] }];
}

/** Commander keeps it to itself which verbs are hidden; its help knows. */
export function isHidden(command: Command, program: Command): boolean {
  return !program.createHelp().visibleCommands(program).includes(command);
}

function optionsOf(command: Command): readonly CompletedOption[] {
  return command.createHelp().visibleOptions(command).map((o: Option) => {
    const flags = [o.long, o.short].filter((f) => f !== undefined && f !== null);
    const takes = o.required || o.optional ? { takes: placeOf(/[<[]([\w-]+)/.exec(o.flags)?.[1] ?? "", o.long ?? "", o.argChoices) } : {};
    return { flags, description: o.description, ...takes };
  });
}

/** What belongs into a place, by the name its help gives it and the verb or option it belongs to. */
function placeOf(name: string, owner: string, choices: readonly string[] | undefined): Place {
  if (choices !== undefined) return { words: choices };
  if (name === "subsystem" || owner === "--subsystem") return "subsystem";
  if (name === "run") return owner === "approve" || owner === "reject" ? "held" : "run";
  return name === "process" || name === "dir" || name === "file" ? name : "any";
}
