/** Which files `doctor --fix` may write: those of the workspace itself, never of a source, a submodule or another folder. */

import { lstat, realpath } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";

const NOT_OURS = new Set([".git", ".src", ".slipstream", "node_modules"]);

/** Why a file is left to a person; undefined when it may be written. */
export async function untouchable(workspace: string, path: string): Promise<string | undefined> {
  const root = await realpath(workspace);
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return "it is not there";
  const below = relative(root, real);
  if (below === "" || below === ".." || below.startsWith(`..${sep}`)) return "it lies outside of the workspace";
  const folder = below.split(sep).find((part) => NOT_OURS.has(part));
  if (folder !== undefined) return `it lies in ${folder}`;
  for (let dir = dirname(real); dir !== root; dir = dirname(dir)) {
    if ((await lstat(join(dir, ".git")).catch(() => undefined)) !== undefined) return `it belongs to another repository (${relative(root, dir)})`;
  }
  return undefined;
}
