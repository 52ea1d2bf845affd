/** What goes wrong around releases: neighbours in trouble, limits, waits that overlap, a machine that slept. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decide } from "../../../src/domain/decide.ts";
import { UpstreamError } from "../../../src/domain/errors.ts";
import { manifestEntry } from "../../../src/domain/manifest.ts";
import type { Release } from "../../../src/domain/release.ts";
import { newestFor } from "../../../src/resolve/newest.ts";
import { checkGates } from "../../../src/run/gates.ts";
import { asset, release } from "../../support/release-table.ts";
import { API, api, install, noUpstream, resolveBench, runs, WEB, web } from "../../support/resolve-bench.ts";
import { commit, releaseFeed, subsystem } from "../../support/subsystem.ts";

const ME = { actor: "cli:me" };
const refused = (code: "rate-limited" | "upstream-unreachable", retryAt?: number) => () => Promise.reject(new UpstreamError(code, "not now", { retryable: true, ...(retryAt === undefined ? {} : { retryAt }) }));

test("two assets that fit a neighbour equally well are the neighbour's trouble only", async () => {
  const b = resolveBench([release("v1.1.0", [asset(API, "2"), asset(WEB, "5"), asset("web_linux_amd64.tar.gz", "6")])], [api, web]);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.1.0"), ["failed assets-missing"]);
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
  const [run] = b.store.runs.list({ limit: 1 });
  b.store.runs.move(run?.id ?? "", "running");
  b.store.endRun(run?.id ?? "", { status: "succeeded", deliveries: "done" });
  assert.equal(b.store.inbox.forSubsystem("web", 1)[0]?.state, "failed", "and a redelivery may try it again");
});

test("a neighbour's checksum file that cannot be read now holds up no other, and nothing is queued twice", async () => {
  const b = resolveBench([release("v1.1.0", [asset(API, "2"), asset(WEB, null), asset(`${WEB}.sha256`, null)])], [api, web]);
  const text = b.forge.text;
  Object.assign(b.forge, { text: refused("upstream-unreachable") });
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.1.0"), ["received upstream-unreachable"]);
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
  Object.assign(b.forge, { text: async () => `${"5".repeat(64)}  ${WEB}\n` });
  b.clock.at += 3_600_000;
  await b.turn(() => b.store.runs.of("web", "queued") !== undefined);
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued", "web v1.1.0 queued"]);
  assert.ok(b.store.inbox.forSubsystem("api", 1)[0]?.runId, "the delivery still knows the run it led to first");
  Object.assign(b.forge, { text });
});

test("a run that waits for the forge's limit gives way to a newer one that runs, and to nothing else", async () => {
  const rows = [release("v1.0.1", [asset(API, "2")])];
  const b = resolveBench(rows);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.0.1");
  b.limit();
  rows.push(release("v2.0.0", [asset(API, "3")]));
  await b.deliver("v2.0.0");
  assert.deepEqual(runs(b.store), ["api v1.0.1 held rate-limit", "api v2.0.0 held approval"], "a major that waits for a person");
  rows.push(release("v1.0.2", [asset(API, "4")]));
  await b.deliver("v1.0.2");
  assert.deepEqual(runs(b.store), ["api v1.0.1 skipped", "api v1.0.2 queued", "api v2.0.0 held approval"]);
});

test("an approval is not lost to a patch that comes while the approved run waits for the limit", async () => {
  const rows = [release("v2.0.0", [asset(API, "3")])];
  const b = resolveBench(rows);
  install(b.store, "v1.0.1", "2");
  await b.deliver("v2.0.0");
  await b.ask({ verb: "approve", runId: b.store.runs.list({ limit: 1 })[0]?.id ?? "", ...ME });
  b.limit();
  rows.push(release("v1.0.2", [asset(API, "4")]));
  await b.deliver("v1.0.2");
  assert.deepEqual(runs(b.store), ["api v2.0.0 held rate-limit"]);
});

test("what a person asked for and the limit puts off is not undone by a delivery", async () => {
  const b = resolveBench([release("v0.9.0", [asset(API, "9")]), release("v1.1.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  await b.ask({ verb: "update", subsystem: "api", version: "v0.9.0", ...ME });
  b.limit();
  assert.deepEqual(await b.deliver("v1.1.0"), ["received policy-refused"]);
  assert.deepEqual(runs(b.store), ["api v0.9.0 held rate-limit"]);
});

test("a person may still say no to an approved run that waits for the limit", async () => {
  const b = resolveBench([release("v2.0.0", [asset(API, "3")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v2.0.0");
  const runId = b.store.runs.list({ limit: 1 })[0]?.id ?? "";
  await b.ask({ verb: "approve", runId, ...ME });
  b.limit();
  assert.match(await b.ask({ verb: "reject", runId, ...ME }), /^done/);
  assert.deepEqual(await b.deliver("v2.0.0"), ["ignored rejected"]);
});

test("a no to a release that has no asset yet is a no to what it gets", async () => {
  const rows = [release("v1.1.0", [])];
  const b = resolveBench(rows);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  await b.ask({ verb: "reject", runId: b.store.runs.list({ limit: 1 })[0]?.id ?? "", ...ME });
  rows[0] = { ...(rows[0] as Release), assets: [asset(API, "2")] };
  assert.deepEqual(await b.deliver("v1.1.0"), ["ignored rejected"]);
});

for (const assets of [[asset(API, "3")], []]) {
  test(`a major that waits ${assets.length === 0 ? "without its assets" : "for a person"} does not end a patch's wait for its assets`, async () => {
    const rows = [release("v1.0.1", [])];
    const b = resolveBench(rows);
    install(b.store, "v1.0.0", "1");
    await b.deliver("v1.0.1");
    rows.push(release("v2.0.0", assets));
    await b.deliver("v2.0.0");
    assert.ok(runs(b.store).includes("api v1.0.1 held assets"), runs(b.store).join());
  });
}

test("a limit longer than the wait for assets does not end it without a look", async () => {
  const b = resolveBench([release("v1.1.0", [])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  Object.assign(b.forge, { releases: refused("rate-limited", b.clock.at + 50 * 60_000) });
  b.clock.at += 5_001;
  await b.turn(() => (b.store.runs.nextLook("assets") ?? 0) > b.clock.at);
  b.clock.at += 30 * 60_000;
  b.expire();
  assert.deepEqual(runs(b.store), ["api v1.1.0 held assets"]);
});

test("several programs that wait for one release share each look at it", async () => {
  const names = ["a1", "a2", "a3", "a4", "a5"];
  const b = resolveBench([release("v1.0.0", [])], names.map((n) => subsystem({ name: n, binary: n, process: n, mode: "release", release: releaseFeed() })));
  await b.deliver("v1.0.0");
  const before = b.forge.looks.count;
  let rounds = 0;
  for (const end = b.clock.at + 600_000; (b.store.runs.nextLook("assets") ?? end) < end; rounds++) {
    b.clock.at = b.store.runs.nextLook("assets") ?? end;
    await b.turn(() => (b.store.runs.nextLook("assets") ?? 0) > b.clock.at);
  }
  assert.ok(rounds >= 5 && b.forge.looks.count - before <= rounds + 1, `${b.forge.looks.count - before} requests in ${rounds} rounds`);
});

test("a burst about releases that nobody can see costs a few requests, not one each", async () => {
  const b = resolveBench([release("v1.0.0", [asset(API, "1")])]);
  let asked = 0;
  Object.assign(b.forge, { release: () => (asked++, Promise.reject(new UpstreamError("version-not-found", "none", { retryable: true }))) });
  const tags = Array.from({ length: 100 }, (_, n) => `v9.${n}.0`);
  const items = tags.map((tag, n) => ({ receiver: "github", externalId: `x${n}`, event: "release", key: "default", bodySha256: `x${n}`, body: Buffer.from("{}"), state: "received" as const, change: { kind: "release" as const, repository: "acme/api", tag, releaseId: `9${n}`, action: "published", draft: false, prerelease: false } }));
  const ids = b.store.inbox.accept(items).map((a) => a.delivery.id);
  await b.turn(() => ids.every((id) => b.store.inbox.get(id)?.reason !== undefined));
  assert.ok(asked <= 3, `${asked} requests`);
});

test("releases whose digest nothing states cost a few checksum files, however many there are", async () => {
  const rows = Array.from({ length: 50 }, (_, n) => release(`v1.0.${n + 1}`, [asset(API, null), asset("SHA256SUMS", null)]));
  const b = resolveBench(rows);
  let read = 0;
  Object.assign(b.forge, { text: async () => (read++, "nothing about it\n") });
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.0.50");
  assert.ok(read <= 3, `${read} files`);
  assert.deepEqual(runs(b.store), ["api v1.0.50 held assets"]);
});

test("news that was missed ends at the highest version, in one batch as one by one", async () => {
  const rows = [release("v1.2.0", [asset(API, "3")]), release("v1.0.1", [asset(API, "2")])];
  const b = resolveBench(rows);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.2.0", "v1.0.1");
  assert.deepEqual(runs(b.store), ["api v1.2.0 queued"]);
});

test("a release that is published anew with the same bytes is fetched from where it is now", async () => {
  const rows = [release("v2.0.0", [asset(API, "3")])];
  const b = resolveBench(rows);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v2.0.0");
  rows[0] = release("v2.0.0", [asset(API, "3")]);
  await b.deliver("v2.0.0");
  assert.equal(b.store.runs.list({ limit: 1 })[0]?.artifact?.assetId, rows[0].assets[0]?.id);
});

test("after a rollback nothing up to the version a person left comes by itself", async () => {
  const b = resolveBench([release("v1.0.0", [asset(API, "1")]), release("v1.1.0", [asset(API, "2")]), release("v1.2.0", [asset(API, "3")])]);
  install(b.store, "v1.2.0", "3");
  b.store.versions.keepPrevious({ subsystem: "api", version: "v1.0.0", tag: "v1.0.0", artifact: `sha256:${"1".repeat(64)}`, digest: "sha256:bin1", path: ".bin/.previous/v1.0.0" });
  await b.ask({ verb: "rollback", subsystem: "api", to: "v1.0.0", ...ME });
  const run = b.store.runs.of("api", "queued");
  b.store.runs.move(run?.id ?? "", "running");
  install(b.store, "v1.0.0", "1");
  b.store.versions.quarantine({ subsystem: "api", version: "v1.2.0", tag: "v1.2.0", artifact: `sha256:${"3".repeat(64)}`, digest: "sha256:bin3", reason: "rolled back by cli:me" });
  b.store.endRun(run?.id ?? "", { status: "succeeded", deliveries: "done" });
  assert.deepEqual(await b.deliver("v1.1.0"), ["ignored rolled-back"]);
  assert.match(await b.ask({ verb: "update", subsystem: "api", version: "v1.1.0", ...ME }), /^done/, "but it does when it is named");
});

test("a version that other hands installed and a person left stays out under its tag", async () => {
  const b = resolveBench([release("v1.1.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  b.store.versions.quarantine({ subsystem: "api", version: "1.1.0", digest: "sha256:adopted", reason: "rolled back by cli:me" });
  assert.deepEqual(await b.deliver("v1.1.0"), ["ignored quarantined"]);
});

test("notes edited on the installed release, whose asset is gone, are nothing to wait for", async () => {
  const b = resolveBench([release("v1.0.0", [asset("notes.txt", "8")])]);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.0.0"), ["ignored already-current"]);
});

test("an up-to-date machine is told so, not that a prerelease or a backport is the latest", async () => {
  for (const extra of [release("v2.1.0", [asset(API, "4")], { prerelease: true }), release("v1.9.9", [asset(API, "9")])]) {
    const b = resolveBench([release("v2.0.0", [asset(API, "3")]), { ...extra, publishedAt: 1_900_000_000_000 }]);
    install(b.store, "v2.0.0", "3");
    const found = await newestFor({ store: b.store, upstream: noUpstream, feed: b.feed }, api, AbortSignal.timeout(5_000));
    assert.equal(found?.candidate.version, "v2.0.0");
  }
});

test("a neighbour's plain release of that version does not hide this one's own", async () => {
  const b = resolveBench([release("v1.2.0", [asset(WEB, "6")]), release("api-v1.2.0", [asset(API, "2")])], [api, web]);
  assert.equal((await b.feed.named(api, "1.2.0", AbortSignal.timeout(5_000))).version, "api-v1.2.0");
});

test("a run of the other mode is not started", () => {
  const b = resolveBench([]);
  const run = b.store.runs.create({ kind: "update", subsystem: "api", status: "queued", trigger: "delivery", rule: "patch", toVersion: "v1.0.1", ref: "refs/tags/v1.0.1", commit: commit("a") });
  assert.deepEqual(checkGates(b.store, run, api), { verdict: "skip", reason: "mode-differs" });
});

test("a pin means a version, in whatever style its tag is written", () => {
  const candidate = { version: "api-v1.2.0", ref: "refs/tags/api-v1.2.0", commit: commit("b") };
  const verdict = (pin: string) => decide({ subsystem: subsystem({ pin }), current: undefined, quarantined: false, candidate }).verdict;
  assert.deepEqual(["1.2.0", "v1.2.0", "api-v1.2.0", "v1.2.1"].map(verdict), ["run", "run", "run", "ignore"]);
});

test("the manifest follows what was installed since the last look", () => {
  const current = (v: string) => ({ subsystem: "api", version: v, tag: v, artifact: `sha256:${v}`, digest: "d", state: "current" as const, at: 1 });
  const before = manifestEntry(api, current("v1.0.0"), { now: { version: "v1.1.0", updateAvailable: true } }, String);
  const later = manifestEntry(api, current("v1.2.0"), { before }, String);
  assert.deepEqual([later.latest_tag, later.update_available], ["v1.2.0", false]);
  assert.equal(manifestEntry(api, current("v1.1.0"), { now: { version: "v1.1.0", updateAvailable: true } }, String).update_available, false, "a look that began before the run");
});

test("a major whose asset came late waits for a person no longer than the policy says", async () => {
  const rows = [release("v2.0.0", [])];
  const b = resolveBench(rows);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v2.0.0");
  rows[0] = { ...(rows[0] as Release), assets: [asset(API, "3")] };
  b.clock.at += 60_000;
  await b.turn(() => b.store.runs.held("api", "approval") !== undefined);
  assert.deepEqual([b.store.runs.held("api", "approval")?.lookAt, b.store.runs.held("api", "approval")?.message], [undefined, undefined]);
  b.clock.at += api.policy.approvalWaitMs + 60_000;
  b.expire();
  assert.deepEqual(b.store.runs.list({ limit: 1 }).map((r) => [r.status, r.code]), [["skipped", "approval-timeout"]]);
});

test("a run that failed is not begun again because the delivery waits for a neighbour's look", async () => {
  const b = resolveBench([release("v1.1.0", [asset(API, "2"), asset(WEB, null), asset(`${WEB}.sha256`, null)])], [api, web]);
  Object.assign(b.forge, { text: refused("upstream-unreachable") });
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  const [run] = b.store.runs.list({ limit: 1 });
  b.store.runs.move(run?.id ?? "", "running");
  b.store.endRun(run?.id ?? "", { status: "failed", deliveries: "failed", code: "download-failed" });
  const tries = () => b.store.inbox.forSubsystem("web", 1)[0]?.attempts ?? 0;
  for (const wanted of [2, 3]) {
    b.clock.at += 3_600_000;
    await b.turn(() => tries() >= wanted && b.store.inbox.forSubsystem("web", 1)[0]?.reason?.endsWith(`try ${wanted}`) === true);
  }
  assert.deepEqual(runs(b.store), ["api v1.1.0 failed"]);
  Object.assign(b.forge, { text: async () => `${"5".repeat(64)}  ${WEB}\n` });
  b.clock.at += 3_600_000;
  await b.turn(() => b.store.runs.of("web", "queued") !== undefined);
  assert.equal(b.store.inbox.forSubsystem("api", 1)[0]?.state, "failed", "and a redelivery may begin it again");
});

test("the installed release stays the installed one when a second asset that fits is added to it", async () => {
  const b = resolveBench([release("v1.0.0", [asset(API, "1"), asset("api-server_linux_amd64.tar.gz", "9")])]);
  install(b.store, "v1.0.0", "1");
  assert.deepEqual(await b.deliver("v1.0.0"), ["ignored already-current"]);
  assert.match(await b.ask({ verb: "update", subsystem: "api", ...ME }), /^(ignored already-current|failed version-not-found)/);
});

test("releases that two assets fit equally well use up no look at a checksum file", async () => {
  const twice = () => [asset(API, "7"), asset("api-server_linux_amd64.tar.gz", "8")];
  const sums = asset("SHA256SUMS", null);
  const b = resolveBench([release("v1.1.0", [asset(API, null), sums]), release("v1.2.0", twice()), release("v1.3.0", twice()), release("v1.4.0", twice())], [api], { [sums.id]: `${"5".repeat(64)}  ${API}\n` });
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  assert.deepEqual(runs(b.store), ["api v1.1.0 queued"]);
});

test("nobody is asked about a version that is behind the one that goes by itself", async () => {
  const b = resolveBench([release("v1.5.0", [asset(API, "5")]), release("v1.4.1", [asset(API, "4")])], [subsystem({ ...api, policy: { patch: "approval" } })]);
  install(b.store, "v1.4.0", "1");
  await b.deliver("v1.4.1", "v1.5.0");
  assert.deepEqual(runs(b.store), ["api v1.5.0 queued"]);
});
