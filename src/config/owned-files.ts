/** Writes slipstream's own small files so that two callers at once, or a crash, never leave half of one, and never over what a person wrote. */

import { chmod, chown, link, mkdir, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError, messageOf } from "../domain/errors.ts";
import { newId } from "../kit/id.ts";

export type Change = "created" | "changed" | "kept";

const OTHERS = 0o077;
/** The codes of filesystems without hard links (link(2)). */
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

/** A folder only its owner may enter. */
export async function privateFolder(path: string): Promise<Change> {
  if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) return "created";
  return closed(path, 0o700);
}

/** Takes the rights of others away from a file or folder that is there. */
export async function closed(path: string, mode: number): Promise<Change> {
  if (((await stat(path)).mode & OTHERS) === 0) return "kept";
  await chmod(path, mode);
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

/** Adds lines to a file, whose mode becomes `mode`; `unless` is asked about its text at the last moment. */
export async function appendUnless(path: string, lines: string, unless: (text: string) => boolean, how: { readonly mode: number; readonly now: number }): Promise<Change> {
  const real = await realpath(path).catch(() => path);
  const before = await readFile(real, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return null;
  });
  if (before === null) {
    const made = await createOnly(real, lines, how);
    // Somebody else was first: what is in the file now decides.
    return made === "created" ? made : appendUnless(path, lines, unless, how);
  }
  if (unless(before)) return closed(real, how.mode);
  const owner = await stat(real);
  const temp = await staged(real, `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}${lines}`, how);
  if (owner.uid !== process.geteuid?.()) await chown(temp, owner.uid, owner.gid);
  await rename(temp, real);
  await syncFolder(dirname(real));
  return "changed";
}

async function staged(path: string, text: string, how: { readonly mode: number; readonly now: number }): Promise<string> {
  const temp = `${path}.${newId(how.now)}`;
  await createPlainly(temp, text, how.mode);
  return temp;
}

async function createPlainly(path: string, text: string, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(text);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
