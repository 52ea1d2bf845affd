import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { simulated } from "../../../src/cli/payload.ts";
import type { Change } from "../../../src/domain/change.ts";
import { manifestEntry } from "../../../src/domain/manifest.ts";
import type { Release } from "../../../src/domain/release.ts";
import type { Subsystem } from "../../../src/domain/subsystem.ts";
import { systemClock } from "../../../src/kit/clock.ts";
import { match } from "../../../src/resolve/match.ts";
import { namedFor, newestFor } from "../../../src/resolve/newest.ts";
import { createPreview } from "../../../src/resolve/preview.ts";
import { createViews } from "../../../src/status/views.ts";
import { asset, release } from "../../support/release-table.ts";
import { commit, releaseFeed, subsystem } from "../../support/subsystem.ts";
import { ASSET, binaries, FORK, lower, type Place, released, several, tag, upstreamsBench } from "../../support/upstreams-bench.ts";

describe("several upstreams, the newest of all", () => {
  test("a newer version of a lower upstream is built from there, at its commit", async () => {
    const b = upstreamsBench(several(), { tags: { "v1.1.0": "2" } }, { tags: { "v1.1.0": "8", "v1.2.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.2.0", "9")), ["done"]);
    assert.deepEqual(b.runs(), ["v1.2.0 queued from ours"]);
    assert.equal(b.store.runs.list({ limit: 1 })[0]?.commit, commit("9"));
    assert.equal(b.store.runs.list({ limit: 1 })[0]?.upstream, FORK);
  });

  test("of the same version the higher one's is built, whichever told about it", async () => {
    const b = upstreamsBench(several(), { tags: { "v1.1.0": "2" } }, { tags: { "v1.1.0": "8" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.1.0", "8")), ["done superseded"]);
    assert.deepEqual([b.runs(), b.store.runs.list({ limit: 1 })[0]?.commit], [["v1.1.0 queued from acme"], commit("2")]);
    b.install("v1.1.0", { commit: commit("2") });
    b.store.runs.move(b.store.runs.list({ limit: 1 })[0]?.id ?? "", "cancelled");
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.1.0", "8")), ["ignored lower-priority"], "no tag has moved, and nobody is asked");
    assert.deepEqual(b.runs(), ["v1.1.0 cancelled from acme"]);
  });

  test("a mirror that tells about the same commit leads to the same run", async () => {
    const b = upstreamsBench(several(), { tags: { "v1.1.0": "2" } }, { tags: { "v1.1.0": "2" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.1.0", "2"), tag("acme/api", "v1.1.0", "2")), ["done", "done"]);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from acme"]);
  });

  test("a burst about both is one look at each, and a major version waits beside what goes", async () => {
    const tags = { "v1.1.0": "2", "v1.2.0": "3", "v2.0.0": "4" };
    const b = upstreamsBench(several(), { tags }, { tags: { "v1.3.0": "5", "v2.1.0": "6" } });
    b.install("v1.0.0", { commit: commit("1") });
    const burst = [...Object.entries(tags).map(([name, digit]) => tag("acme/api", name, digit)), tag("ours/api", "v1.3.0", "5"), tag("ours/api", "v2.1.0", "6")];
    assert.deepEqual(await b.deliver(...burst, ...burst), [...burst, ...burst].map((_, i) => (i % 5 < 3 ? "ignored superseded" : "done")));
    assert.deepEqual([b.runs(), b.looks.count], [["v1.3.0 queued from ours", "v2.1.0 held approval from ours"], 2]);
  });

  test("a tag that its own upstream has elsewhere, or not at all, ends alone", async () => {
    const b = upstreamsBench(several(), { tags: { "v1.1.0": "2" } }, { tags: { "v1.2.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.2.0", "7"), tag("ours/api", "v99.0.0", "3"), tag("ours/api", "v1.1.0", "2")), ["received commit-mismatch", "received version-not-found", "received version-not-found"]);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from acme"], "and what is there all the same goes");
  });

  test("a burst of made-up tags costs a few looks", async () => {
    const b = upstreamsBench(several(), {}, { tags: { "v1.0.0": "1" } });
    b.install("v1.0.0", { commit: commit("1") });
    await b.deliver(...Array.from({ length: 40 }, (_, i) => tag("ours/api", `v9.${i}.0`, "3")));
    assert.ok(b.looks.count <= 5, `${b.looks.count} looks`);
    assert.deepEqual(b.runs(), []);
  });

  test("what cannot be ordered follows the priority", async () => {
    const b = upstreamsBench(several(), { tags: { "v1.0.0": "1", nightly: "4" } }, { tags: { canary: "5" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "canary", "5")), ["ignored lower-priority"]);
    assert.deepEqual(await b.deliver(tag("acme/api", "nightly", "4")), ["done"]);
    assert.deepEqual(b.runs(), ["nightly held approval from acme"]);
  });

  test("tag patterns and quarantine count for each upstream's tags", async () => {
    const b = upstreamsBench(several({ tags: ["v*"] }), { tags: { "v1.0.0": "1" } }, { tags: { "2.0.0": "4", "v1.2.0": "5", "v1.1.0": "6" } });
    b.install("v1.0.0", { commit: commit("1") });
    b.store.versions.quarantine({ subsystem: "api", version: "v1.2.0", digest: "sha256:x", commit: commit("5"), reason: "unhealthy" });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.2.0", "5"), tag("ours/api", "2.0.0", "4")), ["done superseded", "ignored tag-not-tracked"]);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from ours"]);
  });
});

describe("an upstream that does not answer", () => {
  const AWAY = "upstream-unreachable";

  test("holds up no newer version of another one, and its own news come later", async () => {
    const above: Place = { tags: { "v1.3.0": "3" }, down: AWAY };
    const b = upstreamsBench(several(), above, { tags: { "v1.2.0": "2" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.2.0", "2"), tag("acme/api", "v1.3.0", "3")), ["done", `received ${AWAY}`]);
    assert.deepEqual(b.runs(), ["v1.2.0 queued from ours"]);
    delete above.down;
    assert.equal(await b.retry(), "done");
    assert.deepEqual(b.runs(), ["v1.2.0 skipped from ours", "v1.3.0 queued from acme"]);
  });

  test("is not replaced in the same version, nor by what has no order", async () => {
    const b = upstreamsBench(several(), { down: AWAY }, { tags: { "v1.0.0": "7", edge: "8" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.0.0", "7"), tag("ours/api", "edge", "8")), ["ignored lower-priority", `received ${AWAY}`], "what has no order waits for the silent one's word");
    assert.deepEqual(b.runs(), []);
  });

  test("keeps what is already on its way from it", async () => {
    const above: Place = { tags: { "v1.1.0": "2" } };
    const b = upstreamsBench(several(), above, { tags: { "v1.1.0": "8", "v1.2.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    await b.deliver(tag("acme/api", "v1.1.0", "2"));
    assert.deepEqual(b.runs(), ["v1.2.0 queued from ours"]);
    b.store.runs.move(b.store.runs.list({ limit: 1 })[0]?.id ?? "", "cancelled");
    b.store.versions.quarantine({ subsystem: "api", version: "v1.2.0", digest: "sha256:x", commit: commit("9"), reason: "unhealthy" });
    await b.deliver(tag("acme/api", "v1.1.0", "2"));
    above.down = AWAY;
    await b.deliver(tag("ours/api", "v1.1.0", "8"));
    assert.deepEqual(b.runs(), ["v1.1.0 queued from acme", "v1.2.0 cancelled from ours"]);
  });

  test("is waited for where none answers, with the first one's word", async () => {
    const b = upstreamsBench(several(), { down: AWAY }, { down: "rate-limited" });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.0.0", "7")), [`received ${AWAY}`]);
  });

  test("is mentioned by check, why and a dry run, which name the upstream they found", async () => {
    const b = upstreamsBench(several(), { down: AWAY }, { tags: { "v1.2.0": "2" } });
    b.install("v1.0.0", { commit: commit("1") });
    const looked: unknown[] = [];
    const preview = createPreview({ ...b.lookups, subsystems: () => [several()], stages: () => [], looked: async (found) => void looked.push(...found.values()) });
    const silent = ["https://github.com/acme/api: https://github.com/acme/api is away"];
    assert.deepEqual((await preview.check([])).api, { name: "api", current: "v1.0.0", latest: "v1.2.0", upstream: FORK, silent, update_available: true });
    assert.deepEqual(await preview.latest("api"), { latest: { version: "v1.2.0", upstream: FORK, commit: commit("2") }, silent });
    assert.equal((await preview.preview("api")).upstream, FORK);
    assert.deepEqual(looked, [{ version: "v1.2.0", updateAvailable: true, upstream: FORK, commit: commit("2") }]);
    b.install("v1.2.0", { commit: commit("2") });
    await assert.rejects(newestFor(b.lookups, several(), AbortSignal.timeout(5_000)), { code: AWAY }, "without the first one nobody can say that nothing is to be done");
    const other = upstreamsBench(several(), { tags: { "v1.2.0": "2" } }, { down: AWAY });
    other.install("v1.2.0", { commit: commit("2") });
    assert.deepEqual((await newestFor(other.lookups, several(), AbortSignal.timeout(5_000)))?.decision, { verdict: "ignore", reason: "already-current" });
    const check = async (s: Subsystem) => (await createPreview({ ...other.lookups, subsystems: () => [s], stages: () => [], looked: async () => undefined }).check([])).api?.silent?.length;
    assert.deepEqual([await check(several()), await check(several({ prefer: "order" }))], [1, undefined], "in order, one that would not count is not missed");
  });
});

describe("several upstreams in order", () => {
  const order = () => several({ prefer: "order" });

  test("a lower one counts only where those above have no version", async () => {
    const above: Place = { tags: { "v1.1.0": "2" } };
    const b = upstreamsBench(order(), above, { tags: { "v1.5.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.5.0", "9")), ["done superseded"]);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from acme"]);
    b.store.runs.move(b.store.runs.list({ limit: 1 })[0]?.id ?? "", "cancelled");
    b.install("v1.1.0", { commit: commit("2") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.5.0", "9")), ["ignored lower-priority"]);
    above.tags = {};
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.5.0", "9")), ["done"]);
    assert.deepEqual(b.runs().at(-1), "v1.5.0 queued from ours");
  });

  test("a lower one takes the place of a silent one only after a while, and only with a newer version", async () => {
    const b = upstreamsBench(order(), { down: "upstream-unreachable" }, { tags: { "v1.0.0": "8", "v1.1.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.1.0", "9")), ["received upstream-unreachable"]);
    let verdict = "";
    for (let tries = 0; tries < 5; tries++) verdict = await b.retry();
    assert.equal(verdict, "done");
    assert.deepEqual(b.runs(), ["v1.1.0 queued from ours"]);
    b.store.runs.move(b.store.runs.list({ limit: 1 })[0]?.id ?? "", "cancelled");
    b.install("v1.1.0", { commit: commit("7") });
    assert.deepEqual(await b.deliver(tag("ours/api", "v1.1.0", "9")), ["ignored lower-priority"]);
  });
});

describe("several upstreams of a branch", () => {
  const edge = several({ strategy: "commits" });
  const push = (repository: string, branch = "main"): Extract<Change, { kind: "branch" }> => ({ kind: "branch", repository, branch, commit: commit("5"), forced: false });

  test("only the first one's branch decides", async () => {
    const verdict = (change: Extract<Change, { kind: "branch" | "tag" }>) => match(change, [edge]).map((m) => ("reason" in m ? m.reason : m.offer.kind));
    assert.deepEqual([verdict(push("acme/api")), verdict(push("ours/api")), verdict(push("ours/api", "dev"))], [["branch"], ["lower-priority"], ["branch-not-tracked"]]);
    const b = upstreamsBench(edge, { head: "5" }, { head: "6" });
    b.install(commit("1"), { commit: commit("1") });
    assert.deepEqual(await b.deliver(push("ours/api"), push("acme/api")), ["ignored lower-priority", "done"]);
    assert.deepEqual([b.runs(), b.looks.count], [[`${commit("5")} queued from acme`], 1]);
  });

  test("a repository that two forges have is told apart by whose receiver proved it", () => {
    const twin = subsystem({ forge: "github", others: [{ ...lower, repositories: ["acme/api"] }] });
    const offered = (forge: "github" | "gitea") => match({ kind: "tag", repository: "acme/api", tag: "v1.0.0", forge }, [twin]).map((m) => "offer" in m && m.offer.kind === "tag" && m.offer.upstream);
    assert.deepEqual([offered("github"), offered("gitea")], [[undefined], [FORK]]);
  });
});

describe("a version that a person names", () => {
  test("comes from the first upstream that has it", async () => {
    const b = upstreamsBench(several(), { tags: { "v1.0.0": "1" } }, { tags: { "v1.0.0": "7", "v0.9.0": "8" } });
    const named = (version: string) => namedFor(b.lookups, several(), version, AbortSignal.timeout(5_000));
    assert.deepEqual(await named("1.0.0"), { version: "v1.0.0", ref: "refs/tags/v1.0.0", commit: commit("1"), explicit: true });
    assert.deepEqual(await named("v0.9.0"), { version: "v0.9.0", ref: "refs/tags/v0.9.0", commit: commit("8"), explicit: true, upstream: FORK });
    await assert.rejects(named("v3.0.0"), { code: "version-not-found" });
  });
});

describe("several release feeds", () => {
  test("the newest release of all is downloaded from the feed that has it, whatever ids both use", async () => {
    const above = [release("v1.1.0", [asset(ASSET, "2", { id: "5" })], { id: "77" })];
    const below = [release("v1.2.0", [asset(ASSET, "3", { id: "5" })], { id: "77" })];
    const b = upstreamsBench(binaries(), { releases: above }, { releases: below });
    b.install("v1.0.0", { artifact: `sha256:${"1".repeat(64)}` });
    assert.deepEqual(await b.deliver(released("acme/api", "v1.1.0", "77"), released("ours/api", "v1.2.0", "77")), ["ignored superseded", "done"]);
    assert.deepEqual([b.runs(), b.looks.count], [["v1.2.0 queued from ours"], 2]);
  });

  test("ids of another forge are other assets, where nothing states a digest", async () => {
    const trusting = binaries({ release: releaseFeed({ trust: "none" }), others: [{ ...lower, release: releaseFeed({ repository: "ours/api", trust: "none" }) }] });
    const b = upstreamsBench(trusting, { releases: [release("v1.0.0", [asset(ASSET, null, { id: "5" })])] }, { releases: [release("v1.1.0", [asset(ASSET, null, { id: "5" })])] });
    b.install("v1.0.0", { artifact: "asset:5" });
    await b.deliver(released("ours/api", "v1.1.0", "1"));
    assert.deepEqual(b.runs(), ["v1.1.0 queued from ours"]);
    assert.equal(b.store.runs.list({ limit: 1 })[0]?.artifact?.identity, `asset:5@${FORK}`);
  });

  test("of the same version the higher one's counts, also while its files are still coming", async () => {
    const above: Release[] = [release("v1.1.0", [], { publishedAt: 1_800_000_000_000 })];
    const below = [release("v1.1.0", [asset(ASSET, "9")])];
    const b = upstreamsBench(binaries(), { releases: above }, { releases: below });
    b.install("v1.0.0", { artifact: `sha256:${"1".repeat(64)}` });
    assert.deepEqual(await b.deliver(released("ours/api", "v1.1.0", below[0]?.id ?? "")), ["done"]);
    assert.deepEqual(await b.deliver(released("acme/api", "v1.1.0", above[0]?.id ?? "")), ["done already-queued"]);
    assert.deepEqual(b.runs(), ["v1.1.0 held assets from acme"]);
    // Its uploads are done, and nothing is for this machine: the lower one's takes the place.
    above[0] = { ...(above[0] as Release), assets: [asset("api-server-darwin-arm64.tar.gz", "4")] };
    b.time.at += 600_000;
    await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from ours", "v1.1.0 skipped from acme"]);
    assert.deepEqual(await b.deliver(released("acme/api", "v1.1.0", above[0]?.id ?? "")), ["done superseded"]);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from ours", "v1.1.0 skipped from acme"], "nobody waits for it any longer");
  });

  test("other bytes of a lower one under the same tag are not what was chosen", async () => {
    const below = [release("v1.1.0", [asset(ASSET, "9")])];
    const b = upstreamsBench(binaries(), { releases: [release("v1.1.0", [asset(ASSET, "2")])] }, { releases: below });
    b.install("v1.0.0", { artifact: `sha256:${"1".repeat(64)}` });
    assert.deepEqual(await b.deliver(released("ours/api", "v1.1.0", below[0]?.id ?? "")), ["done superseded"]);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from acme"]);
  });

  test("a release of a lower one that waits for its files goes on from there", async () => {
    const below: Release[] = [release("v1.1.0", [])];
    const b = upstreamsBench(binaries(), { releases: [] }, { releases: below });
    b.install("v1.0.0", { artifact: `sha256:${"1".repeat(64)}` });
    await b.deliver(released("ours/api", "v1.1.0", below[0]?.id ?? ""));
    assert.deepEqual(b.runs(), ["v1.1.0 held assets from ours"]);
    below[0] = { ...(below[0] as Release), assets: [asset(ASSET, "2")] };
    b.time.at += 600_000;
    await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
    assert.deepEqual(b.runs(), ["v1.1.0 queued from ours"]);
  });

  test("a silent feed holds up no newer release, and its own news come later", async () => {
    const above: Place = { releases: [release("v1.3.0", [asset(ASSET, "4")])], down: "upstream-unreachable" };
    const b = upstreamsBench(binaries(), above, { releases: [release("v1.0.0", [asset(ASSET, "8")]), release("v1.2.0", [asset(ASSET, "3")])] });
    b.install("v1.0.0", { artifact: `sha256:${"1".repeat(64)}` });
    assert.deepEqual(await b.deliver(released("ours/api", "v1.0.0", "1"), released("acme/api", "v1.3.0", "2")), ["done superseded", "received upstream-unreachable"]);
    assert.deepEqual(b.runs(), ["v1.2.0 queued from ours"]);
    delete above.down;
    b.time.at += 60_000;
    await b.turn(() => b.store.runs.of("api", "queued")?.toVersion === "v1.3.0");
    assert.deepEqual(b.runs(), ["v1.2.0 skipped from ours", "v1.3.0 queued from acme"]);
  });
});

describe("what is shown", () => {
  const look = { version: "v1.2.0", updateAvailable: true, upstream: FORK };
  const current = { subsystem: "api", version: "v1.0.0", digest: "sha256:1", state: "current", at: 0 } as const;
  const time = (ms: number) => String(ms);

  test("the manifest names the upstream of the latest version until that is installed", () => {
    const first = manifestEntry(several(), current, { now: look }, time);
    assert.equal(first.latest_upstream, FORK);
    assert.equal(manifestEntry(several(), current, { before: first }, time).latest_upstream, FORK);
    assert.equal(manifestEntry(several(), { ...current, version: "v1.3.0" }, { before: first }, time).latest_upstream, undefined);
    assert.ok(!("latest_upstream" in manifestEntry(several(), current, { now: { version: "v1.2.0", updateAvailable: true } }, time)));
  });

  test("status and why name the upstream that the running version came from", async () => {
    const b = upstreamsBench(several(), {}, { tags: { "v1.2.0": "9" } });
    b.install("v1.0.0", { commit: commit("1") });
    await b.deliver(tag("ours/api", "v1.2.0", "9"));
    const [run] = b.store.runs.list({ limit: 1 });
    b.store.runs.move(run?.id ?? "", "running");
    b.store.runs.saveContext(run?.id ?? "", { digest: "sha256:v1.2.0" });
    b.store.runs.move(run?.id ?? "", "succeeded");
    b.install("v1.2.0", { commit: commit("9") });
    const views = createViews({ store: b.store, clock: systemClock, workspace: "/srv/ws", version: "0", subsystems: () => [several()], warnings: () => [], daemon: () => ({ running: false, version: "0" }), readLog: () => "", frontDoor: () => undefined, progress: () => undefined });
    const [status] = (await views.status()).subsystems;
    assert.deepEqual([status?.upstream, status?.others, status?.current?.upstream], ["https://github.com/acme/api", [FORK], FORK]);
    assert.equal(views.story("api").current?.upstream, FORK);
  });

  test("a simulated delivery is about the repository that has the version", () => {
    const found = { subsystem: "api", from: "v1.0.0", to: "v1.2.0", upstream: FORK, commit: commit("9"), asset: null, verdict: "update", stages: [], restarts: null } as const;
    assert.equal(simulated(several(), found, "push", { now: 0, id: "one" }).repository, "ours/api");
    assert.equal(simulated(binaries(), found, "release", { now: 0, id: "one" }).repository, "ours/api");
  });
});
