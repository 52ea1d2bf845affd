import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { SourceCandidate } from "../../../src/domain/decide.ts";
import { enqueue, type Origin } from "../../../src/resolve/enqueue.ts";
import { checkGates } from "../../../src/run/gates.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { commit, subsystem } from "../../support/subsystem.ts";

const api = subsystem();
const delivery: Origin = { trigger: "delivery", now: 1_000 };
const tag = (version: string, sha = version.replaceAll(/\D/g, "").padEnd(1, "1").slice(-1)): SourceCandidate => ({ version, ref: `refs/tags/${version}`, commit: commit(sha) });

function fresh(current?: string): Store {
  const store = openStore(":memory:", () => Date.now());
  after(() => store.close());
  if (current !== undefined) store.versions.setCurrent({ subsystem: "api", version: current, digest: `sha256:${current}`, commit: commit("f") });
  return store;
}
const statuses = (store: Store) => store.runs.list({ subsystem: "api", limit: 10 }).map((r) => `${r.toVersion}:${r.status}`);

test("a newer version takes the place of one that waits, an older one does not", () => {
  const store = fresh("v1.0.0");
  enqueue(store, api, tag("v1.0.2"), delivery);
  assert.deepEqual(enqueue(store, api, tag("v1.0.1"), delivery), { reason: "superseded" });
  enqueue(store, api, tag("v1.0.3"), delivery);
  assert.deepEqual(statuses(store), ["v1.0.3:queued", "v1.0.2:skipped"]);
});

test("the same version twice is one run", () => {
  const store = fresh("v1.0.0");
  const first = enqueue(store, api, tag("v1.0.1"), delivery);
  const again = enqueue(store, api, tag("v1.0.1"), delivery);
  assert.ok("runId" in first && "runId" in again && again.runId === first.runId && again.reason === "already-queued");
});

test("a patch goes ahead of a major version that waits for approval, and leaves it waiting", () => {
  const store = fresh("v1.0.0");
  enqueue(store, api, tag("v2.0.0"), delivery);
  enqueue(store, api, tag("v1.0.1"), delivery);
  assert.deepEqual(statuses(store), ["v1.0.1:queued", "v2.0.0:held"]);
});

test("a delivery waits behind a rollback that a person asked for, and never cancels it", () => {
  const store = fresh("v1.0.1");
  store.runs.create({ kind: "rollback", subsystem: "api", status: "queued", trigger: "operator", actor: "cli:me", toVersion: "v1.0.0" });
  assert.deepEqual(enqueue(store, api, tag("v1.0.2"), delivery), { defer: true });
  assert.deepEqual(statuses(store), ["v1.0.0:queued"]);
});

test("a version a person named is not replaced by a newer one that arrives", () => {
  const store = fresh("v1.0.0");
  enqueue(store, api, { ...tag("v1.0.1"), explicit: true }, { trigger: "operator", actor: "cli:me", now: 1 });
  assert.deepEqual(enqueue(store, api, tag("v1.0.2"), delivery), { defer: true });
});

test("a rejected commit is not offered again, unless it is asked for by name", () => {
  const store = fresh("v1.0.0");
  const held = enqueue(store, api, tag("v2.0.0"), delivery) as { runId: string };
  store.approvals.record({ runId: held.runId, verdict: "rejected", boundTo: tag("v2.0.0").commit, decidedBy: "cli:me" });
  store.runs.move(held.runId, "skipped");
  assert.deepEqual(enqueue(store, api, tag("v2.0.0"), delivery), { reason: "rejected" });
  assert.ok("runId" in enqueue(store, api, { ...tag("v2.0.0"), explicit: true }, { trigger: "operator", actor: "cli:me", now: 1 }));
});

test("a queued run that has become a major step is held at the gate, however it was asked for", () => {
  for (const origin of [delivery, { trigger: "operator", actor: "cli:me", now: 1 } as const]) {
    const store = fresh("v2.0.0");
    const { runId } = enqueue(store, api, tag("v2.0.1"), origin) as { runId: string };
    store.versions.setCurrent({ subsystem: "api", version: "v1.9.0", digest: "sha256:old", commit: commit("e") });
    const run = store.runs.get(runId);
    assert.ok(run);
    assert.deepEqual(checkGates(store, run, api), { verdict: "hold", rule: "major", waitMs: api.policy.approvalWaitMs });
  }
});

test("at the gate an approval counts for its exact commit only", () => {
  const store = fresh("v1.0.0");
  const { runId } = enqueue(store, api, tag("v2.0.0"), delivery) as { runId: string };
  store.approvals.record({ runId, verdict: "approved", boundTo: commit("9"), decidedBy: "cli:me" });
  const run = store.runs.move(runId, "queued");
  assert.equal(checkGates(store, run, api).verdict, "hold");
});

test("what is no longer configured, or is installed meanwhile, is skipped at the gate", () => {
  const store = fresh("v1.0.0");
  const { runId } = enqueue(store, api, tag("v1.0.1"), delivery) as { runId: string };
  const run = store.runs.get(runId);
  assert.ok(run);
  assert.deepEqual(checkGates(store, run, undefined), { verdict: "skip", reason: "not-managed" });
  store.versions.setCurrent({ subsystem: "api", version: "v1.0.1", digest: "sha256:new", commit: tag("v1.0.1").commit });
  assert.deepEqual(checkGates(store, run, api), { verdict: "skip", reason: "already-current" });
});
