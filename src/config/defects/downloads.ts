/** D9, D11 and D12: tasks that download a program, and what they leave in `.version`. */

import { isMap, isScalar, visit } from "yaml";
import { parseStamp } from "../../domain/artifact.ts";
import { type Detector, type Edit, offsetOf, scriptOf, type Shell, seen, type Sighting, type TaskView, tasksNamed } from "./model.ts";
import { standsFree } from "./shell.ts";

const DOWNLOAD = /(?:^|:)(?:bin:)?download$/;
const SUM = /\b(?:sha256sum|shasum|sha256)\b/;

export const unverifiableStamp: Detector = (model) => [
  ...tasksNamed(model, DOWNLOAD).flatMap((task) => {
    const shell = task.shells.find((s) => />\s*\S*\.version\b/.test(s.text));
    if (shell === undefined) return hasOtherStamp(task) ? [] : [noStamp(task)];
    if (/checksum/.test(scriptOf(task)) || task.calls.length > 0) return [];
    return [
      seen("D9", task, place(shell, />\s*\S*\.version\b/), {
        message: `${task.full} writes .version without a checksum, so bin:verify has nothing to compare`,
        mend: "write commit, timestamp, checksum and version there, as bin:build does; slipstream writes its own after each update",
      }),
    ];
  }),
  ...model.stamps.flatMap(({ path, text, include }): Sighting[] => {
    if (text.trim() === "" || parseStamp(text).checksum !== undefined) return [];
    const bare = /^[!-~]{1,80}$/.exec(text.trim())?.[0];
    return [{ id: "D9", subsystem: include, path, text, at: 0, message: `.version of ${include} has no checksum${bare === undefined ? "" : `, only ${bare}`}: whether the program beside it is the one it means cannot be said`, mend: `slipstream update ${include} writes it whole; the next update does so by itself` }];
  }),
];

