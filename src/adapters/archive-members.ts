/** Which member of an archive is what, and which members make the whole archive unfit. Pure; nothing here ever becomes a path on this machine. */

import { EvidenceError } from "../domain/errors.ts";

/** A member as its header describes it. */
export interface Member {
  readonly path: string;
  /** tar's word: File, SymbolicLink, … */
  readonly type: string;
  readonly size: number;
  readonly linkpath?: string | undefined;
}

export type Role = "program" | "stamp" | "skip";

/** Names from the archive's root to the file; deeper ones are documentation, completions and the like. */
const MAX_DEPTH = 3;
const CHARS_SHOWN = 80;
const FILES: ReadonlySet<string> = new Set(["File", "OldFile", "ContiguousFile"]);
const FOLDERS: ReadonlySet<string> = new Set(["Directory", "GNUDumpDir"]);
const UNFIT: Readonly<Record<string, string>> = { CharacterDevice: "a character device", BlockDevice: "a block device", FIFO: "a fifo" };

/** The types the parser hands to its filter; it drops all others by itself. */
export const FILTERED_TYPES: ReadonlySet<string> = new Set([...FILES, ...FOLDERS, ...Object.keys(UNFIT), "Link", "SymbolicLink"]);

/** @throws EvidenceError artifact-invalid when a member like this makes the archive unfit */
export function roleOf(member: Member, names: readonly string[]): Role {
  const what = `archive member ${quoted(member.path)}`;
  const unfit = UNFIT[member.type];
  if (unfit !== undefined) throw invalid(`${what} is ${unfit}, expected files and folders only`);
  if (isAbsolute(member.path)) throw invalid(`${what} has an absolute path, expected one inside the archive`);
  const parts = partsOf(member.path);
  if (parts.includes("..")) throw invalid(`${what} has .. in its path, expected one inside the archive`);
  if (parts.some((part) => part.startsWith("GNUSparseFile."))) throw invalid(`${what} is stored as a sparse file, expected a plain one; pack it without --sparse`);
  if (!Number.isSafeInteger(member.size) || member.size < 0) throw invalid(`${what} is ${member.size} bytes long, expected a sane size`);
  if (member.type === "SymbolicLink" || member.type === "Link") checkLink(member, what, parts);
  const name = parts.at(-1) ?? "";
  if (FOLDERS.has(member.type) || parts.length > MAX_DEPTH) return "skip";
  if (names.includes(name)) {
    if (!FILES.has(member.type)) throw invalid(`${what} is a ${member.type}, expected the program itself there`);
    if (member.size === 0) throw invalid(`${what} is empty, expected the program there`);
    return "program";
  }
  return name === ".version" && FILES.has(member.type) ? "stamp" : "skip";
}

/** A symbolic link counts from its own folder, a hard link from the archive's root. */
function checkLink(member: Member, what: string, parts: readonly string[]): void {
  const target = member.linkpath ?? "";
  const leads = `${what} is a link to ${quoted(target)}`;
  if (isAbsolute(target)) throw invalid(`${leads}, expected a relative target`);
  let depth = member.type === "Link" ? 0 : parts.length - 1;
  for (const part of partsOf(target)) {
    depth += part === ".." ? -1 : 1;
    if (depth < 0) throw invalid(`${leads}, expected a target inside the archive`);
  }
}

/** Whether a folder has the program's name; some archives keep the program in one, so it is only a hint for when no program was found. */
export function isNamesake(member: Member, names: readonly string[]): boolean {
  return FOLDERS.has(member.type) && names.includes(partsOf(member.path).at(-1) ?? "");
}

/** The folder of a member, in one spelling; empty for the archive's root. */
export function folderOf(path: string): string {
  return partsOf(path).slice(0, -1).join("/");
}

/** Backslashes count as well: what is harmless here may not be where it is unpacked next. */
function partsOf(path: string): string[] {
  return path.split(/[/\\]/).filter((part) => part !== "" && part !== ".");
}

function isAbsolute(path: string): boolean {
  return /^([/\\]|[A-Za-z]:)/.test(path);
}

/** A name from outside for a message: cut, and with nothing but printable ASCII in it. */
export function quoted(name: string): string {
  const cut = name.length > CHARS_SHOWN ? `${name.slice(0, CHARS_SHOWN)}…` : name;
  return JSON.stringify(cut).replace(/[^ -~…]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function invalid(message: string, cause?: unknown): EvidenceError {
  return new EvidenceError("artifact-invalid", message, { cause });
}

/** @throws EvidenceError artifact-invalid when it is more than there may be in an archive */
export function added(bytes: number, more: number, maxBytes: number): number {
  if (bytes + more > maxBytes) throw invalid(`archive unpacks to more than ${maxBytes} bytes, expected less`);
  return bytes + more;
}
