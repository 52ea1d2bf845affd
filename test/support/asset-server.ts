/** A download host that does as told, request by request, and remembers what it was asked and how much it sent. */

import { createHash } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Answer = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

export interface AssetServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly requests: readonly { readonly path: string; readonly method: string; readonly headers: IncomingHttpHeaders }[];
  /** Body bytes handed to clients so far. */
  sent(): number;
  /** The answers to come, one per request; the last one stays. Forgets the requests so far. */
  script(...answers: readonly Answer[]): void;
  close(): Promise<void>;
}

export async function startAssetServer(): Promise<AssetServer> {
  const requests: { path: string; method: string; headers: IncomingHttpHeaders }[] = [];
  let answers: readonly Answer[] = [status(404)];
  let sent = 0;
  const server = createServer((req, res) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)] as Answer;
    requests.push({ path: req.url ?? "", method: req.method ?? "", headers: req.headers });
    const write = res.write.bind(res) as (...args: unknown[]) => boolean;
    const end = res.end.bind(res) as (...args: unknown[]) => ServerResponse;
    const count = (chunk: unknown) => void (sent += Buffer.isBuffer(chunk) ? chunk.length : 0);
    res.write = ((...args: unknown[]) => (count(args[0]), write(...args))) as typeof res.write;
    res.end = ((...args: unknown[]) => (count(args[0]), end(...args))) as typeof res.end;
    void (async () => answer(req, res))().catch(() => res.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    requests,
    sent: () => sent,
    script: (...next) => {
      answers = next;
      requests.length = 0;
      sent = 0;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

export function etagOf(bytes: Buffer): string {
  return `"${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}"`;
}

/** A file as a blob host serves it: with an ETag, ranges and If-Range (RFC 9110 §13, §14). */
export function file(bytes: Buffer, headers: Readonly<Record<string, string>> = {}): Answer {
  return (req, res) => {
    const etag = headers["etag"] ?? etagOf(bytes);
    const from = /^bytes=(\d+)-$/.exec(req.headers.range ?? "")?.[1];
    const base = { "accept-ranges": "bytes", "content-type": "application/octet-stream", etag, ...headers };
    if (from === undefined || (req.headers["if-range"] ?? etag) !== etag) {
      res.writeHead(200, { ...base, "content-length": bytes.length }).end(bytes);
      return;
    }
    const rest = bytes.subarray(Number(from));
    if (rest.length === 0) res.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    else res.writeHead(206, { ...base, "content-length": rest.length, "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }).end(rest);
  };
}

/** Promises the whole file, sends `upTo` bytes of it and hangs up. */
export function broken(bytes: Buffer, upTo: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return async (_req, res) => {
    res.writeHead(200, { "content-length": bytes.length, etag: etagOf(bytes), ...headers });
    await new Promise<void>((resolve, reject) => res.write(bytes.subarray(0, upTo), (error) => (error ? reject(error) : resolve())));
    res.socket?.end();
  };
}

export function status(code: number, headers: Readonly<Record<string, string>> = {}, text = ""): Answer {
  return (_req, res) => void res.writeHead(code, headers).end(text);
}

export function redirect(to: string, code = 302): Answer {
  return status(code, { location: to });
}

/** Sends some bytes and then nothing, until the client hangs up. */
export function silent(bytes: Buffer, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_req, res) => {
    res.writeHead(200, headers);
    res.write(bytes);
  };
}
