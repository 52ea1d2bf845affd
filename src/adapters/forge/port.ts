/** What slipstream asks a forge for: its releases and where their assets are. One file per forge keeps this. */

import type { Release, ReleaseAsset } from "../../domain/release.ts";
import type { ReleaseFeed } from "../../domain/subsystem.ts";
import type { HttpSource } from "../http.ts";

/**
 * Every method throws UpstreamError upstream-unreachable (retryable), rate-limited (retryable, with `retryAt`), version-not-found (retryable: an API may lag behind its
 * webhook), forge-refused (credentials are missing or wrong; not retryable), upstream-too-large, and StateError cancelled.
 */
export interface Forge {
  /** The newest published releases (at most 100), prereleases among them, drafts never; in the forge's own order. */
  releases(feed: ReleaseFeed, signal: AbortSignal): Promise<readonly Release[]>;
  /** One release by its id. */
  release(feed: ReleaseFeed, id: string, signal: AbortSignal): Promise<Release>;
  /** One published release by its tag. */
  releaseByTag(feed: ReleaseFeed, tag: string, signal: AbortSignal): Promise<Release>;
  /** The content of a small text asset (a checksum file; at most 1 MiB). */
  text(feed: ReleaseFeed, asset: Pick<ReleaseAsset, "id" | "name" | "url">, signal: AbortSignal): Promise<string>;
  /** Where an asset's bytes are fetched now; ask afresh for every try, signed URLs behind it expire. */
  source(feed: ReleaseFeed, asset: { readonly id: string; readonly url?: string }): HttpSource;
}
