/**
 * What a job on a build machine gets to see: steps and logs in foldable groups, outputs for the steps after it, a table for people.
 * Text of builds and upstreams reaches the same stream as the runner's own commands (GitHub docs: workflow commands), so nothing of it may look like one.
 */

import type { CiOffers } from "../config/ci.ts";
import type { Changed } from "./changed.ts";
import type { Context } from "./context.ts";
import { cell, jsonText, oneLine, type Printer, safe, short } from "./io.ts";

export interface Job {
  readonly print: Printer;
  /** Opens a group; the function that is returned closes it. */
  group(title: string): () => void;
  /** A run's log: folded away, or only for one that failed where nothing folds. */
  log(text: string, failed: boolean): void;
  /** A line the forge shows on the job's page. */
  annotate(level: "error" | "warning", text: string): void;
}

/** Lines go out as they come, stages too, whether or not anybody watches. */
export function createJob(print: Printer, { commands }: CiOffers): Job {
  const plain = print.unattended();
  const tame = commands ? inert : (text: string) => text;
  const shown: Printer = { ...plain, live: true, progress: () => undefined, note: (text) => plain.note(tame(text)), line: (text = "") => plain.line(tame(text)), json: (value) => plain.line(inertJson(value)) };
  const command = (name: string, text: string) => {
    if (commands) plain.note(`::${name}::${escaped(tame(oneLine(text)))}`);
  };
  return {
    print: shown,
    group: (title) => {
      command("group", title);
      return () => command("endgroup", "");
    },
    log: (text, failed) => {
      if (text.trim() !== "" && (commands || failed)) for (const line of text.trimEnd().split("\n")) shown.note(`  | ${safe(line)}`);
    },
    annotate: (level, text) => command(level, text),
  };
}

/** Neither of the two ways to write a command is left: `::name::` at the start of a line, `##[name]` anywhere. */
export function inert(text: string): string {
  return text.replaceAll("##[", "## [").replaceAll(/^(\s*)::/gm, "$1: :");
}

/** The same value; in JSON every character may be written as its number. */
function inertJson(value: unknown): string {
  return jsonText(value).replaceAll("##[", "##\\u005b");
}

/** A command's data (GitHub docs: workflow commands). */
function escaped(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** Writes outputs and table where the build machine wants them. */
export async function reportJob(context: Context, results: readonly Changed[]): Promise<void> {
  const { outputs, summary } = context.ci;
  if (outputs !== undefined) await context.append(outputs, outputLines(results));
  if (summary !== undefined) await context.append(summary, summaryTable(results));
}

/** `name=value` lines: `changed`, `held` and `failed` are JSON arrays of names, `any` says whether something changed. */
export function outputLines(results: readonly Changed[]): string {
  const names = (outcome: Changed["outcome"]) => results.filter((r) => r.outcome === outcome).map((r) => r.subsystem);
  const changed = names("updated");
  return `changed=${JSON.stringify(changed)}\nany=${changed.length > 0}\nheld=${JSON.stringify(names("held"))}\nfailed=${JSON.stringify(names("failed"))}\n`;
}

/** A markdown table, one row for each subsystem that was looked at. */
export function summaryTable(results: readonly Changed[]): string {
  const rows = results.map((r) => [r.subsystem, short(r.from ?? "–"), short(r.to ?? "–"), r.outcome === "held" ? "waits for approval" : r.outcome, r.reason ?? ""]);
  const lines = [["Subsystem", "From", "To", "Outcome", "Why"], ["---", "---", "---", "---", "---"]];
  const body = rows.map((row) => `| ${row.map((text) => markdown(cell(oneLine(text)))).join(" | ")} |`);
  return `## slipstream\n\n${[...lines.map((l) => `| ${l.join(" | ")} |`), ...body].join("\n")}\n\n`;
}

/** Text as text: no link, no picture, no table cell of its own (CommonMark: backslash escapes). */
function markdown(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]<>()#!|~&@:]/g, "\\$&");
}
