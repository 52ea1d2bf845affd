/** Releases of a forge, their assets, and which asset is whose. Pure. */

import type { Digest } from "./artifact.ts";
import { versionText } from "./tags.ts";
import type { VersionScheme } from "./version.ts";

/** What an artifact is for, in Go's words (`linux`, `amd64`); libc only where the machine has one of the two. */
export interface Platform {
  readonly os: string;
  readonly arch: string;
  readonly libc?: "gnu" | "musl";
}

export interface ReleaseAsset {
  /** The forge's id, as text: ids outgrow a double (facts: int64 ids). */
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  /** False while its upload is under way (GitHub: `state` is not `uploaded`). */
  readonly complete: boolean;
  /** The forge's own digest, where it states one. */
  readonly digest?: Digest;
  /** Where a browser would fetch it. */
  readonly url?: string;
}

export interface Release {
  readonly id: string;
  readonly tag: string;
  readonly draft: boolean;
  readonly prerelease: boolean;
  /** ms since the epoch. */
  readonly publishedAt?: number;
  readonly assets: readonly ReleaseAsset[];
}

/** What a run in release mode fetches; stored with the run. */
export interface Artifact {
  /** What makes it this one: its digest, or `asset:<id>` where nothing states one. */
  readonly identity: string;
  readonly releaseId: string;
  readonly assetId: string;
  readonly name: string;
  readonly bytes: number;
  readonly digest?: Digest;
  readonly url?: string;
}

/** What an artifact is known by that nothing states a digest for. Ids are a forge's own, so one of a lower upstream names that as well. */
export function unnamedIdentity(assetId: string, upstream?: string): string {
  return upstream === undefined ? `asset:${assetId}` : `asset:${assetId}@${upstream}`;
}

/** Whose asset is looked for. */
export interface AssetWanted {
  readonly subsystem: VersionScheme;
  readonly binary: string;
  readonly platform: Platform;
  /** `ReleaseFeed.asset` */
  readonly template?: string;
}

export type AssetFound =
  | { readonly kind: "found"; readonly asset: ReleaseAsset }
  /** There, but still being uploaded. */
  | { readonly kind: "incomplete"; readonly asset: ReleaseAsset }
  /** More than one fits equally well; a person has to say which (config key `release.asset`). */
  | { readonly kind: "several"; readonly names: readonly string[] }
  | { readonly kind: "none" };

/** Published releases, newest first (V10x): by `publishedAt`, then by id; one without a date comes last. */
export function byPublication(releases: readonly Release[]): readonly Release[] {
  const at = (r: Release) => r.publishedAt ?? Number.NEGATIVE_INFINITY;
  // Two missing dates are equal, though their difference is no number.
  return releases.filter((r) => !r.draft).sort((a, b) => (at(a) === at(b) ? compareIds(b.id, a.id) : at(b) - at(a)));
}

