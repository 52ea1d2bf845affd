import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import type { NewDelivery } from "../../../src/store/inbox.ts";
import { takeLock } from "../../../src/store/lock.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { commit } from "../../support/subsystem.ts";

const dir = mkdtempSync(join(tmpdir(), "store-"));
after(() => rmSync(dir, { recursive: true, force: true }));

let made = 0;
function fresh(): { store: Store; tick: (ms: number) => void; path: string } {
  let now = 1_000_000;
  const path = join(dir, `${++made}.db`);
  const store = openStore(path, () => now);
  after(() => store.close());
  return { store, tick: (ms) => void (now += ms), path };
}

const item = (id: string, fields: Partial<NewDelivery> = {}): NewDelivery => ({
  receiver: "github",
  externalId: id,
  event: "push",
  key: "default",
  bodySha256: `sha-${id}`,
  body: Buffer.from("{}"),
  change: { kind: "tag", repository: "acme/api", tag: "v1.1.0", commit: commit("b") },
  state: "received",
  ...fields,
});
const run = (store: Store, fields: { subsystem?: string; status?: "queued" | "held"; version?: string } = {}) =>
  store.runs.create({ kind: "update", subsystem: fields.subsystem ?? "api", status: fields.status ?? "queued", trigger: "delivery", toVersion: fields.version ?? "v1.1.0", commit: commit("b"), ref: "refs/tags/v1.1.0" });

test("a delivery with the same id, or the same body, is a duplicate and changes nothing", () => {
  const { store } = fresh();
  const [first] = store.inbox.accept([item("a")]);
  const [again, sameBody] = store.inbox.accept([item("a"), item("b", { bodySha256: "sha-a" })]);
  assert.equal(first?.outcome, "new");
  assert.equal(again?.outcome, "duplicate");
  assert.equal(sameBody?.outcome, "duplicate");
  assert.equal(again?.delivery.id, first?.delivery.id);
  assert.equal(store.inbox.claim(10, 1_000).length, 1);
});

test("the same id from another receiver is another delivery", () => {
  const { store } = fresh();
  const [, other] = store.inbox.accept([item("a"), item("a", { receiver: "gitea", bodySha256: "other" })]);
  assert.equal(other?.outcome, "new");
});

test("a redelivery of one that failed opens it again", () => {
  const { store } = fresh();
  store.inbox.accept([item("a")]);
  const [claim] = store.inbox.claim(1, 1_000);
  assert.ok(claim);
  store.inbox.settle(claim, { state: "failed", reason: "upstream-unreachable" });
  const [again] = store.inbox.accept([item("a")]);
  assert.equal(again?.outcome, "reopened");
  assert.equal(again?.delivery.state, "received");
  assert.equal(again?.delivery.reason, undefined);
  assert.equal(store.inbox.claim(1, 1_000).length, 1);
});

test("a redelivery of one whose repository was not configured then opens it with what it says now", () => {
  const { store } = fresh();
  const unknown = { state: "ignored", reason: "repository-not-configured", change: { kind: "none", reason: "repository-not-configured" } } as const;
  store.inbox.accept([item("a", unknown)]);
  assert.equal(store.inbox.accept([item("a", unknown)])[0]?.outcome, "duplicate");
  assert.equal(store.inbox.accept([item("a")])[0]?.outcome, "reopened");
  assert.equal(store.inbox.claim(1, 1_000)[0]?.delivery.change.kind, "tag");
});

test("a claimed delivery is nobody else's until its lease runs out, and a late settle is fenced off", () => {
  const { store, tick } = fresh();
  store.inbox.accept([item("a")]);
  const [slow] = store.inbox.claim(10, 1_000);
  assert.ok(slow);
  assert.equal(store.inbox.claim(10, 1_000).length, 0);
  tick(1_001);
  const [second] = store.inbox.claim(10, 1_000);
  assert.ok(second);
  assert.equal(store.inbox.settle(slow, { state: "done" }), false);
  assert.equal(store.inbox.settle(second, { state: "ignored", reason: "draft" }), true);
  assert.equal(store.inbox.get(slow.delivery.id)?.reason, "draft");
});

test("a delivery put back waits for its time", () => {
  const { store, tick } = fresh();
  store.inbox.accept([item("a")]);
  const [claim] = store.inbox.claim(1, 1_000);
  assert.ok(claim);
  store.inbox.retryAt(claim, 1_000_000 + 5_000, "upstream-unreachable", [{ name: "api", reason: "upstream-unreachable" }]);
  assert.deepEqual(
    store.inbox.forSubsystem("api", 1).map((d) => [d.state, d.reason]),
    [["received", "upstream-unreachable"]],
    "and can be seen waiting",
  );
  assert.equal(store.inbox.nextDue(), 1_005_000);
  assert.equal(store.inbox.claim(1, 1_000).length, 0);
  tick(5_000);
  assert.equal(store.inbox.claim(1, 1_000).length, 1);
});

test("a run's end reaches the deliveries that led to it", () => {
  const { store } = fresh();
  store.inbox.accept([item("a")]);
  const [claim] = store.inbox.claim(1, 1_000);
  assert.ok(claim);
  const r = run(store);
  store.inbox.settle(claim, { state: "done", runId: r.id, subsystems: [{ name: "api", runId: r.id }] });
  store.inbox.runEnded(r.id, "failed");
  assert.equal(store.inbox.get(claim.delivery.id)?.state, "failed");
  assert.deepEqual(
    store.inbox.forSubsystem("api", 10).map((d) => d.runId),
    [r.id],
  );
});