/** Says where the version comes from in a way that is not looked into: another task, a script, a variable. */
function hasOtherStamp(task: TaskView): boolean {
  const script = scriptOf(task);
  return task.calls.length > 0 || task.deps.length > 0 || /\.version\b|\.sh\b|\{\{-?\s*\.\w*LIB\b/.test(script) || !/\b(?:curl|wget)\b/.test(script);
}

function noStamp(task: TaskView): Sighting {
  return seen("D9", task, offsetOf(task.key), { message: `${task.full} writes no .version, so what it brought is not known`, mend: "write commit, timestamp, checksum and version to .version beside the program; slipstream writes its own after each update" });
}

/** GitHub has `releases/latest/download/`, and `releases/download/<tag>/`. */
export const wrongAddress: Detector = (model) =>
  model.taskfiles.flatMap((file) => {
    const found: Sighting[] = [];
    visit(file.yaml.doc, {
      Scalar: (key, node) => {
        if (key === "key" || typeof node.value !== "string" || node.range == null) return;
        const source = file.text.slice(node.range[0], node.range[1]);
        const m = /releases\/download\/(latest\b|\{\{-?\s*\.(\w+)[^}]*\}\})/.exec(source);
        if (m === null) return;
        const template = m[2];
        const value = template === undefined ? { known: true as const, text: "latest" } : file.scope.evaluate(m[1] as string);
        if (!value.known || value.text !== "latest") return;
        const at = node.range[0] + m.index;
        const put = template === undefined ? "releases/latest/download" : `releases/{{if eq .${template} "latest"}}latest/download{{else}}download/{{.${template}}}{{end}}`;
        found.push({
          id: "D11",
          path: file.path,
          text: file.text,
          at,
          ...(file.include === undefined ? {} : { subsystem: file.include }),
          message: `${source.slice(m.index, m.index + m[0].length)} becomes releases/download/latest/…, expected releases/latest/download/… or a tag: GitHub has it only where a tag is called latest`,
          mend: template === undefined ? "use GitHub's form for the newest release, or a tag" : `use GitHub's form for the newest release, or give the tag: ${template}=<tag>`,
          within: pathOf(file.yaml.doc.contents, at),
          ...(node.type === "QUOTE_DOUBLE" ? {} : { edits: [{ start: at, end: at + m[0].length, text: put }] }),
          unsafe: "which release is meant, the newest of all or one of a tag, only you know",
        });
      },
    });
    return found;
  });

/** The two keys from the top that lead to an offset: `vars`, `X`, or `tasks`, `bin:build`. */
function pathOf(root: unknown, at: number): string[] {
  const path: string[] = [];
  let node: unknown = root;
  while (isMap(node) && path.length < 2) {
    const pair = node.items.find((p) => offsetOf(p.key as { range?: readonly number[] }) <= at && at < ((p.value as { range?: readonly number[] } | null)?.range?.[1] ?? -1));
    if (pair === undefined || !isScalar(pair.key)) return path;
    path.push(String(pair.key.value));
    node = pair.value;
  }
  return path;
}

export const carelessDownload: Detector = (model) =>
  tasksNamed(model, DOWNLOAD).flatMap((task) => [...withoutFail(task), ...unchecked(task), ...needsGo(task)]);

interface Curl {
  readonly shell: Shell;
  readonly at: number;
  readonly args: string;
}

function curlsOf(task: TaskView): readonly Curl[] {
  return task.shells.flatMap((shell) => [...shell.source.matchAll(/(?<![\w./-])curl(?=[ \t])((?:[^|;&\n\\]|\\[\s\S]|&(?!&))*)/g)].map((m) => ({ shell, at: shell.start + m.index, args: m[1] as string })));
}

/** Who asks for the status, or sends something, looks at the answer by himself. */
const OWN_JUDGEMENT = /(?:^|\s)(?:-[a-zA-Z]*[wIXd]\b|--(?:write-out|head|request|data))/;

/** curl takes an error page for the file, unless it is told not to. */
function withoutFail(task: TaskView): readonly Sighting[] {
  const curls = curlsOf(task).filter(({ args }) => /https?:|\{\{|\$/.test(args) && !/(?:^|\s)(?:-[a-zA-Z#]*f|--fail)/.test(args) && !OWN_JUDGEMENT.test(args));
  const [first] = curls;
  if (first === undefined) return [];
  const edits: Edit[] = curls.map(({ at, args }) => ({ start: at + 4, end: at + 4, text: /\s--retry\b/.test(args) ? " -f" : " -f --retry 3" }));
  return [seen("D12", task, first.at, { message: `${task.full} calls curl without -f, so an error page is taken for the download, and without --retry`, mend: "let curl fail where the server says no, and try again where it may help", ...(curls.every((c) => standsFree(c.shell, c.at - c.shell.start)) ? { edits } : {}) })];
}

/** Straight from the network over the program, and nobody asks whether it is the right one. */
function unchecked(task: TaskView): readonly Sighting[] {
  const script = scriptOf(task);
  const piped = task.shells.find((s) => /\bcurl\b[^\n;]*\|\s*(?:\w+=\S+\s+)*tar\b/.test(s.text));
  if (piped === undefined || (SUM.test(script) && /(?:-c|--check)\b|\[{1,2} .*!?=/.test(script))) return [];
  return [seen("D12", task, place(piped, /\bcurl\b/), { message: `${task.full} unpacks what curl brings straight to its place, and compares it with no checksum: half a download replaces the program`, mend: "download to a folder of its own, compare with the published SHA-256, then rename; slipstream does that by itself (mode: release)" })];
}

/** A machine that only runs programs has no Go. */
function needsGo(task: TaskView): readonly Sighting[] {
  const vars = task.map?.get("vars", true);
  const asked = isMap(vars) ? vars.items.filter((p) => isMap(p.value) && /^go env GO(?:OS|ARCH)$/.test(String(p.value.get("sh") ?? ""))) : [];
  const shell = task.shells.find((s) => /\$\(go env GO(?:OS|ARCH)\)/.test(s.text));
  const [first] = asked;
  if (first === undefined && shell === undefined) return [];
  const edits = asked.flatMap((p): Edit[] => {
    const name = String((p.key as { value?: unknown }).value);
    const range = (p.value as { range?: readonly [number, number, number] }).range;
    const key = (p.key as { range?: readonly [number, number, number] }).range;
    if (range == null || key == null || !/^GO(?:OS|ARCH)$/.test(name)) return [];
    const end = task.file.text.slice(key[1], range[1]).trimEnd().length + key[1];
    return [{ start: key[1], end, text: `: '{{.${name} | default ${name === "GOOS" ? "OS" : "ARCH"}}}'` }];
  });
  const inShell = task.shells.flatMap((s) => [...s.source.matchAll(/\$\(go env GO(OS|ARCH)\)/g)].map((m): Edit => ({ start: s.start + m.index, end: s.start + m.index + m[0].length, text: `{{.GO${m[1]} | default ${m[1]}}}` })));
  const all = [...edits, ...inShell];
  return [
    seen("D12", task, first === undefined ? place(shell as Shell, /\$\(go env/) : offsetOf(first.key as { range?: readonly number[] }), {
      message: `${task.full} asks Go for the platform, which a machine that only downloads need not have`,
      mend: "Task knows the platform itself: {{OS}} and {{ARCH}}",
      ...(all.length === asked.length + inShell.length ? { edits: all } : {}),
    }),
  ];
}

/** Offset in the file of the first match in a shell text as written. */
function place(shell: Shell, pattern: RegExp): number {
  return shell.start + (pattern.exec(shell.source)?.index ?? 0);
}
