/** `slipstream init`: what was found, what was written, and what a person has to do next. */

import type { Command } from "commander";
import type { InitFile, InitOptions, InitReport } from "../config/starter.ts";
import { examples } from "./act.ts";
import type { Context, GlobalOptions } from "./context.ts";
import { oneLine, safe, table } from "./io.ts";

export function addInit(program: Command, context: Context): void {
  program
    .command("init")
    .description("make a workspace ready: look at it, write slipstream.yaml and a webhook secret where they are missing, tell the webhook settings")
    .option("--example", "make a small workspace with two programs to try slipstream with; only in an empty folder")
    .option("--dry-run", "say what would be written, and write nothing")
    .addHelpText("after", examples("slipstream init", "slipstream init --dry-run", "mkdir ~/try && cd ~/try && slipstream init --example"))
    .action(async (_local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions & InitOptions>();
      const report = await context.init(o);
      if (o.json === true) context.print.json(report);
      else show(context, report);
    });
}

function show(context: Context, report: InitReport): void {
  const { print } = context;
  const title = (text: string) => print.line(`\n${print.paint("bold", text)}`);
  print.line(`workspace: ${safe(report.workspace)} (${report.platform.os}/${report.platform.arch})`);
  showFound(context, report);
  title(report.dryRun ? "Would write (this is a dry run, nothing was changed):" : "Files:");
  showFiles(context, report);
  if (report.webhooks.length > 0) {
    title(report.webhooks.some((w) => w.open !== null) ? `Webhook settings on ${forgesOf(report)} (you have to be an administrator there; for repositories of others see docs/webhooks.md):` : "Webhooks:");
    showWebhooks(context, report);
  }
  const open = [...report.problems.map((p) => [oneLine(p)]), ...report.warnings.map((w) => [oneLine(w)]), ...report.open.map((u) => [oneLine(u.what), `→ ${oneLine(u.todo)}`])];
  if (open.length > 0) {
    title("Could not be found out, or has to be looked at:");
    for (const [what, todo] of open) {
      print.line(print.paint("yellow", `  - ${what}`));
      if (todo !== undefined) print.line(`    ${todo}`);
    }
  }
  title(`Next, in ${safe(report.workspace)}:`);
  for (const { command, why } of report.next) print.line(`  ${safe(command)}\n      ${print.paint("dim", why)}`);
}

function showFound({ print }: Context, report: InitReport): void {
  if (report.example && report.dryRun) return;
  print.line(`Taskfile: ${safe(report.taskfile ?? "none")}, process-compose file: ${safe(report.processFile ?? "none")}, Process Compose: ${safe(report.supervisor ?? "unknown")}`);
  if (report.subsystems.length === 0) return;
  print.line();
  const rows = report.subsystems.map((s) => [s.name, s.mode, s.from ?? "unknown", s.binary ?? "unknown", s.process ?? "none"]);
  for (const row of table([["SUBSYSTEM", "MODE", "FROM", "BINARY", "PROCESS"], ...rows])) print.line(row);
}

const WORDS: Readonly<Record<InitFile["change"], string>> = { created: "created", changed: "changed", kept: "kept as it is" };

function showFiles({ print }: Context, { files, dryRun }: InitReport): void {
  for (const row of table(files.map((f) => ["", f.path, WORDS[f.change]]))) print.line(row);
  if (files.every((f) => f.change === "kept")) print.line("Nothing is missing, so nothing was changed.");
  if (!dryRun) return;
  for (const { path, text } of files) if (text !== undefined) print.line(`\n${oneLine(path)}:\n${safe(text).trimEnd().replaceAll(/^/gm, "  | ")}`);
}

/** `GitHub`, `Gitea/Forgejo`, or both. */
function forgesOf({ webhooks }: InitReport): string {
  const kinds = new Set(webhooks.filter((w) => w.open !== null).map((w) => (w.forge === "gitea" ? "Gitea/Forgejo" : "GitHub")));
  return [...kinds].sort().reverse().join(" and ");
}

function showWebhooks({ print }: Context, report: InitReport): void {
  for (const w of report.webhooks) {
    print.line(`  ${safe(w.repository)} (${w.subsystems.join(", ")})${w.note === undefined ? "" : `: ${safe(w.note)}`}`);
    if (w.open === null) continue;
    const rows = [
      ["Open", w.forge === "gitea" ? `${w.open}, then Add Webhook: Gitea or Forgejo` : w.open],
      [w.forge === "gitea" ? "Target URL" : "Payload URL", w.payloadUrl],
      ...(w.forge === "gitea" ? [["HTTP method", "POST"]] : []),
      [w.forge === "gitea" ? "POST content type" : "Content type", w.contentType],
      ["Secret", `${w.secret.place}${w.secret.show === null ? "" : `; this shows it: ${w.secret.show}`}`],
      ...(w.forge === "gitea" ? [] : [["SSL verification", "enabled"]]),
      [w.forge === "gitea" ? "Trigger on" : "Events", `${w.forge === "gitea" ? "Custom events" : "Let me select individual events"}: ${w.events.join(", ")}`],
    ];
    for (const row of table(rows.map(([name, value]) => ["   ", name ?? "", value ?? ""]))) print.line(row);
  }
  if (report.webhooks.some((w) => w.open !== null)) print.line("  <your public address> is what a tunnel or a proxy gives you: docs/webhooks.md, \"Exposing the endpoint\".");
}
