/** What a survey gathers, and what it adds to the daemon's own reading: keys for `slipstream.yaml`, and what nobody can find out. */

import { basename, join, relative } from "node:path";
import { isSubsystemName, type Mode, type Subsystem } from "../domain/subsystem.ts";
import type { Problem } from "../domain/errors.ts";
import { type Folder, programsIn } from "./folders.ts";
import { holdsLogin, originOf, withoutLogin } from "./git-remote.ts";
import type { OwnFile } from "./own-file.ts";
import { matchProcess, type ProcessFile } from "./processes.ts";
import { isPlain, mention } from "./plain.ts";
import { type Entry, keyOf } from "./proposal.ts";
import { upstreamProblem } from "./repository.ts";
import type { Discovery } from "./taskfiles.ts";

/** Something a person has to decide or to look at, and what to do about it. */
export interface Unknown {
  readonly what: string;
  readonly todo: string;
}

/** One program of the workspace as far as it is known. */
export interface Found {
  readonly name: string;
  readonly dir: string;
  readonly mode: Mode;
  /** Clone URL without login, or `owner/name` of the releases. */
  readonly from: string | null;
  readonly binary: string | null;
  readonly process: string | null;
  /** As the daemon sees it; null while something is missing. */
  readonly subsystem: Subsystem | null;
}

/** What is gathered while looking. */
export interface Looking {
  readonly workspace: string;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly own: OwnFile;
  readonly ownPath: string;
  readonly discovery: Discovery;
  readonly processes: ProcessFile | null;
  readonly folders: readonly Folder[];
  readonly entries: Entry[];
  readonly unknown: Unknown[];
  readonly problems: Problem[];
  readonly warnings: string[];
}

/** For every include: the upstream that only its checkout knows, and the program's name where only `.bin` knows it. */
export async function describeDeclared(look: Looking): Promise<void> {
  for (const d of look.discovery.subsystems) {
    const own = look.own.file.subsystems?.[d.name];
    if (own?.enabled === false || !isSubsystemName(d.name)) continue;
    const written = d.upstream?.known === true ? d.upstream.text : "";
    if (holdsLogin(written)) look.unknown.push({ what: `UPSTREAM_REPO of ${d.name} holds a login, which everybody has who reads the Taskfile`, todo: "take it out, and give it to git through a credential helper" });
    if (own?.upstream === undefined && own?.upstreams === undefined && (written === "" || upstreamProblem(written) !== null)) {
      const clean = written === "" || upstreamProblem(withoutLogin(written)) !== null ? await originOf(join(d.dir, ".src"), look.problems) : withoutLogin(written);
      if (clean !== undefined) look.entries.push({ path: ["subsystems", d.name, "upstream"], value: clean });
    }
    const { programs, odd } = await programsIn(d.dir);
    const [program, ...more] = programs;
    mentionOdd(look, odd, d.dir);
    const named = own?.binary !== undefined || d.binary?.known === false || (d.binary?.text ?? "") !== "";
    if (!named && program !== undefined && more.length === 0 && program !== d.name) look.entries.push({ path: ["subsystems", d.name, "binary"], value: program });
  }
}

/** For every folder that no include declares: all that slipstream needs where it can be found, else hints and what is missing. */
export function describeFolders(look: Looking): void {
  for (const f of look.folders) {
    mentionOdd(look, f.odd, f.dir);
    const [program, ...more] = f.programs.includes(f.name) ? [f.name] : f.programs;
    const whole = isSubsystemName(f.name) && f.origin !== undefined && f.buildTask !== undefined && more.length === 0;
    const say = (path: readonly string[], value: string, comment?: string) => {
      if (isPlain(f.name)) look.entries.push({ path: ["subsystems", f.name, ...path], value, ...(whole ? {} : { hint: true }), ...(comment === undefined ? {} : { comment }) });
    };
    if (f.source) {
      say(["upstream"], f.origin ?? "https://github.com/owner/name", f.origin === undefined ? "where its source comes from" : undefined);
      say(["build", "task"], f.buildTask ?? `${f.name}:bin:build`, f.buildTask === undefined ? "or build.command: [program, arguments]" : undefined);
    } else say(["release", "repository"], "owner/name", "where its releases are");
    if (program !== undefined && (program !== f.name || more.length > 0)) say(["binary"], program, more.length > 0 ? `or ${more.join(", ")}` : undefined);
    if (!whole) look.unknown.push({ what: `${mention(f.name)} looks like a program to keep current, but ${missingOf(f)}`, todo: `include it in the root Taskfile with taskfiles/subsystem.yml (docs/configure.md), or describe it below subsystems.${mention(f.name)} in slipstream.yaml; to leave it alone, do nothing` });
  }
}

