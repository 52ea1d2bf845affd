/** Keeps `.version-manifest.json` at the workspace's top true: rewritten as a whole after every look and every run. */

import { join } from "node:path";
import { readSmall, writeDurably } from "../adapters/files.ts";
import { messageOf } from "../domain/errors.ts";
import { type Look, type Manifest, manifestEntry, parseManifest } from "../domain/manifest.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { type Clock, iso } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Store } from "../store/store.ts";

export interface ManifestDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly workspace: string;
  readonly subsystems: () => readonly Subsystem[];
}

export interface ManifestWriter {
  /** After a look: what it found, by subsystem. */
  looked(found: ReadonlyMap<string, Look>): Promise<void>;
  /** After a run. */
  changed(): Promise<void>;
}

export const MANIFEST = ".version-manifest.json";
const MAX_BYTES = 4 * 1024 * 1024;

export function createManifest(deps: ManifestDeps): ManifestWriter {
  let last: Promise<void> = Promise.resolve();
  // One after the other: each starts from what the one before wrote.
  const queue = (found: ReadonlyMap<string, Look>): Promise<void> => {
    last = last.then(() => rewrite(deps, found)).catch((error: unknown) => deps.log.warn({ err: messageOf(error) }, "version manifest not written"));
    return last;
  };
  return { looked: queue, changed: () => queue(new Map()) };
}

/** The manifest of a workspace as it lies there; undefined when there is none. */
export async function readManifest(workspace: string): Promise<Manifest | undefined> {
  return parseManifest((await readSmall(join(workspace, MANIFEST), MAX_BYTES)) ?? "");
}

async function rewrite({ store, clock, workspace, subsystems }: ManifestDeps, found: ReadonlyMap<string, Look>): Promise<void> {
  const path = join(workspace, MANIFEST);
  const before = await readManifest(workspace);
  const entries = subsystems().map((s) => {
    const [now, was] = [found.get(s.name), before?.subsystems[s.name]];
    return [s.name, manifestEntry(s, store.versions.current(s.name), { ...(now === undefined ? {} : { now }), ...(was === undefined ? {} : { before: was }) }, seconds)] as const;
  });
  const manifest: Manifest = { last_check: found.size > 0 ? seconds(clock.now()) : (before?.last_check ?? null), subsystems: Object.fromEntries(entries) };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await writeDurably(path, text, { temp: `${path}.${process.pid}.new` });
}

/** UTC to the second, as the manifest and `.version` write it. */
const seconds = (ms: number): string => iso(ms).replace(/\.\d+Z$/, "Z");
