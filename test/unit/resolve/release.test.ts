import assert from "node:assert/strict";
import { test } from "node:test";
import { UpstreamError } from "../../../src/domain/errors.ts";
import type { Release } from "../../../src/domain/release.ts";
import { newestFor } from "../../../src/resolve/newest.ts";
import { asset, release } from "../../support/release-table.ts";
import { API, api, install, noUpstream, resolveBench as bench, runs, WEB, web } from "../../support/resolve-bench.ts";
import { releaseFeed, subsystem } from "../../support/subsystem.ts";

test("one release under three actions and five deliveries is one update, looked up once", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.1.0", "v1.1.0", "v1.1.0", "v1.1.0", "v1.1.0"), ["done", "done", "done", "done", "done"]);
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
  assert.equal(b.forge.looks.count, 1);
  assert.equal(b.store.runs.list({ limit: 1 })[0]?.artifact?.identity, `sha256:${"2".repeat(64)}`);
});

test("of two subsystems in one release only the one whose asset changed is updated", async () => {
  const b = bench([release("v1.0.0", [asset(API, "1"), asset(WEB, "5")]), release("v1.1.0", [asset(API, "2"), asset(WEB, "5")])], [api, web]);
  install(b.store, "v1.0.0", "1");
  b.store.versions.setCurrent({ subsystem: "web", version: "v1.0.0", tag: "v1.0.0", artifact: `sha256:${"5".repeat(64)}`, digest: "sha256:web" });
  assert.deepEqual(await b.deliver("v1.1.0"), ["done"]);
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
  assert.equal(b.store.inbox.forSubsystem("web", 1)[0]?.reason, "already-current");
});

test("the newest release that has this subsystem's asset counts, not the newest of all", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")]), release("v1.2.0", [asset(WEB, "6")])], [api, web]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.2.0");
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued", "web v1.2.0 queued"]);
});

test("a tag that names another subsystem is not this one's", async () => {
  const b = bench([release("web-v2.0.0", [asset(WEB, "6")])], [api, web]);
  await b.deliver("web-v2.0.0");
  assert.deepEqual(runs(b.store), ["web web-v2.0.0 queued"]);
  assert.equal(b.store.inbox.forSubsystem("api", 1)[0]?.reason, "other-subsystem");
});

test("a backport that is published later never takes a newer version back, and hides no update published before it", async () => {
  const b = bench([release("v2.0.0", [asset(API, "3")]), release("v2.0.1", [asset(API, "4")]), release("v1.9.9", [asset(API, "9")])]);
  install(b.store, "v2.0.0", "3");
  await b.deliver("v1.9.9");
  assert.deepEqual(runs(b.store), ["api v2.0.1 queued"]);
});

test("a version that no order relates to ours counts only when it was published later", async () => {
  const b = bench([release("nightly-1", [asset(API, "2")]), release("nightly-2", [asset(API, "3")]), release("nightly-3", [asset(API, "4")])], [subsystem({ ...api, policy: { unparsable: "auto" } })]);
  install(b.store, "nightly-2", "3");
  assert.deepEqual((await b.deliver("nightly-1")), ["done superseded"]);
  assert.deepEqual(runs(b.store), ["api nightly-3 queued"]);
});

