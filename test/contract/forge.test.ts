/** What every forge must be able to answer, whichever of its servers is behind it. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createGithubForge } from "../../src/adapters/forge/github.ts";
import { parseLossless, releaseOf, releasesOf } from "../../src/adapters/forge/github-release.ts";
import { openHttp, readText } from "../../src/adapters/http.ts";
import type { ErrorCode, SlipstreamError } from "../../src/domain/errors.ts";
import type { ReleaseFeed } from "../../src/domain/subsystem.ts";
import { type Clock, systemClock } from "../../src/kit/clock.ts";
import { Secret } from "../../src/kit/secret.ts";
import { type AssetSpec, type FakeForge, type ForgeStyle, releaseDelivery, startForge } from "../support/forge.ts";

const REPO = "acme/api";
const STYLES: readonly ForgeStyle[] = ["github", "old-ghes", "gitea"];
const TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
const BIG = 9_007_199_254_740_993n;
const content = Buffer.from("the bytes of a program");
const asset = (name: string, odd: Partial<AssetSpec> = {}): AssetSpec => ({ name, content, ...odd });
const never = new AbortController().signal;

function feedOf(fake: FakeForge, patch: Partial<ReleaseFeed> = {}): ReleaseFeed {
  return { api: fake.api, repository: REPO, assetHosts: [fake.assetHost], trust: "digest", assetWaitMs: 60_000, maxBytes: 1e6, maxUnpackedBytes: 1e6, ...patch };
}

/** A clock that stands until it is told to go. */
function standing(): Clock & { advance(ms: number): void } {
  let now = 1_700_000_000_000;
  return { ...systemClock, now: () => now, advance: (ms) => void (now += ms) };
}

async function failure(work: Promise<unknown>, code: ErrorCode, retryable: boolean): Promise<SlipstreamError> {
  const error = await work.then(() => assert.fail(`expected ${code}, got an answer`), (e: SlipstreamError) => e);
  assert.equal(error.code, code, error.message);
  assert.equal(error.retryable, retryable, error.message);
  assert.doesNotMatch(error.message, new RegExp(TOKEN));
  return error;
}

