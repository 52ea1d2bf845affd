/**
 * The part of Task's templates that configuration may use: variables, `default` and `env`, with text around them.
 * Everything else would mean running Task (or a shell) to learn what is configured, so it is named as not understood.
 */

/** A variable's value; `unknown` when finding it would need more than is understood here. */
export type Value = Known | Unknown;
export interface Known {
  readonly known: true;
  readonly text: string;
  /** Nobody set it: the text is the fallback of a `default`. */
  readonly defaulted: boolean;
}
export interface Unknown {
  readonly known: false;
  /** What is not understood, as written. */
  readonly why: string;
}

export interface Lookup {
  /** Undefined when there is no such variable. */
  variable(name: string): Value | undefined;
  env(name: string): string | undefined;
}

/** Variables that hold each other could grow without end. */
const MAX_TEXT_CHARS = 16_384;
/** No pipeline a person writes nests deeper. */
const MAX_DEPTH = 50;
const TOO_LONG: Unknown = { known: false, why: `a text of more than ${MAX_TEXT_CHARS} characters` };

/** The text of a template such as `https://x/{{.NAME | default "nats"}}.git`. */
export function evaluate(template: string, lookup: Lookup): Value {
  if (template.length > MAX_TEXT_CHARS) return TOO_LONG;
  let text = "";
  let defaulted = false;
  let from = 0;
  let trimNext = false;
  for (const { start, end, source, trimBefore, trimAfter } of segmentsOf(template)) {
    let before = template.slice(from, start);
    if (trimNext) before = before.trimStart();
    text += trimBefore ? before.trimEnd() : before;
    trimNext = trimAfter;
    from = end;
    const value = new Expression(source, lookup).value();
    if (!value.known) return value;
    text += value.text;
    if (text.length > MAX_TEXT_CHARS) return TOO_LONG;
    defaulted ||= value.defaulted;
  }
  const rest = template.slice(from);
  return { known: true, text: text + (trimNext ? rest.trimStart() : rest), defaulted };
}

interface Segment {
  readonly start: number;
  readonly end: number;
  readonly source: string;
  /** `{{-` and `-}}` */
  readonly trimBefore: boolean;
  readonly trimAfter: boolean;
}

/** What stands between `{{` and the next `}}`. */
function segmentsOf(template: string): Segment[] {
  const found: Segment[] = [];
  for (let from = 0; ; ) {
    const start = template.indexOf("{{", from);
    const close = start === -1 ? -1 : template.indexOf("}}", start + 2);
    if (close === -1) return found;
    const inner = template.slice(start + 2, close);
    const trimBefore = inner.startsWith("-");
    const rest = inner.slice(trimBefore ? 1 : 0);
    const trimAfter = rest.endsWith("-");
    from = close + 2;
    found.push({ start, end: from, source: rest.slice(0, trimAfter ? -1 : undefined).trim(), trimBefore, trimAfter });
  }
}

const TOKEN = /\s*(?:(?<field>\.[A-Za-z_]\w*)|(?<quoted>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?<word>[A-Za-z_]\w*)|(?<number>-?\d+(?:\.\d+)?)|(?<mark>[|()]))/y;

interface Token {
  readonly kind: "field" | "quoted" | "word" | "number" | "mark";
  readonly text: string;
}

class NotUnderstood extends Error {}

/** One pipeline of Go's text/template, as far as it is understood. */
class Expression {
  readonly #source: string;
  readonly #lookup: Lookup;
  #tokens: Token[] = [];
  #depth = 0;

  constructor(source: string, lookup: Lookup) {
    this.#source = source;
    this.#lookup = lookup;
  }

  value(): Value {
    try {
      this.#tokens = tokenize(this.#source);
      const value = this.#pipeline();
      if (this.#tokens.length > 0) throw new NotUnderstood();
      return value;
    } catch (error) {
      if (error instanceof NotUnderstood) return { known: false, why: `{{${this.#source}}}` };
      throw error;
    }
  }

  #pipeline(): Value {
    let value = this.#command(undefined);
    while (this.#take("|")) value = this.#command(value);
    return value;
  }

  #command(piped: Value | undefined): Value {
    const head = this.#tokens[0];
    if (head?.kind !== "word" || head.text === "true" || head.text === "false") {
      if (piped !== undefined) throw new NotUnderstood();
      return this.#operand();
    }
    this.#tokens.shift();
    const args: Value[] = [];
    while (this.#tokens[0] !== undefined && this.#tokens[0].text !== "|" && this.#tokens[0].text !== ")") args.push(this.#operand());
    if (piped !== undefined) args.push(piped);
    return this.#call(head.text, args);
  }

  #call(name: string, args: readonly Value[]): Value {
    const [first, second] = args;
    if (name === "default" && first !== undefined && second !== undefined && args.length === 2) return orDefault(second, first);
    if (name === "env" && first?.known === true && args.length === 1) return literal(this.#lookup.env(first.text) ?? "");
    throw new NotUnderstood();
  }

  #operand(): Value {
    const token = this.#tokens.shift();
    if (token === undefined) throw new NotUnderstood();
    if (token.kind === "field") return this.#lookup.variable(token.text.slice(1)) ?? literal("");
    if (token.kind === "quoted") return literal(unquote(token.text));
    if (token.kind === "number") return literal(token.text);
    if (token.text === "true" || token.text === "false") return literal(token.text);
    if (token.text !== "(" || ++this.#depth > MAX_DEPTH) throw new NotUnderstood();
    const value = this.#pipeline();
    if (!this.#take(")")) throw new NotUnderstood();
    return value;
  }

  #take(mark: string): boolean {
    if (this.#tokens[0]?.kind !== "mark" || this.#tokens[0].text !== mark) return false;
    this.#tokens.shift();
    return true;
  }
}

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = source.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const groups = TOKEN.exec(source)?.groups;
    const found = Object.entries(groups ?? {}).find(([, text]) => text !== undefined);
    if (found?.[1] === undefined) throw new NotUnderstood();
    tokens.push({ kind: found[0] as Token["kind"], text: found[1] });
  }
  return tokens;
}

function orDefault(given: Value, fallback: Value): Value {
  if (!given.known || given.text !== "") return given;
  return fallback.known ? { ...fallback, defaulted: true } : fallback;
}

function literal(text: string): Known {
  return { known: true, text, defaulted: false };
}

function unquote(quoted: string): string {
  if (quoted.startsWith("`")) return quoted.slice(1, -1);
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw new NotUnderstood();
  }
}
