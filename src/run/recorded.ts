/** A build machine starts from a fresh checkout with an empty `.bin`: there, and only there, what the manifest says counts as installed. */

import { existsSync } from "node:fs";
import type { InstalledVersion } from "../domain/artifact.ts";
import { recordedIn } from "../domain/manifest.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { msOf } from "../kit/clock.ts";
import type { Store } from "../store/store.ts";
import { liveBinary } from "./install.ts";
import { readManifest } from "./manifest.ts";

/** Reads the manifest once; the store it wraps answers with it for a program that is not there, and writes nothing of it down. */
export async function recordedVersions(workspace: string, subsystems: readonly Subsystem[]): Promise<(store: Store) => Store> {
  const entries = (await readManifest(workspace))?.subsystems ?? {};
  const recorded = new Map<string, { readonly binary: string; readonly version: InstalledVersion | undefined }>();
  for (const s of subsystems) recorded.set(s.name, { binary: liveBinary(s), version: recordedIn(s, Object.hasOwn(entries, s.name) ? entries[s.name] : undefined, msOf) });
  return (store) => ({
    ...store,
    versions: {
      ...store.versions,
      current: (name) => {
        const found = recorded.get(name);
        return found === undefined || existsSync(found.binary) ? store.versions.current(name) : found.version;
      },
    },
  });
}
