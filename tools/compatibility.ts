/** Rewrites the tables of `docs/compatibility.md` from the data that the tests use; with `--check` it only says whether they are up to date. */

import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { COMPATIBILITY_DEFECTS } from "../test/support/compatibility-defects.ts";
import { FORGES } from "../test/support/compatibility-forges.ts";
import { PROCESS_KINDS } from "../test/support/compatibility-processes.ts";
import { PROGRAM_WAYS } from "../test/support/compatibility-programs.ts";
import { TOOL_WAYS } from "../test/support/compatibility-tools.ts";
import { REASONS, VERSION_WAYS } from "../test/support/compatibility-versions.ts";
import { PROCESS_COMPOSE_VERSIONS } from "./pins.ts";

export const PAGE = join(resolve(import.meta.dirname, ".."), "docs/compatibility.md");

interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const PROOFS: Readonly<Record<(typeof PROGRAM_WAYS)[number]["proof"], string>> = { exe: "the kernel has the new file mapped", "command-line": "its command line names the new file, and it was started after the swap", none: "none: set `health.proof: off`" };
const code = (text: string): string => `\`${text}\``;
/** Where `doctor` sees a defect that needs no mend, it has words for it all the same. */
const mend = ({ fix, seenBy }: (typeof COMPATIBILITY_DEFECTS)[number]): string => (fix === "safe" ? "`--fix`, where that is safe" : fix === "by hand" ? fix : seenBy === "doctor" ? "none needed; doctor says how" : "none needed");
/** Names of tests, as they stand. */
const proved = (names: readonly string[]): string => (names.length === 0 ? "–" : names.map((name) => `*${name}*`).join(" · "));

export const TABLES: Readonly<Record<string, Table>> = {
  defects: { head: ["defect", "what it is", "seen by", "mend", "in a workspace that keeps it, slipstream"], rows: COMPATIBILITY_DEFECTS.map((d) => [d.id, d.title, d.seenBy, mend(d), d.workaround]) },
  processes: { head: ["process", PROCESS_COMPOSE_VERSIONS.oldest, PROCESS_COMPOSE_VERSIONS.newest, "what happens", "test"], rows: PROCESS_KINDS.map((p) => [p.kind, p.oldest, p.newest, p.behaviour, proved(p.test)]) },
  programs: { head: ["command", "proof that the new program runs", "test"], rows: PROGRAM_WAYS.map((p) => [code(p.how), PROOFS[p.proof], proved([p.test])]) },
  forges: { head: ["forge", "part", "what works", "tested how", "test"], rows: FORGES.map((f) => [f.forge, f.part, f.behaviour, f.tried, proved(f.test)]) },
  versions: { head: ["topic", "upstream or configuration", "what happens", "test"], rows: VERSION_WAYS.map((v) => [v.topic, v.what, v.behaviour, proved(v.test)]) },
  reasons: { head: ["reason", "when", "test"], rows: Object.entries(REASONS).map(([reason, r]) => [code(reason), r.when, proved(r.test)]) },
  tools: { head: ["tool", "which", "tested how", "note", "test"], rows: TOOL_WAYS.map((t) => [t.tool, t.which, t.tried, t.note, proved(t.test)]) },
};

/** Every test that the data names. */
export const NAMED_TESTS: readonly string[] = [...PROCESS_KINDS, ...FORGES, ...VERSION_WAYS, ...Object.values(REASONS), ...TOOL_WAYS].flatMap((row) => row.test).concat(PROGRAM_WAYS.map((p) => p.test));

function lines({ head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

/** The page with every table as the data has it. @throws Error when a table is missing, is there twice, or is unknown */
export function withTables(page: string): string {
  const seen: string[] = [];
  const text = page.replace(/<!-- table: ([a-z]+) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const table = TABLES[name];
    if (table === undefined) throw new Error(`table ${name} of ${PAGE} is unknown, expected one of ${Object.keys(TABLES).join(", ")}`);
    seen.push(name);
    return `<!-- table: ${name} -->\n${lines(table)}\n<!-- end -->`;
  });
  const missing = Object.keys(TABLES).filter((name) => seen.filter((s) => s === name).length !== 1);
  if (missing.length > 0) throw new Error(`table ${missing.join(", ")} is not there once, expected <!-- table: NAME --> and <!-- end --> in ${PAGE}`);
  return text;
}

async function main(check: boolean): Promise<number> {
  const page = await readFile(PAGE, "utf8");
  const text = withTables(page);
  if (text === page) return 0;
  if (check) process.stderr.write(`${PAGE}: tables are not what the tests' data says; run: node tools/compatibility.ts\n`);
  else await writeFile(PAGE, text);
  return check ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.includes("--check"));
