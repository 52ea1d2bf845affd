/** One process of the process-compose file: the settings that matter for an update, each with its place. */

import { resolve } from "node:path";
import { isMap, isScalar, isSeq, type YAMLMap } from "yaml";
import type { YamlFile } from "./files.ts";
import type { Placed, ProcessEntry, WatchedPath } from "./processes.ts";

/** All processes of a file; `working_dir` is relative to the workspace. */
export function entriesOf(workspace: string, file: YamlFile): ProcessEntry[] {
  return file.entries(file.map(file.doc.contents, "processes")).map(({ key, value, at }) => {
    const read = readerOf(file, value);
    const workingDir = resolve(workspace, read.text("working_dir")?.value ?? "");
    const command = read.text("command")?.value ?? read.texts("entrypoint").join(" ");
    const daemon = read.flag("is_daemon");
    const ends = endsProject(read.below("availability"));
    return {
      name: key,
      at,
      command,
      workingDir,
      watched: watchedBy(read, workingDir),
      ...(daemon?.value === true && { daemon: daemon.at }),
      ...(ends !== undefined && { endsProject: ends }),
    };
  });
}

function endsProject(availability: Reader | undefined): Placed<string> | undefined {
  if (availability === undefined) return undefined;
  const on = (key: string) => {
    const flag = availability.flag(key);
    return flag?.value === true ? { value: `availability.${key}: true`, at: flag.at } : undefined;
  };
  const restart = availability.text("restart");
  const onFailure = restart?.value === "exit_on_failure" ? { value: "availability.restart: exit_on_failure", at: restart.at } : undefined;
  return on("exit_on_end") ?? onFailure ?? on("exit_on_skipped");
}

function watchedBy(read: Reader, workingDir: string): readonly Placed<WatchedPath>[] {
  const paths = read.below("watch")?.list("paths") ?? [];
  return paths.flatMap((entry): Placed<WatchedPath>[] => {
    const path = entry.text("path");
    if (path === undefined) return [];
    return [{ at: path.at, value: { path: resolve(workingDir, path.value), include: entry.texts("include"), exclude: entry.texts("exclude"), defaultExcludes: entry.flag("disable_default_excludes")?.value !== true } }];
  });
}

/** Reads one mapping; what it takes over from others (`<<: *defaults`) counts as its own. */
interface Reader {
  text(key: string): Placed<string> | undefined;
  /** A list of texts, or a single one. */
  texts(key: string): readonly string[];
  flag(key: string): Placed<boolean> | undefined;
  below(key: string): Reader | undefined;
  list(key: string): readonly Reader[];
}

function readerOf(file: YamlFile, parent: unknown): Reader {
  const node = (key: string) => (isMap(parent) ? settingOf(file, parent, key) : undefined);
  const text = (key: string): Placed<string> | undefined => {
    const found = node(key);
    return isScalar(found) && found.value !== null ? { value: String(found.value), at: file.at(found) } : undefined;
  };
  return {
    text,
    texts(key) {
      const found = node(key);
      if (isSeq(found)) return found.items.map((i) => file.deref(i)).map((i) => (isScalar(i) ? String(i.value) : ""));
      const single = text(key);
      return single === undefined ? [] : [single.value];
    },
    flag(key) {
      const found = text(key);
      return found === undefined ? undefined : { value: found.value === "true", at: found.at };
    },
    below(key) {
      const found = node(key);
      return isMap(found) ? readerOf(file, found) : undefined;
    },
    list(key) {
      const found = node(key);
      return isSeq(found) ? found.items.map((i) => readerOf(file, file.deref(i))) : [];
    },
  };
}

/** No hand-written file takes over from further away. */
const MAX_MERGES = 8;

function settingOf(file: YamlFile, map: YAMLMap, key: string, depth = 0): unknown {
  const own = map.items.find((pair) => isScalar(pair.key) && pair.key.value === key);
  if (own !== undefined) return file.deref(own.value);
  if (depth >= MAX_MERGES) return undefined;
  for (const pair of map.items) {
    if (!isScalar(pair.key) || !isMergeKey(pair.key.value)) continue;
    const source = file.deref(pair.value);
    for (const one of isSeq(source) ? source.items.map((i) => file.deref(i)) : [source]) {
      const found = isMap(one) ? settingOf(file, one, key, depth + 1) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function isMergeKey(key: unknown): boolean {
  return key === "<<" || (typeof key === "symbol" && key.description === "<<");
}
