/** D1 to D3 and D6 to D8: tasks that make a program, and what they do to one that is there. */

import { basename } from "node:path";
import { isMap, isSeq } from "yaml";
import { lineEnd, lineStart, removePair } from "./edits.ts";
import { Graph } from "./graph.ts";
import { type Call, type Detector, type Edit, type Model, offsetOf, scriptOf, type Shell, seen, type Sighting, type TaskView, tasksNamed } from "./model.ts";
import { inQuotes, standsFree, wordsOf } from "./shell.ts";

const EXISTS = /^(?:test|\[)\s+-([fexsd])\s+(\S.*?)\s*\]?$/;

/** What `status` looks for when all it asks is whether files are there. */
export function existenceOnly(task: TaskView): readonly string[] | undefined {
  const paths = task.status.map((s) => EXISTS.exec(s.text.trim())?.[2]);
  return paths.length === 0 || task.hasSources || paths.some((p) => p === undefined || /[;&|]/.test(p)) ? undefined : (paths as string[]);
}

/** A status that is met for ever once the program is there. */
export const skippedForEver: Detector = (model) => {
  const graph = new Graph(model);
  return [
    ...tasksNamed(model, /^bin:build$/).flatMap((task) => skipped(graph, task, "D1", "a changed source is not built, and Task reports success")),
    ...tasksNamed(model, /^bin:download$/).flatMap((task) => skipped(graph, task, "D2", "a newer release is not downloaded, and half a file counts as whole")),
  ];
};

function skipped(graph: Graph, task: TaskView, id: "D1" | "D2", effect: string): readonly Sighting[] {
  const paths = existenceOnly(task);
  if (paths === undefined || task.map === undefined || task.shells.length + task.calls.length === 0) return [];
  const edit = removePair(task.file.text, task.map, "status");
  const unsafe = whyNotAlways(graph, task);
  return [
    seen(id, task, offsetOf(task.status[0]?.node), {
      message: `status of ${task.full} only asks whether ${paths.join(" and ")} ${paths.length === 1 ? "is" : "are"} there: ${effect}`,
      mend: "take the status out: whoever calls the task wants it done",
      ...(edit === undefined ? {} : { edits: [edit] }),
      ...(unsafe === undefined ? {} : { unsafe }),
    }),
  ];
}

/** Why a task that is never skipped any more could hurt. */
function whyNotAlways(graph: Graph, task: TaskView): string | undefined {
  if (graph.isReachedByStart(task)) return "a service start comes to this task without another check, and would do it each time (D8)";
  if (inPlace(task).length > 0) return "it writes over the program that may be running (D7); mend that first";
  if (/\|\s*tar\b/.test(scriptOf(task))) return "it unpacks over the program that may be running, from an address that has to be right first (D11, D12)";
  return undefined;
}

interface Clone {
  readonly shell: Shell;
  /** Offset in the file of the command. */
  readonly at: number;
  readonly words: readonly string[];
  readonly target: string;
  /** Only run where the folder is no clone yet. */
  readonly guarded: boolean;
}

/** `git clone` that stands alone on its line, but for the question whether the clone is there, with a folder to clone into. */
function clonesOf(task: TaskView): readonly Clone[] {
  return task.shells.flatMap((shell) =>
    [...shell.source.matchAll(/^(?:['"]|[ \t]*)(test -d [^\n;&|<>]+ \|\| )?(git[ \t]+clone[ \t][^\n;&|<>]*?)['"]?[ \t\r]*$/gm)].flatMap((m) => {
      const [all, guard = "", command = ""] = m;
      const words = wordsOf(command);
      const at = m.index + all.indexOf(`${guard}${command}`);
      const target = words.at(-1) ?? "";
      const plain = words.slice(2).filter((w, i, all) => !w.startsWith("-") && !/^(?:-b|--branch|--depth|-o|--origin|--filter)$/.test(all[i - 1] ?? ""));
      return plain.length === 2 && standsFree(shell, at) ? [{ shell, at: shell.start + at + guard.length, words, target, guarded: guard !== "" }] : [];
    }),
  );
}

/** `--force` goes to the dependencies, too, and git does not clone into a folder that has something in it. */
export const forcedClone: Detector = (model) =>
  model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) => {
      const folder = existenceOnly(task)?.[0];
      const clone = folder === undefined ? undefined : clonesOf(task).find((c) => c.target === folder && !c.guarded);
      if (clone === undefined || folder === undefined) return [];
      const users = file.tasks.filter((t) => /^(?:bin:)?build$/.test(t.name) && t.deps.some((d) => d.name === task.name));
      if (users.length === 0) return [];
      return [
        seen("D3", task, clone.at, {
          message: `${task.full} is a dependency of ${users.map((u) => u.full).join(", ")} and clones into ${folder}: with --force it does so again, and fails`,
          mend: "ask for the clone in the command itself, which --force does not skip",
          edits: [{ start: clone.at, end: clone.at, text: `test -d ${clone.target}/.git || ` }],
        }),
      ];
    }),
  );

