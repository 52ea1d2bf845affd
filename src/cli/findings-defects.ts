/** Shows defects of Taskfiles and the process-compose file: one line per kind, then file by file with its diff; and what `doctor --fix` did. */

import { type Defect, DEFECT_TITLES, type FixReport } from "../domain/defect.ts";
import { oneLine, type Printer, safe, table } from "./io.ts";

/** More places of one kind are counted, not named. */
const MAX_NAMED = 6;

/** Nothing where there are none. */
export function showDefects(print: Printer, found: readonly Defect[]): void {
  if (found.length === 0) return;
  const safeOnes = found.filter((d) => d.safe).length;
  print.line(`\n${print.paint("bold", `Defects of Taskfiles and the process-compose file: ${found.length} in ${count(new Set(found.map((d) => d.file)).size, "file")}`)}`);
  for (const row of summary(found)) print.line(row);
  const shown = new Set<string>();
  for (const [file, defects] of Map.groupBy(found, (d) => d.file)) {
    print.line(`\n${print.paint("bold", safe(file))}`);
    for (const defect of defects) showDefect(print, defect, shown);
  }
  print.line(`\nA mend is shown where its kind is met first; --json has the diff of each.`);
  print.line(`${safeOnes === 0 ? "" : `slipstream doctor --fix applies ${safeOnes} of them (--dry-run shows how); `}docs/compatibility.md tells how slipstream works with the rest.`);
}

function summary(found: readonly Defect[]): readonly string[] {
  const kinds = [...Map.groupBy(found, (d) => d.id)].sort(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)));
  return table(kinds.map(([id, all]) => ["", id, DEFECT_TITLES[id], `${all.length}x`, howToMend(all), where(all)]));
}

function howToMend(all: readonly Defect[]): string {
  const safeOnes = all.filter((d) => d.safe).length;
  return safeOnes === all.length ? "--fix" : safeOnes === 0 ? "by hand" : `--fix ${safeOnes}, by hand ${all.length - safeOnes}`;
}

function where(all: readonly Defect[]): string {
  const names = [...new Set(all.map((d) => d.subsystem ?? d.file))];
  return names.length > MAX_NAMED ? `${names.slice(0, MAX_NAMED).join(", ")} and ${names.length - MAX_NAMED} more` : names.join(", ");
}

/** The mend is shown once per kind: the others differ in names only. */
function showDefect(print: Printer, d: Defect, shown: Set<string>): void {
  print.line(`  ${String(d.line).padStart(4)}  ${print.paint("yellow", d.id)}  ${oneLine(d.message)}`);
  const kind = `${d.id} ${d.mend.split(/[^\w-]+/).filter((word) => word !== d.subsystem).join(" ")}`;
  if (shown.has(kind)) return;
  shown.add(kind);
  const how = d.safe ? " (--fix)" : d.whyNotSafe === undefined ? "" : ` (by hand: ${d.whyNotSafe})`;
  print.line(`            ${oneLine(`${d.mend}${how}`)}`);
  if (d.diff !== undefined) showDiff(print, d.diff, "            ");
}

function showDiff(print: Printer, diff: string, indent = "  "): void {
  for (const line of diff.trimEnd().split("\n")) {
    const text = `${indent}${safe(line.replace(/\r$/, ""))}`;
    print.line(/^(?:\+\+\+|---) /.test(line) ? print.paint("bold", text) : line.startsWith("+") ? print.paint("green", text) : line.startsWith("-") ? print.paint("red", text) : line.startsWith("@@") ? print.paint("dim", text) : text);
  }
}

/** What was written, where the old text is kept, and what is left. */
export function showFix(print: Printer, { dryRun, files, left }: FixReport): void {
  if (files.length === 0) print.line("Nothing that could be mended safely was found, so nothing was changed.");
  for (const { file, ids, diff, backup, refused } of files) {
    const how = refused === undefined ? (dryRun ? "would be changed" : "changed") : "was not changed";
    print.line(print.paint("bold", `${safe(file)} ${how} (${ids.join(", ")})`));
    if (refused !== undefined) print.line(print.paint("red", `      ${oneLine(refused)}`));
    showDiff(print, diff);
    if (backup !== undefined) print.line(`      its text from before is kept in ${safe(backup)}`);
    print.line();
  }
  if (dryRun && files.length > 0) print.line("This was a dry run: nothing was changed.");
  if (left.length > 0) print.line(`${count(left.length, "defect")} ${left.length === 1 ? "is" : "are"} left for you to look at: slipstream doctor`);
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
