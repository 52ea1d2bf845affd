/** Changing files. Files tell the truth: bytes become current only by fsync, rename and fsync of the folder. */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { chmod, copyFile, type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, statfs, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Digest } from "../domain/artifact.ts";
import { EvidenceError, StateError } from "../domain/errors.ts";

/** The SHA-256 of a file's content, read as a stream; never waits for a pipe. @throws Error when it is no regular file */
export async function digestOf(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  const file = await openToRead(path);
  try {
    if (!(await file.stat()).isFile()) throw new Error(`${path} is no regular file, expected a program`);
    await pipeline(file.createReadStream({ highWaterMark: 1 << 20, autoClose: false }), hash);
  } finally {
    await file.close();
  }
  return `sha256:${hash.digest("hex")}`;
}

/** Opening waits for nobody, whatever lies there: a pipe would hold up a thread of Node for ever. */
function openToRead(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
}

/** The digest, or undefined when there is no such file. */
export async function digestIfAny(path: string): Promise<Digest | undefined> {
  try {
    return await digestOf(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Copies a program next to where it will live, makes it executable and durable, and checks that the copy has the digest. @throws EvidenceError digest-mismatch */
export async function placeVerified(from: string, to: string, digest: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await rm(to, { force: true });
  await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  await chmod(to, 0o755);
  await syncFile(to);
  const actual = await digestOf(to);
  if (actual !== digest) throw new EvidenceError("digest-mismatch", `file ${to} is ${actual}, expected ${digest}`);
}

/** Renames within one filesystem and makes the rename durable. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFile(dirname(to));
}

/** Writes a small file so that readers see the old or the new content, never half. Where several processes may write it, each names a temporary file of its own. */
export async function writeDurably(path: string, text: string, options: { readonly temp?: string } = {}): Promise<void> {
  const temp = options.temp ?? `${path}.new`;
  await rm(temp, { force: true });
  const file = await open(temp, "wx", 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await renameDurably(temp, path);
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives a file a second name, or a durable copy where the filesystem has no hard links. A name that is taken stays as it is when `digest` matches, else it is replaced. */
export async function keepCopy(from: string, to: string, digest: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  if ((await digestIfAny(to)) === digest) return;
  await rm(to, { force: true });
  try {
    await link(from, to);
    await syncFile(dirname(to));
  } catch {
    // Some filesystems (and some container mounts) refuse hard links: a checked copy serves as well.
    await placeVerified(from, to, digest);
  }
}

/** The text of a small file (at most `maxBytes`), or undefined when it is missing. */
export async function readSmall(path: string, maxBytes = 64 * 1024): Promise<string | undefined> {
  try {
    await using file = await openToRead(path);
    const s = await file.stat();
    // A pipe or a device would be read for ever.
    if (!s.isFile() || s.size > maxBytes) return undefined;
    return await file.readFile("utf8");
  } catch (error) {
    // A socket cannot be opened at all.
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === "ENXIO") return undefined;
    throw error;
  }
}

/** Whether a path is a regular file with at least one byte; `executable` says whether its owner may run it. */
export async function inspectFile(path: string): Promise<{ readonly bytes: number; readonly executable: boolean } | undefined> {
  try {
    const s = await lstat(path);
    return s.isFile() ? { bytes: s.size, executable: (s.mode & 0o100) !== 0 } : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export async function makeDir(path: string, mode = 0o755): Promise<void> {
  await mkdir(path, { recursive: true, mode });
}

/** Removes a tree; folders that were made read-only (Go's module cache) are opened first. Missing is fine. @throws what a stranger's files in it cause */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    await openFolders(path);
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function openFolders(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) if (entry.isDirectory()) await openFolders(join(path, entry.name));
}

/** Clears the way for a new tree: removes the old one, or moves it aside where that is not allowed. */
export async function clearAway(path: string): Promise<void> {
  try {
    await removeTree(path);
  } catch {
    // Files of another user (a build in a container) cannot be removed, but their folder can be renamed.
    await rename(path, `${path}.stuck-${process.hrtime.bigint()}`);
  }
}

/** Names in a folder, or none when it is missing. */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Copies a file, or links to a folder: how a shadow workspace takes what a build may read. */
export async function mirror(from: string, to: string, how: "copy" | "link"): Promise<void> {
  if (how === "copy") await copyFile(from, to);
  else await symlink(from, to);
}

/** Joins and checks that the result stays below `base`. @throws EvidenceError artifact-invalid */
export function below(base: string, ...parts: readonly string[]): string {
  const path = join(base, ...parts);
  if (!path.startsWith(`${base}/`)) throw new EvidenceError("artifact-invalid", `path ${path} is outside ${base}, expected one below it`);
  return path;
}

/** Bytes that a user without privileges may still write where a folder is, or will be made. */
export async function freeBytes(dir: string): Promise<number> {
  try {
    const s = await statfs(dir);
    return s.bavail * s.bsize;
  } catch (error) {
    if (!isMissing(error) || dirname(dir) === dir) throw error;
    return freeBytes(dirname(dir));
  }
}

/** A write that failed for want of room, in our words; undefined for any other error. */
export function diskTrouble(error: unknown, path: string): StateError | undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== "ENOSPC" && code !== "EDQUOT") return undefined;
  return new StateError("disk-full", `disk is full (${code}) at ${path}, expected room for the program; free some space`, { cause: error, retryable: true });
}

/** Takes `.unverified` off a program whose bytes were verified: executable and durable first, current after. */
export async function releaseVerified(from: string, to: string): Promise<void> {
  await chmod(from, 0o755);
  await syncFile(from);
  await renameDurably(from, to);
}
