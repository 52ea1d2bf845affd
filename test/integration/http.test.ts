/** Outbound HTTP against real servers: where it goes, what it tells to whom, and when it gives up. */

import assert from "node:assert/strict";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { inspect } from "node:util";
import { after, afterEach, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type HttpOptions, type HttpSource, openHttp, postOnce, readText } from "../../src/adapters/http.ts";
import { checkedUrl, firstHop, headersFor, nextHop } from "../../src/adapters/http-hops.ts";
import { VERSION } from "../../src/kit/program-version.ts";
import { Secret } from "../../src/kit/secret.ts";
import { type AssetServer, broken, file, redirect, silent, startAssetServer, status } from "../support/asset-server.ts";
import { until } from "../support/wait.ts";

const never = new AbortController().signal;
const token = new Secret("GITHUB_TOKEN", "ghp_0123456789abcdef");

describe("outbound http", () => {
  let forge: AssetServer;
  let blobs: AssetServer;
  before(async () => {
    [forge, blobs] = await Promise.all([startAssetServer(), startAssetServer()]);
  });
  after(() => Promise.all([forge.close(), blobs.close()]));
  afterEach(() => {
    forge.script(status(404));
    blobs.script(status(404));
  });

  const source = (rest: Partial<HttpSource> = {}): HttpSource => ({ url: `${forge.url}/asset`, redirectHosts: [], ...rest });
  const get = (s: HttpSource, options: HttpOptions = {}, signal = never) => openHttp(s, options, signal);
  const text = async (s: HttpSource, options: HttpOptions = {}) => readText(await get(s, options), 1_000_000);

  describe("redirects", () => {
    test("one to another host that is not allowed is refused, and that host is not asked", async () => {
      forge.script(redirect(`${blobs.url}/stolen?sig=hush`));
      await assert.rejects(get(source({ token })), { code: "download-failed", retryable: false, message: `redirect of ${forge.url}/asset leads to ${blobs.host}, expected ${forge.host}` });
      assert.equal(blobs.requests.length, 0);
    });

    test("credentials stay with the first host, also when a later hop comes back to it; what names the bytes travels along", async () => {
      blobs.script(redirect(`${forge.url}/back`));
      forge.script(redirect(`${blobs.url}/blob?sig=hush`), file(Buffer.from("the asset")));
      const headers = { accept: "application/octet-stream", "x-api-version": "1", "private-token": "hush", range: "bytes=4-", "if-range": "\"x\"" };
      await text(source({ token, headers, redirectHosts: [blobs.host] }));
      const [first, back] = forge.requests;
      assert.equal(first?.headers.authorization, `Bearer ${token.reveal()}`);
      assert.equal(first?.headers["private-token"], "hush");
      for (const seen of [blobs.requests[0], back]) {
        assert.equal(seen?.headers.authorization, undefined);
        assert.equal(seen?.headers["private-token"], undefined);
        assert.equal(seen?.headers["x-api-version"], undefined);
        assert.equal(seen?.headers.accept, "application/octet-stream");
        assert.equal(seen?.headers.range, "bytes=4-");
        assert.equal(seen?.headers["if-range"], "\"x\"");
        assert.equal(seen?.headers["user-agent"], `slipstream/${VERSION}`);
        assert.equal(seen?.headers["accept-encoding"], "identity");
      }
      assert.equal(blobs.requests[0]?.path, "/blob?sig=hush");
    });

    test("one within the same origin keeps the token, and may be relative", async () => {
      forge.script(redirect("../moved?x=1", 307), status(200, {}, "ok"));
      const reply = await get(source({ token }));
      assert.equal(reply.origin, forge.url);
      assert.equal(await readText(reply, 10), "ok");
      assert.deepEqual(forge.requests.map((r) => [r.path, r.headers.authorization]), [["/asset", `Bearer ${token.reveal()}`], ["/moved?x=1", `Bearer ${token.reveal()}`]]);
    });

    test("five are followed, six are not", async () => {
      const five = Array.from({ length: 5 }, (_, n) => redirect(`/${n}`));
      forge.script(...five, status(200, {}, "ok"));
      assert.equal(await text(source()), "ok");
      forge.script(redirect("/again"));
      await assert.rejects(get(source()), { code: "download-failed", message: /is number 6, expected at most 5/ });
      assert.equal(forge.requests.length, 6);
    });

    test("one without a place to go is refused", async () => {
      forge.script(status(302));
      await assert.rejects(get(source()), { code: "download-failed", message: /302 without a location/ });
    });

    test("none leads from https to http, to a login, to another scheme or to a host that only looks allowed", () => {
      const from = firstHop({ url: "https://api.example.com/a", redirectHosts: [] });
      const to = (location: string, ...redirectHosts: string[]) => nextHop({ url: "https://api.example.com/a", redirectHosts }, from, location);
      const refused = (location: string, ...hosts: string[]) => assert.throws(() => to(location, ...hosts), { code: "download-failed" }, location);
      refused("http://api.example.com/a", "api.example.com");
      refused("http://127.0.0.1:80/a", "127.0.0.1", "127.0.0.1:80");
      refused("https://user:pw@api.example.com/a");
      refused("file:///etc/passwd", "*");
      refused("https://blobs.example.org/x", "*.example.com");
      refused("https://evilexample.com/x", "*.example.com");
      refused("https://example.com/x", "*.example.com");
      refused("https://blobs.example.com.evil.org/x", "blobs.example.com", "*.example.com");
      refused("https://blobs.example.com:8443/x", "blobs.example.com");
      refused("https://api.example.com:8443/x");
      assert.equal(to("https://blobs.example.com/x", "Blobs.example.com").home, false);
      assert.equal(to("https://a.b.example.com/x", "*.example.com").url.host, "a.b.example.com");
      assert.equal(to("https://blobs.example.com:8443/x", "blobs.example.com:8443").home, false);
      assert.equal(to("//api.example.com/b").home, true);
    });
  });

  describe("addresses", () => {
    test("plain http is for this machine only, and a login is never part of one", () => {
      for (const url of ["http://127.0.0.1/x", "http://127.9.9.9:1/x", "http://[::1]/x", "http://localhost:3/x", "https://example.com"]) checkedUrl(url);
      for (const url of ["http://example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://0.0.0.0", "https://me@example.com", "https://me:pw@example.com", "ftp://example.com", "no url"])
        assert.throws(() => checkedUrl(url), { code: "download-failed" }, url);
    });

    test("neither queries nor logins nor tokens show up in an error, however deep one looks", async () => {
      blobs.script(redirect(`http://secretuser:secretpw@${blobs.host}/x?sig=secretsig`));
      forge.script(redirect(`${blobs.url}/x?sig=secretsig`));
      const failing: Promise<unknown>[] = [
        get(source({ token, url: "http://127.0.0.1:1/a?sig=secretsig" })),
        get(source({ token, url: "http://example.com/a?sig=secretsig" })),
        get(source({ token, url: "https://secretuser:secretpw@example.com/?sig=secretsig" })),
        get(source({ token, url: "http://[/?sig=secretsig" })),
        get(source({ token, redirectHosts: [] })),
        get(source({ token, redirectHosts: [blobs.host] })),
        get(source({ token: new Secret("GITHUB_TOKEN", "ghp_secrettoken\n") })),
      ];
      for (const [n, result] of (await Promise.allSettled(failing)).entries()) {
        assert.equal(result.status, "rejected", `case ${n}`);
        const shown = inspect((result as PromiseRejectedResult).reason, { depth: 10, showHidden: true });
        assert.doesNotMatch(shown, /secretsig|secretuser|secretpw|secrettoken|ghp_/, `case ${n}`);
      }
    });

    test("a token that cannot be a header is refused by its name", () => {
      const s = source({ token: new Secret("GITHUB_TOKEN", "two words") });
      assert.throws(() => headersFor(s, {}, firstHop(s)), { code: "forge-refused", message: /token GITHUB_TOKEN/ });
    });

    test("paths are cut in messages", async () => {
      await assert.rejects(get(source({ url: `http://127.0.0.1:1/${"p".repeat(500)}` })), (error: Error) => error.message.length < 300);
    });
  });

  describe("answers", () => {
    test("what is compressed for the way is refused, for a digest is for the bytes as they are", async () => {
      forge.script(file(gzipSync("x"), { "content-encoding": "gzip" }));
      await assert.rejects(get(source()), { code: "download-failed", retryable: false, message: /content-encoding of http:\S+ is "gzip"/ });
      forge.script(file(Buffer.from("x"), { "content-encoding": "identity" }));
      assert.equal(await text(source()), "x");
    });

    test("a text over its cap is not read further", async () => {
      forge.script(file(Buffer.alloc(5_000_000, "x")));
      const reply = await get(source());
      await assert.rejects(readText(reply, 1_000), { code: "upstream-too-large" });
    });

    test("a text is whole however it is cut on the way", async () => {
      const all = "ä€😀 one two ".repeat(20_000);
      const bytes = Buffer.from(all);
      forge.script((_req, res) => {
        res.writeHead(200);
        let at = 0;
        for (const size of [1, 2, 3, 70_000, 1, 1, 130_000]) res.write(bytes.subarray(at, (at += size)));
        res.end(bytes.subarray(at));
      });
      assert.equal(await readText(await get(source()), bytes.length), all);
      await assert.rejects(get(source()).then((reply) => readText(reply, bytes.length - 1)), { code: "upstream-too-large" });
    });

    test("a body that falls silent is given up, retryable; one whose reader is slow is not", async () => {
      forge.script(silent(Buffer.from("hello")));
      await assert.rejects(text(source(), { idleMs: 50 }), { code: "upstream-unreachable", retryable: true, message: /nothing came for 50 ms/ });
      const two = Buffer.alloc(2_000_000, "x");
      forge.script(file(two));
      const reply = await get(source(), { idleMs: 500 });
      let bytes = 0;
      for await (const chunk of reply.body) {
        const first = bytes === 0;
        bytes += chunk.length;
        const since = performance.now();
        if (first) await until(() => performance.now() - since > 1_000, { what: "a slow reader", everyMs: 20 });
      }
      assert.equal(bytes, two.length);
    });

    test("a server that never answers is given up, retryable", async () => {
      forge.script(() => undefined);
      await assert.rejects(get(source(), { headMs: 50 }), { code: "upstream-unreachable", retryable: true, message: /no answer within 50 ms/ });
    });

    test("a line that breaks, or nobody there, is upstream-unreachable", async () => {
      forge.script(broken(Buffer.alloc(100_000, "x"), 50_000));
      await assert.rejects(text(source()), { code: "upstream-unreachable", retryable: true });
      await assert.rejects(get(source({ url: "http://127.0.0.1:1/x" })), { code: "upstream-unreachable", retryable: true });
    });

    test("the caller's signal ends it at every point", { timeout: 20_000 }, async () => {
      await assert.rejects(get(source(), {}, AbortSignal.abort()), { code: "cancelled" });
      assert.equal(forge.requests.length, 0);
      forge.script(() => undefined);
      const before = new AbortController();
      const waiting = get(source(), {}, before.signal);
      await until(() => forge.requests.length === 1, { what: "the request" });
      before.abort();
      await assert.rejects(waiting, { code: "cancelled" });
      forge.script(silent(Buffer.from("hello")));
      const within = new AbortController();
      const open = () => get(source(), { idleMs: 600_000 }, within.signal);
      const [body, unread] = [(await open()).body[Symbol.asyncIterator](), (await open()).body[Symbol.asyncIterator]()];
      await body.next();
      const next = body.next();
      within.abort();
      await assert.rejects(next, { code: "cancelled" });
      await assert.rejects(unread.next(), { code: "cancelled" });
    });

    test("an answer that nobody wants hangs up", async () => {
      let gone = false;
      forge.script((req, res) => {
        req.socket.on("close", () => (gone = true));
        res.writeHead(200).write("x");
      });
      await (await get(source())).discard();
      await until(() => gone, { what: "the connection to close" });
    });
  });

  describe("whatever the peer says", () => {
    /** Speaks bytes instead of HTTP, and leaves the connection open unless told otherwise. */
    async function speaking(speak: (socket: Socket) => void) {
      const sockets = new Set<Socket>();
      const server = createServer((socket) => {
        sockets.add(socket.on("error", () => undefined).on("close", () => sockets.delete(socket)));
        socket.once("data", () => speak(socket));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      const close = () => new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
      return { host, url: `http://${host}/x`, sockets, close };
    }
    const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n";

    test("one that changes to another protocol is refused at once and hung up on, also behind a redirect", { timeout: 20_000 }, async () => {
      for (const more of ["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"]) {
        const evil = await speaking((socket) => void socket.write(SWITCH + more));
        forge.script(redirect(evil.url));
        try {
          for (const s of [source({ url: evil.url }), source({ redirectHosts: [evil.host] })]) await assert.rejects(get(s, { headMs: 600_000 }), { code: "upstream-unreachable", retryable: true, message: /changed to another protocol/ });
          await assert.rejects(postOnce(evil.url, { headers: {}, body: Buffer.from("x"), timeoutMs: 600_000 }, never), { code: "upstream-unreachable" });
          await until(() => evil.sockets.size === 0, { what: "the connections to close", everyMs: 5 });
        } finally {
          await evil.close();
        }
      }
    });

    test("every request settles by its limit, and by its caller's signal", { timeout: 30_000 }, async () => {
      const drip = (text: string) => (socket: Socket) => {
        const timer = setInterval(() => void socket.write(text), 5);
        socket.on("close", () => clearInterval(timer));
      };
      const peers: readonly ((socket: Socket) => void)[] = [
        () => undefined,
        (socket) => void socket.write("HTTP/1.1 200 OK\r\nx: "),
        drip("HTTP/1.1 103 Early Hints\r\n\r\n"),
        drip("HTTP/1.1 100 Continue\r\n\r\n"),
        (socket) => void socket.write("HTTP/1.1 102 Processing\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
      ];
      for (const [n, speak] of peers.entries()) {
        const evil = await speaking(speak);
        try {
          await assert.rejects(get(source({ url: evil.url }), { headMs: 60 }), { code: "upstream-unreachable", message: /no answer within 60 ms/ }, `peer ${n}`);
          await assert.rejects(get(source({ url: evil.url }), { headMs: 600_000 }, AbortSignal.timeout(60)), { code: "cancelled" }, `peer ${n}`);
          await until(() => evil.sockets.size === 0, { what: "the connections to close", everyMs: 5 });
        } finally {
          await evil.close();
        }
      }
      const mute = await speaking((socket) => socket.end());
      await assert.rejects(get(source({ url: mute.url })), { code: "upstream-unreachable" });
      await mute.close();
    });

    test("what it wrote is short and printable in a message", async () => {
      const cases: readonly [string, RegExp][] = [
        [`HTTP/1.1 302 x\r\nlocation: ${"a".repeat(15_000)}:x\r\n\r\n`, /address a{40}… is not encrypted/],
        [`HTTP/1.1 302 x\r\nlocation: https://${"a.".repeat(7_000)}org/x\r\n\r\n`, /leads to (a\.){60}…, expected/],
        [`HTTP/1.1 302 x\r\nlocation: http://${"a.".repeat(7_000)}org/x\r\n\r\n`, /address http:\/\/a\.\S+… is not encrypted|address http:\/\/a\S+…\/x is not encrypted/],
        ["HTTP/1.1 200 OK\r\ncontent-encoding: \u009b31mred\u009d0;x\r\n\r\n", /is "\?31mred\?0;x", expected none/],
        [`HTTP/1.1 200 OK\r\ncontent-encoding: ${"z".repeat(5_000)}\r\n\r\n`, /is "z{40}…", expected none/],
      ];
      for (const [answer, message] of cases) {
        const evil = await speaking((socket) => void socket.end(answer, "latin1"));
        await assert.rejects(get(source({ url: evil.url })), (error: Error) => {
          assert.match(error.message, message);
          assert.match(error.message, /^[ -~…]{1,400}$/);
          return true;
        });
        await evil.close();
      }
    });
  });

  describe("one post", () => {
    const post = (url: string, timeoutMs = 5_000, signal = never) => postOnce(url, { headers: { "content-type": "application/json", "x-event": "ping" }, body: Buffer.from("{\"a\":1}"), timeoutMs }, signal);

    test("carries the exact bytes and headers, and brings back status and text without following a redirect", async () => {
      const got: Buffer[] = [];
      forge.script(async (req, res) => {
        got.push(...((await req.toArray()) as Buffer[]));
        res.writeHead(307, { location: "/elsewhere" }).end("no");
      });
      const reply = await post(`${forge.url}/webhook`);
      assert.deepEqual([reply.status, reply.text], [307, "no"]);
      assert.ok(reply.ms >= 0);
      assert.equal(Buffer.concat(got).toString(), "{\"a\":1}");
      assert.deepEqual(forge.requests.map((r) => [r.method, r.headers["x-event"], r.headers["content-length"], r.headers.authorization]), [["POST", "ping", "7", undefined]]);
    });

    test("goes to this machine or over https only", async () => {
      await assert.rejects(post("http://example.com/webhook"), { code: "download-failed" });
    });

    test("takes no more than 64 KiB of an answer, and no longer than it may", async () => {
      forge.script(status(200, {}, "x".repeat(70_000)));
      await assert.rejects(post(forge.url), { code: "upstream-too-large" });
      forge.script(silent(Buffer.from("x")));
      await assert.rejects(post(forge.url, 100), { code: "upstream-unreachable", retryable: true });
      forge.script(silent(Buffer.from("x")));
      await assert.rejects(post(forge.url, 5_000, AbortSignal.timeout(50)), { code: "cancelled" });
    });
  });
});
