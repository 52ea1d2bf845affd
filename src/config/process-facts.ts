/** What the process-compose file says about the processes of subsystems, as far as it can disturb an update. Pure. */

import { basename, dirname, join, relative } from "node:path";
import type { ProcessFact } from "../domain/examination.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { ProcessEntry, ProcessFile, WatchedPath } from "./processes.ts";

type Named = Pick<Subsystem, "name" | "dir" | "binary" | "process" | "notManaged">;

/** One fact for each managed subsystem whose process the file has. */
export function processFacts(file: ProcessFile | null, subsystems: readonly Named[]): readonly ProcessFact[] {
  return subsystems.flatMap((s) => {
    const entry = s.notManaged === undefined ? file?.processes.find((p) => p.name === s.process) : undefined;
    return entry === undefined ? [] : [factOf(entry, s)];
  });
}

/** For the start of the daemon: only what makes updates go wrong that nothing else notices. */
export function watchWarnings(facts: readonly ProcessFact[]): readonly string[] {
  return facts.flatMap((f) => f.watched.map((at) => `process ${f.process} is watched by Process Compose (${at.file}:${at.line ?? 1}): it restarts the new program of ${f.subsystem} a second time, unverified and in the middle of the health check; take that path out of its watch`));
}

function factOf(entry: ProcessEntry, s: Named): ProcessFact {
  return {
    subsystem: s.name,
    process: entry.name,
    watched: entry.watched.filter((w) => seesProgram(w.value, s)).map((w) => w.at),
    ...(entry.daemon !== undefined && { daemon: entry.daemon }),
    ...(entry.endsProject !== undefined && { endsProject: { setting: entry.endsProject.value, at: entry.endsProject.at } }),
  };
}

/** Directories that Process Compose leaves out of every watch by itself (watcher/matcher.go). */
const IGNORED = new Set([".git", ".hg", ".svn", ".idea", ".vscode", "node_modules", "vendor", "target", "dist", "build", "bin", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".next", ".nuxt", ".terraform", ".gradle", ".direnv", "result"]);

/** Whether a swap of the program changes a file that the watch reacts to. */
function seesProgram(watch: WatchedPath, s: Named): boolean {
  return [s.binary, ".version"].some((name) => {
    const file = join(s.dir, ".bin", name);
    // A watched file is watched through its folder.
    const rel = watch.path === file ? name : relative(watch.path, file);
    if (rel === ".." || rel.startsWith("../") || rel === "") return false;
    if (watch.defaultExcludes && dirname(rel).split("/").some((part) => IGNORED.has(part))) return false;
    const fits = (pattern: string) => globOf(pattern).test(pattern.includes("/") ? rel : basename(rel));
    return !excluded(watch.exclude, rel) && (watch.include.length === 0 || watch.include.some(fits));
  });
}

/** A pattern that fits a folder leaves out all of it. */
function excluded(patterns: readonly string[], rel: string): boolean {
  const parts = rel.split("/");
  return parts.some((name, i) => {
    const path = parts.slice(0, i + 1).join("/");
    return patterns.some((pattern) => globOf(pattern).test(pattern.includes("/") ? path : name));
  });
}

/** `**` stands for any folders, `*` and `?` stay within a name, `{a,b}` for one of them. */
function globOf(pattern: string): RegExp {
  const parts = pattern.split(/(\/\*\*$|\*\*\/|\*\*|\*|\?|\{[^{}]*\})/).map((part) => {
    if (part === "/**") return "(?:/.*)?";
    if (part === "**/") return "(?:.*/)?";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.startsWith("{")) return `(?:${part.slice(1, -1).split(",").map(literal).join("|")})`;
    return literal(part);
  });
  return new RegExp(`^${parts.join("")}$`);
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
