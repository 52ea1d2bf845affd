/** One Forge for all feeds: each token is told to the one API it is for, every other one is asked without any. */

import type { ReleaseFeed } from "../../domain/subsystem.ts";
import type { Clock } from "../../kit/clock.ts";
import type { Secret } from "../../kit/secret.ts";
import { createGithubForge } from "./github.ts";
import { isGitea } from "./github-source.ts";
import type { Forge } from "./port.ts";

const GITHUB = "https://api.github.com";

/** The API that GITHUB_TOKEN is for: github.com's where any feed uses it, else the only GitHub there is, else the only forge at all. */
export function tokenOrigin(feeds: readonly ReleaseFeed[]): string | undefined {
  const origins = originsOf(feeds.filter((f) => !isGitea(f)));
  if (origins.has(GITHUB)) return GITHUB;
  return onlyOne(origins.size > 0 ? origins : originsOf(feeds));
}

/** The API that GITEA_TOKEN is for: the only Gitea or Forgejo there is. */
export function giteaOrigin(feeds: readonly ReleaseFeed[]): string | undefined {
  return onlyOne(originsOf(feeds.filter(isGitea)));
}

export function createForges(deps: { readonly clock: Clock; readonly token?: Secret; readonly giteaToken?: Secret; readonly feeds: readonly ReleaseFeed[] }): Forge {
  const { clock, token, giteaToken, feeds } = deps;
  const open = createGithubForge({ clock });
  const known = token === undefined ? open : createGithubForge({ clock, token });
  const gitea = giteaToken === undefined ? undefined : createGithubForge({ clock, token: giteaToken });
  const forge = (feed: ReleaseFeed): Forge => {
    // One that has a token of its own is never told that of GitHub.
    if (isGitea(feed) && gitea !== undefined) return originOf(feed) === giteaOrigin(feeds) ? gitea : open;
    if (isGitea(feed) && feeds.some((f) => !isGitea(f))) return open;
    return originOf(feed) === tokenOrigin(feeds) ? known : open;
  };
  return {
    releases: (feed, signal) => forge(feed).releases(feed, signal),
    release: (feed, id, signal) => forge(feed).release(feed, id, signal),
    releaseByTag: (feed, tag, signal) => forge(feed).releaseByTag(feed, tag, signal),
    text: (feed, asset, signal) => forge(feed).text(feed, asset, signal),
    source: (feed, asset) => forge(feed).source(feed, asset),
  };
}

const originOf = (feed: ReleaseFeed): string => (URL.canParse(feed.api) ? new URL(feed.api).origin : feed.api);
const originsOf = (feeds: readonly ReleaseFeed[]): ReadonlySet<string> => new Set(feeds.map(originOf));

function onlyOne(origins: ReadonlySet<string>): string | undefined {
  const [only] = origins;
  return origins.size === 1 ? only : undefined;
}
