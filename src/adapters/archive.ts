/**
 * Unpacking what a stranger packed, while it arrives. Nobody has vouched for these bytes yet (their digest is known at the end only), so no path of the archive ever reaches
 * the file system: its members are only looked at, and the one that is the program goes to a name of ours that ends in `.unverified`. Whatever is odd makes the whole archive unfit.
 */

import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { SlipstreamError, UsageError } from "../domain/errors.ts";
import { added, invalid, quoted } from "./archive-members.ts";
import { createTarSink } from "./archive-tar.ts";
import { below, diskTrouble, removeTree } from "./files.ts";

export interface UnpackOptions {
  /** Exists already, and holds nothing of the name. */
  readonly dir: string;
  /** Basename of the program in the archive. */
  readonly binary: string;
  /** Further basenames under which it may come, e.g. `nats-server-linux-amd64`. */
  readonly aliases?: readonly string[];
  /** Of everything in the archive together, unpacked. */
  readonly maxBytes: number;
  readonly maxEntries?: number;
  /** Asked before every 64 MiB that are written, for how large an archive is says nothing about what it unpacks to. @throws StateError disk-full */
  readonly checkRoom?: () => Promise<void>;
}

export interface Unpacked {
  /** Absolute, ends in `.unverified`. */
  readonly program: string;
  /** The archive's `.version` (the one beside the program, else the one at the root), cut at 64 KiB. */
  readonly stamp?: string;
  /** Members of the archive. */
  readonly entries: number;
}

export interface Unpacker {
  readonly into: Writable;
  /** Settles once `into` was ended or destroyed, or something is unfit; the file is closed then, or gone when it failed. @throws EvidenceError artifact-invalid, StateError disk-full, whatever `into` was destroyed with */
  result(): Promise<Unpacked>;
}

export type ArchiveKind = "tar.gz" | "gz" | "raw";

/** Unzipped at a time (facts: libraries §6). */
const CHUNK_BYTES = 256 * 1024;
const ROOM_EVERY_BYTES = 64 * 1024 * 1024;
const NOT_OURS = /\.(zip|deb|rpm|apk|msi|dmg|pkg|7z|rar|tar|tar\.(xz|bz2|zst|lz|lzma|br|z)|txz|tbz2?|tzst|tlz|xz|bz2|zst|lzma|br|z|sha\d+|sha\d+sums?|md5|sig|asc|pem|crt|sbom|json|ya?ml|txt|md)$/i;

/** How an asset is packed, by its name; undefined for what slipstream does not read. */
export function kindOf(assetName: string): ArchiveKind | undefined {
  if (/\.(tar\.gz|tgz)$/i.test(assetName)) return "tar.gz";
  if (/\.gz$/i.test(assetName)) return /\.(deb|rpm|cpio|zip)\.gz$/i.test(assetName) ? undefined : "gz";
  return NOT_OURS.test(assetName) ? undefined : "raw";
}

/** @throws UsageError usage when the binary's name is a path */
export function createUnpacker(kind: ArchiveKind, options: UnpackOptions): Unpacker {
  const file = createProgramFile(options);
  const sink = kind === "tar.gz" ? createTarSink(options, file) : createPlainSink(options, file);
  const into = new PassThrough();
  let busy: Promise<void> = Promise.resolve();
  const doing = (work: Promise<void>, done: (error?: Error) => void) => {
    busy = work.then(() => done(), (error: Error) => done(error));
  };
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => doing(sink.take(chunk), done),
    final: (done) => doing(sink.end(), done),
    // A write that is under way would open the file again.
    destroy: (error, done) => void busy.then(() => file.close()).then(() => done(error), (failed: Error) => done(error ?? failed)),
  });
  const closed = new Promise((resolve) => stream.once("close", resolve));
  const piped = kind === "raw" ? pipeline(into, stream) : pipeline(into, createGunzip({ chunkSize: CHUNK_BYTES }), stream);
  const ended = piped.then(
    () => closed,
    async (error: unknown) => {
      await closed;
      await file.remove();
      throw known(error, file.path);
    },
  );
  // It is handed out by result(), which may be asked for later than it fails.
  ended.catch(() => undefined);
  return {
    into,
    async result() {
      await ended;
      return { ...sink.found(), program: file.path };
    },
  };
}

function known(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (error instanceof SlipstreamError) return error;
  if (code.startsWith("Z_")) return invalid(`archive is damaged, cut off or not gzip (${(error as Error).message}), expected a whole one`, error);
  return diskTrouble(error, path) ?? error;
}

/** Where unpacked bytes go. */
export interface Sink {
  /** Resolves when the next chunk may come. */
  take(chunk: Buffer): Promise<void>;
  end(): Promise<void>;
  found(): Pick<Unpacked, "stamp" | "entries">;
}

export interface ProgramFile {
  readonly path: string;
  write(part: Uint8Array): Promise<void>;
  close(): Promise<void>;
  /** Leaves a file alone that was there before. */
  remove(): Promise<void>;
}

/** The one file that is ever written; it is made when its first byte is there. */
function createProgramFile(options: UnpackOptions): ProgramFile {
  const { binary } = options;
  if (basename(binary) !== binary || binary.includes("\\") || binary === "" || binary === "..") throw new UsageError("usage", `binary is ${quoted(binary)}, expected the name of a file without a folder`);
  const path = below(options.dir, `${binary}.unverified`);
  let handle: FileHandle | undefined;
  let made = false;
  let unchecked = 0;
  return {
    path,
    async write(part) {
      unchecked += part.length;
      if (unchecked >= ROOM_EVERY_BYTES) {
        unchecked -= ROOM_EVERY_BYTES;
        await options.checkRoom?.();
      }
      handle ??= await open(path, "wx", 0o600);
      made = true;
      await handle.writeFile(part);
    },
    async close() {
      const opened = handle;
      handle = undefined;
      await opened?.close();
    },
    remove: async () => void (made && (await removeTree(path))),
  };
}

/** The asset is the program itself. */
function createPlainSink(options: UnpackOptions, file: ProgramFile): Sink {
  let bytes = 0;
  return {
    async take(chunk) {
      bytes = added(bytes, chunk.length, options.maxBytes);
      await file.write(chunk);
    },
    async end() {
      if (bytes === 0) throw invalid("asset is empty, expected the program");
      await file.close();
    },
    found: () => ({ entries: 1 }),
  };
}
