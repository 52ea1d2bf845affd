/** Tells when files change, without polling: one kernel watch per folder that holds some of them (chokidar). */

import { realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import { messageOf } from "../domain/errors.ts";
import type { Log } from "../kit/log.ts";

export interface FileWatch {
  /** Which files count from now on, by absolute path; they need not exist, and neither need their folders. True when the watch was renewed: what changed meanwhile has gone unseen, so look once. */
  set(files: Iterable<string>): Promise<boolean>;
  close(): Promise<void>;
}

export interface WatchDeps {
  readonly log: Log;
  /** Called with one file that was made, changed, replaced or removed; a file written in pieces counts once it has been still for `stillMs`. */
  readonly changed: (path: string) => void;
  readonly stillMs?: number;
}

const STILL_MS = 200;
const LOOK_MS = 50;

export function createFileWatch({ log, changed, stillMs = STILL_MS }: WatchDeps): FileWatch {
  let watched: Places = { wanted: new Map(), folders: new Set() };
  let watcher: FSWatcher | undefined;
  const start = ({ wanted, folders }: Places): Promise<void> => {
    // The folders are watched and not the files: a file may be missing, replaced by rename, or be a link that is turned elsewhere.
    const ignored = (path: string) => !wanted.has(path) && !folders.has(path);
    const made = watch([...folders], { depth: 0, ignoreInitial: true, followSymlinks: false, ignored, awaitWriteFinish: { stabilityThreshold: stillMs, pollInterval: LOOK_MS }, atomic: false, ignorePermissionErrors: true });
    made.on("all", (_event, path) => {
      const file = wanted.get(path);
      if (file !== undefined) changed(file);
    });
    // A full table of kernel watches must not end the daemon: what is known stays in force.
    made.on("error", (error) => log.warn({ err: messageOf(error) }, "files cannot be watched"));
    watcher = made;
    return new Promise((resolve) => made.once("ready", () => resolve()));
  };
  return {
    async set(files) {
      const next = await places(files);
      if (watcher !== undefined && sameKeys(next.wanted, watched.wanted) && sameKeys(next.folders, watched.folders)) return false;
      watched = next;
      await watcher?.close();
      await start(next);
      return true;
    },
    close: async () => {
      await watcher?.close();
    },
  };
}

interface Places {
  /** Which file is meant, by every path it may change at. */
  readonly wanted: ReadonlyMap<string, string>;
  readonly folders: ReadonlySet<string>;
}

/** Each file under every path it may change at: its own, and where its links lead. */
async function places(files: Iterable<string>): Promise<Places> {
  const wanted = new Map<string, string>();
  const folders = new Set<string>();
  for (const file of new Set(files)) {
    const real = await realpath(file).catch(() => file);
    for (const path of [file, real]) {
      wanted.set(path, wanted.get(path) ?? file);
      folders.add(await nearest(dirname(path)));
      // The first folder on the way that is missing: its arrival is news.
      for (let at = dirname(path); !folders.has(at) && at !== dirname(at); at = dirname(at)) wanted.set(at, wanted.get(at) ?? file);
    }
  }
  return { wanted, folders };
}

/** The folder itself, or the nearest one above it that is there. */
async function nearest(folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    const real = await realpath(at).catch(() => undefined);
    if (real !== undefined || at === dirname(at)) return at;
  }
}

function sameKeys(a: { readonly size: number; keys(): Iterable<string> }, b: { readonly size: number; has(key: string): boolean }): boolean {
  return a.size === b.size && [...a.keys()].every((x) => b.has(x));
}
