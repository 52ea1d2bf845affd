/** `slipstream man`: slipstream(1), made from the same program as --help, so that the two cannot differ. */

import type { Argument, Command, Option } from "commander";
import { VERSION } from "../kit/program-version.ts";
import { examples } from "./act.ts";
import { isHidden } from "./completion.ts";
import { type Context, EXIT, EXIT_MEANINGS, type GlobalOptions } from "./context.ts";

export function addMan(program: Command, context: Context): void {
  program
    .command("man")
    .description("print the manual page slipstream(1) as roff")
    .addHelpText("after", examples("slipstream man | man -l -", "slipstream man > /usr/local/share/man/man1/slipstream.1"))
    .action((_local: unknown, command: Command) => {
      const text = manPage(program);
      if (command.optsWithGlobals<GlobalOptions>().json === true) context.print.json({ text });
      else context.print.line(text.trimEnd());
    });
}

const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = [
  ["WEBHOOK_SECRET", "The secret of the webhooks; WEBHOOK_SECRET_<NAME> are further ones. Better kept in .slipstream/secrets.env."],
  ["GITHUB_TOKEN", "Reads private repositories on github.com, and releases. Read access to the contents is enough."],
  ["WEBHOOK_SECRET_FILE, GITHUB_TOKEN_FILE, PC_API_TOKEN_FILE", "Files that hold the secret of that name."],
  ["PC_SOCKET_PATH, PC_PORT_NUM, PC_ADDRESS, PC_API_TOKEN, PC_API_TOKEN_PATH, PC_CONFIG_FILES", "Where Process Compose answers, its token and its files, as Process Compose itself names them."],
  ["RELEASE_REPO, RELEASE_VERSION", "Release mode: where releases are, and the only one that may be installed."],
  ["GITHUB_OUTPUT, GITHUB_STEP_SUMMARY, GITHUB_ACTIONS", "Set by a build machine: update --ci writes its outputs and its table there, and folds its log."],
  ["NO_COLOR", "No colours, if it is set and not empty."],
];

const FILES: readonly (readonly [name: string, meaning: string])[] = [
  ["slipstream.yaml", "The configuration of the workspace; slipstream.example.yaml explains every key."],
  ["Taskfile.yml", "What slipstream reads the subsystems from, and how they are built."],
  [".slipstream/", "State, logs and sources of slipstream; not to be shared."],
  [".slipstream/secrets.env", "Secrets, readable by their owner only; they outrank the environment."],
  [".version-manifest.json", "What is installed and what the last look found, for other programs and for build machines."],
  ["<subsystem>/.bin/", "The installed program, its .version, and in .previous the ones before it."],
];

/** The page. Without a date: the same program prints the same page. */
export function manPage(program: Command): string {
  const verbs = program.commands.filter((c) => !isHidden(c, program));
  const own = new Set(optionsOf(program).map((o) => o.flags));
  return `${[
    `.TH SLIPSTREAM 1 "" "slipstream ${roff(VERSION)}" "User Commands"`,
    // No hyphens of its own and no stretched lines: what is typed is to be read as it is typed.
    ".nh",
    ".ad l",
    ".SH NAME",
    "slipstream \\- keeps every program of a workspace at its latest verified release",
    ".SH SYNOPSIS",
    "\\fBslipstream\\fR [\\fIoptions\\fR] \\fIverb\\fR [\\fIarguments\\fR]",
    ".SH DESCRIPTION",
    text(program.description()),
    ".SH OPTIONS",
    "They may stand before or after the verb.",
    ...optionsOf(program).flatMap((o) => optionLines(program, o)),
    ".SH COMMANDS",
    ...verbs.flatMap((c) => verbLines(c, own)),
    ".SH EXIT STATUS",
    ...Object.entries(EXIT).flatMap(([name, code]) => term(String(code), EXIT_MEANINGS[name as keyof typeof EXIT])),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(([name, meaning]) => term(name, meaning)),
    ".SH FILES",
    ...FILES.flatMap(([name, meaning]) => term(name, meaning)),
    ".SH EXAMPLES",
    ...exampleLines(program),
  ].join("\n")}\n`;
}

function verbLines(command: Command, own: ReadonlySet<string>): string[] {
  const places = command.registeredArguments.map((a: Argument) => (a.required ? `<${a.name()}>` : `[${a.name()}]`));
  const also = command.aliases().map((alias) => `, ${alias}`).join("");
  const options = optionsOf(command).filter((o) => !own.has(o.flags));
  const choices = command.registeredArguments.flatMap((a) => (a.argChoices === undefined ? [] : [`${a.name()}: ${a.argChoices.join(", ")}.`]));
  return [`.SS "${roff([command.name() + also, ...places].join(" "))}"`, text([`${capital(command.description())}.`, ...choices].join(" ")), ...options.flatMap((o) => optionLines(command, o)), ".PP", ...exampleLines(command)];
}

function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function optionLines(command: Command, o: Option): string[] {
  const flags = o.flags.replaceAll(/(?<name>--?[A-Za-z][\w-]*)|(?<value>[<[][^\]>]*[\]>])|(?<rest>[^-<[]+)/g, (part, name, value) => (name !== undefined ? `\\fB${roff(part)}\\fR` : value !== undefined ? `\\fI${roff(part)}\\fR` : part));
  return [".TP", flags, text(capital(command.createHelp().optionDescription(o)))];
}

function term(name: string, meaning: string): string[] {
  return [".TP", `.B ${quotedArgument(name)}`, text(meaning)];
}

function exampleLines(command: Command): string[] {
  const lines = examplesOf(command);
  return lines.length === 0 ? [] : [".nf", ".RS 4", ...lines.map((l) => text(l)), ".RE", ".fi"];
}

/** The examples of a verb as its --help shows them. */
export function examplesOf(command: Command): readonly string[] {
  const [, below] = afterHelp(command).split("\nExamples:\n");
  if (below === undefined) return [];
  const lines = below.split("\n");
  const end = lines.findIndex((l) => !l.startsWith("  "));
  return lines.slice(0, end === -1 ? undefined : end).map((l) => l.trim());
}

/** What --help prints below the options. */
function afterHelp(command: Command): string {
  const before = { ...command.configureOutput() };
  let shown = "";
  command.configureOutput({ writeOut: (part) => (shown += part) });
  try {
    command.outputHelp();
  } finally {
    command.configureOutput(before);
  }
  return shown;
}

function capital(sentence: string): string {
  return `${sentence.slice(0, 1).toUpperCase()}${sentence.slice(1)}`;
}

/** One line of running text: a dot or an apostrophe at its start would be a request (groff_man(7), roff(7)). */
function text(line: string): string {
  const escaped = roff(line);
  return /^[.']/.test(escaped) || escaped.startsWith("\\(aq") ? `\\&${escaped}` : escaped;
}

function quotedArgument(words: string): string {
  return `"${roff(words)}"`;
}

const SPECIAL: Readonly<Record<string, string>> = { "\\": "\\(rs", "-": "\\-", "'": "\\(aq", '"': "\\(dq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti" };

/** Text as roff: characters that would be set as others are named, those beyond ASCII by their number. */
export function roff(plain: string): string {
  return plain.replaceAll(/[\\\-'"`^~]/g, (c) => SPECIAL[c] ?? c).replaceAll(/[^\n -\x7e]/gu, (c) => `\\[u${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`);
}
