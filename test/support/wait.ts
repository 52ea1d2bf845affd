/** Waiting for a condition with a deadline; tests never just sleep. */

export interface WaitOptions {
  /** What is waited for, as it should read after "timed out waiting for". */
  readonly what: string;
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** Extra facts for the error, asked only when the wait fails. */
  readonly onTimeout?: () => string | Promise<string>;
}

const TIMEOUT_MS = 20_000;
const EVERY_MS = 100;

/** Calls `check` until it gives something truthy and returns that. An error thrown by `check` counts as "not yet" and ends up in the message. @throws Error after `timeoutMs` (20 s), or when the signal fires. */
export async function until<T>(check: () => T | Promise<T>, options: WaitOptions, signal?: AbortSignal): Promise<NonNullable<T>> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const started = performance.now();
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await check();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() - started >= timeoutMs) break;
    await pause(options.everyMs ?? EVERY_MS, signal);
  }
  const facts = options.onTimeout === undefined ? "" : `\n${await options.onTimeout()}`;
  throw new Error(`timed out after ${timeoutMs} ms waiting for ${options.what} (last: ${describe(last)})${facts}`, last instanceof Error ? { cause: last } : undefined);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

function describe(value: unknown): string {
  if (value instanceof Error) return value.message;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
