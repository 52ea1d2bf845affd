/** Where a request may go and what it may tell there, judged anew for every hop. Pure. */

import { UpstreamError } from "../domain/errors.ts";
import { VERSION } from "../kit/program-version.ts";
import type { HttpSource } from "./http.ts";

export interface Hop {
  readonly url: URL;
  /** False for good once another origin was visited, so that a hop that comes back brings no credentials along. */
  readonly home: boolean;
}

/** Paths and hosts can be as long as a sender likes; messages cannot. */
const PATH_CHARS_SHOWN = 120;
const HOST_CHARS_SHOWN = 120;
/** Of anything else that a stranger wrote. */
const WORD_CHARS_SHOWN = 40;
/** All that another origin than the first gets to see. */
const HARMLESS = new Set(["accept", "accept-encoding", "user-agent", "range", "if-range", "if-none-match", "if-modified-since"]);

/** How an address is named in messages and logs: without its query, which may be a signature. */
export function placeOf(url: URL): string {
  return `${shown(url.origin, HOST_CHARS_SHOWN)}${shown(url.pathname, PATH_CHARS_SHOWN)}`;
}

/** A stranger's word for a message: cut, and with nothing but printable ASCII in it. */
export function shown(text: string, chars = WORD_CHARS_SHOWN): string {
  return `${text.slice(0, chars).replace(/[^ -~]/g, "?")}${text.length > chars ? "…" : ""}`;
}

/** @throws UpstreamError download-failed unless it is https, or http to this machine, and holds no login. */
export function checkedUrl(text: string, base?: URL): URL {
  // The parser's own error would hold the whole address.
  const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : undefined;
  if (url === undefined) throw refusal("address is not a URL, expected one that starts with https://");
  if (url.username !== "" || url.password !== "") throw refusal(`address ${placeOf(url)} holds a login, expected none; configure a token instead`);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url))) throw refusal(`address ${url.protocol === "http:" ? placeOf(url) : shown(url.protocol)} is not encrypted, expected https (or http on this machine)`);
  return url;
}

/** 127.0.0.0/8, ::1 and `localhost` itself; the URL parser has turned every other spelling of an address into these. */
export function isLoopback(url: URL): boolean {
  return url.hostname === "localhost" || url.hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(url.hostname);
}

export function firstHop(source: HttpSource): Hop {
  return { url: checkedUrl(source.url), home: true };
}

/** Where a redirect leads. @throws UpstreamError download-failed when it may not lead there. */
export function nextHop(source: HttpSource, from: Hop, location: string): Hop {
  const url = checkedUrl(location, from.url);
  if (from.url.protocol === "https:" && url.protocol !== "https:") throw refusal(`redirect of ${placeOf(from.url)} leads from https to ${placeOf(url)}, expected https`);
  const first = new URL(source.url).origin;
  if (url.origin !== first && !source.redirectHosts.some((allowed) => hostFits(url.host, allowed.toLowerCase())))
    throw refusal(`redirect of ${placeOf(from.url)} leads to ${shown(url.host, HOST_CHARS_SHOWN)}, expected ${[new URL(first).host, ...source.redirectHosts].join(" or ")}`);
  return { url, home: from.home && url.origin === first };
}

/** Whether a host is the allowed one, or below it where that begins with `*.`; `allowed` in lower case. */
export function hostFits(host: string, allowed: string): boolean {
  return allowed.startsWith("*.") ? host.endsWith(allowed.slice(1)) && host.length > allowed.length - 1 : host === allowed;
}

/** What is said at a hop. @throws UpstreamError forge-refused when the token cannot be a header. */
export function headersFor(source: HttpSource, extra: Readonly<Record<string, string>>, hop: Hop): Record<string, string> {
  const all: Record<string, string> = { accept: "*/*" };
  for (const [name, value] of [...Object.entries(source.headers ?? {}), ...Object.entries(extra)]) all[name.toLowerCase()] = value;
  all["user-agent"] = `slipstream/${VERSION}`;
  all["accept-encoding"] = "identity";
  if (!hop.home) return Object.fromEntries(Object.entries(all).filter(([name]) => HARMLESS.has(name)));
  if (source.token !== undefined) {
    const token = source.token.reveal();
    if (!/^[!-~]+$/.test(token)) throw new UpstreamError("forge-refused", `token ${source.token.name} holds white space or other characters no header can hold, expected a bare token`);
    all["authorization"] = `${source.scheme ?? "Bearer"} ${token}`;
  }
  return all;
}

/** A refusal that a retry does not change. */
export function refusal(message: string): UpstreamError {
  return new UpstreamError("download-failed", message);
}
