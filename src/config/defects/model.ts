/** A workspace as the detectors of defects see it: the tasks of every Taskfile and the processes, each with its place in the text. */

import type { Scalar, YAMLMap } from "yaml";
import type { DefectId } from "../../domain/defect.ts";
import type { YamlFile } from "../files.ts";
import type { Scope } from "../scope.ts";

/** Shell text as it stands in a file. */
export interface Shell {
  /** Its value, after YAML. */
  readonly text: string;
  readonly node: Scalar;
  /** Offset of `source` in the file. */
  readonly start: number;
  /** As written, quotes and the indentation of a block included. */
  readonly source: string;
  /** It is a whole entry of `cmds`, with nothing else about it. */
  readonly plain: boolean;
}

export interface Call {
  readonly name: string;
  readonly node: Scalar;
}

export interface TaskView {
  readonly file: TaskfileView;
  readonly name: string;
  /** With the include's prefix, as it is called from the workspace. */
  readonly full: string;
  readonly key: Scalar;
  readonly map: YAMLMap | undefined;
  readonly shells: readonly Shell[];
  /** `task:` entries of `cmds`. */
  readonly calls: readonly Call[];
  readonly deps: readonly Call[];
  readonly status: readonly Shell[];
  readonly hasSources: boolean;
}

export interface TaskfileView {
  readonly yaml: YamlFile;
  readonly text: string;
  readonly path: string;
  /** The one include that takes it in; undefined for the root Taskfile, and for one that several take in. */
  readonly include?: string;
  /** `nats:`; empty for the root Taskfile and for what is included flat. */
  readonly prefix: string;
  readonly root: boolean;
  readonly dir: string;
  readonly scope: Scope;
  /** The name of the program it makes, where it says so. */
  readonly binary?: string;
  /** It declares an upstream. */
  readonly upstream: boolean;
  readonly tasks: readonly TaskView[];
}

export interface ProcessView {
  readonly name: string;
  readonly key: Scalar;
  /** Undefined where it is an alias of another. */
  readonly map: YAMLMap | undefined;
  /** With what its anchors and merges say. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly command: string;
}

export interface ProcessFileView {
  readonly yaml: YamlFile;
  readonly text: string;
  readonly path: string;
  readonly processes: readonly ProcessView[];
}

export interface TextView {
  readonly path: string;
  readonly text: string;
}

export interface Model {
  readonly workspace: string;
  readonly taskfiles: readonly TaskfileView[];
  readonly processFile?: ProcessFileView;
  /** `.bin/.version` of the includes that have one. */
  readonly stamps: readonly (TextView & { readonly include: string })[];
  readonly workflows: readonly TextView[];
  /** Of go.work or go.mod in the workspace. */
  readonly goVersion?: { readonly version: string; readonly file: string };
}

/** Replaces what stands from `start` to `end`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What a detector saw. */
export interface Sighting {
  readonly id: DefectId;
  readonly subsystem?: string;
  readonly path: string;
  readonly text: string;
  /** Offset of what is wrong. */
  readonly at: number;
  readonly message: string;
  readonly mend: string;
  readonly edits?: readonly Edit[];
  /** The only part of the document that the edits may change, such as `tasks`, `bin:build`. */
  readonly within?: readonly string[];
  /** Why a person has to apply the edits; without it they are safe. */
  readonly unsafe?: string;
}

export type Detector = (model: Model) => readonly Sighting[];

/** A sighting in a task. */
export function seen(id: DefectId, task: TaskView, at: number, more: Omit<Sighting, "id" | "path" | "text" | "at" | "subsystem" | "within">): Sighting {
  const { file } = task;
  return { id, path: file.path, text: file.text, at, within: ["tasks", task.name], ...(file.include === undefined ? {} : { subsystem: file.include }), ...more };
}

/** Offset of a node, or 0. */
export function offsetOf(node: { readonly range?: readonly number[] | null } | null | undefined): number {
  return node?.range?.[0] ?? 0;
}

export function tasksNamed(model: Model, pattern: RegExp): readonly TaskView[] {
  return model.taskfiles.flatMap((f) => f.tasks.filter((t) => pattern.test(t.name)));
}

/** All shell text of a task, one command per line. */
export function scriptOf(task: TaskView): string {
  return task.shells.map((s) => s.text).join("\n");
}
