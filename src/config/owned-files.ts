/** Writes slipstream's own small files so that two callers at once, or a crash, never leave half of one, and never over what a person wrote. */

import { chmod, link, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError, messageOf } from "../domain/errors.ts";
import { newId } from "../kit/id.ts";
import { openRegular, readAtMost } from "./files.ts";

export type Change = "created" | "changed" | "kept";

const OTHERS = 0o077;
/** The codes of filesystems without hard links (link(2)). */
/** Whoever else takes and leaves the place of a file this often does it on purpose. */
const TRIES = 5;
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Says which file could not be written, and why. */
export async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([{ file: path, message: `cannot be written: ${messageOf(error)}; mend that, or choose another folder with --workspace` }]);
  }
}

/** Permission bits of what is there, or undefined; a checkout may bring links that lead our writing elsewhere. @throws ConfigError when it is a link, of another kind, or somebody else's */
export async function ownOnly(path: string, kind: "file" | "folder"): Promise<number | undefined> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  const refuse = (is: string, mend: string) => {
    throw new ConfigError([{ file: path, message: `${is}, expected a ${kind === "file" ? "regular file" : "folder"} of the user who runs slipstream; ${mend}` }]);
  };
  if (found.isSymbolicLink()) refuse("is a symbolic link", `remove it if you did not make it; else put the ${kind} itself there, or name another folder: state_dir in slipstream.yaml`);
  if (kind === "file" ? !found.isFile() : !found.isDirectory()) refuse(`is no ${kind === "file" ? "regular file" : "folder"}`, "move it away");
  if (found.uid !== process.geteuid?.()) refuse("belongs to somebody else", "chown it, or run slipstream init as its owner");
  return found.mode & 0o777;
}

/** A folder only its owner may enter. @throws ConfigError like `ownOnly` */
export async function privateFolder(path: string): Promise<Change> {
  if ((await ownOnly(path, "folder")) === undefined) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const made = await mkdir(path, { mode: 0o700 }).then(() => true, (error: NodeJS.ErrnoException) => (error.code === "EEXIST" ? false : Promise.reject(error)));
  return made ? "created" : closed(path, "folder");
}

/** Takes the rights of others away from a file or folder that is there. @throws ConfigError like `ownOnly` */
export async function closed(path: string, kind: "file" | "folder"): Promise<Change> {
  if ((((await ownOnly(path, kind)) ?? 0) & OTHERS) === 0) return "kept";
  await chmod(path, kind === "file" ? 0o600 : 0o700);
  return "changed";
}

/** Creates a file with its whole content at once; one that is there stays as it is. */
export async function createOnly(path: string, text: string, how: { readonly mode: number; readonly now: number }): Promise<Change> {
  const temp = await staged(path, text, how);
  try {
    await link(temp, path).catch((error: NodeJS.ErrnoException) => {
      if (!NO_LINKS.has(error.code ?? "")) throw error;
      return createPlainly(path, text, how.mode);
    });
    await syncFolder(dirname(path));
    return "created";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return "kept";
    throw error;
  } finally {
    await rm(temp, { force: true });
  }
}

/** Adds lines to a file that only its owner may read; `unless` is asked about its text at the last moment. @throws ConfigError like `ownOnly` */
export async function appendUnless(path: string, lines: string, unless: (text: string) => boolean, now: number): Promise<Change> {
  const how = { mode: 0o600, now };
  for (let i = 0; i < TRIES; i++) {
    if ((await ownOnly(path, "file")) === undefined) {
      // Where somebody else is first, what is in the file then decides.
      if ((await createOnly(path, lines, how)) === "created") return "created";
      continue;
    }
    const before = await textOf(path);
    if (before === undefined) continue;
    if (unless(before)) return closed(path, "file");
    const temp = await staged(path, `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}${lines}`, how);
    await rename(temp, path);
    await syncFolder(dirname(path));
    return "changed";
  }
  throw new Error("it appears and disappears all the time");
}

/** Undefined when it went away meanwhile. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    const { handle } = await openRegular(path, { nofollow: true });
    await using _ = handle;
    return await readAtMost(handle);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes a file beside its place, synced, and tells its path. */
export async function staged(path: string, text: string, how: { readonly mode: number; readonly now: number }): Promise<string> {
  const temp = `${path}.${newId(how.now)}`;
  await createPlainly(temp, text, how.mode);
  return temp;
}

async function createPlainly(path: string, text: string, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(text);
  await file.sync();
}

/** What was renamed in a folder stays so after a crash. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
