/** The fake forge's API host: what it answers to whom. */

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ApiFault, ForgeRequest, Limit, StoredAsset, StoredRelease } from "./forge.ts";
import type { Fault } from "./forge-assets.ts";
import { assetJson, type ForgeStyle, releaseJson } from "./forge-shape.ts";

export interface State {
  readonly style: ForgeStyle;
  readonly releases: Map<string, StoredRelease>;
  readonly gone: Set<string>;
  readonly faults: Map<string, Fault>;
  readonly lags: Map<string, number>;
  readonly requests: ForgeRequest[];
  token: string | null;
  limit: (Limit & { left: number; resetAt: number }) | null;
  broken: ApiFault | null;
  web: string;
  api: string;
}

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly redirect: (asset: StoredAsset) => string;
}

export function answer(state: State, x: Exchange): void {
  const url = new URL(x.req.url ?? "/", state.web);
  const path = decodeURIComponent(url.pathname);
  const authorization = x.req.headers.authorization;
  const schemes = state.style === "gitea" ? ["token", "Bearer"] : ["Bearer"];
  const trusted = authorization !== undefined && (state.token === null || schemes.some((scheme) => authorization === `${scheme} ${state.token}`));
  if (state.broken !== null) return void x.res.writeHead(state.broken.status, { "content-type": state.broken.type ?? "application/json" }).end(state.broken.body ?? "");
  if (!url.href.startsWith(`${state.api}/`)) return browser(state, x, path, trusted);
  if (state.limit !== null && state.limit.left-- <= 0) return limited(state.limit, x);
  if (authorization !== undefined && !trusted) return json(state, x, 401, { message: "Bad credentials", documentation_url: DOCS });
  const found = state.token !== null && !trusted ? undefined : route(state, { path: path.slice(new URL(state.api).pathname.length), query: url.searchParams, trusted });
  if (found === undefined) return json(state, x, 404, { message: "Not Found", documentation_url: DOCS, status: "404" });
  if (!("asset" in found)) return json(state, x, 200, found.json);
  if (x.req.headers.accept === "application/octet-stream") return void x.res.writeHead(302, { location: x.redirect(found.asset) }).end();
  return json(state, x, 200, assetJson(state, found.release, found.asset));
}

const DOCS = "https://docs.github.com/rest";

/** `releases/download/TAG/NAME`, where a browser fetches an asset. GitHub wants a session there for a private repository, Gitea takes a token. */
function browser(state: State, x: Exchange, path: string, trusted: boolean): void {
  const asset = visible(state, false)
    .filter((r) => path.startsWith(`/${r.repo}/releases/download/${r.tag}/`))
    .flatMap((r) => r.assets)
    .find((a) => path.endsWith(`/${a.name}`));
  const open = state.token === null || (state.style === "gitea" && trusted);
  if (asset === undefined || !open) x.res.writeHead(404, { "content-type": "text/html" }).end("<!DOCTYPE html><title>Page not found</title>");
  else x.res.writeHead(302, { location: x.redirect(asset) }).end();
}

function limited(limit: Limit & { resetAt: number }, x: Exchange): void {
  const text = limit.onlyText === true;
  const headers = text ? {} : limit.retryAfterS === undefined ? { "x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(limit.resetAt), "x-ratelimit-resource": "core" } : { "retry-after": String(limit.retryAfterS) };
  const message = text || limit.retryAfterS !== undefined ? "You have exceeded a secondary rate limit. Please wait a few minutes before you try again." : "API rate limit exceeded for 203.0.113.7.";
  x.res.writeHead(limit.status ?? 403, { "content-type": "application/json; charset=utf-8", ...headers }).end(JSON.stringify({ message, documentation_url: DOCS }));
}

function json(state: State, x: Exchange, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  const etag = `W/"${createHash("sha256").update(body).digest("hex")}"`;
  const left = { "x-ratelimit-limit": "60", "x-ratelimit-remaining": String(state.limit?.left ?? 57), "x-ratelimit-reset": String(state.limit?.resetAt ?? Math.floor(Date.now() / 1000) + 3600) };
  const headers = { etag, "x-github-media-type": "github.v3; format=json", ...(state.style === "gitea" ? {} : left) };
  if (status === 200 && x.req.headers["if-none-match"] === etag) x.res.writeHead(304, headers).end();
  else x.res.writeHead(status, { ...headers, "content-type": "application/json; charset=utf-8" }).end(body);
}

/** Releases as they are listed, newest first; drafts only for who may write. */
function visible(state: State, trusted: boolean): StoredRelease[] {
  return [...state.releases.values()].reverse().filter((r) => !state.gone.has(r.id) && (trusted || r.draft !== true));
}

type Found = { readonly json: unknown } | { readonly release: StoredRelease; readonly asset: StoredAsset };

function route(state: State, at: { path: string; query: URLSearchParams; trusted: boolean }): Found | undefined {
  const m = /^\/repos\/([^/]+\/[^/]+)\/releases(?:\/(.+))?$/.exec(at.path);
  if (m === null) return undefined;
  const own = visible(state, at.trusted).filter((r) => r.repo.toLowerCase() === m[1]?.toLowerCase());
  const [kind = "", ...rest] = (m[2] ?? "").split("/");
  if (kind === "") {
    if (![...state.releases.values()].some((r) => r.repo === m[1])) return undefined;
    const size = Number(state.style === "gitea" ? Math.min(50, Number(at.query.get("limit") ?? 30)) : Math.min(100, Number(at.query.get("per_page") ?? 30)));
    const from = (Number(at.query.get("page") ?? 1) - 1) * size;
    return { json: own.filter((r) => !lags(state, r)).slice(from, from + size).map((r) => releaseJson(state, r)) };
  }
  // Only GitHub has this address; Gitea's assets are below their release.
  if (kind === "assets" && state.style !== "gitea") {
    const release = own.find((r) => r.assets.some((a) => a.id === rest[0]));
    const asset = release?.assets.find((a) => a.id === rest[0]);
    return release === undefined || asset === undefined ? undefined : { release, asset };
  }
  const one = kind === "tags" ? own.find((r) => r.draft !== true && r.tag === rest.join("/")) : rest.length === 0 ? own.find((r) => r.id === kind) : undefined;
  return one === undefined || lags(state, one) ? undefined : { json: releaseJson(state, one) };
}

function lags(state: State, release: StoredRelease): boolean {
  const left = state.lags.get(release.tag) ?? 0;
  if (left > 0) state.lags.set(release.tag, left - 1);
  return left > 0;
}
