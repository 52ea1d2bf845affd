/** A forge that is only a table, for tests of rules; the real adapter and a real server are in the contract and e2e tests. */

import type { Forge } from "../../src/adapters/forge/port.ts";
import { UpstreamError } from "../../src/domain/errors.ts";
import type { Platform, Release, ReleaseAsset } from "../../src/domain/release.ts";

export const PLATFORM: Platform = { os: "linux", arch: "amd64", libc: "gnu" };

export interface TableForge extends Forge {
  /** How often the list was asked for. */
  readonly looks: { count: number };
}

/** Serves the releases as they are in the table at that moment; the text of a checksum asset is in `texts`, by asset id. */
export function tableForge(releases: Release[], texts: Readonly<Record<string, string>> = {}): TableForge {
  const looks = { count: 0 };
  const find = (matches: (r: Release) => boolean): Release => {
    const found = releases.find((r) => !r.draft && matches(r));
    if (found === undefined) throw new UpstreamError("version-not-found", "no such release", { retryable: true });
    return found;
  };
  return {
    looks,
    releases: async () => {
      looks.count++;
      return releases.filter((r) => !r.draft);
    },
    release: async (_feed, id) => find((r) => r.id === id),
    releaseByTag: async (_feed, tag) => find((r) => r.tag === tag),
    text: async (_feed, asset) => texts[asset.id] ?? "",
    source: (feed, asset) => ({ url: `${feed.api}/assets/${asset.id}`, redirectHosts: [] }),
  };
}

let made = 0;
/** An asset whose digest is made of one hex digit; null: the forge states none. */
export function asset(name: string, digit: string | null, fields: Partial<ReleaseAsset> = {}): ReleaseAsset {
  return { id: String(++made), name, bytes: 10, complete: true, ...(digit === null ? {} : { digest: `sha256:${digit.repeat(64)}` as const }), ...fields };
}

/** A published release; a later call is published later. */
export function release(tag: string, assets: readonly ReleaseAsset[], fields: Partial<Release> = {}): Release {
  const n = ++made;
  return { id: String(1_000 + n), tag, draft: false, prerelease: false, publishedAt: 1_700_000_000_000 + n * 1_000, assets, ...fields };
}
