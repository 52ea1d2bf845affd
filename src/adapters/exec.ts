/** Child processes: fixed argv, minimal environment, own process group that is killed as a whole, capped output, low priority on wish. */

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
  const take = (name: "stdout" | "stderr") =>
    function* (line: unknown) {
      const text = String(line);
      kept[name].add(text);
      options.onLine?.(text);
      yield* [];
    };
  const started = performance.now();
  const graceMs = options.graceMs ?? GRACE_MS;
  const child = execa(file as string, args, {
    cwd: options.cwd,
    env: { ...options.env },
    extendEnv: false,
    stdin: "ignore",
    stdout: take("stdout"),
    stderr: take("stderr"),
    buffer: false,
    reject: false,
    timeout: options.timeoutMs,
    cancelSignal: signal,
    killDescendants: true,
    forceKillAfterDelay: graceMs,
  });
  const result = await Promise.race([child, abandoned(options.timeoutMs + graceMs + PIPE_GRACE_MS, graceMs + PIPE_GRACE_MS, signal)]);
  const base = { stdout: kept.stdout.text(), stderr: kept.stderr.text(), ms: Math.round(performance.now() - started) };
  if (result === undefined) return { exitCode: null, signal: "SIGKILL", timedOut: !signal.aborted, cancelled: signal.aborted, ...base };
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

/** The last lines of a stream up to a number of bytes. */
class Tail {
  readonly #max: number;
  #lines: string[] = [];
  #bytes = 0;
  constructor(max: number) {
    this.#max = max;
  }
  add(line: string): void {
    const text = line.length > this.#max ? line.slice(-this.#max) : line;
    this.#lines.push(text);
    this.#bytes += text.length + 1;
    while (this.#bytes > this.#max && this.#lines.length > 1) this.#bytes -= (this.#lines.shift() ?? "").length + 1;
  }
  text(): string {
    return this.#lines.join("\n");
  }
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
