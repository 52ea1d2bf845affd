/** Downloading an asset from real servers that break, lie and stall: what ends up on the disk is the program with the expected digest, or nothing. */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { createDownload, type DownloadDeps, type Downloaded, type DownloadRequest } from "../../src/adapters/download.ts";
import { validatorOf } from "../../src/adapters/download-reply.ts";
import { diskTrouble, freeBytes } from "../../src/adapters/files.ts";
import type { Digest } from "../../src/domain/artifact.ts";
import type { SlipstreamError } from "../../src/domain/errors.ts";
import type { Clock } from "../../src/kit/clock.ts";
import { Secret } from "../../src/kit/secret.ts";
import { type Answer, type AssetServer, broken, etagOf, file, redirect, silent, startAssetServer, status } from "../support/asset-server.ts";
import { paxHeader, tarGz, zeroBomb } from "../support/tarballs.ts";
import { until } from "../support/wait.ts";

const MIB = 2 ** 20;
const never = new AbortController().signal;
const NOW = 1_750_000_000_000;
const digest = (bytes: Buffer): Digest => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** The first byte a request asks for. */
function fromOf(request: { readonly headers: { readonly range?: string | undefined } } | undefined): number {
  return Number(/^bytes=(\d+)-$/.exec(request?.headers.range ?? "bytes=0-")?.[1]);
}

/** Time that passes only by sleeping, at once. */
function quickClock(): Clock & { readonly slept: number[] } {
  let at = NOW;
  const slept: number[] = [];
  return {
    slept,
    now: () => at,
    monotonic: () => at,
    sleep: async (ms) => {
      slept.push(ms);
      at += ms;
    },
  };
}

