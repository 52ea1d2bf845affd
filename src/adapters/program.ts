/** What a file that claims to be a program is, by its first bytes: enough to refuse one for another machine before it is installed. */

import { open } from "node:fs/promises";
import type { Platform } from "../domain/release.ts";

/** `e_machine` of the ELF header (System V ABI). */
const ELF_MACHINES: Readonly<Record<string, number>> = { amd64: 0x3e, arm64: 0xb7, "386": 0x03, arm: 0x28, riscv64: 0xf3, ppc64le: 0x15, s390x: 0x16 };
const HEAD_BYTES = 20;

/** native: the kernel maps it, so that somebody has it as executable. script: it names its interpreter. text and zip: another program has to be told to run it (`node app.js`, `java -jar`). */
export type ProgramKind = "native" | "script" | "text" | "zip" | "other";

/** What a file is by its first bytes; `other` for one that cannot be read. */
export async function programKind(path: string): Promise<ProgramKind> {
  const head = await firstBytes(path).catch(() => Buffer.alloc(0));
  if (isElf(head)) return "native";
  const start = head.toString("latin1");
  if (start.startsWith("#!")) return "script";
  if (start.startsWith("PK\u0003\u0004")) return "zip";
  // An archive of object files begins like a text.
  return /^[\t\n\r -~\u0080-\u00ff]+$/.test(start) && !start.startsWith("!<arch>") ? "text" : "other";
}

const isElf = (head: Buffer): boolean => head.subarray(0, 4).equals(Buffer.from("\u007fELF"));

/** What is wrong with it on this machine, or null. Scripts and formats it does not know pass: the health check judges those. */
export async function programProblem(path: string, platform: Platform): Promise<string | null> {
  const head = await firstBytes(path);
  if (isElf(head)) return platform.os === "linux" ? elfProblem(head, platform) : `an ELF program, expected one for ${platform.os}`;
  const magic = head.length < 4 ? 0 : head.readUInt32BE(0);
  if (platform.os !== "darwin" && [0xcffaedfe, 0xfeedfacf, 0xcafebabe].includes(magic)) return `a macOS program, expected one for ${platform.os}`;
  if (platform.os !== "windows" && head.subarray(0, 2).toString() === "MZ") return `a Windows program, expected one for ${platform.os}`;
  if (/^\s*<(!doctype|html|\?xml)/i.test(head.toString("latin1"))) return "a web page, expected a program";
  return null;
}

function elfProblem(head: Buffer, platform: Platform): string | null {
  const wanted = ELF_MACHINES[platform.arch];
  if (wanted === undefined || head.length < HEAD_BYTES) return null;
  const actual = head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18);
  return actual === wanted ? null : `a program for another machine (ELF machine 0x${actual.toString(16)}), expected ${platform.arch} (0x${wanted.toString(16)})`;
}

async function firstBytes(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
