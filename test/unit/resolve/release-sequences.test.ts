import assert from "node:assert/strict";
import { test } from "node:test";
import type { Release } from "../../../src/domain/release.ts";
import type { Subsystem } from "../../../src/domain/subsystem.ts";
import { checkGates } from "../../../src/run/gates.ts";
import type { Store } from "../../../src/store/store.ts";
import { asset, release } from "../../support/release-table.ts";
import { API, api, install, type ResolveBench, resolveBench } from "../../support/resolve-bench.ts";
import { subsystem } from "../../support/subsystem.ts";

const digest = (digit: string) => `sha256:${digit.repeat(64)}` as const;

interface Bench extends Omit<ResolveBench, "deliver"> {
  /** What the forge has; tests change it as its owner would. */
  readonly releases: Release[];
  /** Sends one delivery after the other, each judged before the next comes; says the last one's verdict. */
  deliver(...tags: string[]): Promise<string>;
  approve(runId: string): Promise<void>;
}

function bench(releases: Release[], subsystems: readonly Subsystem[] = [api]): Bench {
  const base = resolveBench(releases, subsystems);
  return {
    ...base,
    releases,
    async deliver(...tags) {
      let said = "";
      for (const tag of tags) said = (await base.deliver(tag))[0] ?? "";
      return said;
    },
    approve: async (runId) => assert.equal(await base.ask({ verb: "approve", runId, actor: "cli:me" }), "done"),
  };
}

const waiting = (store: Store) => store.runs.list({ limit: 20 }).filter((r) => r.status === "queued" || r.status === "held").map((r) => `${r.toVersion} ${r.status}${r.status === "held" ? ` ${r.holdReason}` : ""} ${r.artifact?.digest?.slice(7, 8) ?? "-"}`).sort();
const ends = (store: Store) => store.runs.list({ limit: 20 }).filter((r) => r.endedAt !== undefined).map((r) => `${r.toVersion} ${r.status} ${r.code}`).sort();

test("whatever the order in which the news of three releases comes, the newest is what waits to be installed", async () => {
  const tags = ["v1.0.1", "v1.0.2", "v1.1.0"];
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].map((order) => order.map((i) => tags[i] as string));
  for (const order of orders) {
    const b = bench(tags.map((tag, i) => release(tag, [asset(API, String(i + 2))])));
    install(b.store, "v1.0.0", "1");
    await b.deliver(...order, ...order);
    assert.deepEqual(waiting(b.store), ["v1.1.0 queued 4"], order.join(" "));
  }
});

test("an asset that is replaced while its update waits is the one that is installed", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  b.releases[0] = { ...(b.releases[0] as Release), assets: [asset(API, "3")] };
  await b.deliver("v1.1.0");
  assert.deepEqual(waiting(b.store), ["v1.1.0 queued 3"]);
});

test("an asset that is replaced while its update runs waits for a person once that has succeeded", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  const first = b.store.runs.move(b.store.runs.of("api", "queued")?.id ?? "", "running");
  b.releases[0] = { ...(b.releases[0] as Release), assets: [asset(API, "3")] };
  await b.deliver("v1.1.0");
  install(b.store, "v1.1.0", "2");
  b.store.endRun(first.id, { status: "succeeded", deliveries: "done" });
  const next = b.store.runs.of("api", "queued");
  assert.ok(next);
  const gate = checkGates(b.store, next, api);
  assert.deepEqual([gate.verdict, "rule" in gate ? gate.rule : ""], ["hold", "rewritten"]);
});