export const shallowClone: Detector = (model) =>
  model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) => {
      const clone = clonesOf(task).find((c) => c.words.some((w) => /^--depth\b/.test(w)));
      if (clone === undefined) return [];
      const status = task.status.find((s) => EXISTS.exec(s.text.trim())?.[1] === "d" && EXISTS.exec(s.text.trim())?.[2] === clone.target);
      const depth = /--depth[= ]\d+/.exec(clone.shell.source);
      const edits: Edit[] = depth === null ? [] : [{ start: clone.shell.start + depth.index, end: clone.shell.start + depth.index + depth[0].length, text: "--filter=blob:none" }];
      if (status !== undefined) edits.push({ start: status.start, end: status.start + status.source.length, text: `git -C ${clone.target} rev-parse -q --verify HEAD` });
      return [
        seen("D6", task, clone.at, {
          message: `${task.full} clones with --depth, so it has one branch and no other version${status === undefined ? "" : `, and a clone that was interrupted counts as done because ${clone.target} is there`}`,
          mend: "clone without files instead of without history, and ask git whether the clone is whole",
          edits,
          unsafe: "a whole history takes longer to fetch, and a source that is no clone of its own would be cloned over",
        }),
      ];
    }),
  );

interface Write {
  readonly shell: Shell;
  readonly at: number;
  readonly command: string;
  readonly target: string;
  /** Offset of the target in the file. */
  readonly targetAt: number;
  /** Nothing about the command stands in the way of another target and a rename behind it. */
  readonly plain: boolean;
  readonly how: string;
}

