/** Which task calls which, through `deps`, `task:` and shell text: what a service start sets going. */

import type { Model, TaskView } from "./model.ts";
import { scriptOf } from "./model.ts";
import { nestedTasks } from "./shell.ts";

/** Makes or fetches a program. */
const MAKES = /\bgit\s+(?:-C\s+\S+\s+)?clone\b|\b(?:go|cargo|npm|pnpm|zig)\s+(?:run\s+)?build\b|\bmake\b|\bcurl\b[^\n]*\|\s*tar\b/;
const START_NAME = /(?:^|:)(?:run|start|dev|serve|health)(?::|$)/;

export class Graph {
  readonly #tasks: ReadonlyMap<string, TaskView>;
  /** Called task → its callers. */
  readonly #callers = new Map<TaskView, TaskView[]>();
  readonly #called = new Map<TaskView, readonly TaskView[]>();
  readonly #started: ReadonlySet<TaskView>;

  constructor(model: Model) {
    const all = model.taskfiles.flatMap((f) => f.tasks);
    this.#tasks = new Map(all.map((t) => [t.full, t]));
    for (const task of all) {
      const called = this.#namesIn(task).flatMap((name) => this.#find(task, name) ?? []);
      this.#called.set(task, called);
      for (const c of called) {
        const callers = this.#callers.get(c);
        if (callers === undefined) this.#callers.set(c, [task]);
        else callers.push(task);
      }
    }
    const commands = (model.processFile?.processes ?? []).flatMap((p) => nestedTasks(p.command));
    this.#started = new Set(commands.flatMap((name) => this.#tasks.get(name) ?? []));
  }

  get(full: string): TaskView | undefined {
    return this.#tasks.get(full);
  }

  /** Process Compose starts it. */
  isService(task: TaskView): boolean {
    return this.#started.has(task);
  }

  /** A service start comes to it without a task in between that is skipped when all is there. */
  isReachedByStart(task: TaskView): boolean {
    const isStart = (t: TaskView) => this.#started.has(t) || START_NAME.test(t.name);
    return first(task, isStart, (t) => (this.#callers.get(t) ?? []).filter((caller) => caller.status.length === 0)) !== undefined;
  }

  /** The first thing below it that makes a program. */
  makes(task: TaskView): TaskView | undefined {
    return first(task, (t) => MAKES.test(scriptOf(t)), (t) => this.#called.get(t) ?? []);
  }

  /** `name` as `task` calls it: its own file's first, then the workspace's. */
  find(task: TaskView, name: string): TaskView | undefined {
    return this.#find(task, name);
  }

  #namesIn(task: TaskView): readonly string[] {
    return [...task.deps.map((d) => d.name), ...task.calls.map((c) => c.name), ...task.shells.flatMap((s) => nestedTasks(s.text))];
  }

  #find(task: TaskView, name: string): TaskView | undefined {
    if (name.startsWith(":")) return this.#tasks.get(name.slice(1));
    return this.#tasks.get(`${task.file.prefix}${name}`) ?? this.#tasks.get(name);
  }
}

/** The first task of a kind, depth first, without recursion: a file may hold a chain of twenty thousand. */
function first(from: TaskView, is: (task: TaskView) => boolean, next: (task: TaskView) => readonly TaskView[]): TaskView | undefined {
  const seenTasks = new Set<TaskView>();
  const waiting = [from];
  for (let task = waiting.pop(); task !== undefined; task = waiting.pop()) {
    if (seenTasks.has(task)) continue;
    seenTasks.add(task);
    if (is(task)) return task;
    for (const other of next(task).toReversed()) waiting.push(other);
  }
  return undefined;
}
