/** D4, D5 and D16 to D18: how tasks call other tasks and git, and with what. */

import { isMap, isScalar } from "yaml";
import { Graph } from "./graph.ts";
import { type Detector, type Edit, offsetOf, scriptOf, type Shell, seen, type Sighting, type TaskView, tasksNamed } from "./model.ts";
import { nestedTasks, openQuote } from "./shell.ts";

/** Tasks whose outcome depends on a version that is given. */
const VERSIONED = /(?:^|:)(?:src:(?:clone|update)|bin:(?:build|download)|download|ensure|package)$/;
const MOVES = /\b(?:merge|pull|reset|rebase|FETCH_HEAD)\b|\borigin\/|--detach|@\{/;
const VERSION_LIKE = /\d+\.\d+|^[0-9a-f]{7,40}$/;

export const pinnedUpdate: Detector = (model) =>
  tasksNamed(model, /^src:update$/).flatMap((task) => {
    const script = scriptOf(task);
    const shell = task.shells.find((s) => /\bgit\b[^\n]*\bcheckout\s+(?!-)\S/.test(s.text));
    const m = shell === undefined ? null : /\bgit\b([^\n;&|]*?)[ \t]checkout[ \t]+((?:\{\{[^}]*\}\}|[^\s'"])+)/.exec(shell.source);
    if (shell === undefined || m === null || MOVES.test(script)) return [];
    const wanted = m[2] as string;
    const value = task.file.scope.evaluate(wanted);
    const name = /\{\{-?\s*\.(\w+)/.exec(wanted)?.[1];
    const branch = value.known && !VERSION_LIKE.test(value.text);
    const what = value.known ? value.text : wanted;
    const given = name === undefined ? "" : ` unless ${name}=… is given`;
    const edits = detached(task, shell, { at: shell.start + m.index, command: m[0], git: m[1] as string, wanted });
    return [
      seen("D4", task, shell.start + m.index, {
        message: branch ? `${task.full} fetches and checks out ${what}, which leaves the local branch where it was: nothing is updated` : `${task.full} checks out ${what}, the version that is written down here${given}: a new release is not taken`,
        mend: "fetch the version that is wanted, and check out what was fetched",
        ...(edits === undefined ? {} : { edits }),
        unsafe: "it moves a checkout that you may be working in, and leaves it without a local branch; slipstream builds from a checkout of its own",
      }),
    ];
  });

interface Checkout {
  readonly at: number;
  readonly command: string;
  readonly git: string;
  readonly wanted: string;
}

function detached(task: TaskView, shell: Shell, { at, command, git, wanted }: Checkout): readonly Edit[] | undefined {
  const fetches = task.shells.flatMap((s) => [...s.source.matchAll(/\bgit\b[^\n;&|'"]*?[ \t]fetch\b[^\n;&|'"]*/g)].map((m) => ({ at: s.start + m.index, text: m[0] })));
  const [only, ...more] = fetches;
  const put = { start: at, end: at + command.length, text: `git${git} checkout --detach FETCH_HEAD` };
  if (only === undefined || more.length > 0 || only.at > at || !shell.source.includes(command)) return undefined;
  return [{ start: only.at, end: only.at + only.text.trimEnd().length, text: `git${git} fetch origin ${wanted}` }, put];
}

/** A Task that is started from a command knows nothing of the variables of this one. */
export const lostVariables: Detector = (model) => {
  const graph = new Graph(model);
  return model.taskfiles.flatMap((f) => f.tasks.flatMap((task) => nested(graph, task)));
};

function nested(graph: Graph, task: TaskView): readonly Sighting[] {
  const losing = task.shells.flatMap((shell) => nestedTasks(shell.text).filter((name) => VERSIONED.test(name) && !passesOn(shell.text, name)).map((name) => ({ shell, name })));
  const [first] = losing;
  if (first === undefined) return [];
  const edits = losing.flatMap(({ shell, name }): readonly Edit[] => asCall(graph, task, shell, name));
  const names = [...new Set(losing.map((l) => l.name))];
  const whole = edits.length === losing.length;
  return [
    seen("D5", task, first.shell.start + Math.max(0, first.shell.source.indexOf(`task ${first.name}`)), {
      message: `${task.full} starts ${names.length > 2 ? `${names.slice(0, 2).join(", ")} and ${names.length - 2} more` : names.join(" and ")} as a new Task, which knows no variable of the command line`,
      mend: whole ? "call them as tasks" : "call them as tasks (task:), or hand the variable on: VERSION={{q .VERSION}}",
      ...(whole ? { edits } : {}),
    }),
  ];
}

function passesOn(script: string, name: string): boolean {
  const after = script.slice(script.indexOf(name) + name.length);
  return /^[^\n;&|]*\s[A-Z][A-Z0-9_]*=/.test(after);
}

/** `task a:b`, all there is to a command of the root Taskfile, means the same as `task: a:b`, but for the variables. */
function asCall(graph: Graph, task: TaskView, shell: Shell, name: string): readonly Edit[] {
  const called = graph.get(name);
  const top = task.file.yaml.doc.contents;
  const special = ["dir", "env", "dotenv"].some((key) => task.map?.has(key) === true) || (isMap(top) && (top.has("dir") || top.has("run")));
  if (!task.file.root || !shell.plain || special || called === undefined || called.map?.has("internal") === true || called.map?.has("run") === true || shell.source !== `task ${name}`) return [];
  return [{ start: shell.start, end: shell.start + 4, text: "task:" }];
}

/** A literal at the top is no default: the environment cannot set it. */
export const fixedRelease: Detector = (model) => {
  const [root] = model.taskfiles;
  const vars = root?.root === true ? root.yaml.map(root.yaml.doc.contents, "vars") : undefined;
  return (vars?.items ?? []).flatMap((pair): Sighting[] => {
    const { key, value } = pair;
    if (root === undefined || !isScalar(key) || key.value !== "RELEASE_VERSION" || !isScalar(value) || value.range == null || String(value.value).includes("{{")) return [];
    const text = String(value.value);
    return [
      {
        ...{ id: "D5", path: root.path, text: root.text, at: offsetOf(key), within: ["vars", "RELEASE_VERSION"] },
        message: `RELEASE_VERSION is fixed to ${text}, expected a default: a task that is started from another one cannot be told by the environment`,
        mend: "write it as a default",
        ...(/^[\w.-]+$/.test(text) ? { edits: [{ start: value.range[0], end: value.range[1], text: `'{{.RELEASE_VERSION | default "${text}"}}'` }] } : {}),
        unsafe: "a RELEASE_VERSION that stands in somebody's environment for another reason would count from then on",
      },
    ];
  });
}

/** Only includes have upstreams, and only processes can be reloaded. */
export const subsystemAsProcess: Detector = (model) => {
  const processes = new Set(model.processFile?.processes.map((p) => p.name));
  const without = model.taskfiles.flatMap((f) => (f.upstream && f.include !== undefined && !processes.has(f.include) ? [f.include] : []));
  if (processes.size === 0 || without.length === 0) return [];
  return model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) =>
      task.shells.flatMap((shell) => {
        const m = /\breload[ \t]+PROC=["']?(?:\{\{[^}]*\.(?:SUBSYSTEM|ITEM|NAME)\b[^}]*\}\}|\$\{?\w+\}?)/.exec(shell.source);
        if (m === null) return [];
        return [seen("D16", task, shell.start + m.index, { message: `${task.full} reloads a process of the subsystem's name, but no process is called ${without.join(", ")}`, mend: "slipstream finds the process by its command (or subsystems.<name>.process in slipstream.yaml): slipstream update <name> swaps and reloads the right one" })];
      }),
    ),
  );
};

export const folderDecides: Detector = (model) =>
  model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) =>
      task.shells.flatMap((shell) => {
        const m = /(?:\[|\btest)\s+-[de]\s+\S*\.src\b/.exec(shell.source);
        if (m === null || !/\bdownload\b/.test(shell.text) || !/\b(?:src:update|bin:build)\b/.test(shell.text)) return [];
        return [seen("D17", task, shell.start + m.index, { message: `${task.full} builds where .src is there and downloads where it is not: one clone on a machine that downloads turns it into one that builds`, mend: "say it once: subsystems.<name>.mode in slipstream.yaml, and update with slipstream update <name>" })];
      }),
    ),
  );

const OUTSIDE = /\{\{-?\s*\.(SUBSYSTEM|PROC)\b\s*(\|\s*default\s+[^}|]*?)?\s*-?\}\}/g;

/** What stands between the braces becomes part of the command, whatever it is. */
export const pastedValue: Detector = (model) =>
  model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) => {
      const places = task.shells.flatMap((shell) => [...shell.source.matchAll(OUTSIDE)].map((m) => ({ shell, m })));
      const [first] = places;
      if (first === undefined) return [];
      const edits = places.flatMap(({ shell, m }): Edit[] => {
        const bare = /^["']/.test(shell.source) || openQuote(shell.source.slice(0, m.index).replace(/^[|>][-+\d]*[^\n]*\n/, "")) !== undefined;
        const value = m[2] === undefined ? `.${m[1]}` : `(.${m[1]} ${m[2].trim()})`;
        return bare ? [] : [{ start: shell.start + m.index, end: shell.start + m.index + m[0].length, text: `{{q ${value}}}` }];
      });
      const names = [...new Set(places.map(({ m }) => m[1] as string))];
      return [
        seen("D18", task, first.shell.start + first.m.index, {
          message: `${task.full} pastes ${names.join(" and ")} into shell text: a value with a semicolon runs as a command`,
          mend: `quote it ({{q .${names[0]}}}), and refuse what is no plain name; slipstream takes names from its configuration only`,
          ...(edits.length === places.length ? { edits } : {}),
          unsafe: "a value of several words, or an empty one, means something else when it is quoted",
        }),
      ];
    }),
  );
