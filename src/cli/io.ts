/** The terminal: results to stdout, everything else to stderr; colours and progress on a TTY only. */

import { styleText } from "node:util";

export interface Io {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Whether NO_COLOR forbids colours. */
  readonly plain: boolean;
}

const MAX_CELL_CHARS = 100;

export type Colour = "green" | "red" | "yellow" | "dim" | "bold";

export interface Printer {
  /** One line of result. */
  line(text?: string): void;
  json(value: unknown): void;
  /** One line about what is going on. */
  note(text: string): void;
  /** A line that is overwritten by the next; nothing when stderr is no terminal. */
  progress(text: string): void;
  paint(colour: Colour, text: string): string;
  readonly live: boolean;
  /** The same without colours and without lines that are overwritten, whatever the terminal can do. */
  unattended(): Printer;
}

export function createPrinter(io: Io, live = io.stderr.isTTY === true): Printer {
  const colours = io.stdout.isTTY === true && !io.plain;
  const clear = live ? "\r\u001b[K" : "";
  return {
    live,
    line: (text = "") => {
      io.stderr.write(clear);
      io.stdout.write(`${text}\n`);
    },
    json: (value) => void io.stdout.write(`${jsonText(value)}\n`),
    note: (text) => void io.stderr.write(`${clear}${text}\n`),
    progress: (text) => {
      if (live) io.stderr.write(`${clear}${text}`);
    },
    unattended: () => createPrinter({ ...io, plain: true }, false),
    paint: (colour, text) => (colours ? styleText(colour, text, { validateStream: false }) : text),
  };
}

/** JSON without a character that could drive a terminal: those that JSON leaves as they are, too, are written as their numbers. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Text from outside without control characters, nor those that turn the direction of writing: nothing a program printed may drive the terminal or show as something else. */
export function safe(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (c) => (c === "\t" || c === "\n" ? c : "\ufffd"));
}

/** `safe`, and on one line: what is shown in one row must not look like several. */
export function oneLine(text: string): string {
  return safe(text).replace(/[\t\n]+/g, " ");
}

/** A text of many words as a cell: a long one would widen every row. */
export function cell(text: string): string {
  return text.length > MAX_CELL_CHARS ? `${text.slice(0, MAX_CELL_CHARS - 1)}…` : text;
}

/** Columns padded to their widest cell; the last one is left as it is. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, oneLine(text).length);
  return rows.map((row) => row.map((text, i) => (i === row.length - 1 ? oneLine(text) : oneLine(text).padEnd(widths[i] ?? 0))).join("  ").trimEnd());
}

/** `3 min ago`, for people; the JSON has the exact time. */
export function ago(at: number, now: number): string {
  const s = Math.max(0, Math.round((now - at) / 1000));
  if (s < 90) return `${s} s ago`;
  if (s < 5_400) return `${Math.round(s / 60)} min ago`;
  return s < 129_600 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86_400)} d ago`;
}

/** `1.2 s`, `3 min 05 s` */
export function took(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${String(Math.round((ms % 60_000) / 1000)).padStart(2, "0")} s`;
}

/** A full commit is shown in its short form. */
export function short(version: string): string {
  return /^[0-9a-f]{40}$/.test(version) ? version.slice(0, 12) : version;
}