describe("download", () => {
  let base: string;
  let forge: AssetServer;
  let blobs: AssetServer;
  const content = randomBytes(2 * MIB);
  const asset = tarGz({ name: "nats-server", content }, { name: ".version", content: "v1.2.3\n" });
  before(async () => {
    base = await mkdtemp(join(tmpdir(), "download-"));
    [forge, blobs] = await Promise.all([startAssetServer(), startAssetServer()]);
  });
  after(() => Promise.all([forge.close(), blobs.close(), rm(base, { recursive: true, force: true })]));
  beforeEach(async () => {
    await rm(base, { recursive: true, force: true });
    await mkdir(base);
    forge.script(status(500));
    blobs.script(status(500));
  });

  type Ask = Partial<DownloadRequest> & { readonly deps?: Partial<DownloadDeps> };
  const ask = ({ deps, ...rest }: Ask = {}, signal = never): Promise<Downloaded> => createDownload({ clock: quickClock(), ...deps })(bare({ digest: digest(asset), ...rest }), signal);
  const listing = async () => (await readdir(base, { recursive: true })).sort();

  async function arrives(got: Downloaded, wanted = content) {
    assert.equal(got.program, join(base, "runs", "7", "staged", "nats-server"));
    assert.ok(wanted.equals(await readFile(got.program)), "the program is not the one in the archive");
    assert.equal((await stat(got.program)).mode & 0o777, 0o755);
    assert.deepEqual(await listing(), ["runs", "runs/7", "runs/7/staged", "runs/7/staged/nats-server"]);
  }

  async function refused(request: Ask, code: string, message: RegExp, signal = never): Promise<SlipstreamError> {
    const error = await ask(request, signal).then(
      () => assert.fail("it was taken"),
      (e: SlipstreamError) => e,
    );
    assert.equal(error.code, code, error.stack);
    assert.match(error.message, message);
    assert.deepEqual((await listing()).filter((name) => !["runs", "runs/7"].includes(name)), [], "a refused download leaves something");
    return error;
  }

  describe("that goes well", () => {
    test("brings the program, executable and under its own name, with digest, size, version and progress", async () => {
      forge.script(file(asset));
      const progress: [number, number][] = [];
      const got = await ask({ onProgress: (...p) => void progress.push(p) });
      await arrives(got);
      assert.deepEqual([got.digest, got.bytes, got.stamp], [digest(asset), asset.length, "v1.2.3\n"]);
      assert.deepEqual(progress.at(-1), [asset.length, asset.length]);
      assert.equal(progress.length, 2, "no time passed, so one at the start and one at the end");
      assert.equal(forge.requests.length, 1);
    });

    test("takes an asset of which neither size nor digest is known, gzipped or bare", async () => {
      for (const [name, bytes] of [["nats-linux-amd64.gz", gzipSync(content, { level: 1 })], ["nats-linux-amd64", content]] as const) {
        forge.script(file(bytes));
        const got = await createDownload({ clock: quickClock() })(bare({ name, bytes: 0 }), never);
        await arrives(got);
        assert.equal(got.digest, digest(bytes));
        assert.equal(got.stamp, undefined);
      }
    });

    test("replaces what an earlier try left in its folder", async () => {
      const dir = join(base, "runs", "7", "staged");
      await mkdir(join(dir, "x"), { recursive: true });
      await writeFile(join(dir, "nats-server.unverified"), "half");
      forge.script(file(asset));
      await arrives(await ask());
    });

    test("follows a redirect to the blob host, which does not see the token", async () => {
      forge.script(redirect(`${blobs.url}/blob?sig=hush`));
      blobs.script(file(asset));
      await arrives(await ask({ source: () => ({ url: `${forge.url}/asset`, token: new Secret("GITHUB_TOKEN", "ghp_0123456789"), redirectHosts: [blobs.host] }) }));
      assert.equal(forge.requests[0]?.headers.authorization, "Bearer ghp_0123456789");
      assert.equal(blobs.requests[0]?.headers.authorization, undefined);
    });

    test("keeps to a bandwidth cap", async () => {
      forge.script(file(asset));
      const clock = quickClock();
      await arrives(await ask({ bytesPerSecond: 500_000, deps: { clock } }));
      const seconds = clock.slept.reduce((a, b) => a + b, 0) / 1_000;
      const due = asset.length / 500_000;
      assert.ok(seconds > due - 0.6 && seconds <= due, `${seconds} s for what takes ${due} s`);
    });

    test("tells its progress four times a second at most", async () => {
      forge.script(file(asset));
      let said = 0;
      const clock = quickClock();
      await ask({ bytesPerSecond: 500_000, deps: { clock }, onProgress: () => void said++ });
      const seconds = clock.slept.reduce((a, b) => a + b, 0) / 1_000;
      assert.ok(said > 5 && said <= seconds * 4 + 2, `${said} times in ${seconds} s`);
    });
  });

  describe("over a line that breaks", () => {
    test("goes on where it was", async () => {
      forge.script(broken(asset, MIB), file(asset));
      const lines: string[] = [];
      await arrives(await ask({ onLine: (line) => void lines.push(line) }));
      const [, second] = forge.requests;
      assert.equal(forge.requests.length, 2);
      const from = fromOf(second);
      // What was under way when the line broke may be lost; what was taken is not asked for again.
      assert.ok(from > MIB / 2 && from <= MIB, String(from));
      assert.equal(second?.headers["if-range"], etagOf(asset));
      assert.equal(forge.sent(), MIB + asset.length - from);
      assert.match(lines.join("\n"), new RegExp(`goes on at byte ${from}`));
    });

    test("goes on over the blob host with a fresh address each time", async () => {
      let n = 0;
      blobs.script(broken(asset, 500_000), status(403, {}, "Signature not valid in the specified time frame"), file(asset));
      await arrives(await ask({ source: () => ({ url: `${blobs.url}/blob?sig=${++n}`, redirectHosts: [] }) }));
      assert.deepEqual(blobs.requests.map((r) => r.path), ["/blob?sig=1", "/blob?sig=2", "/blob?sig=3"]);
      assert.ok(fromOf(blobs.requests[2]) > 0);
    });

    const total = asset.length;
    /** Sends bytes and headers that depend on where the rest was asked from. */
    const rest =
      (answer: (from: number) => readonly [range: string | undefined, bytes: Buffer, headers?: Record<string, string>]): Answer =>
      (req, res) => {
        const [range, bytes, headers] = answer(fromOf(req));
        res.writeHead(206, { ...(headers?.["transfer-encoding"] === undefined ? { "content-length": bytes.length } : {}), ...(range === undefined ? {} : { "content-range": range }), ...headers }).end(bytes);
      };
    const unfit: readonly [string, Answer][] = [
      ["begins elsewhere", rest(() => [`bytes 0-${total - 1}/${total}`, asset])],
      ["begins a byte later", rest((from) => [`bytes ${from + 1}-${total - 1}/${total}`, asset.subarray(from + 1)])],
      ["is of another length in total", rest((from) => [`bytes ${from}-${total}/${total + 1}`, Buffer.concat([asset.subarray(from), Buffer.alloc(1)])])],
      ["is of unknown length in total", rest((from) => [`bytes ${from}-${total - 1}/*`, asset.subarray(from)])],
      ["has no range", rest((from) => [undefined, asset.subarray(from)])],
      ["stops early", rest((from) => [`bytes ${from}-${from + 9}/${total}`, asset.subarray(from, from + 10), { "transfer-encoding": "chunked" }])],
      ["is shorter than it says", rest((from) => [`bytes ${from}-${total - 1}/${total}`, asset.subarray(from, from + 10)])],
      ["has another etag", rest((from) => [`bytes ${from}-${total - 1}/${total}`, asset.subarray(from), { etag: '"other"' }])],
      ["is past the end, says the server", status(416, { "content-range": "bytes */100" })],
    ];
    for (const [what, answer] of unfit)
      test(`starts again when the rest ${what}`, async () => {
        forge.script(broken(asset, MIB), answer, file(asset));
        const lines: string[] = [];
        await arrives(await ask({ onLine: (line) => void lines.push(line) }));
        assert.equal(forge.requests.length, 3);
        assert.equal(forge.requests[2]?.headers.range, undefined);
        assert.doesNotMatch(lines.join("\n"), /goes on|is sha256/, "it was taken for a while");
      });

    test("takes the rest from a server that repeats no etag", async () => {
      forge.script(broken(asset, MIB), rest((from) => [`bytes ${from}-${total - 1}/${total}`, asset.subarray(from)]));
      await arrives(await ask());
      assert.equal(forge.requests.length, 2);
    });

    test("starts again with the very answer that is whole although a rest was asked for, and with a changed asset too", async () => {
      forge.script(broken(asset, MIB), file(asset, { etag: '"changed"' }));
      await arrives(await ask());
      assert.equal(forge.requests.length, 2);
    });

    test("never joins halves of two files, even where the server would", async () => {
      const other = randomBytes(content.length);
      forge.script(broken(other, MIB, { etag: '"same"' }), file(content, { etag: '"same"' }), file(content));
      await arrives(await ask({ name: "nats", bytes: content.length, digest: digest(content) }));
      assert.ok(fromOf(forge.requests[1]) > 0);
      assert.equal(forge.requests.length, 3, "the digest told, and the third try began anew");
      assert.equal(forge.requests[2]?.headers.range, undefined);
    });

    test("starts again where neither an etag nor a date nor a digest tells two files apart", async () => {
      const weak = { etag: 'W/"weak"' };
      forge.script(broken(asset, MIB, weak), file(asset, weak));
      await arrives(await createDownload({ clock: quickClock() })(bare({}), never));
      assert.equal(forge.requests[1]?.headers.range, undefined);
    });

    test("gives up after twelve tries that bring nothing new", async () => {
      forge.script(broken(asset, 100_000));
      const clock = quickClock();
      const error = await refused({ deps: { clock } }, "upstream-unreachable", /is not reachable/);
      assert.equal(error.retryable, true);
      assert.equal(forge.requests.length, 12);
      assert.equal(clock.slept.length, 11);
      assert.ok((clock.slept[3] as number) > (clock.slept[0] as number), "later waits are longer");
    });

    test("outlives a network that is away for minutes, as when a laptop wakes up", async () => {
      forge.script(file(asset));
      const clock = quickClock();
      const away = NOW + 150_000;
      const source = () => ({ url: clock.now() < away ? "http://127.0.0.1:1/asset" : `${forge.url}/asset`, redirectHosts: [] });
      await arrives(await ask({ source, deps: { clock } }));
      assert.ok(clock.slept.every((ms) => ms <= 60_000), "no wait is longer than a minute");
    });

    test("a body that trickles is a broken connection, and goes on where it was", { timeout: 30_000 }, async () => {
      const trickle: Answer = (_req, res) => {
        let at = MIB;
        const timer = setInterval(() => void res.write(asset.subarray(at, (at += 50))), 5);
        res.on("close", () => clearInterval(timer));
        res.writeHead(200, { "content-length": asset.length, etag: etagOf(asset) }).write(asset.subarray(0, MIB));
      };
      // Sleeping takes no time, waiting for a server does.
      const clock = () => ({ ...quickClock(), monotonic: () => performance.now() });
      const least = { bytesPerSecond: 50 * MIB, overMs: 100 };
      forge.script(trickle, file(asset));
      await arrives(await ask({ deps: { clock: clock(), least } }));
      assert.ok(fromOf(forge.requests[1]) >= MIB);
      forge.script(trickle);
      const error = await refused({ name: "nats", deps: { clock: clock(), least: { ...least, overMs: 20 } } }, "upstream-unreachable", /comes at less than 52428800 bytes a second/);
      assert.equal(error.retryable, true);
    });

    test("a body that is slow because of our own bandwidth cap is not", async () => {
      const steady: Answer = (_req, res) => {
        let at = 0;
        const timer = setInterval(() => {
          res.write(content.subarray(at, (at += 100)));
          if (at < 4_000) return;
          clearInterval(timer);
          res.end();
        }, 5);
        res.writeHead(200, { etag: '"4"' });
      };
      forge.script(steady);
      const clock = { ...quickClock(), monotonic: () => performance.now() };
      const got = await createDownload({ clock, least: { bytesPerSecond: 1e9, overMs: 10 } })(bare({ name: "nats", bytes: 4_000, bytesPerSecond: 1e8 }), never);
      assert.deepEqual([got.bytes, forge.requests.length], [4_000, 1]);
    });

    test("does not give up on a line that breaks often but brings something each time", async () => {
      const big = randomBytes(9 * MIB);
      const drip: Answer = (req, res) => {
        const from = fromOf(req);
        const head = from === 0 ? ([200, {}] as const) : ([206, { "content-range": `bytes ${from}-${big.length - 1}/${big.length}` }] as const);
        res.writeHead(head[0], { ...head[1], etag: '"big"', "content-length": big.length - from });
        res.write(big.subarray(from, from + 1_200_000), () => void res.socket?.end());
      };
      forge.script(drip);
      await arrives(await ask({ name: "nats", bytes: big.length, digest: digest(big) }), big);
      assert.ok(forge.requests.length >= 8, String(forge.requests.length));
    });

    test("a body that falls silent counts as broken", async () => {
      forge.script(silent(asset.subarray(0, MIB), { "content-length": String(asset.length), etag: etagOf(asset) }), file(asset));
      await arrives(await ask({ deps: { idleMs: 500 } }));
      assert.ok(fromOf(forge.requests[1]) > 0);
    });

    test("a body that stays silent is given up", async () => {
      forge.script(silent(asset.subarray(0, 1_000)));
      await refused({ bytes: 0, deps: { idleMs: 30 } }, "upstream-unreachable", /nothing came for 30 ms/);
    });
  });

  describe("is refused", () => {
    test("with another digest, after one more try", async () => {
      forge.script(file(asset));
      await refused({ digest: digest(Buffer.from("other")) }, "digest-mismatch", /asset nats-linux-amd64\.tar\.gz is sha256:[0-9a-f]{64}, expected sha256:/);
      assert.equal(forge.requests.length, 2);
    });

    test("but not when the second try has the right digest", async () => {
      const spoilt = tarGz({ name: "nats-server", content: Buffer.concat([content.subarray(1), Buffer.from("x")]) }, { name: ".version", content: "v1.2.3\n" });
      forge.script(file(spoilt), file(asset));
      await arrives(await ask());
    });

    const html = Buffer.from("<!doctype html><title>Unicorn!</title>");
    const page = file(html, { "content-type": "text/html; charset=utf-8" });
    test("when it is a web page with status 200, whatever is known of the asset", async () => {
      for (const known of [{}, { bytes: 0 }, { bytes: html.length }, { bytes: html.length, name: "nats-linux-amd64" }]) {
        forge.script(page);
        await refused(known, "digest-mismatch", /is a web page \(content-type text\/html\)/);
        assert.equal(forge.requests.length, 2);
      }
      for (const name of ["nats-linux-amd64", "nats-linux-amd64.tar.gz"]) {
        forge.script(page);
        await assert.rejects(createDownload({ clock: quickClock() })(bare({ name, bytes: 0 }), never), { code: "digest-mismatch", message: /text\/html/ });
      }
      assert.deepEqual((await listing()).filter((name) => name.includes("staged")), []);
    });

    test("but not when the page was a hiccup", async () => {
      forge.script(page, file(asset));
      await arrives(await ask());
    });

    test("when its length is not what the forge says, after a few tries", async () => {
      forge.script(file(asset));
      await refused({ bytes: asset.length + 1 }, "artifact-invalid", new RegExp(`is ${asset.length} bytes long, expected ${asset.length + 1}`));
      assert.equal(forge.requests.length, 3);
      const chunked = (bytes: Buffer): Answer => (_req, res) => {
        res.writeHead(200);
        res.write(bytes);
        res.end();
      };
      for (const bytes of [asset.subarray(0, asset.length - 1), Buffer.concat([asset, Buffer.alloc(1)])]) {
        forge.script(chunked(bytes));
        await refused({}, "artifact-invalid", new RegExp(`bytes long, expected ${asset.length}`));
        assert.equal(forge.requests.length, 3);
      }
    });

    test("when it is larger than allowed: by the forge's word, by its header, and by what comes", async () => {
      await refused({ bytes: 65 * MIB }, "upstream-too-large", /expected at most 67108864/);
      assert.equal(forge.requests.length, 0);
      forge.script(file(asset));
      await refused({ bytes: 0, maxBytes: 1_000 }, "upstream-too-large", /expected at most 1000/);
      let gone = false;
      const endless: Answer = (req, res) => {
        req.socket.on("close", () => (gone = true));
        const more = () => void (gone || res.write(Buffer.alloc(64 * 1024), more));
        res.writeHead(200);
        more();
      };
      forge.script(endless);
      await refused({ name: "nats", bytes: 0, maxBytes: 3 * MIB }, "upstream-too-large", /expected at most 3145728/);
      await until(() => gone, { what: "the connection to close" });
      assert.equal(forge.requests.length, 1);
    });

    test("when the archive is unfit, at once and with its connection closed", async () => {
      const cases: readonly [Buffer, RegExp][] = [
        [tarGz({ name: "nats-server", content: "x" }, { name: "../../../evil", content: "x" }), /has \.\. in its path/],
        [tarGz({ name: "nats-server", content: "x" }, { name: "/etc/cron.d/evil", content: "x" }), /absolute path/],
        [tarGz({ name: "nats-server", content: "x" }, { name: "up", type: "2", link: "../.." }, { name: "up/evil", content: "x" }), /is a link to/],
        [tarGz({ name: "nats-server", content: "x" }, { name: "null", type: "3" }), /character device/],
        [tarGz(paxHeader({ size: "99999999999" }), { name: "nats-server", content: "x" }), /unpacks to more/],
        [tarGz({ name: "nats-cli", content: "x" }), /has no program "nats-server"/],
        [zeroBomb("nats-server", 2), /unpacks to more than 67108864 bytes/],
        [asset.subarray(0, asset.length - 100), /damaged, cut off/],
      ];
      for (const [bytes, message] of cases) {
        forge.script(file(bytes));
        await refused({ bytes: bytes.length, digest: digest(bytes) }, "artifact-invalid", message);
        assert.equal(forge.requests.length, 1);
      }
    });

    test("when the unpacking fails while the server is silent, without waiting for it", async () => {
      const evil = tarGz({ name: "../evil", content: randomBytes(200_000) });
      let gone = false;
      forge.script((req, res) => {
        req.socket.on("close", () => (gone = true));
        res.writeHead(200).write(evil);
      });
      await refused({ bytes: 0, deps: { idleMs: 600_000 } }, "artifact-invalid", /has \.\. in its path/);
      await until(() => gone, { what: "the connection to close" });
    });

    test("when it is packed in a way that is not read here, before anything is asked", async () => {
      await refused({ name: "nats-linux-amd64.zip" }, "artifact-invalid", /nats-linux-amd64\.zip is packed in a way/);
      assert.equal(forge.requests.length, 0);
    });

    test("when a redirect leads to a host that is not allowed", async () => {
      forge.script(redirect(`${blobs.url}/blob?sig=hush`));
      await refused({ source: () => ({ url: `${forge.url}/asset`, redirectHosts: [] }) }, "download-failed", /leads to 127/);
      assert.deepEqual([forge.requests.length, blobs.requests.length], [1, 0]);
    });

    test("when it is cancelled: while it waits, between tries, in the middle", async () => {
      forge.script(() => undefined);
      const waiting = new AbortController();
      const one = refused({}, "cancelled", /cancelled/, waiting.signal);
      await until(() => forge.requests.length === 1, { what: "the request" });
      waiting.abort();
      await one;
      forge.script(status(503));
      const between = new AbortController();
      await refused({ deps: { clock: { ...quickClock(), sleep: async () => between.abort() } } }, "cancelled", /cancelled/, between.signal);
      forge.script(silent(asset.subarray(0, MIB), { "content-length": String(asset.length) }));
      const middle = new AbortController();
      const three = refused({}, "cancelled", /cancelled/, middle.signal);
      await until(async () => (await listing()).some((name) => name.endsWith(".unverified")), { what: "the program to arrive" });
      middle.abort();
      await three;
    });
  });

  describe("from a server that says no", () => {
    test("tries an expired address again with a fresh one", async () => {
      for (const code of [403, 404, 410, 618, 503]) {
        let n = 0;
        blobs.script(status(code, {}, "AuthenticationFailed: Signature not valid in the specified time frame"), file(asset));
        await arrives(await ask({ source: () => ({ url: `${blobs.url}/blob?sig=${++n}`, redirectHosts: [] }) }));
        assert.deepEqual(blobs.requests.map((r) => r.path), ["/blob?sig=1", "/blob?sig=2"], String(code));
      }
    });

    test("gives up on what stays away after five tries, and on what cannot pass at once", async () => {
      forge.script(status(404));
      assert.equal((await refused({}, "download-failed", /is status 404/)).retryable, true);
      assert.equal(forge.requests.length, 5);
      forge.script(status(400));
      assert.equal((await refused({}, "download-failed", /is status 400/)).retryable, false);
      assert.equal(forge.requests.length, 1);
    });

    test("wrong credentials are no matter for a retry, and only the forge itself speaks of them", async () => {
      for (const answer of [status(401), status(403, {}, '{"message":"Resource not accessible by personal access token"}'), status(403, { "www-authenticate": "Bearer" })]) {
        forge.script(answer);
        const error = await refused({}, "forge-refused", /check the token/);
        assert.equal(error.retryable, false);
        assert.equal(forge.requests.length, 1);
      }
      forge.script(redirect(`${blobs.url}/blob`));
      blobs.script(status(403, {}, "AuthenticationFailed"), status(401), file(asset));
      await arrives(await ask());
    });

    test("a spent rate limit names the time to come back", async () => {
      const at = async (answer: Answer) => {
        forge.script(answer);
        const error = await refused({}, "rate-limited", /is rate-limited by http/);
        assert.equal(error.retryable, true);
        assert.equal(forge.requests.length, 1);
        return error.retryAt;
      };
      assert.equal(await at(status(429, { "retry-after": "90" })), NOW + 90_000);
      assert.equal(await at(status(403, { "retry-after": "90", "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(NOW / 1_000 + 5) })), NOW + 90_000);
      assert.equal(await at(status(403, { date: new Date(NOW).toUTCString(), "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(NOW / 1_000 + 1_800) })), NOW + 1_800_000);
      assert.equal(await at(status(429)), NOW + 60_000);
      assert.equal(await at(status(403, {}, '{"message":"You have exceeded a secondary rate limit."}')), NOW + 60_000);
    });

    test("only the forge's API may call us back within a minute, and nobody may put us off for longer than an hour", async () => {
      const api = () => ({ url: `${forge.url}/asset`, redirectHosts: [blobs.host], api: forge.url });
      const wait = async () => ((await refused({ source: api }, "rate-limited", /is rate-limited by http/)).retryAt ?? 0) - NOW;
      for (const [after, fromApi, fromElsewhere] of [["0", 1_000, 60_000], ["5", 5_000, 60_000], ["99999999999", 3_600_000, 3_600_000]] as const) {
        forge.script(status(429, { "retry-after": after }));
        assert.equal(await wait(), fromApi);
        forge.script(redirect(`${blobs.url}/blob`));
        blobs.script(status(429, { "retry-after": after }));
        assert.equal(await wait(), fromElsewhere);
        forge.script(status(429, { "retry-after": after }));
        assert.equal((await refused({}, "rate-limited", /./)).retryAt, NOW + fromElsewhere, "no API is known");
      }
    });
  });

  describe("on a full disk", () => {
    test("is not begun, and says what is free and what is wanted", async () => {
      const error = await refused({ bytes: MIB, deps: { freeBytes: async () => 50 * MIB } }, "disk-full", /has 52428800 bytes free at .*, expected 70254592/);
      assert.equal(error.retryable, true);
      assert.equal(forge.requests.length, 0);
    });

    test("ends as soon as an unknown size is known", async () => {
      forge.script(file(asset));
      await refused({ bytes: 0, deps: { freeBytes: async () => 65 * MIB } }, "disk-full", /bytes free/);
    });

    test("does not count what an earlier try left, and leaves it to nobody", async () => {
      const dir = join(base, "runs", "7", "staged");
      const leave = async () => {
        await mkdir(dir, { recursive: true });
        await writeFile(join(dir, "nats-server"), Buffer.alloc(1_000));
      };
      const room = async () => ((await listing()).includes("runs/7/staged/nats-server") ? 0 : 1e12);
      await leave();
      forge.script(file(asset));
      await arrives(await ask({ deps: { freeBytes: room } }));
      await leave();
      await refused({ deps: { freeBytes: async () => 0 } }, "disk-full", /has 0 bytes free/);
      await leave();
      await refused({ bytes: 65 * MIB }, "upstream-too-large", /expected at most/);
    });

    test("ends while a small asset unpacks to a large program, before the disk is full", async () => {
      const bomb = zeroBomb("nats-server", 1);
      forge.script(file(bomb));
      const unverified = join(base, "runs", "7", "staged", "nats-server.unverified");
      const room = async () => 300 * MIB - (await stat(unverified).then((s) => s.size, () => 0));
      await refused({ bytes: bomb.length, digest: digest(bomb), maxUnpackedBytes: 2_000 * MIB, deps: { freeBytes: room } }, "disk-full", /bytes free/);
    });

    test("a write without room is told apart from other trouble, and room is asked of the nearest folder there is", async () => {
      const full = diskTrouble(Object.assign(new Error("x"), { code: "ENOSPC" }), "/x");
      assert.deepEqual([full?.code, full?.retryable], ["disk-full", true]);
      assert.equal(diskTrouble(Object.assign(new Error("x"), { code: "EACCES" }), "/x"), undefined);
      assert.ok((await freeBytes(join(base, "not", "there", "yet"))) > 0);
    });
  });

  test("only a strong etag, else a date, vouches for the rest of a file", () => {
    const validator = (headers: Record<string, string>) => validatorOf(new Headers(headers));
    assert.equal(validator({ etag: '"a"', "last-modified": "Mon" }), '"a"');
    assert.equal(validator({ etag: 'W/"a"', "last-modified": "Mon" }), "Mon");
    assert.equal(validator({ etag: "a" }), undefined);
  });

  /** A request without a digest. */
  function bare(rest: Partial<DownloadRequest>): DownloadRequest {
    return { source: () => ({ url: `${forge.url}/asset`, redirectHosts: [blobs.host] }), name: "nats-linux-amd64.tar.gz", bytes: asset.length, maxBytes: 64 * MIB, maxUnpackedBytes: 64 * MIB, dir: join(base, "runs", "7", "staged"), binary: "nats-server", ...rest };
  }
});
