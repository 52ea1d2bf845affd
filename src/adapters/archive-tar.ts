/** The tar within the gzip: its members are looked at as they pass by, and the program goes to its file. */

import { Parser, type ReadEntry } from "tar";
import type { ProgramFile, Sink, UnpackOptions } from "./archive.ts";
import { added, FILTERED_TYPES, folderOf, invalid, isNamesake, quoted, roleOf } from "./archive-members.ts";

const MAX_ENTRIES = 10_000;
const MAX_STAMP_BYTES = 64 * 1024;
/** What headers may take per entry (pax attributes, long names), and once more on top; more is an attack on our time. */
const HEADER_BYTES = { perEntry: 4 * 1024, more: 1024 * 1024 } as const;

/**
 * The Parser calls back synchronously and must never see a throw (facts: libraries §6), so callbacks only take notes; `take` acts on them. Its entries always flow, so it never
 * pauses: what a chunk brings of the program is in `parts` when `write` returns, and the next chunk waits until that is on the disk.
 */
export function createTarSink(options: UnpackOptions, file: ProgramFile): Sink {
  const notes = createNotes(options);
  const parser = createParser(notes);
  let bytes = 0;
  /** Without the padding behind the end mark. */
  let parsed = 0;
  let start: Buffer | undefined = Buffer.alloc(0);
  /** The Parser would unzip a gzip within the gzip, past every limit; two bytes tell. */
  const sniffed = (chunk: Buffer): Buffer | undefined => {
    if (start === undefined) return chunk;
    start = Buffer.concat([start, chunk]);
    if (start.length < 2) return undefined;
    if (start[0] === 0x1f && start[1] === 0x8b) throw invalid("archive is packed twice, expected a tar within the gzip");
    const all = start;
    start = undefined;
    return all;
  };
  return {
    async take(chunk) {
      bytes = added(bytes, chunk.length, options.maxBytes);
      const next = sniffed(chunk);
      // What follows the end mark is padding, and the Parser would keep it in memory.
      if (next === undefined || notes.marked()) return;
      parser.write(next);
      parsed = bytes;
      notes.check(parsed);
      for (const part of notes.parts.splice(0)) await file.write(part);
    },
    async end() {
      parser.end();
      notes.check(parsed);
      notes.checkWhole(parsed);
      await file.close();
    },
    found: () => notes.found(),
  };
}

function createParser(notes: Notes): Parser {
  const broken = (why: string, cause?: unknown) => notes.fail(invalid(`archive is not a whole tar (${quoted(why)}), expected one`, cause));
  const parser = new Parser({
    brotli: false,
    zstd: false,
    filter: (_path, entry) => notes.look(entry as ReadEntry),
    onReadEntry: (entry) => notes.read(entry),
    onwarn: (_code, message) => broken(String(message)),
  });
  parser.on("ignoredEntry", (entry: ReadEntry) => notes.ignored(entry));
  parser.on("error", (error: Error) => broken(error.message, error));
  parser.on("eof", () => notes.mark());
  parser.on("end", () => notes.finish());
  return parser;
}

/** What is known of an archive so far. */
interface Notes {
  /** Of the program, not written yet. */
  readonly parts: Uint8Array[];
  /** Whether the parser shall hand the member's content over. */
  look(entry: ReadEntry): boolean;
  read(entry: ReadEntry): void;
  ignored(entry: ReadEntry): void;
  fail(error: Error): void;
  mark(): void;
  marked(): boolean;
  finish(): void;
  /** @throws the first failure */
  check(bytes: number): void;
  checkWhole(bytes: number): void;
  found(): { readonly stamp?: string; readonly entries: number };
}

function createNotes(options: UnpackOptions): Notes {
  const members = createMembers(options);
  const stamps = createStamps();
  const parts: Uint8Array[] = [];
  let failure: Error | undefined;
  let marked = false;
  let finished = false;
  const fail = (error: Error) => {
    failure ??= error;
  };
  const look = (entry: ReadEntry) => {
    if (failure !== undefined) return false;
    try {
      return members.admit(entry);
    } catch (error) {
      fail(error as Error);
      return false;
    }
  };
  return {
    parts,
    look,
    read: (entry) => void (entry.path === members.program() ? entry.on("data", (data: Buffer) => void parts.push(data)) : stamps.read(entry)),
    ignored: (entry) => {
      if (entry.meta) fail(invalid(`archive has a header of ${entry.size} bytes, expected at most 1 MiB`));
      else if (!FILTERED_TYPES.has(entry.type)) look(entry);
    },
    fail,
    mark: () => {
      marked = true;
    },
    marked: () => marked,
    finish: () => {
      finished = true;
    },
    check: (bytes) => {
      if (failure !== undefined) throw failure;
      members.check(bytes);
    },
    checkWhole: (bytes) => {
      if (!finished || (!marked && bytes % 512 !== 0)) throw invalid("archive is cut off, expected a whole tar");
      members.checkWhole();
    },
    found: () => ({ entries: members.count(), ...stamps.of(folderOf(members.program() ?? "")) }),
  };
}

/** The `.version` files of an archive; together they may take 64 KiB. */
function createStamps(): { read(entry: ReadEntry): void; of(folder: string): { readonly stamp?: string } } {
  const stamps = new Map<string, string>();
  let room = MAX_STAMP_BYTES;
  return {
    read: (entry) => {
      const found: Buffer[] = [];
      entry.on("data", (data: Buffer) => {
        found.push(data.subarray(0, room));
        room -= Math.min(room, data.length);
      });
      entry.on("end", () => void (found.length > 0 && stamps.set(folderOf(entry.path), Buffer.concat(found).toString("utf8"))));
    },
    of: (folder) => {
      const stamp = stamps.get(folder) ?? stamps.get("");
      return stamp === undefined ? {} : { stamp };
    },
  };
}

interface Members {
  /** @throws EvidenceError artifact-invalid */
  admit(entry: ReadEntry): boolean;
  check(bytes: number): void;
  checkWhole(): void;
  program(): string | undefined;
  count(): number;
}

function createMembers(options: UnpackOptions): Members {
  const names = [options.binary, ...(options.aliases ?? [])];
  const maxEntries = options.maxEntries ?? MAX_ENTRIES;
  let program: string | undefined;
  let namesake = false;
  let entries = 0;
  let bodies = 0;
  return {
    admit(entry) {
      if (++entries > maxEntries) throw invalid(`archive has more than ${maxEntries} members, expected less`);
      // Not `entry.size`: a global pax header overwrites that, while `remain` is what the Parser goes by.
      const member = { path: entry.path, type: entry.type, size: entry.remain, linkpath: entry.linkpath };
      const role = roleOf(member, names);
      bodies = added(bodies, 512 * Math.ceil(member.size / 512), options.maxBytes);
      namesake ||= isNamesake(member, names);
      if (role !== "program") return role === "stamp";
      if (program !== undefined) throw invalid(`archive members ${quoted(program)} and ${quoted(entry.path)} are both the program, expected one`);
      program = entry.path;
      return true;
    },
    check(bytes) {
      if (bytes - bodies > maxEntries * HEADER_BYTES.perEntry + HEADER_BYTES.more) throw invalid(`archive has more headers than ${maxEntries} members need, expected less`);
    },
    checkWhole() {
      if (program === undefined) throw invalid(`archive has no program ${names.map(quoted).join(" or ")}${namesake ? " but a folder of that name" : ""}, expected one; check the configured binary name`);
    },
    program: () => program,
    count: () => entries,
  };
}