/** Skipped, and said: a name can be made to look like anything. */
function mentionOdd(look: Looking, odd: readonly string[], dir: string): void {
  for (const name of odd) look.unknown.push({ what: `program ${mention(name)} in ${mention(basename(dir))}/.bin has a name that slipstream does not take, expected letters, digits, _ . + and -`, todo: "rename it, or remove it if you do not know it" });
}

function missingOf(f: Folder): string {
  if (!isSubsystemName(f.name)) return "its name is not made of small letters, digits and dashes";
  if (!f.source) return "there is a program and no source, and nothing says which repository releases it";
  if (f.origin === undefined) return "its checkout has no usable remote origin";
  return f.buildTask === undefined ? "no include of the root Taskfile has a task bin:build for it" : "there are several programs in .bin";
}

export function reportWhatIsMissing(look: Looking, found: readonly Found[]): void {
  const { workspace, processes, discovery, unknown } = look;
  const complete = found.filter((s) => s.subsystem !== null);
  if (discovery.rootTaskfile === null && (complete.length === 0 || complete.some((s) => s.mode === "source"))) unknown.push({ what: "there is no Taskfile, so nothing says what to keep current", todo: "write one (docs/configure.md), or try slipstream in an empty folder: slipstream init --example" });
  else if (found.length === 0 && !look.problems.some((p) => p.file === discovery.rootTaskfile)) unknown.push({ what: `no include of ${short(workspace, discovery.rootTaskfile ?? workspace)} declares UPSTREAM_REPO, so there is nothing to keep current`, todo: "include taskfiles/subsystem.yml once per program (docs/configure.md)" });
  if (processes === null) unknown.push({ what: "there is no process-compose file, so nothing says which process runs which program", todo: "write process-compose.yml (docs/configure.md), or name it: process_compose.file in slipstream.yaml" });
  for (const { subsystem: s } of complete) {
    if (s === null || s.process !== null || processes === null || look.own.file.subsystems?.[s.name]?.process === false) continue;
    const match = matchProcess(workspace, s, processes);
    if (match.kind === "several") look.entries.push({ path: ["subsystems", s.name, "process"], value: match.names[0] ?? "", hint: true, comment: `or ${match.names.slice(1).join(", ")}: all of them run it` });
    else {
      look.entries.push({ path: ["subsystems", s.name, "process"], value: false, hint: true, comment: "when nothing runs it" });
      unknown.push({ what: `no process in ${short(workspace, processes.path)} runs ${s.name}`, todo: `add a process ${s.name} there, or set subsystems.${s.name}.process in slipstream.yaml to its name, or to false` });
    }
  }
}

/** What the file that is there does not say; it is never changed. */
export function reportWhatIsUnsaid(look: Looking): void {
  for (const entry of look.entries) {
    if (entry.hint !== true && look.own.yaml?.doc.hasIn(entry.path) === false) look.unknown.push({ what: `${short(look.workspace, look.ownPath)} does not say ${keyOf(entry)}, and init leaves the file as it is`, todo: `add it: ${entry.value}` });
  }
}

/** As a person in the workspace would write it. */
export function short(workspace: string, path: string): string {
  const below = relative(workspace, path);
  return below === "" ? "." : below.startsWith("../") || below === ".." ? path : below;
}
