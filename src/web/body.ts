/** Reading a request body as raw bytes, under every cap: size, time, and the memory of all requests together. */

import type { IncomingMessage } from "node:http";
import { deadline } from "../kit/clock.ts";
import type { Refusal } from "./errors.ts";
import type { Budget, Limits } from "./limits.ts";

export type Body =
  /** The holder of the bytes gives them back to the budget when done. */
  | { readonly ok: true; readonly bytes: Buffer; release(): void }
  | { readonly ok: false; readonly refusal: Refusal; readonly bytesRead: number }
  /** The client went away: nobody is left to answer. */
  | { readonly ok: false; readonly refusal?: undefined; readonly bytesRead: number };

export function tooLarge(limits: Limits): Refusal {
  return { status: 413, code: "too-large", message: `the body is larger than ${limits.bodyBytes} bytes` };
}

/** Reads the whole body, or stops at the first cap it meets; the rest stays unread. */
export function readBody(req: IncomingMessage, limits: Limits, budget: Budget, signal: AbortSignal): Promise<Body> {
  const declared = Number(req.headers["content-length"] ?? 0);
  if (declared > limits.bodyBytes) return Promise.resolve({ ok: false, refusal: tooLarge(limits), bytesRead: 0 });
  return new Promise((resolve) => {
    const late = deadline(limits.bodyWithinMs, signal);
    const pile = createPile();
    let size = 0;
    let held = 0;
    const release = () => {
      budget.give(held);
      held = 0;
    };
    const settle = (result: Body) => {
      for (const [name, listener] of Object.entries(listeners)) req.off(name, listener);
      late.removeEventListener("abort", onLate);
      if (!result.ok) {
        release();
        req.pause();
      }
      resolve(result);
    };
    const stop = (refusal: Refusal) => settle({ ok: false, refusal, bytesRead: size });
    const onLate = () => stop(signal.aborted ? stopping(limits) : { status: 408, code: "too-slow", message: `the body did not arrive within ${limits.bodyWithinMs} ms` });
    const gone = () => settle({ ok: false, bytesRead: size });
    const listeners: Record<string, (chunk: Buffer) => void> = {
      data: (chunk) => {
        size += chunk.length;
        if (size > limits.bodyBytes) return stop(tooLarge(limits));
        // Ordinary deliveries never wait for the allowance that a few stalled giants can use up.
        const beyond = Math.max(0, size - limits.freeBytes) - held;
        if (!budget.take(beyond)) return stop(busy(limits));
        held += beyond;
        pile.add(chunk);
      },
      end: () => settle({ ok: true, bytes: pile.concat(), release }),
      error: gone,
      close: gone,
    };
    for (const [name, listener] of Object.entries(listeners)) req.on(name, listener);
    late.addEventListener("abort", onLate, { once: true });
    if (late.aborted) onLate();
  });
}

const BLOCK_BYTES = 16 * 1024;

/** Collects chunks. Small ones are copied together: a Buffer of one byte costs hundreds, and a stranger chooses the sizes. */
function createPile(): { add(chunk: Buffer): void; concat(): Buffer } {
  const full: Buffer[] = [];
  let block: Buffer | undefined;
  let used = 0;
  const close = () => {
    if (block !== undefined && used > 0) full.push(block.subarray(0, used));
    block = undefined;
    used = 0;
  };
  return {
    add(chunk) {
      if (chunk.length >= BLOCK_BYTES) {
        close();
        full.push(chunk);
        return;
      }
      if (used + chunk.length > BLOCK_BYTES) close();
      block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
      used += chunk.copy(block, used);
    },
    concat() {
      close();
      return Buffer.concat(full);
    },
  };
}

function busy(limits: Limits): Refusal {
  return { status: 503, code: "busy", message: "too many requests are being read at once; try again", headers: retryAfter(limits) };
}
function stopping(limits: Limits): Refusal {
  return { status: 503, code: "stopping", message: "slipstream is stopping; try again", headers: retryAfter(limits) };
}
export function retryAfter(limits: Limits): Readonly<Record<string, string>> {
  return { "retry-after": String(limits.retryAfterSeconds) };
}