for (const style of STYLES) {
  describe(`releases of a server like ${style}`, () => {
    let fake: FakeForge;
    let feed: ReleaseFeed;
    const forge = () => createGithubForge({ clock: systemClock });
    const trusted = () => createGithubForge({ clock: systemClock, token: new Secret("GITHUB_TOKEN", TOKEN) });
    beforeEach(async () => {
      fake = await startForge({ style, firstId: BIG });
      feed = feedOf(fake);
    });
    afterEach(() => fake.close());

    it("are read with ids beyond 2^53 exact, by list, by id and by tag alike", async () => {
      const publishedAt = 1_760_000_000_000;
      const { id } = fake.publish(REPO, { tag: "nats-v1.0.0", publishedAt, assets: [asset("nats-linux-amd64.tar.gz")] });
      assert.equal(id, "9007199254740993");
      const digest = style === "github" ? { digest: `sha256:${createHash("sha256").update(content).digest("hex")}` } : {};
      const url = `${new URL(fake.api).origin}/${REPO}/releases/download/nats-v1.0.0/nats-linux-amd64.tar.gz`;
      const expected = { id, tag: "nats-v1.0.0", draft: false, prerelease: false, publishedAt, assets: [{ id: "9007199254740994", name: "nats-linux-amd64.tar.gz", bytes: content.length, complete: true, ...digest, url }] };
      assert.deepEqual(await forge().releases(feed, never), [expected]);
      assert.deepEqual(await forge().release(feed, id, never), expected);
      assert.deepEqual(await forge().releaseByTag(feed, "nats-v1.0.0", never), expected);
    });

    it("come with prereleases and without drafts, also for who may see drafts", async () => {
      fake.publish(REPO, { tag: "v1.0.0" });
      fake.publish(REPO, { tag: "v1.1.0-rc.1", prerelease: true });
      const { id } = fake.publish(REPO, { tag: "v1.1.0", draft: true });
      for (const who of [forge(), trusted()]) {
        assert.deepEqual((await who.releases(feed, never)).map((r) => [r.tag, r.prerelease]), [["v1.1.0-rc.1", true], ["v1.0.0", false]]);
        await failure(who.release(feed, id, never), "version-not-found", true);
        await failure(who.releaseByTag(feed, "v1.1.0", never), "version-not-found", true);
      }
      fake.edit(id, { draft: false });
      assert.equal((await trusted().release(feed, id, never)).tag, "v1.1.0");
    });

    it("come as many as a server gives at once", async () => {
      for (let n = 0; n < 120; n++) fake.publish(REPO, { tag: `v1.${n}.0` });
      const all = await forge().releases(feed, never);
      assert.equal(all.length, style === "gitea" ? 50 : 100);
      assert.equal(all[0]?.tag, "v1.119.0");
    });

    it("cost no second answer while nothing has changed, and show at once what has", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0", assets: [asset("a")] });
      const one = forge();
      const first = await one.releases(feed, never);
      assert.equal(await one.releases(feed, never).then((again) => again.map((r) => r.assets)[0]), first[0]?.assets, "the second answer is the kept one");
      fake.addAsset(id, asset("b"));
      assert.deepEqual((await one.releases(feed, never))[0]?.assets.map((a) => a.name), ["a", "b"]);
      assert.equal(fake.countApi(), 3);
    });

    it("are asked for once when several ask at the same time, and again for who asks later", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0" });
      const one = forge();
      const five = Array.from({ length: 5 }, () => one.release(feed, id, never));
      assert.equal(new Set(await Promise.all(five)).size, 1);
      assert.equal(fake.countApi(), 1);
      await one.release(feed, id, never);
      assert.equal(fake.countApi(), 2);
    });

    it("go on for the others when one caller gives up", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0" });
      const one = forge();
      const impatient = new AbortController();
      const [gone, stays] = [one.release(feed, id, impatient.signal), one.release(feed, id, never)];
      impatient.abort();
      await failure(gone, "cancelled", false);
      assert.equal((await stays).id, id);
      await failure(one.release(feed, id, impatient.signal), "cancelled", false);
    });

    it("that the API does not show yet are to be asked for again", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0" });
      const one = forge();
      fake.lag("v1.0.0", 3);
      await failure(one.release(feed, id, never), "version-not-found", true);
      await failure(one.releaseByTag(feed, "v1.0.0", never), "version-not-found", true);
      assert.deepEqual(await one.releases(feed, never), []);
      assert.equal((await one.release(feed, id, never)).tag, "v1.0.0");
      fake.delete(id);
      await failure(one.release(feed, id, never), "version-not-found", true);
    });

    it("are kept apart from a repository that is not there, which is a person's to mend", async () => {
      fake.publish(REPO, { tag: "v1.0.0" });
      const error = await failure(forge().releases(feedOf(fake, { repository: "acme/other" }), never), "forge-refused", false);
      assert.match(error.message, /acme\/other.*(?:GITHUB|GITEA)_TOKEN/);
    });

    it("are read in spite of odd ones beside them", async () => {
      const odd: Record<string, unknown>[] = [{ tag_name: "--upload-pack=x" }, { tag_name: 7 }, { id: -1 }, { id: "12ab" }, { id: null }, { draft: "no" }, { assets: { a: 1 } }];
      for (const [n, fields] of odd.entries()) fake.publish(REPO, { tag: `v0.${n}.0`, odd: fields });
      const names = ["a/b", "..", "", "a\nb", "a\\b", "a\u202eb", "x".repeat(256)];
      const assets = [...names.map((name) => asset("bad", { odd: { name } })), asset("bad", { odd: { size: -1 } }), asset("bad", { odd: { id: "x" } }), asset("good")];
      fake.publish(REPO, { tag: "v1.0.0", assets, odd: { published_at: "yesterday" } });
      const all = await forge().releases(feed, never);
      assert.deepEqual(all.map((r) => [r.tag, r.publishedAt, r.assets.map((a) => a.name)]), [["v1.0.0", undefined, ["good"]]]);
    });

    it("state a digest only where it is one, and an upload under way as such", async () => {
      const digests = ["none", "md5:00", "sha256:00", `sha256:${"A".repeat(64)}`];
      fake.publish(REPO, { tag: "v1.0.0", assets: [...digests.map((digest, n) => asset(`a${n}`, { digest })), asset("b", { state: "starter" }), asset("c", { odd: { browser_download_url: "no url" } })] });
      const assets = (await forge().releaseByTag(feed, "v1.0.0", never)).assets;
      assert.deepEqual(assets.slice(0, 4).map((a) => a.digest), [undefined, undefined, undefined, undefined]);
      assert.equal(assets.find((a) => a.name === "b")?.complete, style === "gitea");
      assert.equal(assets.find((a) => a.name === "c")?.url, undefined);
    });

    it("are not there for credentials that are missing or wrong", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0" });
      fake.requireToken("another token");
      await failure(forge().release(feed, id, never), "version-not-found", true);
      assert.match((await failure(trusted().releases(feed, never), "forge-refused", false)).message, /401.*(?:GITHUB|GITEA)_TOKEN/);
      fake.requireToken(TOKEN);
      assert.equal((await trusted().release(feed, id, never)).id, id);
      fake.breakApi({ status: 403, body: '{"message":"Resource protected by organization SAML enforcement."}' });
      await failure(trusted().release(feed, id, never), "forge-refused", false);
    });

    it("are asked for again when a server fails or answers something else", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0" });
      const faults = [{ status: 500 }, { status: 502, type: "text/html", body: "<html>" }, { status: 200, type: "text/html", body: "<!DOCTYPE html><title>Unicorn!</title>" }, { status: 200, body: '[{"id":1,' }, { status: 200, body: '{"id":1}' }, { status: 200, body: "" }, { status: 304 }];
      for (const fault of faults) {
        fake.breakApi(fault);
        await failure(forge().release(feed, id, never), "upstream-unreachable", true);
        await failure(forge().releases(feed, never), "upstream-unreachable", true);
      }
      fake.breakApi({ status: 422 });
      await failure(forge().release(feed, id, never), "forge-refused", false);
      fake.breakApi({ status: 200, body: `"${"x".repeat(9 * 1024 * 1024)}"` });
      await failure(forge().release(feed, id, never), "upstream-too-large", false);
      await failure(forge().releases(feed, never), "upstream-too-large", false);
      fake.breakApi(null);
      await fake.close();
      await failure(forge().release(feed, id, never), "upstream-unreachable", true);
      fake = await startForge({ style });
    });

    it("come fewer at once where they are too large for one answer, which is asked for no second time", async () => {
      const odd = { body: "x".repeat(120_000) };
      for (let n = 0; n < 100; n++) fake.publish(REPO, { tag: `v1.${n}.0`, odd });
      const one = forge();
      const all = await one.releases(feed, never);
      assert.deepEqual([all.length, all[0]?.tag], style === "gitea" ? [50, "v1.99.0"] : [30, "v1.99.0"]);
      const asked = fake.countApi();
      assert.equal((await one.releases(feed, never)).length, all.length);
      assert.equal(fake.countApi(), asked + 1);
    });

    it("are announced by deliveries that name the same id, tag and assets", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0", assets: [asset("a")], prerelease: true });
      const payload = releaseDelivery(fake, id, "edited");
      assert.equal(payload.event, "release");
      const body = parseLossless(JSON.stringify(payload.body)) as { action: string; repository: { full_name: string }; release: { id: string } };
      assert.deepEqual([body.action, body.repository.full_name, body.release.id], ["edited", REPO, id]);
      assert.deepEqual(releaseOf(body.release), await forge().release(feed, id, never));
    });
  });

  describe(`assets of a server like ${style}`, () => {
    let fake: FakeForge;
    let feed: ReleaseFeed;
    const forge = () => createGithubForge({ clock: systemClock });
    const trusted = () => createGithubForge({ clock: systemClock, token: new Secret("GITHUB_TOKEN", TOKEN) });
    beforeEach(async () => {
      fake = await startForge({ style });
      feed = feedOf(fake);
    });
    afterEach(() => fake.close());

    it("are fetched from the other host, which never sees the token", async () => {
      fake.requireToken(TOKEN);
      fake.publish(REPO, { tag: "v1.0.0", assets: [asset("SHA256SUMS")] });
      const one = (await trusted().releaseByTag(feed, "v1.0.0", never)).assets[0];
      assert.ok(one);
      assert.equal(await trusted().text(feed, one, never), content.toString());
      const source = trusted().source(feed, one);
      assert.equal(await readText(await openHttp(source, {}, never), 1000), content.toString());
      assert.equal(fake.downloadsOf("SHA256SUMS"), 2);
      for (const r of fake.requests) assert.equal(r.authorization, r.host === "api", r.path);
    });

    it("are fetched without a token as a browser would", async () => {
      fake.publish(REPO, { tag: "v1.0.0", assets: [asset("SHA256SUMS")] });
      const one = (await forge().releaseByTag(feed, "v1.0.0", never)).assets[0];
      assert.ok(one);
      assert.equal(forge().source(feed, one).url, one.url);
      assert.equal(await forge().text(feed, one, never), content.toString());
      assert.deepEqual(fake.requests.map((r) => r.authorization), [false, false, false]);
    });

    it("are not fetched from a host that nobody allowed", async () => {
      fake.publish(REPO, { tag: "v1.0.0", assets: [asset("SHA256SUMS")] });
      const one = (await forge().releaseByTag(feed, "v1.0.0", never)).assets[0];
      assert.ok(one);
      const error = await failure(forge().text(feedOf(fake, { assetHosts: [] }), one, never), "forge-refused", false);
      assert.match(error.message, new RegExp(fake.assetHost));
      assert.equal(fake.downloadsOf("SHA256SUMS"), 0);
    });

    it("are no text when they are missing, a web page, too large, or their address has expired", async () => {
      fake.publish(REPO, { tag: "v1.0.0", assets: [asset("SHA256SUMS"), { name: "big", content: Buffer.alloc(1024 * 1024 + 1, "a") }] });
      const [one, big] = (await forge().releaseByTag(feed, "v1.0.0", never)).assets;
      assert.ok(one && big);
      fake.fault("SHA256SUMS", { kind: "html200" });
      await failure(forge().text(feed, one, never), "upstream-unreachable", true);
      fake.fault("SHA256SUMS", { kind: "not-found" });
      await failure(forge().text(feed, one, never), "version-not-found", true);
      fake.fault("SHA256SUMS", { kind: "drop-after", bytes: 5 });
      await failure(forge().text(feed, one, never), "upstream-unreachable", true);
      await failure(forge().text(feed, big, never), "upstream-too-large", false);
      fake.fault("SHA256SUMS", { kind: "expired-once" });
      await failure(forge().text(feed, one, never), "upstream-unreachable", true);
      assert.equal(await forge().text(feed, one, never), content.toString(), "a fresh address is good");
    });
  });

  describe(`checksum files of a server like ${style}`, () => {
    let fake: FakeForge;
    let feed: ReleaseFeed;
    beforeEach(async () => {
      fake = await startForge({ style });
      feed = feedOf(fake);
    });
    afterEach(() => fake.close());
    const forge = (clock: Clock = systemClock, rest: { readonly textMs?: number } = {}) => createGithubForge({ clock, ...rest });

    it("are fetched once for an asset's id, also by several at the same time, and anew for another id of the same name", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0", assets: [asset("SHA256SUMS")] });
      const one = forge();
      const read = async () => {
        const [file] = (await one.release(feed, id, never)).assets;
        assert.ok(file);
        return await Promise.all([one.text(feed, file, never), one.text(feed, file, never)]);
      };
      for (let n = 0; n < 3; n++) assert.deepEqual(await read(), [content.toString(), content.toString()]);
      assert.equal(fake.downloadsOf("SHA256SUMS"), 1);
      fake.replaceAsset(id, { name: "SHA256SUMS", content: Buffer.from("other") });
      assert.deepEqual(await read(), ["other", "other"]);
      assert.equal(fake.downloadsOf("SHA256SUMS"), 2);
    });

    it("are fetched anew after ten minutes, when they failed, when they are large, and for a feed that may not go where they are", async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0", assets: [asset("SHA256SUMS"), { name: "large", content: Buffer.alloc(300_000, "a") }] });
      let ms = 0;
      const one = forge({ ...systemClock, monotonic: () => ms });
      const [file, large] = (await one.release(feed, id, never)).assets;
      assert.ok(file && large);
      fake.fault("SHA256SUMS", { kind: "not-found" });
      await failure(one.text(feed, file, never), "version-not-found", true);
      fake.fault("SHA256SUMS", null);
      await one.text(feed, file, never);
      ms = 599_999;
      await one.text(feed, file, never);
      assert.equal(fake.downloadsOf("SHA256SUMS"), 2);
      ms = 600_000;
      await one.text(feed, file, never);
      assert.equal(fake.downloadsOf("SHA256SUMS"), 3);
      await failure(one.text(feedOf(fake, { assetHosts: [] }), file, never), "forge-refused", false);
      for (let n = 0; n < 2; n++) assert.equal((await one.text(feed, large, never)).length, 300_000);
      assert.equal(fake.downloadsOf("large"), 2);
    });

    it("that trickle in are given up long before anything else is", { timeout: 20_000 }, async () => {
      const { id } = fake.publish(REPO, { tag: "v1.0.0", assets: [{ name: "SHA256SUMS", content: Buffer.alloc(900_000, "x\n") }] });
      fake.fault("SHA256SUMS", { kind: "slow", bytesPerSecond: 2_000 });
      const one = forge(systemClock, { textMs: 200 });
      const [file] = (await one.release(feed, id, never)).assets;
      assert.ok(file);
      assert.match((await failure(one.text(feed, file, never), "upstream-unreachable", true)).message, /no whole answer within 0\.2 s/);
    });
  });

  describe(`rate limits of a server like ${style}`, () => {
    let fake: FakeForge;
    let feed: ReleaseFeed;
    let id: string;
    beforeEach(async () => {
      fake = await startForge({ style });
      feed = feedOf(fake);
      id = fake.publish(REPO, { tag: "v1.0.0", assets: [asset("a")] }).id;
    });
    afterEach(() => fake.close());

    for (const status of [403, 429] as const) {
      it(`that answer ${status} hold all questions until the reset, without another request`, async () => {
        const clock = standing();
        const forge = createGithubForge({ clock });
        await forge.release(feed, id, never);
        fake.limitRate({ remaining: 1, resetInS: 1200, status });
        await forge.release(feed, id, never);
        const error = await failure(forge.release(feed, id, never), "rate-limited", true);
        const waitMs = (error.retryAt ?? 0) - clock.now();
        assert.ok(waitMs > 1_100_000 && waitMs <= 1_201_000, `${waitMs} ms`);
        assert.match(error.message, /until 2023-11-14T.*GITHUB_TOKEN.*60/);
        const asked = fake.countApi();
        for (const question of [forge.releases(feed, never), forge.release(feed, id, never), forge.releaseByTag(feed, "v1.0.0", never)]) assert.equal((await failure(question, "rate-limited", true)).retryAt, error.retryAt);
        assert.equal(fake.countApi(), asked);
        fake.limitRate(null);
        clock.advance(waitMs);
        assert.equal((await forge.release(feed, id, never)).id, id);
      });

      it(`that answer ${status} and name a wait are believed, up to an hour`, async () => {
        const clock = standing();
        const forge = createGithubForge({ clock, token: new Secret("GITHUB_TOKEN", TOKEN) });
        fake.limitRate({ remaining: 0, resetInS: 5, status, retryAfterS: 90 });
        const error = await failure(forge.releases(feed, never), "rate-limited", true);
        assert.equal(error.retryAt, clock.now() + 90_000);
        assert.doesNotMatch(error.message, /GITHUB_TOKEN/);
        fake.limitRate({ remaining: 0, resetInS: 5, status, retryAfterS: 999_999_999 });
        assert.equal((await failure(createGithubForge({ clock }).releases(feed, never), "rate-limited", true)).retryAt, clock.now() + 3_600_000);
        fake.limitRate({ remaining: 0, resetInS: -5, status });
        assert.equal((await failure(createGithubForge({ clock }).releases(feed, never), "rate-limited", true)).retryAt, clock.now() + 1_000);
      });
    }

    it("that only say so in words are waited out for a minute and longer each time", async () => {
      const clock = standing();
      const forge = createGithubForge({ clock });
      fake.limitRate({ remaining: 0, resetInS: 5, onlyText: true });
      const waits: number[] = [];
      for (let n = 0; n < 4; n++) {
        const error = await failure(forge.releases(feed, never), "rate-limited", true);
        waits.push((error.retryAt ?? 0) - clock.now());
        clock.advance(waits.at(-1) ?? 0);
      }
      assert.equal(fake.countApi(), 4);
      for (const [n, wait] of waits.entries()) assert.ok(wait >= 60_000 * 2 ** n && wait <= 120_000 * 2 ** n, waits.join(" "));
    });

    it("are kept by ourselves too: 60 requests a minute, 120 with a token, and then it goes on", async () => {
      for (const [deps, most] of [[{}, 60], [{ token: new Secret("GITHUB_TOKEN", TOKEN) }, 120]] as const) {
        let ms = 0;
        const clock = { ...systemClock, now: () => 1_700_000_000_000 + ms, monotonic: () => ms };
        const forge = createGithubForge({ clock, ...deps });
        const before = fake.countApi();
        for (let n = 0; n < most; n++) {
          ms += 10;
          await forge.release(feed, id, never);
        }
        const error = await failure(forge.releases(feed, never), "rate-limited", true);
        assert.equal((error.retryAt ?? 0) - clock.now(), 60_010 - ms);
        assert.match(error.message, /by slipstream itself/);
        assert.equal(fake.countApi() - before, most);
        ms = 60_010;
        await forge.releases(feed, never);
        await failure(forge.releases(feed, never), "rate-limited", true);
      }
    });

    it("of one server leave others alone", async () => {
      const other = await startForge({ style });
      try {
        const forge = createGithubForge({ clock: standing() });
        fake.limitRate({ remaining: 0, resetInS: 600 });
        await failure(forge.releases(feed, never), "rate-limited", true);
        other.publish(REPO, { tag: "v2.0.0" });
        assert.equal((await forge.releases(feedOf(other), never)).length, 1);
      } finally {
        await other.close();
      }
    });
  });
}