/** Ids are decimal text without leading zeros, longer than a double can hold. */
function compareIds(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** The version in a tag, without a leading `v`: `1.2.3` of `nats-v1.2.3`, `v1.2.3-nats` and `v1.2.3`. */
export function versionOfTag(tag: string, scheme: string | VersionScheme): string {
  return versionText(tag, scheme).replace(/^v(?=[0-9])/, "");
}

/** The asset of a release that holds a subsystem's program for this machine. Go's names of systems and architectures only (V8x). */
export function assetFor(assets: readonly ReleaseAsset[], wanted: AssetWanted, tag: string): AssetFound {
  const rank = wanted.template === undefined ? usualRank(wanted, tag) : exactRank(wanted.template, wanted, tag);
  let best = Number.POSITIVE_INFINITY;
  let found: ReleaseAsset[] = [];
  for (const asset of assets) {
    const r = rank(asset.name);
    if (r === undefined || r > best) continue;
    found = r === best ? [...found, asset] : [asset];
    best = r;
  }
  const [asset, ...others] = found;
  if (asset === undefined) return { kind: "none" };
  if (others.length > 0) return { kind: "several", names: found.map((a) => a.name) };
  return { kind: asset.complete ? "found" : "incomplete", asset };
}

/** How well a name fits: the smaller the better, undefined when not at all. */
type Rank = (name: string) => number | undefined;

function exactRank(template: string, wanted: AssetWanted, tag: string): Rank {
  const words = new Map([
    ["name", wanted.subsystem.name],
    ["binary", wanted.binary],
    ["tag", tag],
    ["version", versionOfTag(tag, wanted.subsystem)],
    ["os", wanted.platform.os],
    ["arch", wanted.platform.arch],
  ]);
  // An unknown placeholder stays as it is; should a name hold the same braces, it still is not what was meant.
  const known = [...template.matchAll(/\{([^{}]*)\}/g)].every((m) => words.has(m[1] as string));
  const exact = template.replace(/\{([^{}]*)\}/g, (all, word: string) => words.get(word) ?? all);
  return (name) => (known && name === exact ? 0 : undefined);
}

const EXTENSIONS = [".tar.gz", ".tgz", ".gz", ""] as const;
const LIBC_WORDS: Readonly<Record<"gnu" | "musl", readonly string[]>> = { gnu: ["gnu", "glibc"], musl: ["musl"] };

/** The binary's name goes before the subsystem's, a named libc before none, an archive before a single compressed file before a bare program. */
function usualRank(wanted: AssetWanted, tag: string): Rank {
  const bases = [...new Set([wanted.binary, wanted.subsystem.name])];
  const middles = usualMiddles(wanted.platform, versionOfTag(tag, wanted.subsystem));
  return (name) => {
    const extension = EXTENSIONS.find((e) => name.endsWith(e)) as (typeof EXTENSIONS)[number];
    const stem = name.slice(0, name.length - extension.length);
    const packed = extension === "" ? 2 : extension === ".gz" ? 1 : 0;
    for (const [i, base] of bases.entries()) {
      const middle = stem.startsWith(base) ? middles.get(stem.slice(base.length).replaceAll("_", "-")) : undefined;
      if (middle !== undefined) return i * 100 + middle * 10 + packed;
    }
    return undefined;
  };
}

/** What may stand between the base and the extension, with `-` for either separator; 0 where the machine's libc is named, else 1. */
function usualMiddles(platform: Platform, version: string): ReadonlyMap<string, number> {
  const middles = new Map<string, number>();
  const machine = `-${platform.os}-${platform.arch}`;
  const libc = platform.libc === undefined ? [] : LIBC_WORDS[platform.libc].map((word) => `-${word}`);
  // A version without a digit in front could be part of another program's name: `server` of nats-server.
  const versions = /^[0-9]/.test(version) ? [version, `v${version}`].map((v) => `-${v.replaceAll("_", "-")}`) : [];
  for (const before of ["", ...versions]) for (const word of ["", ...libc]) middles.set(`${before}${machine}${word}`, word === "" ? 1 : 0);
  for (const after of versions) middles.set(`${machine}${after}`, 1);
  return middles;
}

/** The assets of a release that may state an asset's digest, the most specific first. */
export function digestFiles(assets: readonly ReleaseAsset[], assetName: string): readonly ReleaseAsset[] {
  const names = [`${assetName}.sha256`, `${assetName}.sha256sum`, "SHA256SUMS", "SHA256SUMS.txt", "sha256sums.txt", "checksums.txt"];
  return names.flatMap((name) => assets.find((a) => a.name === name) ?? []);
}

const HEX = "([0-9a-fA-F]{64})";
/** `<hex>  name`, or `<hex> *name` for binary mode (coreutils sha256sum). */
const SUM_LINE = new RegExp(`^${HEX}[ \\t]+\\*?(\\S.*)$`);
/** `SHA256 (name) = <hex>` (BSD sha256, coreutils --tag, OpenSSL). */
const TAGGED_LINE = new RegExp(`^SHA(?:2-)?256 ?\\((.+)\\) ?= ?${HEX}$`);
const LONE = new RegExp(`^${HEX}$`);

/** The digest that the text of a checksum file states for an asset. Undefined when it states none, or two that differ. */
export function digestIn(text: string, assetName: string): Digest | undefined {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/).map((l) => l.trim()).filter((l) => l !== "");
  const found = new Set<string>();
  for (const line of lines) {
    const sum = SUM_LINE.exec(line);
    const tagged = TAGGED_LINE.exec(line);
    const [name, hex] = sum !== null ? [sum[2], sum[1]] : tagged !== null ? [tagged[1], tagged[2]] : [assetName, lines.length === 1 ? LONE.exec(line)?.[1] : undefined];
    if (hex !== undefined && name?.replace(/^\.\//, "") === assetName) found.add(hex.toLowerCase());
  }
  const [hex] = found;
  return found.size === 1 ? `sha256:${hex as string}` : undefined;
}