test("a yes is for the bytes that were shown: an asset that was replaced asks anew", async () => {
  const b = bench([release("v2.0.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v2.0.0");
  const first = b.store.runs.held("api", "approval");
  assert.ok(first);
  b.releases[0] = { ...(b.releases[0] as Release), assets: [asset(API, "3")] };
  await b.deliver("v2.0.0");
  assert.deepEqual(waiting(b.store), ["v2.0.0 held approval 3"]);
  assert.deepEqual(ends(b.store), ["v2.0.0 skipped superseded"]);
  const second = b.store.runs.held("api", "approval");
  assert.ok(second);
  await b.approve(second.id);
  const approved = b.store.runs.get(second.id);
  assert.ok(approved?.artifact);
  assert.deepEqual(checkGates(b.store, approved, api), { verdict: "pass" });
  assert.equal(checkGates(b.store, { ...approved, artifact: { ...approved.artifact, identity: digest("4") } }, api).verdict, "hold");
});

test("a prerelease that waits for a person is the same run after it was promoted", async () => {
  const b = bench([release("v2.0.0", [asset(API, "2")], { prerelease: true })], [subsystem({ ...api, policy: { prerelease: "allow" } })]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v2.0.0");
  const held = b.store.runs.held("api", "approval");
  b.releases[0] = { ...(b.releases[0] as Release), prerelease: false };
  assert.equal(await b.deliver("v2.0.0"), "done already-queued");
  assert.equal(b.store.runs.held("api", "approval")?.id, held?.id);
  assert.deepEqual(ends(b.store), []);
});

test("a newer release that is complete ends the wait for an older one's assets", async () => {
  const b = bench([release("v1.1.0", [])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  assert.deepEqual(waiting(b.store), ["v1.1.0 held assets -"]);
  b.releases.push(release("v1.2.0", [asset(API, "3")]));
  await b.deliver("v1.2.0");
  assert.deepEqual(waiting(b.store), ["v1.2.0 queued 3"]);
  assert.deepEqual(ends(b.store), ["v1.1.0 skipped superseded"]);
});

test("an older release that is complete goes while a newer one's assets are waited for", async () => {
  const b = bench([release("v1.2.0", [])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.2.0");
  b.releases.unshift(release("v1.1.0", [asset(API, "2")]));
  await b.deliver("v1.1.0");
  assert.deepEqual(waiting(b.store), ["v1.1.0 queued 2", "v1.2.0 held assets -"]);
});

test("a run that waits for the forge's limit is the same run when the news comes again, and gives way to a newer one", async () => {
  const b = bench([release("v1.1.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v1.1.0");
  const id = b.limit();
  assert.equal(await b.deliver("v1.1.0"), "done already-queued");
  assert.equal(b.store.runs.held("api", "rate-limit")?.id, id);
  b.releases.push(release("v1.2.0", [asset(API, "3")]));
  await b.deliver("v1.2.0");
  assert.deepEqual(waiting(b.store), ["v1.2.0 queued 3"]);
});

test("an approved major that waits for the forge's limit needs no second yes", async () => {
  const b = bench([release("v2.0.0", [asset(API, "2")])]);
  install(b.store, "v1.0.0", "1");
  await b.deliver("v2.0.0");
  await b.approve(b.store.runs.held("api", "approval")?.id ?? "");
  const id = b.limit();
  assert.equal(await b.deliver("v2.0.0"), "done already-queued");
  assert.deepEqual(waiting(b.store), ["v2.0.0 held rate-limit 2"]);
  assert.deepEqual(checkGates(b.store, b.store.runs.move(id, "queued"), api), { verdict: "pass" });
});

test("what a rollback took out is not put back by its own news while the rollback runs, nor after it", async () => {
  const b = bench([release("v1.0.0", [asset(API, "1")]), release("v1.1.0", [asset(API, "2")])]);
  install(b.store, "v1.1.0", "2");
  const back = b.store.runs.create({ kind: "rollback", subsystem: "api", status: "queued", trigger: "operator", actor: "cli:me", toVersion: "v1.0.0", fromVersion: "v1.1.0" });
  b.store.runs.move(back.id, "running");
  assert.equal(await b.deliver("v1.1.0"), "ignored already-current");
  install(b.store, "v1.0.0", "1");
  // Swapped back, and its health is still being looked at.
  await b.deliver("v1.1.0");
  b.store.versions.quarantine({ subsystem: "api", version: "v1.1.0", digest: "sha256:bin2", reason: "rolled back by cli:me" });
  b.store.endRun(back.id, { status: "succeeded", deliveries: "done" });
  const late = b.store.runs.of("api", "queued");
  assert.ok(late);
  assert.deepEqual(checkGates(b.store, late, api), { verdict: "skip", reason: "quarantined" });
  b.store.runs.move(late.id, "skipped");
  assert.equal(await b.deliver("v1.1.0"), "ignored quarantined");
});

test("a program that was built here is current under either style of its release's tag", async () => {
  for (const tag of ["v1.2.3", "v1.2.3-api", "api-v1.2.3", "1.2.3"]) {
    const b = bench([release(tag, [asset(API, "2")])]);
    b.store.versions.setCurrent({ subsystem: "api", version: "v1.2.3", commit: "a".repeat(40), digest: "sha256:built" });
    assert.equal(await b.deliver(tag), "ignored already-current", tag);
  }
});

test("a wait for assets ends once the subsystem is no longer configured", async () => {
  const configured = [api];
  const b = bench([release("v1.1.0", [])], configured);
  await b.deliver("v1.1.0");
  configured.length = 0;
  b.clock.at += 60_000;
  await b.turn(() => b.store.runs.held("api", "assets") === undefined);
  assert.deepEqual(ends(b.store), ["v1.1.0 skipped not-managed"]);
});