describe("what a forge answers", () => {
  /** What a reviver would make of it, slowly. */
  const slowly = (text: string): unknown =>
    JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => (typeof value === "number" && !Number.isSafeInteger(value) && /^[1-9][0-9]{15,19}$/.test(context?.source ?? "") ? context?.source : value));

  it("keeps integers beyond 2^53 exact, and all else as it is, wherever they stand", () => {
    const texts = [
      '{"id":9007199254740993,"b":"id\\":9007199254740993,","c":[9007199254740993 , 9007199254740992,9007199254740991],"d":-9007199254740993}',
      '["\\\\",9007199254740993,"\\\\\\"",9007199254740995,"a:9007199254740993,",[9007199254740993]]',
      '[90071992547409930000000000,9007199254740993.5,9007199254740993e3,0.9007199254740993,"",9007199254740993]',
      ' {\n"id" :\t9007199254740993\n}\n',
      "9007199254740993",
      '"[9007199254740993]"',
      "[]",
    ];
    for (const text of texts) {
      const bare = text === "9007199254740993";
      assert.deepEqual(parseLossless(text), bare ? 9007199254740992 : slowly(text), text);
    }
    for (const text of ['{"a":9007199254740993', '["a,9007199254740993,', '{"a":1,9007199254740993:1}', "[9007199254740993,]", ""]) assert.throws(() => parseLossless(text), SyntaxError, text);
  });

  it("is read like that for any text", () => {
    const words = ['"', "\\", "9007199254740993", "1", ",", ":", "[", "]", "é"];
    let seed = 7;
    const next = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below;
    for (let n = 0; n < 3_000; n++) {
      const strings = Array.from({ length: 3 }, () => JSON.stringify(Array.from({ length: next(9) }, () => words[next(words.length)]).join("")));
      const text = `{"a":[${strings[0]},9007199254740993,${strings[1]}],${strings[2]}:9007199254740997}`;
      assert.deepEqual(parseLossless(text), slowly(text), text);
    }
  });

  it("is looked at for its first 100 releases, and 1,000 assets each", () => {
    const assets = Array.from({ length: 1_100 }, (_, n) => ({ id: n + 1, name: `a${n}`, size: 1 }));
    const list = Array.from({ length: 130 }, (_, n) => ({ id: n + 1, tag_name: `v1.${n}.0`, draft: false, prerelease: false, assets: n === 0 ? assets : null }));
    const read = releasesOf(list);
    assert.deepEqual([read?.length, read?.[0]?.assets.length, read?.[99]?.tag, read?.[1]?.assets], [100, 1_000, "v1.99.0", []]);
    assert.deepEqual(releasesOf([...Array.from({ length: 100 }, () => ({})), list[0]]), [], "odd ones count");
  });
});

