/**
 * Downloading a release asset in one pass: stream → byte cap → sha256 → gunzip → the program alone, into `*.unverified`. The digest is known at the end only; until it fits, nothing
 * here has a name that anybody would run, and when it does not fit, nothing is left.
 */

import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Digest } from "../domain/artifact.ts";
import { EvidenceError, StateError } from "../domain/errors.ts";
import type { Clock } from "../kit/clock.ts";
import { type ArchiveKind, createUnpacker, kindOf } from "./archive.ts";
import { createTries, type Fetching, fetchFrom, type Tries } from "./download-fetch.ts";
import { type Start, tooLarge, webPage } from "./download-reply.ts";
import { createStream, type Ended, type LeastSpeed, Stop } from "./download-stream.ts";
import { diskTrouble, freeBytes, makeDir, releaseVerified, removeTree } from "./files.ts";
import type { HttpSource } from "./http.ts";

export interface DownloadRequest {
  /** Asked afresh for every try. */
  readonly source: () => HttpSource;
  /** The asset's. */
  readonly name: string;
  /** What the forge says; 0 = unknown. */
  readonly bytes: number;
  readonly digest?: Digest;
  readonly maxBytes: number;
  readonly maxUnpackedBytes: number;
  readonly bytesPerSecond?: number;
  /** Absolute; made fresh, removed on failure. */
  readonly dir: string;
  readonly binary: string;
  readonly aliases?: readonly string[];
  /** At most four times a second, and at the end; `total` is 0 while unknown. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly onLine?: (line: string) => void;
}

export interface Downloaded {
  /** Of the asset as downloaded. */
  readonly digest: Digest;
  readonly bytes: number;
  /** Absolute path of the program, `.unverified` gone, mode 0755, durable. */
  readonly program: string;
  readonly stamp?: string;
}

/**
 * @throws EvidenceError digest-mismatch, artifact-invalid; UpstreamError upstream-unreachable, download-failed, upstream-too-large, forge-refused, rate-limited (with `retryAt`);
 * StateError disk-full, cancelled
 */
export type Download = (request: DownloadRequest, signal: AbortSignal) => Promise<Downloaded>;

export interface DownloadDeps {
  readonly clock: Clock;
  readonly freeBytes?: (dir: string) => Promise<number>;
  /** The longest silence within a body. */
  readonly idleMs?: number;
  readonly least?: LeastSpeed;
}

/** Programs unpack to about three times their archive (facts: libraries §6: 126 MB from 44.6 MB); the margin is for everyone else on the disk. */
const ROOM = { perByte: 3, marginBytes: 64 * 1024 * 1024 } as const;
interface Job {
  readonly request: DownloadRequest;
  readonly kind: ArchiveKind;
  readonly tries: Tries;
  readonly fetching: Fetching;
  readonly least?: LeastSpeed | undefined;
  checkRoom(bytes: number): Promise<void>;
}

export function createDownload(deps: DownloadDeps): Download {
  return async (request, signal) => {
    const { name, digest, bytes, maxBytes, dir, onLine, source } = request;
    const kind = kindOf(name);
    if (kind === undefined) throw new EvidenceError("artifact-invalid", `asset ${name} is packed in a way that is not read here, expected .tar.gz, .tgz, .gz or the bare program`);
    const tries = createTries({ clock: deps.clock, onLine }, signal);
    const wanted = { name, digest, bytes, maxBytes };
    const fetching: Fetching = { clock: deps.clock, tries, wanted, source, idleMs: deps.idleMs };
    const checkRoom = async (size: number) => {
      const free = await (deps.freeBytes ?? freeBytes)(dir);
      const needed = ROOM.perByte * size + ROOM.marginBytes;
      if (free < needed) throw new StateError("disk-full", `disk has ${free} bytes free at ${dir}, expected ${needed} for asset ${name}; free some space`, { retryable: true });
    };
    // What an earlier try left is of no use, and would count against the room.
    await removeTree(dir);
    if (bytes > maxBytes) throw tooLarge(wanted, bytes);
    await checkRoom(bytes);
    try {
      return await download({ request, kind, tries, fetching, least: deps.least, checkRoom }, signal);
    } catch (error) {
      await removeTree(dir);
      throw diskTrouble(error, dir) ?? error;
    }
  };
}

/** One pass after the other, each into a fresh folder, until one fits. */
async function download(job: Job, signal: AbortSignal): Promise<Downloaded> {
  const { dir, binary } = job.request;
  let next: Start | undefined;
  for (;;) {
    const start: Start = next ?? (await fetchFrom(job.fetching, undefined, signal));
    const ended = await pass(job, start, signal);
    if (ended.kind === "fits") {
      const program = join(dir, binary);
      await releaseVerified(ended.unpacked.program, program);
      const { stamp } = ended.unpacked;
      return { digest: ended.digest, bytes: ended.bytes, program, ...(stamp === undefined ? {} : { stamp }) };
    }
    next = ended.kind === "over" ? ended.start : undefined;
    if (ended.kind === "wrong") await job.tries.failed(ended.because, ended.error);
  }
}

async function pass(job: Job, start: Start, signal: AbortSignal): Promise<Ended> {
  const { request } = job;
  const stop = new AbortController();
  const stream = createStream({ request, fetching: job.fetching, least: job.least }, start, AbortSignal.any([signal, stop.signal]));
  try {
    await removeTree(request.dir);
    await makeDir(request.dir, 0o700);
    if (request.bytes === 0 && start.total !== undefined) await job.checkRoom(start.total);
    const { dir, binary, aliases, maxUnpackedBytes } = request;
    const unpacker = createUnpacker(job.kind, { dir, binary, maxBytes: maxUnpackedBytes, checkRoom: () => job.checkRoom(0), ...(aliases === undefined ? {} : { aliases }) });
    // A refusal of the unpacker reaches the source only when its next byte comes; `result` says so at once.
    const piped = pipeline(stream.chunks, unpacker.into);
    piped.catch(() => undefined);
    const unpacked = await unpacker.result();
    await piped;
    return stream.verdict(unpacked);
  } catch (error) {
    if (error instanceof Stop && error.ended.kind === "over") return error.ended;
    stop.abort();
    await stream.discard();
    if (error instanceof Stop) return error.ended;
    // What broke the unpacking of a page is that it is a page.
    if (start.html && error instanceof EvidenceError) return { kind: "wrong", because: "content", error: webPage(job.fetching.wanted) };
    throw error;
  }
}
