/**
 * The shadow workspace: a folder that looks like the user's workspace to a build, so that nothing live is touched before the swap.
 * Taskfiles are copied, the subsystem has its own `.src` and an empty `.bin`, everything else is linked.
 */

import { basename, dirname, join, relative, sep } from "node:path";
import { clearAway, makeDir, mirror, namesIn, removeTree } from "../adapters/files.ts";
import type { Subsystem } from "../domain/subsystem.ts";

export interface Shadow {
  /** Root of the shadow; where Task runs. */
  readonly root: string;
  /** The subsystem's folder in it. */
  readonly dir: string;
  readonly src: string;
  readonly bin: string;
}

/** Folders a build must never see through a link. */
const NEVER_LINKED = new Set([".git", ".task", ".dist", ".slipstream"]);
const OWN = new Set([".src", ".bin", ".dist", ".task", ".git"]);
const TASKFILE = /^[Tt]askfile(\.dist)?\.ya?ml$/;

export function shadowOf(place: { workspace: string; stateDir: string }, subsystem: Subsystem): Shadow {
  const root = join(place.stateDir, "build", subsystem.name);
  const dir = join(root, relative(place.workspace, subsystem.dir));
  return { root, dir, src: join(dir, ".src"), bin: join(dir, ".bin") };
}

/** Where a run's new program is made or unpacked, before it is installed: the shadow, or in release mode a plain folder. */
export function placeOf(place: { workspace: string; stateDir: string }, subsystem: Subsystem): Shadow {
  if (subsystem.mode === "source") return shadowOf(place, subsystem);
  const root = join(place.stateDir, "downloads", subsystem.name);
  return { root, dir: root, src: root, bin: root };
}

/** Makes the shadow afresh, without `.src`. */
export async function prepareShadow(place: { workspace: string; stateDir: string; rootTaskfile: string }, subsystem: Subsystem): Promise<Shadow> {
  const shadow = shadowOf(place, subsystem);
  await clearAway(shadow.root);
  await makeDir(shadow.root, 0o700);
  const steps = relative(place.workspace, subsystem.dir).split(sep).filter((s) => s !== "");
  let live = place.workspace;
  let copy = shadow.root;
  for (const step of steps) {
    await linkAll(live, copy, place, new Set([step]));
    live = join(live, step);
    copy = join(copy, step);
    await makeDir(copy);
  }
  await linkAll(live, copy, place, OWN);
  await makeDir(shadow.bin);
  return shadow;
}

async function linkAll(from: string, to: string, place: { workspace: string; stateDir: string; rootTaskfile: string }, except: ReadonlySet<string>): Promise<void> {
  for (const name of await namesIn(from)) {
    const path = join(from, name);
    if (except.has(name) || NEVER_LINKED.has(name) || path === place.stateDir) continue;
    await mirror(path, join(to, name), TASKFILE.test(name) || path === place.rootTaskfile ? "copy" : "link");
  }
}

/** Empties what an interrupted build may have left. */
export async function resetOutput(shadow: Shadow): Promise<void> {
  await removeTree(shadow.bin);
  await removeTree(join(shadow.root, ".task"));
  await makeDir(shadow.bin);
}

/** Folder and name of the root Taskfile inside a shadow. */
export function shadowTaskfile(shadow: Shadow, place: { workspace: string; rootTaskfile: string }): { root: string; taskfile: string } {
  const root = join(shadow.root, relative(place.workspace, dirname(place.rootTaskfile)));
  return { root, taskfile: basename(place.rootTaskfile) };
}
