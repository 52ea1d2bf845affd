/** Where a checkout came from: `origin` in git's own configuration, read without starting git and shown without any login. */

import { isAbsolute, join, resolve } from "node:path";
import type { Problem } from "../domain/errors.ts";
import { findFile, readSmallFile } from "./files.ts";
import { upstreamProblem } from "./repository.ts";

/** Twice as long as any path (PATH_MAX). */
const MAX_LINE_CHARS = 8_192;

/** The clone URL of `origin` of the checkout in `dir`, without login; undefined when there is none, or none that may be used as an upstream. */
export async function originOf(dir: string, problems: Problem[]): Promise<string | undefined> {
  const config = await gitConfigOf(dir, problems);
  const written = config === undefined ? undefined : originUrl(config);
  if (written === undefined) return undefined;
  const url = withoutLogin(isRelative(written) ? resolve(dir, written) : written);
  return upstreamProblem(url) === null ? url : undefined;
}

/** A URL without user, password, query and fragment: whatever may be a secret. The user of ssh stays, it names an account and opens nothing. */
export function withoutLogin(url: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url) || !URL.canParse(url)) return url;
  const parsed = new URL(url);
  parsed.password = "";
  if (parsed.protocol !== "ssh:") parsed.username = "";
  parsed.search = "";
  parsed.hash = "";
  return parsed.href;
}

/** Whether `withoutLogin` would take a user or a password away. */
export function holdsLogin(url: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url) || !URL.canParse(url)) return false;
  const { username, password, protocol } = new URL(url);
  return password !== "" || (username !== "" && protocol !== "ssh:");
}

/** `.git/config`; of the repository a `.git` file points to where the checkout is a submodule or a worktree (gitrepository-layout). */
async function gitConfigOf(dir: string, problems: Problem[]): Promise<string | undefined> {
  const own = await readSmallFile(join(dir, ".git", "config"), problems);
  if (own !== null) return own.text;
  const file = await findFile(dir, [".git"]);
  const pointer = file === null ? "" : pointerIn((await readFileOnly(file, problems)) ?? "");
  if (pointer === "") return undefined;
  const gitDir = resolve(dir, pointer);
  const common = (await readFileOnly(join(gitDir, "commondir"), problems))?.trim();
  return readFileOnly(join(common === undefined || common === "" ? gitDir : resolve(gitDir, common), "config"), problems);
}

/** What stands behind `gitdir:`; empty where nothing does. */
function pointerIn(text: string): string {
  const KEY = "gitdir:";
  return linesOf(text).find((line) => line.startsWith(KEY))?.slice(KEY.length).trim() ?? "";
}

/** Trimmed; a line longer than any path or URL is left out. */
function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.length <= MAX_LINE_CHARS).map((line) => line.trim());
}

async function readFileOnly(path: string, problems: Problem[]): Promise<string | undefined> {
  return (await readSmallFile(path, problems))?.text;
}

/** The first `url` of `[remote "origin"]` (git-config, "Syntax"): section and key in any case, the value perhaps quoted and with a comment behind. */
export function originUrl(config: string): string | undefined {
  let inOrigin = false;
  for (const line of linesOf(config.replaceAll(/\\\r?\n/g, ""))) {
    const section = /^\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]/.exec(line);
    if (section !== null) inOrigin = section[1]?.toLowerCase() === "remote" && section[2] === "origin";
    const equals = line.indexOf("=");
    if (inOrigin && line.slice(0, equals === -1 ? 0 : equals).trim().toLowerCase() === "url") return unquotedValue(line.slice(equals + 1).trim());
  }
  return undefined;
}

function unquotedValue(written: string): string {
  let value = "";
  let quoted = false;
  for (let i = 0; i < written.length; i++) {
    const c = written[i] as string;
    if (c === "\\") value += written[++i] ?? "";
    else if (c === '"') quoted = !quoted;
    else if (!quoted && (c === "#" || c === ";")) break;
    else value += c;
  }
  return value.trim();
}

/** git takes what has neither scheme nor host for a path. */
function isRelative(url: string): boolean {
  return !isAbsolute(url) && !/^[a-z][a-z0-9+.-]*:\/\//i.test(url) && !/^[^/]*:/.test(url);
}
