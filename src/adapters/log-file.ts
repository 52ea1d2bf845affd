/** The captured output of one stage: masked line by line, capped, and marked when it was cut. */

import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { Mask } from "../kit/secret.ts";

export interface LogFile {
  readonly path: string;
  line(text: string): void;
  close(): { readonly bytes: number; readonly truncated: boolean };
}

/** What one stage may write, in bytes. */
export const STAGE_LOG_BYTES = 4 * 1024 * 1024;
const LINE_CHARS = 16 * 1024;

/** Opens a fresh log below the state folder; written at once, so that a crash loses no line. */
export function openLogFile(path: string, mask: Mask, maxBytes = STAGE_LOG_BYTES): LogFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = openSync(path, "w", 0o600);
  let bytes = 0;
  let truncated = false;
  let closed = false;
  /** Never throws: a full disk cuts the log, not the run. And never after the close: the number of a closed file is soon another file's. */
  const write = (text: string) => {
    if (closed) return;
    try {
      bytes += writeSync(fd, text);
    } catch {
      truncated = true;
    }
  };
  return {
    path,
    line(text) {
      if (truncated || closed) return;
      const masked = mask(text);
      const line = `${masked.length > LINE_CHARS ? `${masked.slice(0, LINE_CHARS)} [line cut]` : masked}\n`;
      const size = Buffer.byteLength(line);
      if (bytes + size > maxBytes) {
        truncated = true;
        return write(`[log cut: more than ${maxBytes} bytes]\n`);
      }
      write(line);
    },
    close() {
      if (!closed) closeSync(fd);
      closed = true;
      return { bytes, truncated };
    },
  };
}

/** Reads a stored log, or a note when retention removed it. */
export function readLogFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "[log no longer kept]\n";
  }
}
