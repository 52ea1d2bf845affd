/** Contents of release assets. */

import { Header, Pack, ReadEntry } from "tar";

/** A file of an archive; mode 0755 unless told otherwise. */
export type TarFile = Buffer | { readonly content: Buffer; readonly mode: number };

const MTIME = new Date(1_760_000_000_000);

/** A real `.tar.gz`; the same files give the same bytes. */
export async function packTarball(files: Readonly<Record<string, TarFile>>): Promise<Buffer> {
  const pack = new Pack({ gzip: true, portable: true });
  const chunks: Buffer[] = [];
  pack.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  const ended = new Promise<void>((resolve, reject) => {
    pack.on("end", resolve);
    pack.on("error", reject);
  });
  for (const [path, file] of Object.entries(files)) {
    const { content, mode } = Buffer.isBuffer(file) ? { content: file, mode: 0o755 } : file;
    const entry = new ReadEntry(new Header({ path, mode, size: content.length, type: "File", mtime: MTIME }));
    entry.end(content);
    pack.add(entry);
  }
  pack.end();
  await ended;
  return Buffer.concat(chunks);
}