describe("where an asset is fetched", () => {
  const base = { repository: REPO, trust: "digest", assetWaitMs: 1, maxBytes: 1, maxUnpackedBytes: 1 } as const;
  const github: ReleaseFeed = { ...base, api: "https://api.github.com", assetHosts: [] };
  const ghes: ReleaseFeed = { ...base, api: "https://ghe.example/api/v3", assetHosts: ["media.ghe.example", "*.cdn.example"] };
  const gitea: ReleaseFeed = { ...base, api: "https://gitea.example:3000/api/v1", assetHosts: ["files.example"] };
  const token = new Secret("GITHUB_TOKEN", TOKEN);
  const open = createGithubForge({ clock: systemClock });
  const trusted = createGithubForge({ clock: systemClock, token });
  const api = { github: `https://api.github.com/repos/${REPO}/releases/assets/7`, ghes: `https://ghe.example/api/v3/repos/${REPO}/releases/assets/7` };

  it("with a token the API is asked, and the token is told to it alone", () => {
    const source = trusted.source(github, { id: "7", url: "https://github.com/acme/api/releases/download/v1/a" });
    assert.equal(source.url, api.github);
    assert.equal(source.token, token);
    assert.deepEqual(source.headers, { accept: "application/octet-stream" });
    assert.deepEqual(source.redirectHosts, ["github.com", "objects.githubusercontent.com", "release-assets.githubusercontent.com"]);
    assert.deepEqual(trusted.source(ghes, { id: "7" }).redirectHosts, ["media.ghe.example", "*.cdn.example", "ghe.example"]);
  });

  it("without a token an address on a known host is used, and no other", () => {
    const used: [ReleaseFeed, string][] = [
      [github, "https://github.com/acme/api/releases/download/v1/a"],
      [ghes, "https://ghe.example/acme/api/releases/download/v1/a"],
      [ghes, "https://media.ghe.example/a"],
      [ghes, "https://a.b.cdn.example/a"],
    ];
    for (const [feed, url] of used) assert.deepEqual([open.source(feed, { id: "7", url }).url, open.source(feed, { id: "7", url }).token], [url, undefined]);
    const others = ["http://github.com/a", "https://github.com.evil.example/a", "https://evil.example/a", "https://user:pw@github.com/a", "https://github.com:8443/a", "ftp://github.com/a", "file:///etc/passwd", "no url"];
    for (const url of others) assert.equal(open.source(github, { id: "7", url }).url, api.github, url);
    for (const url of ["https://cdn.example/a", "https://evilcdn.example/a", "https://github.com/a"]) assert.equal(open.source(ghes, { id: "7", url }).url, api.ghes, url);
    assert.equal(open.source(github, { id: "7" }).url, api.github);
  });

  it("Gitea has no API address for bytes: its token goes to its own address, and to no other", () => {
    const own = "https://gitea.example:3000/acme/api/releases/download/v1/a";
    assert.deepEqual([trusted.source(gitea, { id: "7", url: own }).url, trusted.source(gitea, { id: "7", url: own }).token], [own, token]);
    const elsewhere = trusted.source(gitea, { id: "7", url: "https://files.example/a" });
    assert.deepEqual([elsewhere.url, elsewhere.token], ["https://files.example/a", undefined]);
    for (const url of ["https://evil.example/a", "https://gitea.example/a", undefined]) assert.throws(() => trusted.source(gitea, { id: "7", ...(url === undefined ? {} : { url }) }), { code: "forge-refused", retryable: false });
  });

  it("an external asset of Forgejo, which may name any address, is fetched from allowed hosts only, and states no digest", () => {
    const external = (url: string) => ({ id: 7, name: "a", size: 0, download_count: 0, created_at: "2026-01-01T00:00:00Z", uuid: "u", browser_download_url: url, type: "external" });
    const [evil, allowed] = releaseOf({ id: 1, tag_name: "v1", draft: false, prerelease: false, hide_archive_links: false, assets: [external("https://evil.example/a"), { ...external("https://files.example/a"), id: 8, name: "b" }] })?.assets ?? [];
    assert.ok(evil !== undefined && allowed !== undefined);
    assert.deepEqual([evil.digest, allowed.digest], [undefined, undefined]);
    assert.throws(() => trusted.source(gitea, evil), { code: "forge-refused", message: /is at evil\.example, expected gitea\.example:3000 or a host of the subsystem's asset hosts/ });
    assert.deepEqual([trusted.source(gitea, allowed).url, trusted.source(gitea, allowed).token], ["https://files.example/a", undefined]);
  });

  it("an API in the clear is asked nothing, unless it is on this machine", async () => {
    const clear: ReleaseFeed = { ...base, api: "http://ghe.example/api/v3", assetHosts: [] };
    await failure(trusted.releases(clear, never), "forge-refused", false);
    assert.throws(() => trusted.source(clear, { id: "7" }), { code: "forge-refused" });
    assert.equal(open.source({ ...clear, api: "http://127.0.0.1:1/api/v3" }, { id: "7" }).url, `http://127.0.0.1:1/api/v3/repos/${REPO}/releases/assets/7`);
  });

  it("names from outside cannot leave the repository's path", async () => {
    for (const name of ["..", ".", ""]) await failure(trusted.releaseByTag(github, name, never), "version-not-found", false);
    assert.equal(trusted.source(github, { id: "../../../user" }).url, `https://api.github.com/repos/${REPO}/releases/assets/..%2F..%2F..%2Fuser`);
  });
});
