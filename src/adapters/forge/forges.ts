/** One Forge for all feeds: GITHUB_TOKEN is told to one API, every other one is asked without it. */

import type { ReleaseFeed } from "../../domain/subsystem.ts";
import type { Clock } from "../../kit/clock.ts";
import type { Secret } from "../../kit/secret.ts";
import { createGithubForge } from "./github.ts";
import type { Forge } from "./port.ts";

const GITHUB = "https://api.github.com";

/** The API the token is for: github.com's where any feed uses it, else the only one there is. */
export function tokenOrigin(feeds: readonly ReleaseFeed[]): string | undefined {
  const origins = new Set(feeds.map((f) => originOf(f)));
  if (origins.has(GITHUB)) return GITHUB;
  const [only] = origins;
  return origins.size === 1 ? only : undefined;
}

export function createForges(deps: { readonly clock: Clock; readonly token?: Secret; readonly feeds: readonly ReleaseFeed[] }): Forge {
  const { clock, token } = deps;
  const open = createGithubForge({ clock });
  if (token === undefined) return open;
  const known = createGithubForge({ clock, token });
  const trusted = tokenOrigin(deps.feeds);
  const forge = (feed: ReleaseFeed): Forge => (originOf(feed) === trusted ? known : open);
  return {
    releases: (feed, signal) => forge(feed).releases(feed, signal),
    release: (feed, id, signal) => forge(feed).release(feed, id, signal),
    releaseByTag: (feed, tag, signal) => forge(feed).releaseByTag(feed, tag, signal),
    text: (feed, asset, signal) => forge(feed).text(feed, asset, signal),
    source: (feed, asset) => forge(feed).source(feed, asset),
  };
}

const originOf = (feed: ReleaseFeed): string => (URL.canParse(feed.api) ? new URL(feed.api).origin : feed.api);