test("of a delivery that concerned two subsystems, one failure keeps it open for a redelivery", () => {
  const { store } = fresh();
  store.inbox.accept([item("a")]);
  const [claim] = store.inbox.claim(1, 1_000);
  assert.ok(claim);
  const [a, b] = [run(store), run(store, { subsystem: "web" })];
  store.inbox.settle(claim, { state: "done", runId: a.id, subsystems: [a, b].map((r) => ({ name: r.subsystem, runId: r.id })) });
  for (const [r, status] of [[a, "failed"], [b, "succeeded"]] as const) {
    store.runs.move(r.id, "running");
    store.runs.move(r.id, status);
    store.inbox.runEnded(r.id, status === "failed" ? "failed" : "done");
  }
  assert.equal(store.inbox.accept([item("a")])[0]?.outcome, "reopened");
});

test("one subsystem has one running run, others run beside it", () => {
  const { store } = fresh();
  const claim = () => {
    const next = store.runs.nextQueued();
    return next === undefined ? undefined : store.runs.move(next.id, "running").id;
  };
  const a = run(store);
  const b = run(store, { subsystem: "web" });
  assert.deepEqual([claim(), claim(), claim()], [a.id, b.id, undefined]);
  const next = run(store, { version: "v1.2.0" });
  assert.equal(claim(), undefined);
  store.runs.move(a.id, "succeeded");
  assert.equal(claim(), next.id);
});

test("the database itself refuses a second queued run of one subsystem", () => {
  const { store } = fresh();
  run(store);
  assert.throws(() => run(store, { version: "v1.2.0" }), /UNIQUE/);
});

test("an illegal move is refused and nothing of its transaction stays", () => {
  const { store } = fresh();
  const r = run(store);
  assert.throws(() =>
    store.tx(() => {
      store.events.append({ type: "run_ended", runId: r.id });
      store.runs.move(r.id, "succeeded");
    }),
  );
  assert.deepEqual(store.events.after(0, 10, r.id), []);
  assert.equal(store.runs.get(r.id)?.status, "queued");
});

test("the quarantine knows version and commit, and a person may lift it", () => {
  const { store } = fresh();
  store.versions.quarantine({ subsystem: "api", version: "v1.1.0", digest: "sha256:1", commit: commit("b"), reason: "unhealthy" });
  assert.equal(store.versions.isQuarantined("api", { version: "v1.1.0", commit: commit("b") }), true);
  assert.equal(store.versions.isQuarantined("api", { version: "v1.1.0", commit: commit("c") }), false);
  assert.equal(store.versions.isQuarantined("api", { version: "v1.1.0" }), true);
  assert.equal(store.versions.isQuarantined("web", { version: "v1.1.0", commit: commit("b") }), false);
  assert.equal(store.versions.isQuarantined("api", { version: commit("b"), commit: commit("b") }), true, "the same commit under another name");
  store.versions.quarantine({ subsystem: "web", version: "v1.2.0", digest: "sha256:2", commit: "ccccccc", reason: "rolled back by cli:me" });
  assert.equal(store.versions.isQuarantined("web", { version: "v1.2.0", commit: commit("c") }), true, "a commit known by its short form");
  store.versions.release("api", "v1.1.0");
  assert.equal(store.versions.isQuarantined("api", { version: "v1.1.0", commit: commit("b") }), false);
});

test("a new current version makes the one before it previous", () => {
  const { store, tick } = fresh();
  store.versions.setCurrent({ subsystem: "api", version: "v1.0.0", digest: "sha256:1" });
  tick(1);
  store.versions.setCurrent({ subsystem: "api", version: "v1.1.0", digest: "sha256:2" });
  assert.equal(store.versions.current("api")?.version, "v1.1.0");
  assert.deepEqual(
    store.versions.list("api", "previous").map((v) => v.version),
    ["v1.0.0"],
  );
});

test("heartbeats of an ended run are thinned to the last one", () => {
  const { store } = fresh();
  for (let i = 0; i < 5; i++) store.events.append({ type: "heartbeat", runId: "r" });
  store.events.append({ type: "run_ended", runId: "r" });
  store.events.thinHeartbeats("r");
  assert.deepEqual(
    store.events.after(0, 10, "r").map((e) => e.type),
    ["heartbeat", "run_ended"],
  );
});

test("what was committed is there after reopening, and reading needs no write", () => {
  const { store, path } = fresh();
  store.inbox.accept([item("a")]);
  const reader = openStore(path, () => 0, { readOnly: true });
  try {
    assert.equal(reader.inbox.forSubsystem("api", 1).length, 0);
    assert.throws(() => reader.inbox.accept([item("b")]), /readonly/i);
  } finally {
    reader.close();
  }
});

test("a database of a newer program is refused with its own code", () => {
  const { path } = fresh();
  const db = new DatabaseSync(path);
  db.exec("PRAGMA user_version = 999");
  db.close();
  assert.throws(() => openStore(path, () => 0), { code: "database-newer" });
});

test("a file that is no database is refused without being changed", () => {
  const path = join(dir, "not.db");
  const db = new DatabaseSync(path);
  db.close();
  rmSync(path);
  assert.throws(() => openStore(dir, () => 0), { code: "database-unusable" });
});

test("a second holder of the workspace lock is refused until the first lets go", () => {
  const path = join(dir, "lock.db");
  const first = takeLock(path);
  assert.throws(() => takeLock(path), { code: "workspace-locked" });
  first.release();
  takeLock(path).release();
});
