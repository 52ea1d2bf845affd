/** As much of the shell's grammar as it takes to say that a quote is never closed, and to tell the commands of a text apart. */

/** Text with every `{{…}}` of Task replaced by as many letters: it is text only when Task has run. */
export function withoutTemplates(text: string): string {
  return text.replace(/\{\{[\s\S]*?\}\}/g, (m) => "x".repeat(m.length));
}

export interface OpenQuote {
  readonly mark: "'" | '"' | "`";
  /** Offset of the quote that is never closed. */
  readonly at: number;
}

/** What only a whole parser could judge: text that is there or not, here-documents, and `case` inside `$(…)`, whose patterns have a bracket of their own. */
const BEYOND = /\{\{-?\s*(?:if|else|end|range|with|define|block|template)\b|<<-?\s*['"\\\w]|\$\([^)]*\bcase\b/;

/** The quote that is never closed in a shell text; undefined when there is none, or when it cannot be told. */
export function openQuote(text: string): OpenQuote | undefined {
  return BEYOND.test(text) ? undefined : new Scanner(withoutTemplates(text)).run();
}

interface Frame {
  readonly kind: "top" | "quoted" | "substitution" | "parameter" | "backtick";
  readonly at: number;
  /** Inside double quotes a single quote means itself. */
  readonly inDouble: boolean;
}

class Scanner {
  readonly #text: string;
  readonly #frames: Frame[] = [{ kind: "top", at: 0, inDouble: false }];
  #i = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): OpenQuote | undefined {
    while (this.#i < this.#text.length) {
      const unclosed = this.#step();
      if (unclosed !== undefined) return unclosed;
    }
    const open = this.#frames.find((f) => f.kind === "quoted" || f.kind === "backtick");
    return open === undefined ? undefined : { mark: open.kind === "quoted" ? '"' : "`", at: open.at };
  }

  get #frame(): Frame {
    return this.#frames.at(-1) as Frame;
  }

  #push(kind: Frame["kind"], width: number, inDouble: boolean): void {
    this.#frames.push({ kind, at: this.#i, inDouble });
    this.#i += width;
  }

  #pop(): void {
    this.#frames.pop();
    this.#i++;
  }

  /** Takes one character, or one quoted part. */
  #step(): OpenQuote | undefined {
    const c = this.#text[this.#i] as string;
    const rest = this.#text.slice(this.#i, this.#i + 2);
    const { kind, inDouble } = this.#frame;
    if (c === "\\") this.#i += 2;
    else if (rest === "$(") this.#push("substitution", 2, false);
    else if (rest === "${") this.#push("parameter", 2, kind === "quoted" || inDouble);
    else if (c === "`") kind === "backtick" ? this.#pop() : this.#push("backtick", 1, false);
    else if (c === '"') kind === "quoted" ? this.#pop() : this.#push("quoted", 1, true);
    else if (kind === "quoted") this.#i++;
    else if ((kind === "substitution" && c === ")") || (kind === "parameter" && c === "}")) this.#pop();
    else if (kind === "substitution" && c === "(") this.#push("substitution", 1, false);
    else if (rest === "$'") return this.#single(2, true);
    else if (c === "'" && !(kind === "parameter" && inDouble)) return this.#single(1, false);
    else if (c === "#" && kind !== "parameter" && this.#startsWord()) this.#comment();
    else this.#i++;
    return undefined;
  }

  #startsWord(): boolean {
    return this.#i === 0 || /[\s;&|()]/.test(this.#text[this.#i - 1] as string);
  }

  #comment(): void {
    const end = this.#text.indexOf("\n", this.#i);
    this.#i = end === -1 ? this.#text.length : end;
  }

  #single(width: number, escapes: boolean): OpenQuote | undefined {
    const at = this.#i + width - 1;
    for (let i = at + 1; i < this.#text.length; i++) {
      if (escapes && this.#text[i] === "\\") i++;
      else if (this.#text[i] === "'") {
        this.#i = i + 1;
        return undefined;
      }
    }
    return { mark: "'", at };
  }
}

/** Whether a command of a shell text as written in YAML begins a command of the shell: not folded into another line, not the rest of one, not inside quotes. */
export function standsFree(shell: Written, at: number): boolean {
  const { source, node } = shell;
  if (node.type === "BLOCK_FOLDED" || (node.type !== "BLOCK_LITERAL" && source.includes("\n"))) return false;
  const before = source.slice(0, at);
  return !/\\[ \t\r]*\n[ \t]*$/.test(before) && !/<</.test(before) && !inQuotes(shell, at);
}

/** Whether a place of a shell text as written in YAML is only text to the shell. */
export function inQuotes({ source, node }: Written, at: number): boolean {
  return openQuote(source.slice(0, at).replace(node.type?.startsWith("BLOCK") === true ? /^[^\n]*\n/ : /^["']/, "")) !== undefined;
}

interface Written {
  readonly source: string;
  readonly node: { readonly type?: string | undefined };
}

/** Words of one simple command, templates and quoted parts kept whole. */
export function wordsOf(command: string): readonly string[] {
  return command.match(/(?:\{\{[\s\S]*?\}\}|"[^"]*"|'[^']*'|\$\([^)]*\)|[^\s"'])+/g) ?? [];
}

/** Where a command may begin: after a mark, a keyword or an assignment. */
const NESTED = /(?:^|[;&|({!])[ \t]*(?:(?:if|then|do|else|while|exec)[ \t]+)*(?:[A-Za-z_]\w*=\S*[ \t]+)*task[ \t]+(?:-[^\s;&|]+[ \t]+)*((?:\{\{[^}]*\}\}|\$\{\w+\}|[\w$:-])+)/gm;

/** Names of the tasks a shell text starts by itself (`task x`), as written. */
export function nestedTasks(text: string): readonly string[] {
  return [...text.matchAll(NESTED)].map((m) => m[1] as string).filter((name) => !name.startsWith("-"));
}