/** Commands of a build that write straight to the program's own path. */
function inPlace(task: TaskView): readonly Write[] {
  const script = scriptOf(task);
  return task.shells.flatMap((shell) =>
    [...shell.source.matchAll(/(?<=^|&&[ \t]*|[ \t]|['"])(cp|go[ \t]+build)[ \t][^\n;&|<>]*?(?=[ \t\r]*(?:&&|$|['"]$))/gm)].flatMap((m) => {
      const command = m[0];
      const words = wordsOf(command);
      const target = m[1] === "cp" ? words.at(-1) : words[words.indexOf("-o") + 1];
      if (target === undefined || (m[1] !== "cp" && !words.includes("-o")) || (m[1] === "cp" && words.filter((w) => !w.startsWith("-")).length !== 3) || !isProgram(task, target) || isMoved(script, target) || inQuotes(shell, m.index)) return [];
      const at = shell.start + m.index;
      const plain = standsFree(shell, m.index) && !/\\$|(?:^|\s)#/.test(command) && (m[1] !== "cp" || words.every((w) => !w.startsWith("-") || /^-[afp]+$/.test(w)));
      return [{ shell, at, command, target, plain, targetAt: at + (m[1] === "cp" ? command.lastIndexOf(target) : command.indexOf(target, command.indexOf("-o"))), how: m[1] === "cp" ? "cp" : "go build -o" }];
    }),
  );
}

/** What is written is moved to its place afterwards. */
function isMoved(script: string, target: string): boolean {
  return script.split("\n").some((line) => line.split(/&&|;/).some((c) => /^\s*mv\b/.test(c) && wordsOf(c).slice(1, -1).includes(target)));
}

/** The path is the program's in `.bin`, and no folder. */
function isProgram(task: TaskView, path: string): boolean {
  const { scope, binary } = task.file;
  const value = scope.evaluate(path.replace(/^(['"])(.*)\1$/, "$2"));
  if (!value.known || value.text.endsWith("/")) return false;
  return /(?:^|\/)\.bin\//.test(value.text) && basename(value.text) === (binary ?? basename(value.text));
}

export const writtenOver: Detector = (model) =>
  tasksNamed(model, /^bin:build$/).flatMap((task) => {
    const writes = inPlace(task);
    const [first] = writes;
    if (first === undefined) return [];
    const edits = writes.flatMap(renamed);
    return [
      seen("D7", task, first.at, {
        message: `${task.full} writes ${first.target} with ${first.how}, straight to its place: ${first.how === "cp" ? 'a program that runs makes it fail ("Text file busy")' : "it removes the old program first where it cannot rename"}, and a start meanwhile finds half of it or none`,
        mend: "write beside it, then rename over it",
        ...(edits.length === writes.length * 2 ? { edits } : {}),
      }),
    ];
  });

/** The command with another target, and a rename behind it; none where something else stands behind it on its line. */
function renamed({ shell, at, command, target, targetAt, plain }: Write): readonly Edit[] {
  const end = at + command.length;
  const behind = shell.source.slice(end - shell.start).split("\n")[0] ?? "";
  if (!plain || !/^[ \t\r]*['"]?[ \t\r]*$/.test(behind)) return [];
  return [
    { start: targetAt + target.length, end: targetAt + target.length, text: ".new" },
    { start: end, end, text: ` && mv -f ${target}.new ${target}` },
  ];
}

/** `run` that builds when the program is missing, which it is for a moment in each careless update. */
export const startThatBuilds: Detector = (model: Model) => {
  const graph = new Graph(model);
  const services = model.taskfiles.flatMap((f) => f.tasks.filter((t) => graph.isService(t) || (t.name === "run" && f.include !== undefined)));
  return services.flatMap((task) => {
    const all: readonly Call[] = [...task.deps, ...task.calls];
    const through = all.find((call) => {
      const called = graph.find(task, call.name);
      return called !== undefined && graph.makes(called) !== undefined;
    });
    const called = through === undefined ? undefined : graph.find(task, through.name);
    const maker = called === undefined ? undefined : graph.makes(called);
    if (through === undefined || called === undefined || maker === undefined) return [];
    const edit = withoutDep(task, through);
    return [
      seen("D8", task, offsetOf(through.node), {
        message: `${task.full} comes to ${maker.full} through ${called.full}: starting the service builds or downloads when its program is missing`,
        mend: `let ${task.full} only run what is there, and make it once with: task ${called.full}`,
        ...(edit === undefined ? {} : { edits: [edit] }),
        unsafe: `the first start on a new machine then needs task ${called.full} before it`,
      }),
    ];
  });
};

function withoutDep(task: TaskView, dep: Call): Edit | undefined {
  const deps = task.map?.get("deps", true);
  if (task.map === undefined || !isSeq(deps) || !task.deps.includes(dep)) return undefined;
  if (deps.items.length === 1) return removePair(task.file.text, task.map, "deps");
  const index = deps.items.findIndex((i) => i === dep.node || (isMap(i) && i.get("task", true) === dep.node));
  const ranges = deps.items.map((i) => (i as { range?: readonly [number, number, number] }).range);
  const [own, next, before] = [ranges[index], ranges[index + 1], ranges[index - 1]];
  if (own === undefined) return undefined;
  const { text } = task.file;
  if (deps.flow !== true) return { start: lineStart(text, own[0]), end: lineEnd(text, own[1]), text: "" };
  return before === undefined ? { start: own[0], end: next?.[0] ?? own[1], text: "" } : { start: before[1], end: own[1], text: "" };
}
