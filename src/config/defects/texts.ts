/** D22 and D23: shell text that no shell can read, and facts that are written down twice. */

import { isScalar } from "yaml";
import { type Detector, type Edit, type Shell, seen, type Sighting } from "./model.ts";
import { openQuote } from "./shell.ts";

/** A quoted text that ends in `NAME=` and goes on with a word: the quote before it was meant to be closed earlier. */
const FUSED = /\b[A-Z_]+="([\w.-]+)(?=[ \t]*[&;|])[^"\n]*\b[A-Z_]+="(?=\w)/;

export const brokenShell: Detector = (model) =>
  model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task) =>
      task.shells.flatMap((shell) => {
        const open = openQuote(shell.text);
        if (open !== undefined) {
          const edits = closing(shell);
          return [seen("D22", task, placeOf(shell, open.at), { message: `${task.full} has a quote (${open.mark}) that is never closed, so the shell refuses the whole command`, mend: "close it", ...(edits === undefined ? {} : { edits }), unsafe: "the command never ran so far; what it does then, only you can judge" })];
        }
        const fused = FUSED.exec(shell.source);
        if (fused === null || /^["']/.test(shell.source)) return [];
        return [seen("D22", task, shell.start + fused.index, { message: `${task.full} has two quotes too few: two commands become one value`, mend: "close both quotes behind the word they belong to", edits: apart(shell), unsafe: "the commands never ran so far as they are meant; what they do then, only you can judge" })];
      }),
    ),
  );

/** Offset in the file of an offset in the value: the line is right, which is what is shown. */
function placeOf(shell: Shell, at: number): number {
  if (!/^[|>]/.test(shell.source)) return shell.start;
  const line = shell.text.slice(0, at).split("\n").length;
  let offset = 0;
  for (let i = 0; i < line; i++) offset = shell.source.indexOf("\n", offset) + 1;
  return shell.start + offset;
}

/** Where nothing but one word stands behind the quote, it is clear where that ends. */
function closing(shell: Shell): readonly Edit[] | undefined {
  if (/^["'|>]/.test(shell.source) || !/="[\w.-]+$/.test(shell.source) || shell.source.split('"').length !== 2) return undefined;
  const end = shell.start + shell.source.length;
  return [{ start: end, end, text: '"' }];
}

function apart(shell: Shell): readonly Edit[] {
  return [...shell.source.matchAll(/\b[A-Z_]+="[\w.-]+(?=[ \t]*[&;|]|[ \t]*$)/gm)].map((m) => ({ start: shell.start + m.index + m[0].length, end: shell.start + m.index + m[0].length, text: '"' }));
}

const DEFAULTED = /\{\{-?\s*\.(\w*VERSION)\s*\|\s*default\s+"([^"]*)"\s*-?\}\}/g;

/** The default of a version that the root Taskfile repeats, and the included one has changed since. */
export const repeatedDefault: Detector = (model) => {
  const [root, ...rest] = model.taskfiles;
  if (root?.root !== true) return [];
  const own = new Map(rest.flatMap((file) => file.yaml.entries(file.yaml.map(file.yaml.doc.contents, "vars")).flatMap(({ key, value }) => {
    const said = isScalar(value) ? [...String(value.value).matchAll(DEFAULTED)].find((m) => m[1] === key)?.[2] : undefined;
    return said === undefined || file.include === undefined ? [] : [[key, { said, file }] as const];
  })));
  return [
    ...root.tasks.flatMap((task) =>
      task.shells.flatMap((shell) =>
        [...shell.source.matchAll(DEFAULTED)].flatMap((m): Sighting[] => {
          const [whole, name = "", here = ""] = m;
          const other = own.get(name);
          if (other === undefined || other.said === here || shell.source.startsWith('"')) return [];
          const start = shell.start + m.index + whole.lastIndexOf(`"${here}"`) + 1;
          return [seen("D23", task, shell.start + m.index, { message: `${task.full} says that ${name} is ${here} by default, but ${other.file.include} says ${other.said}`, mend: `ask the task that knows (task ${other.file.include}:config:version), or write ${other.said}`, edits: [{ start, end: start + here.length, text: other.said }], unsafe: "which of the two is right, only you know" })];
        }),
      ),
    ),
    ...olderGo(model),
  ];
};

/** CI that installs an older Go than the workspace asks for. */
const olderGo: Detector = ({ workflows, goVersion }) =>
  goVersion === undefined
    ? []
    : workflows.flatMap(({ path, text }) =>
        [...text.matchAll(/^[ \t-]*go-version:[ \t]*["']?(\d+\.\d+(?:\.\d+)?)["']?[ \t\r]*(?:#.*)?$/gm)].flatMap((m): Sighting[] => {
          const said = m[1] as string;
          if (!isOlder(said, goVersion.version)) return [];
          const start = m.index + m[0].lastIndexOf(said);
          return [{ id: "D23", path, text, at: m.index + m[0].indexOf("go-version"), message: `go-version is ${said}, but ${goVersion.file} asks for ${goVersion.version}: what is built there is built otherwise than here`, mend: `take the version from the file: go-version-file: ${goVersion.file}`, edits: [{ start, end: start + said.length, text: goVersion.version }], unsafe: "what CI builds with, only you decide" }];
        }),
      );

function isOlder(a: string, b: string): boolean {
  const [x, y] = [a, b].map((v) => v.split(".").map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return (x[i] as number) < (y[i] as number);
  return false;
}
