/** `doctor --fix`: writes the safe mends, each file at once or not at all, and keeps what was there before. */

import { chmod, lstat, mkdir, open, realpath, rename, rm } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { ConfigError, messageOf } from "../../domain/errors.ts";
import type { FixedFile, FixReport } from "../../domain/defect.ts";
import { iso } from "../../kit/clock.ts";
import { openRegular, readAtMost } from "../files.ts";
import { short } from "../look.ts";
import { createOnly, privateFolder, staged, syncFolder } from "../owned-files.ts";
import { readOwnFile } from "../own-file.ts";
import { analyse, type Mended } from "./analyse.ts";
import { unifiedDiff } from "./edits.ts";
import type { ReadInput } from "./read.ts";
import { untouchable } from "./touchable.ts";

export interface FixInput extends ReadInput {
  readonly dryRun: boolean;
  /** ms since the epoch */
  readonly now: number;
}

const OWNER_MAY_WRITE = 0o200;

/** Applies what is safe; a file that cannot be written is refused by itself, and the others go on. @throws ConfigError when there is no such workspace */
export async function fixDefects(input: FixInput): Promise<FixReport> {
  const workspace = await realpath(input.workspace).catch((error: unknown) => {
    throw new ConfigError([{ file: resolve(input.workspace), message: `is no folder that can be read, expected the workspace; give it with --workspace (${messageOf(error)})` }]);
  });
  const { mended, left } = await analyse({ ...input, workspace });
  const stateDir = resolve(workspace, (await readOwnFile(workspace, input.config, [])).file.state_dir ?? ".slipstream");
  const backups = join(stateDir, "backups", iso(input.now).replaceAll(":", "-"));
  return { dryRun: input.dryRun, files: await applyMends(mended, { workspace, stateDir, backups, dryRun: input.dryRun, now: input.now }), left };
}

/** One file after the other; what stops one stops no other. */
export async function applyMends(mended: readonly Mended[], places: Places): Promise<FixedFile[]> {
  const files: FixedFile[] = [];
  for (const one of mended) {
    const file = short(places.workspace, one.path);
    const told = { file, ids: one.ids, diff: unifiedDiff(file, one.before, one.after) };
    files.push(places.dryRun ? told : { ...told, ...(await tryWrite(one, places)) });
  }
  return files;
}

interface Places {
  /** Real path. */
  readonly workspace: string;
  readonly stateDir: string;
  /** The folder for the texts from before; made when something is written. */
  readonly backups: string;
  readonly dryRun: boolean;
  readonly now: number;
}

async function tryWrite(mended: Mended, places: Places): Promise<Pick<FixedFile, "backup" | "refused">> {
  try {
    return { backup: short(places.workspace, await write(mended, places)) };
  } catch (error) {
    return { refused: messageOf(error) };
  }
}

/** The path of the backup. @throws Error that says why nothing was written */
async function write({ path, before, after }: Mended, { workspace, stateDir, backups, now }: Places): Promise<string> {
  const elsewhere = await untouchable(workspace, path);
  if (elsewhere !== undefined) throw new Error(elsewhere);
  const target = await realpath(path);
  const mode = await unchanged(target, before);
  const backup = join(backups, relative(workspace, target));
  await keep({ stateDir, backups }, backup, before, mode);
  const temp = await staged(target, after, { mode, now });
  try {
    await chmod(temp, mode);
    await unchanged(target, before);
    await rename(temp, target);
  } finally {
    await rm(temp, { force: true });
  }
  await syncFolder(dirname(target));
  return backup;
}

/** The permission bits of a file that is ours to write and holds, byte by byte, the text that was looked at. @throws Error when it is not so */
async function unchanged(path: string, text: string): Promise<number> {
  const { handle, mode, uid } = await openRegular(path, { nofollow: true });
  await using _ = handle;
  if (uid !== process.geteuid?.()) throw new Error("it belongs to somebody else, expected the user who runs slipstream");
  if ((mode & OWNER_MAY_WRITE) === 0) throw new Error(`it is read-only (mode ${mode.toString(8)})`);
  const { size } = await handle.stat();
  const there = await readAtMost(handle);
  if (there !== text) throw new Error("it was changed meanwhile; run doctor --fix again");
  if (size !== Buffer.byteLength(text)) throw new Error("it is not UTF-8, expected text");
  return mode;
}

/** Keeps the old text below the state folder, synced before anything is replaced. */
async function keep({ stateDir, backups }: Pick<Places, "stateDir" | "backups">, backup: string, text: string, mode: number): Promise<void> {
  if ((await lstat(stateDir).catch(() => undefined)) === undefined) {
    await privateFolder(stateDir);
    await createOnly(join(stateDir, ".gitignore"), "*\n", { mode: 0o644, now: 0 });
  } else await privateFolder(stateDir);
  // A checkout may bring a link here that leads our writing elsewhere.
  await privateFolder(dirname(backups));
  await mkdir(dirname(backup), { recursive: true, mode: 0o700 });
  await using file = await open(backup, "wx", mode);
  await file.writeFile(text);
  await file.sync();
}
