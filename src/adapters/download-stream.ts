/** The bytes of an asset as one stream over as many connections as it takes: counted, hashed, paced. */

import { createHash } from "node:crypto";
import type { Digest } from "../domain/artifact.ts";
import { EvidenceError, UpstreamError } from "../domain/errors.ts";
import type { Clock } from "../kit/clock.ts";
import type { Unpacked } from "./archive.ts";
import type { DownloadRequest } from "./download.ts";
import { type Fetching, fetchFrom, isBroken, type Tries } from "./download-fetch.ts";
import { type Because, type Start, tooLarge, webPage, wrongSize } from "./download-reply.ts";

type Paced = Pick<DownloadRequest, "bytesPerSecond" | "onProgress" | "onLine">;

const PROGRESS_EVERY_MS = 250;
/** How far the bandwidth cap may be outrun after a pause. */
const BURST_MS = 250;

export type Ended =
  | { readonly kind: "fits"; readonly unpacked: Unpacked; readonly digest: Digest; readonly bytes: number }
  /** The server began again from byte 0. */
  | { readonly kind: "over"; readonly start: Start }
  | { readonly kind: "wrong"; readonly because: Because; readonly error: EvidenceError };

/** What a transfer must bring on average; slower than any modem, it would hold a run for ever. */
export interface LeastSpeed {
  readonly bytesPerSecond: number;
  readonly overMs: number;
}
const LEAST: LeastSpeed = { bytesPerSecond: 1024, overMs: 60_000 };

/** Ends a pass from within its stream. */
export class Stop extends Error {
  readonly ended: Ended;
  constructor(ended: Ended) {
    super("pass ended");
    this.ended = ended;
  }
}

export interface Stream {
  /** The asset's bytes over as many connections as it takes. */
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
  /** After the last byte. */
  verdict(unpacked: Unpacked): Ended;
  discard(): Promise<void>;
}

export function createStream(job: { readonly request: Paced; readonly fetching: Fetching; readonly least?: LeastSpeed | undefined }, start: Start, signal: AbortSignal): Stream {
  const { request, fetching } = job;
  const { wanted } = fetching;
  const hash = createHash("sha256");
  const pace = createPace(fetching.clock, request.bytesPerSecond);
  const progress = createProgress(fetching.clock, request.onProgress);
  const least = job.least ?? LEAST;
  // A cap of our own below it is obeyed by a host as it likes.
  const lively = request.bytesPerSecond !== undefined && request.bytesPerSecond < least.bytesPerSecond ? undefined : { clock: fetching.clock, least, name: wanted.name };
  let current = start;
  let offset = 0;
  const size = () => new Stop({ kind: "wrong", because: start.html ? "content" : "size", error: wrongSize(wanted, offset, start.html) });
  const take = (chunk: Uint8Array) => {
    offset += chunk.length;
    if (offset > wanted.maxBytes) throw tooLarge(wanted, offset);
    if (current.total !== undefined && offset > current.total) throw size();
    hash.update(chunk);
    progress(offset, current.total ?? 0, false);
  };
  const resume = async (error: Parameters<Tries["failed"]>[1]) => {
    fetching.tries.reached(offset);
    await fetching.tries.failed("connection", error);
    // With nothing to tell two files apart, only a digest at the end can vouch that both halves are of the same one.
    const resumable = offset > 0 && (current.validator !== undefined || wanted.digest !== undefined);
    const next = await fetchFrom(fetching, resumable ? { offset, total: current.total, validator: current.validator } : undefined, signal);
    if (next.offset !== offset) throw new Stop({ kind: "over", start: next });
    request.onLine?.(`asset ${wanted.name} goes on at byte ${offset}`);
    current = { ...next, total: next.total ?? current.total };
  };
  async function* chunks() {
    for (let whole = false; !whole; ) {
      try {
        for await (const chunk of lively === undefined ? current.reply.body : notTooSlow(current.reply.body, lively)) {
          await pace(chunk.length, signal);
          take(chunk);
          yield chunk;
        }
        whole = true;
      } catch (error) {
        if (signal.aborted || !isBroken(error)) throw error;
        await resume(error);
      }
    }
    if (current.total !== undefined && offset !== current.total) throw size();
    progress(offset, offset, true);
  }
  return {
    chunks: chunks(),
    verdict(unpacked) {
      const digest: Digest = `sha256:${hash.digest("hex")}`;
      if (wanted.digest === undefined || wanted.digest === digest) return { kind: "fits", unpacked, digest, bytes: offset };
      const error = start.html ? webPage(wanted) : new EvidenceError("digest-mismatch", `asset ${wanted.name} is ${digest}, expected ${wanted.digest}`);
      return { kind: "wrong", because: "content", error };
    },
    discard: () => current.reply.discard(),
  };
}

/** Only the time that the other side makes us wait counts. @throws UpstreamError upstream-unreachable */
async function* notTooSlow(body: AsyncIterable<Uint8Array>, about: { clock: Clock; least: LeastSpeed; name: string }): AsyncGenerator<Uint8Array, void, undefined> {
  const { clock, least } = about;
  let waitedMs = 0;
  let bytes = 0;
  let since = clock.monotonic();
  for await (const chunk of body) {
    waitedMs += clock.monotonic() - since;
    bytes += chunk.length;
    yield chunk;
    if (waitedMs >= least.overMs) {
      if (bytes < (least.bytesPerSecond * waitedMs) / 1_000) throw new UpstreamError("upstream-unreachable", `asset ${about.name} comes at less than ${least.bytesPerSecond} bytes a second for ${Math.round(waitedMs)} ms, expected more`, { retryable: true });
      waitedMs = 0;
      bytes = 0;
    }
    since = clock.monotonic();
  }
}

/** Waits so that no more than `bytesPerSecond` pass; a pause in between is not made up for later, save for a moment's worth. */
function createPace(clock: Clock, bytesPerSecond: number | undefined): (bytes: number, signal: AbortSignal) => Promise<void> {
  if (bytesPerSecond === undefined || bytesPerSecond <= 0) return async () => undefined;
  let readyAt = clock.monotonic();
  return async (bytes, signal) => {
    const now = clock.monotonic();
    const waitMs = readyAt - now;
    readyAt = Math.max(readyAt, now - BURST_MS) + (bytes / bytesPerSecond) * 1_000;
    if (waitMs > 0) await clock.sleep(waitMs, signal);
  };
}

function createProgress(clock: Clock, onProgress: Paced["onProgress"]): (done: number, total: number, last: boolean) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return (done, total, last) => {
    const now = clock.monotonic();
    if (!last && now - saidAt < PROGRESS_EVERY_MS) return;
    saidAt = now;
    onProgress?.(done, total);
  };
}
