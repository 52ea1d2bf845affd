/** Programs as a release brings them: built once per version by Go, packed with their `.version`. */

import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { thisPlatform } from "../../src/kit/platform.ts";
import type { AssetSpec } from "./forge.ts";
import { packTarball, type TarFile } from "./release-assets.ts";
import { RELEASED } from "./release-files.ts";
import { type Behaviour, serviceFiles } from "./service.ts";
import type { SubsystemName } from "./workspace-files.ts";
import { runTool } from "./workspace-io.ts";

const built = new Map<string, Promise<Buffer>>();

/** The program's bytes. Go builds each version once per test file. */
export function program(name: SubsystemName, version: string, behaviour: Behaviour = "good"): Promise<Buffer> {
  const key = `${name} ${version} ${behaviour}`;
  const known = built.get(key) ?? build(name, version, behaviour);
  built.set(key, known);
  return known;
}

async function build(name: SubsystemName, version: string, behaviour: Behaviour): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), "slipstream-program-"));
  try {
    for (const [path, text] of Object.entries(serviceFiles({ name, version, behaviour }))) {
      await mkdir(dirname(join(dir, path)), { recursive: true });
      await writeFile(join(dir, path), text);
    }
    await runTool(["go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", "program", "."], dir);
    return await readFile(join(dir, "program"));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

export const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

/** A commit for a version: always the same one. */
export function commitOf(name: SubsystemName, version: string): string {
  return createHash("sha1").update(`${name} ${version}`).digest("hex");
}

/** What a machine that packs releases writes beside a program (V62, V69). */
export function stampFor(name: SubsystemName, version: string, content: Buffer): string {
  return `commit: ${commitOf(name, version).slice(0, 7)}\ntimestamp: 2025-10-09T08:53:20Z\nchecksum: ${sha256(content)}\nversion: ${version}\n`;
}

export interface AssetOptions {
  readonly behaviour?: Behaviour;
  /** What takes the place of the stamp; null packs none. */
  readonly stamp?: string | null;
  /** Further members of the archive, so that it has other bytes. */
  readonly beside?: Readonly<Record<string, TarFile>>;
  /** What takes the place of the program's bytes. */
  readonly content?: Buffer;
  /** What takes the place of the program's name in the archive. */
  readonly member?: string;
  /** What takes the place of the true digest; `none` states none. */
  readonly digest?: string;
}

/** The usual name of a subsystem's asset for this machine. */
export function assetName(name: SubsystemName): string {
  const { os, arch } = thisPlatform();
  return `${RELEASED[name].binary}-${os}-${arch}.tar.gz`;
}

export async function programAsset(name: SubsystemName, version: string, options: AssetOptions = {}): Promise<AssetSpec> {
  const content = options.content ?? (await program(name, version, options.behaviour));
  const stamp = options.stamp === undefined ? stampFor(name, version, content) : options.stamp;
  const packed = await packTarball({
    [options.member ?? RELEASED[name].binary]: content,
    ...(stamp === null ? {} : { ".version": { content: Buffer.from(stamp), mode: 0o644 } }),
    ...options.beside,
  });
  return { name: assetName(name), content: packed, ...(options.digest === undefined ? {} : { digest: options.digest }) };
}

/** `SHA256SUMS` of the assets beside it. */
export function checksums(assets: readonly AssetSpec[]): AssetSpec {
  return { name: "SHA256SUMS", content: Buffer.from(assets.map((a) => `${sha256(a.content)}  ${a.name}\n`).join("")) };
}
