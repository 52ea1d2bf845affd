/** Child processes: fixed argv, minimal environment, own process group that is killed as a whole, capped output, low priority on wish. */

import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StringDecoder } from "node:string_decoder";
import { execa } from "execa";
import { StateError } from "../domain/errors.ts";

export interface ExecOptions {
  /** Program and arguments; no shell ever sees them. */
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  /** The whole environment of the child; see `childEnv`. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Between SIGTERM and SIGKILL of the group. */
  readonly graceMs?: number;
  /** Every line of stdout and stderr, in order of arrival. */
  readonly onLine?: (line: string) => void;
  readonly lowPriority?: boolean;
}

export interface ExecResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly cancelled: boolean;
  /** At most the last 256 KiB. */
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export type Exec = (options: ExecOptions, signal: AbortSignal) => Promise<ExecResult>;

const GRACE_MS = 5_000;
/** What `stdout` and `stderr` of a result keep; the log sink gets everything. */
const KEPT_BYTES = 256 * 1024;
/** A child that left its group can keep the pipes open for ever; wait only this long after the kill. */
const PIPE_GRACE_MS = 2_000;
/** Builds must not starve health probes (defect D14). */
const NICE = "10";

/** Runs one program to its end. Never rejects for a bad exit. @throws StateError tool-missing when the program cannot be started. */
export const exec: Exec = async (options, signal) => {
  const [file, ...args] = options.lowPriority === true ? (["nice", "-n", NICE, ...options.argv] as const) : options.argv;
  const kept = { stdout: new Tail(KEPT_BYTES), stderr: new Tail(KEPT_BYTES) };
  const sink = (name: "stdout" | "stderr") => {
    const splitter = createSplitter((line) => {
      kept[name].add(line);
      options.onLine?.(line);
    });
    const decoder = new StringDecoder("utf8");
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        splitter.write(decoder.write(chunk));
        done();
      },
      final: (done) => {
        splitter.write(decoder.end());
        splitter.end();
        done();
      },
    });
  };
  const started = performance.now();
  const graceMs = options.graceMs ?? GRACE_MS;
  const child = execa(file as string, args, {
    cwd: options.cwd,
    env: { ...options.env },
    extendEnv: false,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    buffer: false,
    reject: false,
    timeout: options.timeoutMs,
    cancelSignal: signal,
    killDescendants: true,
    forceKillAfterDelay: graceMs,
  });
  const read = Promise.all([pipeline(child.stdout, sink("stdout")), pipeline(child.stderr, sink("stderr"))]).catch(() => undefined); // a killed child's pipes may break off
  const result = await Promise.race([Promise.all([child, read]).then(([ended]) => ended), abandoned(options.timeoutMs + graceMs + PIPE_GRACE_MS, graceMs + PIPE_GRACE_MS, signal)]);
  const base = { stdout: kept.stdout.text(), stderr: kept.stderr.text(), ms: Math.round(performance.now() - started) };
  if (result === undefined) {
    // Whoever still holds the pipes writes to nobody from here on.
    child.stdout.destroy();
    child.stderr.destroy();
    return { exitCode: null, signal: "SIGKILL", timedOut: !signal.aborted, cancelled: signal.aborted, ...base };
  }
  const unrunnable = options.lowPriority === true && (result.exitCode === 127 || result.exitCode === 126) && base.stderr.startsWith("nice: ");
  if (result.code === "ENOENT" || result.code === "EACCES" || unrunnable) {
    throw new StateError("tool-missing", `program ${options.argv[0]} is not runnable (${unrunnable ? "not found" : result.code}), expected it on PATH; install it or set its path in slipstream.yaml`, { cause: result });
  }
  return { exitCode: result.exitCode ?? null, signal: result.signal ?? null, timedOut: result.timedOut, cancelled: result.isCanceled, ...base };
};

/** Resolves to undefined once the child should have been gone: after the timeout, or soon after a cancel. */
function abandoned(afterMs: number, afterCancelMs: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), afterMs).unref();
    signal.addEventListener("abort", () => setTimeout(() => resolve(undefined), afterCancelMs).unref(), { once: true });
  });
}

/** The last lines of a stream up to a number of bytes; a line costs the same however many came before it. */
class Tail {
  readonly #max: number;
  #lines: string[] = [];
  #first = 0;
  #bytes = 0;
  constructor(max: number) {
    this.#max = max;
  }
  add(line: string): void {
    this.#lines.push(line);
    this.#bytes += line.length + 1;
    while (this.#bytes > this.#max && this.#first < this.#lines.length - 1) this.#bytes -= (this.#lines[this.#first++] as string).length + 1;
    if (this.#first > 4096 && this.#first * 2 > this.#lines.length) {
      this.#lines = this.#lines.slice(this.#first);
      this.#first = 0;
    }
  }
  text(): string {
    return this.#lines.slice(this.#first).join("\n");
  }
}

/** Longer lines are cut; what a program prints without a line break must not pile up in memory. */
const LINE_CHARS = 64 * 1024;

/** Splits text into lines, cutting the endless ones. Feed it with `\0` free chunks; call `end` once. */
function createSplitter(onLine: (line: string) => void): { write(text: string): void; end(): void } {
  let open = "";
  let dropping = false;
  const take = (piece: string) => {
    if (dropping) return;
    open += piece.length + open.length > LINE_CHARS ? `${piece.slice(0, Math.max(0, LINE_CHARS - open.length))} [line cut]` : piece;
    dropping = open.length > LINE_CHARS;
  };
  const close = () => {
    onLine(open.endsWith("\r") ? open.slice(0, -1) : open);
    open = "";
    dropping = false;
  };
  return {
    write(text) {
      let from = 0;
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
        take(text.slice(from, at));
        close();
        from = at + 1;
      }
      if (from < text.length) take(text.slice(from));
    },
    end() {
      if (open !== "") close();
    },
  };
}

/** Variables a build needs and that hold no secret of ours; everything else in our environment stays here (defect: environment leaks into Task variables). */
const PASSED = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "LC_ALL", "TZ", "SSH_AUTH_SOCK", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "CARGO_HOME", "RUSTUP_HOME", "JAVA_HOME"];
const PASSED_PREFIXES = ["GO"];
/** `GOWORK` and the cross-compilation pair would silently change what a build makes. */
const NEVER = new Set(["GOWORK", "GOOS", "GOARCH", "GOBIN"]);

/** The allow-listed part of an environment, plus `extra`. */
export function childEnv(source: Readonly<Record<string, string | undefined>>, extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined || NEVER.has(name)) continue;
    if (PASSED.includes(name) || PASSED_PREFIXES.some((p) => name.startsWith(p) && /^GO[A-Z]+$/.test(name))) env[name] = value;
  }
  return { ...env, ...extra };
}
