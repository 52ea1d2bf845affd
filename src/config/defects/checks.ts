/** D10, D13, D15, D19 and D20: tasks that verify, reload and pack. */

import { type Detector, type Edit, type Model, scriptOf, type Shell, seen, type TaskView, tasksNamed } from "./model.ts";
import { standsFree, wordsOf } from "./shell.ts";

export const wrongVerification: Detector = (model) => {
  const includes = model.taskfiles.flatMap((f) => f.include ?? []);
  return tasksNamed(model, /^bin:verify$/).flatMap((task) => {
    const script = scriptOf(task);
    const shell = task.shells.find((s) => /\bshasum\b/.test(s.text) || s.text.includes(".version"));
    if (shell === undefined || !/\.version\b/.test(script)) return [];
    const fixed = includes.filter((name) => new RegExp(`(?<![\\w-])${name}(?=[/\\s"';])`).test(script));
    const all = task.file.root && fixed.length > 1;
    const blind = /\bshasum\b/.test(script) && !/\bsha256sum\b|command -v|\bset -[a-z]*e[a-z]*o? ?pipefail/.test(script);
    if (!all && !blind) return [];
    const what = [...(blind ? ["without shasum both sides of its comparison are empty, and it says verified"] : []), ...(all ? [`it always looks at ${fixed.join(", ")}, so one that is missing or damaged holds up the others`] : [])];
    return [seen("D10", task, at(shell, blind ? /\bshasum\b/ : /\.version\b/), { message: `${task.full} decides by the wrong thing: ${what.join("; ")}`, mend: "verify the one that was touched, with sha256sum or shasum, and fail where neither is there; slipstream verifies what it installs by itself" })];
  });
};

const STOP_WAIT_START = /process\s+stop\b[\s\S]*?\bsleep\s+[\d.]+[\s\S]*?process\s+start\b/;

/** Reloads by hand: stop, hope, start. */
export const hopefulReload: Detector = (model) =>
  model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) => {
      const script = scriptOf(task);
      const m = STOP_WAIT_START.exec(script);
      const shell = task.shells.find((s) => /process\s+stop\b/.test(s.text));
      if (m === null || shell === undefined) return [];
      const fallback = procDefault(task);
      const wait = /sleep\s+([\d.]+)/.exec(m[0])?.[1];
      return [
        seen("D13", task, at(shell, /process\s+stop\b/), {
          message: `${task.full} stops, waits ${wait} s and starts: a process that takes longer is still there, the start is refused, and then it ends for good${fallback === undefined ? "" : `; without PROC it takes ${fallback}`}`,
          mend: "let slipstream do it, which waits until the process is gone and until the new one is healthy: slipstream reload <process>",
        }),
      ];
    }),
  );

function procDefault(task: TaskView): string | undefined {
  const vars = task.file.yaml.map(task.map, "vars");
  return /\|\s*default\s+"([^"]+)"/.exec(task.file.yaml.text(vars, "PROC") ?? "")?.[1];
}

export const forgottenDependants: Detector = (model) => {
  const waiting = (model.processFile?.processes ?? []).filter((p) => typeof p.value.depends_on === "object" && p.value.depends_on !== null).map((p) => p.name);
  if (waiting.length === 0) return [];
  return model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) => {
      const shell = task.shells.find((s) => /process\s+(?:restart|start)\s+(?:-\S+\s+)*["']?(?:\{\{[^}]*\.PROC\b|\$)/.test(s.text));
      if (shell === undefined) return [];
      return [seen("D20", task, at(shell, /process\s+(?:restart|start)\b/), { message: `${task.full} knows nothing of depends_on: ${waiting.join(", ")} ${waiting.length === 1 ? "goes" : "go"} on with a dependency that was replaced, and one that is restarted while its dependency is not ready is skipped and stays down`, mend: "nothing has to be done where slipstream reloads: it waits until every dependency is ready" })];
    }),
  );
};

export const blindComparison: Detector = (model) =>
  model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) => {
      const script = scriptOf(task);
      const shell = task.shells.find((s) => /\blsof\b/.test(s.text));
      if (shell === undefined || !/\blsof\s+(?:-\w+\s+)*-p\b/.test(script) || !/process(?:es)?[ /](?:list|get)|\/process(?:es)?\b|\.pc\.sock/.test(script)) return [];
      return [seen("D15", task, at(shell, /\blsof\b/), { message: `${task.full} asks lsof about the pid that Process Compose names, which is Task's and not the program's: it finds nothing, and passes`, mend: "slipstream compares the digest of what the kernel has mapped, after each reload and in slipstream status" })];
    }),
  );

/** What a package says it holds: the platform in its name, the program, its .version. */
export const mislabelledPackage: Detector = (model) => tasksNamed(model, /^(?:bin:)?package$/).flatMap((task) => [...noFolder(model, task), ...incomplete(task)]);

interface Tar {
  readonly shell: Shell;
  readonly at: number;
  readonly command: string;
  readonly archive: string;
  readonly members: readonly string[];
}

function tarsOf(task: TaskView): readonly Tar[] {
  return task.shells.flatMap((shell) =>
    [...shell.source.matchAll(/^(?:['"]|[ \t]*)(mkdir -p [^\n;&|]+ && )?(tar[ \t]+-?[a-z]*c[a-z]*f[ \t][^\n;&|]*?)['"]?[ \t\r]*$/gm)].flatMap((m) => {
      const [all, made = "", command = ""] = m;
      const words = wordsOf(command);
      const at = m.index + all.indexOf(`${made}${command}`);
      if (!standsFree(shell, at) || /\\$|\s#/.test(command)) return [];
      return { shell, at: shell.start + at + made.length, command, archive: words[2] ?? "", members: words.slice(3).filter((w, i, all) => w !== "-C" && all[i - 1] !== "-C") };
    }),
  );
}

function noFolder(_model: Model, task: TaskView) {
  const tar = tarsOf(task).find((t) => /\{\{[^}]*DIST\w*[^}]*\}\}|\$\{?DIST/.test(t.archive) && t.archive.includes("/"));
  if (tar === undefined || /\bmkdir\b/.test(scriptOf(task)) || task.deps.length > 0 || task.calls.length > 0) return [];
  const folder = tar.archive.slice(0, tar.archive.lastIndexOf("/"));
  if (/["'$]/.test(folder)) return [];
  const edits: Edit[] = [{ start: tar.at, end: tar.at, text: `mkdir -p ${folder} && ` }];
  return [seen("D19", task, tar.at, { message: `${task.full} writes to ${folder}, which nothing makes`, mend: "make the folder first", edits })];
}

function incomplete(task: TaskView) {
  const tar = tarsOf(task).find((t) => t.members.length > 0 && !t.members.some((m) => m.includes(".version") || m === "."));
  if (tar === undefined) return [];
  const end = tar.at + tar.command.length;
  const label = /GOOS|GOARCH/.test(tar.archive) ? "; and GOOS or GOARCH only change its name: the program in it is this machine's" : "";
  const edits: Edit[] = [{ start: end, end, text: " .version" }];
  return [seen("D19", task, tar.at, { message: `${task.full} packs ${tar.members.join(", ")} without .version and without a checksum beside it, so who downloads it cannot tell what it is${label}`, mend: "pack .version too, and put <package>.sha256 beside it", edits, unsafe: "it fails where a program was put there without a .version" })];
}

/** Offset in the file of the first match in a shell text as written. */
function at(shell: Shell, pattern: RegExp): number {
  return shell.start + (pattern.exec(shell.source)?.index ?? 0);
}
