import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StateError } from "../../../src/domain/errors.ts";
import type { Release } from "../../../src/domain/release.ts";
import { namedFor, newestFor } from "../../../src/resolve/newest.ts";
import { asset, release } from "../../support/release-table.ts";
import { commit } from "../../support/subsystem.ts";
import { ASSET, binaries, lower, type Place, released, several, tag, upstreamsBench } from "../../support/upstreams-bench.ts";

const AWAY = "upstream-unreachable";
const NOW = 1_800_000_000_000;
const bytes = (digit: string) => ({ artifact: `sha256:${digit.repeat(64)}` });
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe("tags of several upstreams", () => {
  test("of a tag that moved at once, the delivery that says where it is now counts", async () => {
    const b = upstreamsBench(several(), {}, { tags: { "v1.2.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.2.0", "7"), tag("ours/api", "v1.2.0", "9")), ["done", "done"]);
    assert.deepEqual(b.runs(), ["v1.2.0 queued from ours"]);
  });

  test("a moving tag of a lower one is followed where those above have nothing", async () => {
    const b = upstreamsBench(several({ tags: ["v*", "nightly"] }), {}, { tags: { "v1.0.0": "1", nightly: "5" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "nightly", "5")), ["done"]);
    assert.deepEqual(b.runs(), ["nightly held approval from ours"]);
  });

  test("in order, a tag that never counts does not make its upstream the one that decides", async () => {
    const b = upstreamsBench(several({ prefer: "order" }), { tags: { "v2.0.0-rc.1": "4", docs: "3" } }, { tags: { "v1.5.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("acme/api", "v2.0.0-rc.1", "4"), tag("ours/api", "v1.5.0", "9")), ["ignored prerelease", "done"]);
    assert.deepEqual(b.runs(), ["v1.5.0 queued from ours"]);
  });

  test("a burst of prereleases, or of versions outside the pin, is called what it is at once", async () => {
    const rcs = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`v2.0.0-rc.${i}`, "4"]));
    const b = upstreamsBench(several(), { tags: { "v1.0.0": "1", ...rcs } }, {});
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(new Set(await b.deliver(...Object.keys(rcs).map((name) => tag("acme/api", name, "4")))), new Set(["ignored prerelease"]));
    const finals = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`v2.${i}.0`, "4"]));
    const pinned = upstreamsBench(several({ pin: "1.x" }), { tags: { "v1.0.0": "1", ...finals } }, {});
    pinned.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(new Set(await pinned.deliver(...Object.keys(finals).map((name) => tag("acme/api", name, "4")))), new Set(["ignored pinned"]));
  });

  test("what only a silence stands before is looked at again, not given up", async () => {
    const above: Place = { down: AWAY };
    const b = upstreamsBench(several(), above, { tags: { edge: "8" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "edge", "8")), [`received ${AWAY}`]);
    delete above.down;
    assert.equal(await b.retry(), "done");
    assert.deepEqual(b.runs(), ["edge held approval from ours"]);
  });

  test("what a silence stands before is not taken for part of what goes meanwhile", async () => {
    const above: Place = { down: AWAY };
    const b = upstreamsBench(several(), above, { tags: { "v1.2.0": "9", edge: "8" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "edge", "8")), [`received ${AWAY}`]);
    assert.deepEqual(b.runs(), ["v1.2.0 queued from ours"]);
    b.store.runs.move(b.store.runs.list({ limit: 1 })[0]?.id ?? "", "cancelled");
    b.install("v1.2.0", { commit: commit("9") });
    delete above.down;
    assert.equal(await b.retry(), "done");
    assert.deepEqual(b.runs(), ["edge held approval from ours", "v1.2.0 cancelled from ours"]);
  });

  test("news of an upstream that is removed while they wait for it end as no longer configured", async () => {
    const b = upstreamsBench(several(), { tags: { "v1.0.0": "1" } }, { down: AWAY });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.2.0", "9")), [`received ${AWAY}`]);
    b.configured.as = several({ others: [] });
    assert.equal(await b.retry(), "ignored repository-not-configured");
  });

  test("a redelivery is looked at afresh once the tags, or the order of the upstreams, were edited", async () => {
    const below: Place = { tags: { "v1.0.0": "7" } };
    const b = upstreamsBench(several({ tags: ["api-*"] }), { tags: { "v1.0.0": "1" } }, below);
    b.install("v1.0.0", { commit: commit("1") });
    const send = (id: string, name: string, digit: string) => b.store.inbox.accept([{ receiver: "github", event: "push", change: tag("ours/api", name, digit), externalId: id, bodySha256: id, key: "default", body: Buffer.from("{}"), state: "received" }])[0];
    const judged = async (id: string, name: string, digit: string) => {
      const outcome = send(id, name, digit);
      await b.turn(() => b.store.inbox.get(outcome?.delivery.id ?? "")?.state !== "received");
      return `${outcome?.outcome} ${b.store.inbox.get(outcome?.delivery.id ?? "")?.reason ?? "done"}`;
    };
    assert.equal(await judged("a", "v1.2.0", "9"), "new tag-not-tracked");
    b.configured.as = several();
    assert.equal(await judged("b", "v1.0.0", "7"), "new lower-priority");
    assert.equal(await judged("b", "v1.0.0", "7"), "reopened lower-priority");
    below.tags = { "v1.2.0": "9" };
    assert.equal(await judged("a", "v1.2.0", "9"), "reopened done");
  });
});