test("a major step waits for a person and a patch beside it goes", async () => {
  const b = bench([release("v1.0.1", [asset(API, "2")]), release("v2.0.0", [asset(API, "3")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v2.0.0", "v1.0.1");
  assert.deepEqual(runs(b.store), ["api v1.0.1 queued", "api v2.0.0 held approval"]);
});

test("other bytes under the same tag wait for a person, and a no to these bytes stands", async () => {
  const b = bench([release("v1.0.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.0.0");
  assert.deepEqual(runs(b.store), ["api v1.0.0 held approval"]);
  const [held] = b.store.runs.list({ limit: 1 });
  assert.equal(held?.rule, "rewritten");
  b.store.approvals.record({ runId: held?.id ?? "", verdict: "rejected", boundTo: `sha256:${"2".repeat(64)}`, decidedBy: "cli:me" });
  b.store.endRun(held?.id ?? "", { status: "skipped", deliveries: "done", code: "rejected" });
  assert.deepEqual(await b.deliver("v1.0.0"), ["ignored rejected"]);
});

test("quarantine is bound to the bytes: a mended asset under the same tag is looked at again", async () => {
  const b = bench([release("v1.1.0", [asset(API, "3")])]);
  install(b.store, "v1.0.0", "1");
  b.store.versions.quarantine({ subsystem: "api", version: "v1.1.0", tag: "v1.1.0", artifact: `sha256:${"2".repeat(64)}`, digest: "sha256:bad", reason: "unhealthy" });
  await b.deliver("v1.1.0");
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
});

test("drafts and prereleases are left alone, and a prerelease that became final is installed", async () => {
  const rows = [release("v1.1.0", [asset(API, "2")], { prerelease: true }), release("v1.2.0", [asset(API, "3")], { draft: true })];
  const b = bench(rows);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.1.0"), ["ignored prerelease"]);
  rows[0] = { ...(rows[0] as Release), prerelease: false };
  await b.deliver("v1.1.0");
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
});

test("a release whose asset is not there yet is held, and goes on as the same run once it is", async () => {
  const rows = [release("v1.1.0", [])];
  const b = bench(rows);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.1.0"), ["done"]);
  assert.deepEqual(runs(b.store), ["api v1.1.0 held assets"]);
  const [held] = b.store.runs.list({ limit: 1 });
  assert.match(held?.message ?? "", /release v1\.1\.0 has no asset of api-server/);
  assert.ok(b.store.events.after(0, 50, held?.id).every((e) => e.type !== "approval_wanted"), "nobody is asked");
  rows[0] = { ...(rows[0] as Release), assets: [asset(API, "2", { complete: false })] };
  b.clock.at += 10_000;
  const looks = b.forge.looks.count;
  await b.turn(() => b.forge.looks.count > looks && (b.store.runs.nextLook("assets") ?? 0) > b.clock.at);
  assert.deepEqual(runs(b.store), ["api v1.1.0 held assets"]);
  rows[0] = { ...(rows[0] as Release), assets: [asset(API, "2")] };
  b.clock.at += 600_000;
  await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
  assert.equal(b.store.runs.list({ limit: 1 })[0]?.id, held?.id);
});

test("a release that never gets its asset ends skipped at the deadline, and a redelivery may try again", async () => {
  const rows = [release("v1.1.0", [asset("notes.txt", "8")])];
  const b = bench(rows);
  await b.deliver("v1.1.0");
  b.clock.at += (api.release?.assetWaitMs ?? 0) + 1;
  b.expire();
  assert.deepEqual(runs(b.store), ["api v1.1.0 held assets"], "after a long sleep it is looked at once more before it is given up");
  await b.turn(() => (b.store.runs.nextLook("assets") ?? 0) > b.clock.at);
  b.expire();
  const [ended] = b.store.runs.list({ limit: 1 });
  assert.deepEqual([ended?.status, ended?.code], ["skipped", "assets-missing"]);
  assert.equal(b.store.inbox.forSubsystem("api", 1)[0]?.state, "failed");
});

test("of a shared repository a plain release without our asset is not waited for", async () => {
  const b = bench([release("v1.1.0", [asset(WEB, "6")])], [api, web]);
  await b.deliver("v1.1.0");
  assert.deepEqual(runs(b.store), ["web v1.1.0 queued"]);
  assert.equal(b.store.inbox.forSubsystem("api", 1)[0]?.reason, "no-asset");
});

test("without the forge's digest the checksum file decides, and nothing to check against is not installed", async () => {
  const sums = asset("SHA256SUMS", null);
  const mine = asset(API, null);
  const rows = [release("v1.1.0", [mine])];
  const texts: Record<string, string> = { [sums.id]: `${"7".repeat(64)}  ${API}\n` };
  const b = bench(rows, [api], texts);
  await b.deliver("v1.1.0");
  assert.deepEqual(runs(b.store), ["api v1.1.0 held assets"]);
  assert.match(b.store.runs.list({ limit: 1 })[0]?.message ?? "", /digest of .* is stated nowhere.*release\.trust to none/);
  rows[0] = { ...(rows[0] as Release), assets: [mine, sums] };
  await b.deliver("v1.1.0");
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
  assert.equal(b.store.runs.list({ limit: 1 })[0]?.artifact?.digest, `sha256:${"7".repeat(64)}`);
});

test("trust none installs what nothing states a digest for, and knows it again by its asset", async () => {
  const mine = asset(API, null);
  const b = bench([release("v1.1.0", [mine])], [subsystem({ ...api, release: releaseFeed({ trust: "none" }) })]);
  await b.deliver("v1.1.0");
  assert.equal(b.store.runs.list({ limit: 1 })[0]?.artifact?.identity, `asset:${mine.id}`);
  b.store.endRun(b.store.runs.list({ limit: 1 })[0]?.id ?? "", { status: "cancelled", deliveries: "done" });
  b.store.versions.setCurrent({ subsystem: "api", version: "v1.1.0", tag: "v1.1.0", artifact: `asset:${mine.id}`, digest: "sha256:x" });
  assert.deepEqual(await b.deliver("v1.1.0"), ["ignored already-current"]);
});

test("a release that the API does not show yet is looked for again, and one that is gone is said to be", async () => {
  const b = bench([]);
  assert.deepEqual(await b.deliver("v1.1.0"), ["received version-not-found"]);
  const last = () => b.store.inbox.forSubsystem("api", 1)[0];
  for (let tries = 2; last()?.state === "received"; tries++) {
    b.clock.at += 20 * 60_000;
    await b.turn(() => last()?.state !== "received" || last()?.reason?.endsWith(`try ${tries}`) === true);
  }
  assert.deepEqual([last()?.state, last()?.reason], ["ignored", "withdrawn"]);
});

test("a rate limit puts a delivery off until its reset", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")])]);
  const reset = b.clock.at + 40 * 60_000;
  const releases = b.forge.releases;
  let limited = true;
  Object.assign(b.forge, { releases: (...args: Parameters<typeof releases>) => (limited ? Promise.reject(new UpstreamError("rate-limited", "limit is reached", { retryable: true, retryAt: reset })) : releases(...args)) });
  assert.deepEqual(await b.deliver("v1.1.0"), ["received rate-limited"]);
  assert.equal(b.store.inbox.nextDue(), reset);
  limited = false;
  b.clock.at = reset;
  await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
});

test("check finds the newest without counting what is not for this machine", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")]), release("v1.2.0", [asset("api-server-darwin-arm64.tar.gz", "3")])]);
  install(b.store, "v1.0.0", "1");
  const found = await newestFor({ store: b.store, upstream: noUpstream, feed: b.feed }, api, AbortSignal.timeout(5_000));
  assert.deepEqual([found?.candidate.version, found?.decision.verdict], ["v1.1.0", "run"]);
});

test("a delivery that is held keeps its own run, though an older release that was missed goes beside it", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")]), release("v2.0.0", [asset(API, "3")])]);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v2.0.0"), ["done"]);
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued", "api v2.0.0 held approval"]);
  const [delivery] = b.store.inbox.forSubsystem("api", 1);
  assert.equal(b.store.runs.get(delivery?.runId ?? "")?.toVersion, "v2.0.0");
});

test("of a shared repository a delivery says what was decided about the program it is for", async () => {
  const b = bench([release("v2.0.0", [asset(API, "3")]), release("v1.1.0", [asset(WEB, "6")]), release("v1.2.0-web", [asset(WEB, "7")])], [api, web]);
  install(b.store, "v1.0.0", "1");
  b.store.versions.quarantine({ subsystem: "web", version: "v1.2.0", tag: "v1.2.0-web", artifact: `sha256:${"7".repeat(64)}`, digest: "sha256:bad", reason: "unhealthy" });
  assert.deepEqual(await b.deliver("v1.1.0"), ["done"]);
  const [delivery] = b.store.inbox.forSubsystem("web", 1);
  assert.equal(b.store.inbox.get(delivery?.id ?? "")?.runId, delivery?.runId, "web's run, not the one of api that waits");
  b.store.versions.setCurrent({ subsystem: "web", version: "v1.1.0", tag: "v1.1.0", artifact: `sha256:${"6".repeat(64)}`, digest: "sha256:web" });
  for (const run of b.store.runs.list({ limit: 9 })) if (run.subsystem === "web") b.store.endRun(run.id, { status: "skipped", deliveries: "done", code: "already-current" });
  assert.deepEqual(await b.deliver("v1.2.0-web"), ["ignored quarantined"]);
});

test("releases whose tags no pattern takes in are never installed, whichever is newest", async () => {
  const own = subsystem({ ...api, tags: ["api/v{version}", "!*-broken"] });
  const b = bench([release("api/v1.1.0", [asset(API, "2")]), release("v9.0.0", [asset(API, "3")]), release("api/v1.2.0-broken", [asset(API, "4")])], [own]);
  install(b.store, "api/v1.0.0", "1");
  assert.deepEqual(await b.deliver("v9.0.0"), ["ignored tag-not-tracked"]);
  assert.deepEqual(await b.deliver("api/v1.2.0-broken"), ["ignored tag-not-tracked"]);
  assert.deepEqual(await b.deliver("api/v1.1.0"), ["done"]);
  assert.deepEqual(runs(b.store), ["api api/v1.1.0 queued"]);
  install(b.store, "api/v1.1.0", "2");
  const found = await newestFor({ store: b.store, upstream: noUpstream, feed: b.feed }, own, AbortSignal.timeout(5_000));
  assert.deepEqual([found?.candidate.version, found?.decision], ["api/v1.1.0", { verdict: "ignore", reason: "already-current" }], "and none of them is shown as the newest");
});

test("check finds the newest release within the pin, though newer ones are outside it", async () => {
  const b = bench([release("v2.0.0", [asset(API, "1")]), release("v2.1.0", [asset(API, "2")]), release("v3.0.0", [asset(API, "3")])]);
  install(b.store, "v2.0.0", "1");
  const said = async (pin: string) => {
    const found = await newestFor({ store: b.store, upstream: noUpstream, feed: b.feed }, subsystem({ ...api, pin }), AbortSignal.timeout(5_000));
    return `${found?.candidate.version} ${found?.decision.verdict === "ignore" ? found.decision.reason : found?.decision.verdict}`;
  };
  assert.equal(await said("2.x"), "v2.1.0 run");
  assert.equal(await said("2.0.x"), "v2.0.0 already-current");
  assert.equal(await said("4.x"), "v3.0.0 pinned");
});

test("a prerelease of a listed channel is installed, though the forge calls it one", async () => {
  const b = bench([release("v1.1.0-beta.1", [asset(API, "2")], { prerelease: true }), release("v1.2.0", [asset(API, "3")], { prerelease: true })], [subsystem({ ...api, channel: ["beta"] })]);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.2.0", "v1.1.0-beta.1"), ["ignored prerelease", "done"]);
  assert.deepEqual(runs(b.store), ["api v1.1.0-beta.1 queued"]);
});

test("other bytes under a moving tag are an update under policy rewritten, the same bytes are none", async () => {
  const rows = [release("nightly", [asset(API, "1")], { prerelease: true })];
  const b = bench(rows, [subsystem({ ...api, tags: ["nightly"], channel: ["nightly"], policy: { rewritten: "auto" } })]);
  install(b.store, "nightly", "1");
  assert.deepEqual(await b.deliver("nightly"), ["ignored already-current"]);
  rows[0] = { ...(rows[0] as Release), assets: [asset(API, "2")] };
  assert.deepEqual(await b.deliver("nightly"), ["done"]);
  const [run] = b.store.runs.list({ limit: 1 });
  assert.deepEqual([run?.toVersion, run?.rule, run?.artifact?.identity], ["nightly", "rewritten", `sha256:${"2".repeat(64)}`]);
});

test("a release is found by the version alone, in the form its pattern gives", async () => {
  const b = bench([release("api/v1.1.0", [asset(API, "2")])]);
  assert.equal((await b.feed.named(subsystem({ ...api, tags: ["api/v{version}"] }), "1.1.0", AbortSignal.timeout(5_000))).version, "api/v1.1.0");
});

test("a moving tag's release that is made anew is waited for until its assets are there", async () => {
  const rows = [release("nightly", [])];
  const b = bench(rows, [subsystem({ ...api, tags: ["nightly"], policy: { rewritten: "auto" } })]);
  install(b.store, "nightly", "1");
  assert.deepEqual(await b.deliver("nightly"), ["done"]);
  assert.deepEqual(runs(b.store), ["api nightly held assets"]);
  rows[0] = { ...(rows[0] as Release), assets: [asset(API, "2")] };
  b.clock.at += 10_000;
  await b.turn(() => b.store.runs.of("api", "queued") !== undefined);
  assert.deepEqual(b.store.runs.list({ limit: 9 }).map((r) => [r.toVersion, r.rule, r.status]), [["nightly", "rewritten", "queued"]]);
});
