/** The fake forge's asset host: another host than the API's, signed addresses that expire, ranges, and the faults of real ones. */

import { createHash, createHmac, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { ForgeRequest, StoredAsset } from "./forge.ts";

/** What goes wrong with one asset. */
export type Fault =
  /** A web page with status 200. */
  | { readonly kind: "html200" }
  /** The first bytes only, as if that were all of it. */
  | { readonly kind: "truncate"; readonly bytes: number }
  /** All of it is announced, and the connection breaks after so many bytes of one answer; once. */
  | { readonly kind: "drop-after"; readonly bytes: number }
  /** 206 from the first byte, whatever was asked for. */
  | { readonly kind: "wrong-range-start" }
  /** 206 of what would be a longer file. */
  | { readonly kind: "wrong-range-total" }
  /** 200 with everything, though a part was asked for. */
  | { readonly kind: "no-range" }
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  | { readonly kind: "not-found" }
  /** The forge leads to another address than its asset host's. */
  | { readonly kind: "redirect-elsewhere"; readonly url: string }
  /** The next address that is given out has expired already. */
  | { readonly kind: "expired-once" };

export interface AssetHostDeps {
  readonly asset: (id: string) => StoredAsset | undefined;
  readonly faults: Map<string, Fault>;
  readonly record: (entry: ForgeRequest) => void;
  /** Status of an address that has expired: GitHub's newer hosts say 618. */
  readonly expiredStatus: number;
  readonly ttlMs: number;
}

export interface AssetHost {
  readonly server: Server;
  /** Path and query of an asset's bytes, good for a while. */
  sign(asset: StoredAsset): string;
  /** Every address that was given out so far is no longer good. */
  expireNow(): void;
}

export function createAssetHost(deps: AssetHostDeps): AssetHost {
  let key = randomBytes(32);
  const signature = (path: string, until: number) => createHmac("sha256", key).update(`${path} ${until}`).digest("hex");
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? "/", "http://assets.invalid");
    const asset = deps.asset(url.pathname.split("/").at(-1) ?? "");
    const range = req.headers.range;
    deps.record({ host: "asset", method: req.method ?? "", path: url.pathname, authorization: req.headers.authorization !== undefined, ...(range === undefined ? {} : { range }), ...(asset === undefined ? {} : { asset: asset.name }) });
    if (req.headers.authorization !== undefined) return xml(res, 400, "InvalidArgument", "Only one auth mechanism allowed");
    if (asset === undefined) return xml(res, 404, "BlobNotFound", "The specified blob does not exist.");
    const until = Number(url.searchParams.get("X-Amz-Date-Ms")) + Number(url.searchParams.get("X-Amz-Expires-Ms"));
    if (url.searchParams.get("X-Amz-Signature") !== signature(url.pathname, until) || Date.now() >= until) return xml(res, deps.expiredStatus, "AccessDenied", "Request has expired");
    return serve(req, res, asset, deps.faults);
  });
  return {
    server,
    sign(asset) {
      const path = `/github-production-release-asset/700000001/${asset.id}`;
      const expired = deps.faults.get(asset.name)?.kind === "expired-once";
      if (expired) deps.faults.delete(asset.name);
      const at = Date.now();
      const ttl = expired ? 0 : deps.ttlMs;
      const query = new URLSearchParams({ "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date-Ms": String(at), "X-Amz-Expires-Ms": String(ttl), "X-Amz-Signature": signature(path, at + ttl), "response-content-disposition": `attachment; filename=${asset.name}` });
      return `${path}?${query}`;
    },
    expireNow() {
      key = randomBytes(32);
    },
  };
}

function xml(res: ServerResponse, status: number, code: string, message: string): void {
  res.writeHead(status, { "content-type": "application/xml" }).end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}

interface Part {
  readonly status: 200 | 206;
  readonly body: Buffer;
  readonly headers: Record<string, string>;
}

function serve(req: IncomingMessage, res: ServerResponse, asset: StoredAsset, faults: Map<string, Fault>): void {
  const fault = faults.get(asset.name);
  if (fault?.kind === "html200") {
    res.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<!DOCTYPE html><html><head><title>Unicorn!</title></head><body>This page is taking too long to load.</body></html>");
    return;
  }
  if (fault?.kind === "not-found") return xml(res, 404, "BlobNotFound", "The specified blob does not exist.");
  const etag = `"0x${createHash("sha256").update(asset.content).digest("hex").slice(0, 15).toUpperCase()}"`;
  const part = partOf(req, asset.content, etag, fault);
  if (part === undefined) {
    res.writeHead(416, { "content-range": `bytes */${asset.content.length}` }).end();
    return;
  }
  const { body } = part;
  res.writeHead(part.status, { "content-type": "application/octet-stream", "content-length": body.length, etag, "accept-ranges": fault?.kind === "no-range" ? "none" : "bytes", "last-modified": "Thu, 09 Oct 2025 08:53:20 GMT", ...part.headers });
  if (req.method === "HEAD") res.end();
  else if (fault?.kind === "drop-after" && body.length > fault.bytes) {
    faults.delete(asset.name);
    // The bytes leave first, then the connection breaks.
    res.write(body.subarray(0, fault.bytes), () => res.socket?.destroySoon());
  } else if (fault?.kind === "slow") trickle(res, body, fault.bytesPerSecond);
  else res.end(body);
}

/** What of the content is asked for (RFC 9110 §14). Undefined when there is no such part. */
function partOf(req: IncomingMessage, all: Buffer, etag: string, fault: Fault | undefined): Part | undefined {
  const content = fault?.kind === "truncate" ? all.subarray(0, fault.bytes) : all;
  const whole: Part = { status: 200, body: content, headers: {} };
  const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? "");
  const ifRange = req.headers["if-range"];
  if (range === null || fault?.kind === "no-range" || (ifRange !== undefined && ifRange !== etag)) return whole;
  const start = fault?.kind === "wrong-range-start" ? 0 : Number(range[1]);
  const end = range[2] === "" ? content.length - 1 : Math.min(Number(range[2]), content.length - 1);
  if (start > end) return undefined;
  const total = content.length + (fault?.kind === "wrong-range-total" ? 1 : 0);
  return { status: 206, body: content.subarray(start, end + 1), headers: { "content-range": `bytes ${start}-${end}/${total}` } };
}

const TICK_MS = 20;

function trickle(res: ServerResponse, body: Buffer, bytesPerSecond: number): void {
  const step = Math.max(1, Math.round((bytesPerSecond * TICK_MS) / 1000));
  let sent = 0;
  const timer = setInterval(() => {
    res.write(body.subarray(sent, sent + step));
    sent += step;
    if (sent < body.length) return;
    clearInterval(timer);
    res.end();
  }, TICK_MS);
  res.on("close", () => clearInterval(timer));
}