describe("releases of several upstreams", () => {
  test("the higher one's release takes the place of the lower one's of the same version that waits for its files", async () => {
    const above: Place = { releases: [] };
    const b = upstreamsBench(binaries(), above, { releases: [release("v1.1.0", [], { publishedAt: NOW })] });
    b.install("v1.0.0", bytes("1"));
    await b.deliver(released("ours/api", "v1.1.0", "1"));
    assert.deepEqual(b.runs(), ["v1.1.0 held assets from ours"]);
    above.releases = [release("v1.1.0", [], { publishedAt: NOW })];
    assert.deepEqual(await b.deliver(released("acme/api", "v1.1.0", "2")), ["done"]);
    assert.deepEqual(b.runs(), ["v1.1.0 held assets from acme", "v1.1.0 skipped from ours"]);
    above.releases = [release("v1.1.0", [asset(ASSET, "2")], { publishedAt: NOW })];
    b.time.at += MINUTE;
    await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from acme", "v1.1.0 skipped from ours"]);
  });

  test("an upstream whose releases never have files holds up another one's of the same version only as long as files are waited for", async () => {
    const above = [release("v1.1.0", [], { publishedAt: NOW })];
    const b = upstreamsBench(binaries(), { releases: above }, { releases: [release("v1.1.0", [asset(ASSET, "9")])] });
    b.install("v1.0.0", bytes("1"));
    assert.deepEqual(await b.deliver(released("ours/api", "v1.1.0", "1")), ["done"], "nobody tells about the releases above, so the wait for their files begins here");
    assert.deepEqual(b.runs(), ["v1.1.0 held assets from acme"]);
    b.time.at += MINUTE;
    await b.turn(() => (b.store.runs.held("api", "assets")?.lookAt ?? 0) > b.time.at);
    assert.deepEqual(b.runs(), ["v1.1.0 held assets from acme"]);
    b.time.at += 29 * MINUTE;
    await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from ours", "v1.1.0 skipped from acme"]);
    const late = upstreamsBench(binaries(), { releases: [release("v1.1.0", [])] }, { releases: [release("v1.1.0", [asset(ASSET, "9")])] });
    late.install("v1.0.0", bytes("1"));
    assert.equal((await newestFor(late.lookups, binaries(), AbortSignal.timeout(5_000)))?.candidate.upstream, lower.upstream);
  });

  test("checksum files that one upstream lacks do not use up the looks at another one's", async () => {
    const above = ["v1.2.0", "v1.3.0", "v1.4.0"].map((name) => release(name, [asset(ASSET, null)]));
    const sums = asset("SHA256SUMS", null, { id: "77" });
    const b = upstreamsBench(binaries(), { releases: above }, { releases: [release("v1.5.0", [asset(ASSET, null), sums])] }, { "77": `${"5".repeat(64)}  ${ASSET}\n` });
    b.install("v1.0.0", bytes("1"));
    await b.deliver(released("ours/api", "v1.5.0", "1"));
    assert.deepEqual(b.runs(), ["v1.5.0 queued from ours"]);
  });

  test("in order, files of a lower one are looked for past a silent one above, once the silence has lasted", async () => {
    for (const down of ["forge-refused", AWAY] as const) {
      const below: Release[] = [release("v1.1.0", [], { id: "5" })];
      const b = upstreamsBench(binaries({ prefer: "order" }), { down }, { releases: below });
      b.install("v1.0.0", bytes("1"));
      await b.deliver(released("ours/api", "v1.1.0", "5"));
      assert.deepEqual(b.runs(), ["v1.1.0 held assets from ours"]);
      below[0] = { ...(below[0] as Release), assets: [asset(ASSET, "2")] };
      b.time.at += 6 * SECOND;
      if (down === AWAY) {
        await b.turn(() => (b.store.runs.held("api", "assets")?.lookAt ?? 0) > b.time.at);
        assert.deepEqual(b.runs(), ["v1.1.0 held assets from ours"], "not at once");
        b.time.at += MINUTE;
      }
      await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
      assert.deepEqual(b.runs(), ["v1.1.0 queued from ours"]);
    }
  });

  test("in order, a silence of the one whose files are waited for hands nothing to those below", async () => {
    const above: Place = { releases: [release("v1.2.0", [], { publishedAt: NOW })] };
    const b = upstreamsBench(binaries({ prefer: "order" }), above, { releases: [release("v1.3.0", [asset(ASSET, "3")])] });
    b.install("v1.0.0", bytes("1"));
    await b.deliver(released("acme/api", "v1.2.0", "1"));
    above.down = AWAY;
    b.time.at += 5 * MINUTE;
    await b.turn(() => (b.store.runs.held("api", "assets")?.lookAt ?? 0) > b.time.at);
    assert.deepEqual(b.runs(), ["v1.2.0 held assets from acme"]);
  });

  test("a release without an order that waits for its files is not given up because one above is silent for a moment", async () => {
    const above: Place = { releases: [] };
    const below: Release[] = [release("edge-2", [], { publishedAt: NOW })];
    const b = upstreamsBench(binaries(), above, { releases: below });
    b.install("v1.0.0", bytes("1"));
    await b.deliver(released("ours/api", "edge-2", "1"));
    assert.deepEqual(b.runs(), ["edge-2 held assets from ours"]);
    above.down = AWAY;
    b.time.at += MINUTE;
    await b.turn(() => (b.store.runs.held("api", "assets")?.lookAt ?? 0) > b.time.at || b.store.runs.held("api", "assets") === undefined);
    assert.deepEqual(b.runs(), ["edge-2 held assets from ours"]);
    assert.deepEqual(await b.deliver(released("ours/api", "edge-2", "1")), [`received ${AWAY}`]);
  });
});

test("a version that a person names comes from the next upstream while the first one hangs", async (t) => {
  const b = upstreamsBench(several(), { tags: { "v1.0.0": "1" } }, { tags: { "v1.0.0": "7" } });
  const waits = [AbortSignal.abort()];
  const real = AbortSignal.timeout.bind(AbortSignal);
  t.mock.method(AbortSignal, "timeout", (ms: number) => waits.shift() ?? real(ms));
  const { upstream } = b.lookups;
  const hanging = { ...upstream, named: async (...asked: Parameters<typeof upstream.named>) => (asked[2].aborted ? Promise.reject(new StateError("cancelled", "cut off")) : upstream.named(...asked)) };
  const found = await namedFor({ ...b.lookups, upstream: hanging }, several(), "v1.0.0", new AbortController().signal);
  assert.equal(found.upstream, lower.upstream);
});
