/** Where the assets of a forge may be fetched, and what may be told to whom. */

import { UpstreamError } from "../../domain/errors.ts";
import type { ReleaseFeed } from "../../domain/subsystem.ts";
import type { Secret } from "../../kit/secret.ts";
import type { HttpSource } from "../http.ts";
import { hostFits, isLoopback, shown } from "../http-hops.ts";

/** GitHub's own hosts for release content (facts: the redirect of an asset). */
const GITHUB_HOSTS = ["github.com", "objects.githubusercontent.com", "release-assets.githubusercontent.com"];
const BYTES = { accept: "application/octet-stream" };

/** @throws UpstreamError forge-refused when credentials or answers would travel in the clear */
export function apiBase(feed: ReleaseFeed): URL {
  const base = URL.canParse(feed.api) ? new URL(feed.api) : undefined;
  if (base !== undefined && isSecure(base)) return base;
  throw new UpstreamError("forge-refused", `API address of ${feed.repository} is ${feed.api}, expected an https address (http only on a loopback address)`);
}

/** The address of something in the feed's repository; `parts` are encoded. @throws UpstreamError version-not-found for a name that would lead elsewhere */
export function apiUrl(feed: ReleaseFeed, parts: readonly string[]): string {
  const [owner = "", name = ""] = feed.repository.split("/");
  const steps = ["repos", owner, name, "releases", ...parts];
  // Encoding leaves these as they are, and they would lead out of the repository.
  if (steps.some((step) => step === "" || step === "." || step === "..")) throw new UpstreamError("version-not-found", `name ${JSON.stringify(steps.join("/"))} is no part of an address, expected a repository and a tag or an id`);
  const path = steps.map(encodeURIComponent).join("/");
  return `${apiBase(feed).href.replace(/\/+$/, "")}/${path}`;
}

/** Gitea's and Forgejo's API has this address on every server. */
export function isGitea(feed: Pick<ReleaseFeed, "api">): boolean {
  return URL.canParse(feed.api) && new URL(feed.api).pathname.replace(/\/+$/, "").endsWith("/api/v1");
}

/** A token as the feed's forge wants it introduced. */
export function credentials(feed: ReleaseFeed, token: Secret | undefined): Pick<HttpSource, "token" | "scheme"> {
  return token === undefined ? {} : { token, ...(isGitea(feed) ? { scheme: "token" } : {}) };
}

/** @throws UpstreamError forge-refused when there is no address that it may be fetched from */
export function assetSource(feed: ReleaseFeed, asset: { readonly id: string; readonly url?: string }, token: Secret | undefined): HttpSource {
  const api = apiBase(feed);
  const common = { headers: BYTES, redirectHosts: [...feed.assetHosts, ...(api.host === "api.github.com" ? GITHUB_HOSTS : [api.host])], api: api.origin };
  const browser = allowedBrowserUrl(feed, api, asset.url);
  // Gitea and Forgejo have no API address for an asset's bytes; the browser's takes their token as well.
  if (isGitea(feed)) {
    if (browser === undefined) throw new UpstreamError("forge-refused", `asset ${asset.id} of ${feed.repository} is at ${hostOf(asset.url)}, expected ${api.host} or a host of the subsystem's asset hosts`);
    return { url: browser.href, ...common, ...(browser.origin === api.origin ? credentials(feed, token) : {}) };
  }
  if (token === undefined && browser !== undefined) return { url: browser.href, ...common };
  return { url: apiUrl(feed, ["assets", asset.id]), ...common, ...credentials(feed, token) };
}

function allowedBrowserUrl(feed: ReleaseFeed, api: URL, text: string | undefined): URL | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const web = api.host === "api.github.com" ? "github.com" : api.host;
  const known = [api.host, web, ...feed.assetHosts].some((pattern) => hostFits(url.host, pattern.toLowerCase()));
  return known && isSecure(url) && url.username === "" && url.password === "" ? url : undefined;
}

function isSecure(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url));
}

function hostOf(text: string | undefined): string {
  return text !== undefined && URL.canParse(text) ? shown(new URL(text).host, 120) : "no known address";
}
