/** Archives built byte by byte, so that they can say what no well-behaved packer would (POSIX pax interchange format, RFC 1952). */

import { gzipSync } from "node:zlib";

export interface TarMember {
  readonly name: string;
  /** The type flag: 0 file, 1 hard link, 2 symbolic link, 3 character device, 4 block device, 5 folder, 6 fifo, … */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string;
  /** A lie about the length of the content. */
  readonly size?: number;
}

const BLOCK = 512;

export function tarHeader(m: TarMember): Buffer {
  const h = Buffer.alloc(BLOCK);
  const size = m.size ?? Buffer.byteLength(m.content ?? "");
  h.write(m.name, 0, 100);
  h.write("0000755\0", 100);
  h.write("0001750\0", 108);
  h.write("0001750\0", 116);
  h.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  h.write("14000000000\0", 136);
  h.write("        ", 148);
  h.write(m.type ?? "0", 156);
  h.write(m.link ?? "", 157, 100);
  h.write("ustar\u000000", 257);
  const sum = h.reduce((a, b) => a + b, 0);
  h.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return h;
}

/** Header, content and padding. */
export function tarMember(m: TarMember): Buffer {
  const content = Buffer.from(m.content ?? "");
  return Buffer.concat([tarHeader(m), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** A pax header for the next member, or for all that follow (`g`). */
export function paxHeader(fields: Readonly<Record<string, string>>, type: "x" | "g" = "x"): Buffer {
  const lines = Object.entries(fields).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + String(rest).length;
    if (rest + String(length).length !== length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return tarMember({ name: "PaxHeader/x", type, content: lines.join("") });
}

/** GNU's way to give the next member a name of any length. */
export function gnuLongName(name: string): Buffer {
  return tarMember({ name: "././@LongLink", type: "L", content: `${name}\0` });
}

/** Two empty blocks. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);

export function tar(...members: readonly (TarMember | Buffer)[]): Buffer {
  return Buffer.concat([...members.map((m) => (Buffer.isBuffer(m) ? m : tarMember(m))), TAR_END]);
}

export function tarGz(...members: readonly (TarMember | Buffer)[]): Buffer {
  return gzipSync(tar(...members), { level: 1 });
}

/** A program that announces and holds `gib` GiB of zeros, in about 2 MB per GiB: gzip members may follow each other. */
export function zeroBomb(name: string, gib: number, announced = gib * 2 ** 30): Buffer {
  const zeros = gzipSync(Buffer.alloc(64 * 2 ** 20), { level: 1 });
  return Buffer.concat([gzipSync(tarHeader({ name, size: announced })), ...Array.from({ length: gib * 16 }, () => zeros)]);
}
