import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createJanitor, expireHolds, type JanitorDeps } from "../../../src/janitor/janitor.ts";
import { createBell } from "../../../src/kit/bell.ts";
import { systemClock } from "../../../src/kit/clock.ts";
import { silentLog } from "../../../src/kit/log.ts";
import { openStore } from "../../../src/store/store.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

function bench() {
  let now = 1_000 * DAY_MS;
  const store = openStore(":memory:", () => now);
  after(() => store.close());
  const removed: string[] = [];
  const clock = { ...systemClock, now: () => now };
  const deps: JanitorDeps = { store, clock, log: silentLog(), ended: createBell(clock), removeLogs: async (id) => void removed.push(id) };
  const accept = () => store.inbox.accept([{ receiver: "github", externalId: "a", event: "push", key: "default", bodySha256: "a", body: Buffer.from("{}"), change: { kind: "tag", repository: "acme/api", tag: "v2.0.0" }, state: "received" }])[0];
  return { store, deps, removed, accept, tick: (ms: number) => void (now += ms), held: () => store.runs.create({ kind: "update", subsystem: "api", status: "held", holdReason: "approval", rule: "major", holdUntil: now + 14 * DAY_MS, trigger: "delivery", toVersion: "v2.0.0" }) };
}

/** One look of the worker. */
async function look(deps: JanitorDeps): Promise<void> {
  const stop = new AbortController();
  const once = { ...deps, clock: { ...deps.clock, sleep: async () => stop.abort() } };
  await createJanitor(once).run(stop.signal);
}

test("a held run nobody decides about ends at its deadline, not before, and a redelivery may offer it again", () => {
  const { store, deps, accept, held, tick } = bench();
  accept();
  const [claim] = store.inbox.claim(1, 1_000);
  assert.ok(claim);
  const run = held();
  store.inbox.settle(claim, { state: "done", runId: run.id, subsystems: [{ name: "api", runId: run.id }] });
  tick(14 * DAY_MS - 1);
  expireHolds(deps);
  assert.equal(store.runs.get(run.id)?.status, "held");
  tick(1);
  expireHolds(deps);
  assert.deepEqual([store.runs.get(run.id)?.status, store.runs.get(run.id)?.code], ["skipped", "approval-timeout"]);
  assert.deepEqual(store.events.after(0, 10, run.id).map((e) => e.type), ["run_ended"]);
  assert.equal(accept()?.outcome, "reopened");
});

test("old deliveries, events and runs go with their logs; what still waits stays, however old", async () => {
  const { store, deps, removed, accept, held, tick } = bench();
  accept();
  const ended = store.runs.create({ kind: "update", subsystem: "web", status: "queued", trigger: "delivery", toVersion: "v1.0.0" });
  store.endRun(ended.id, { status: "skipped", deliveries: "done", code: "superseded" });
  tick(100 * DAY_MS);
  const waiting = held();
  await look(deps);
  assert.deepEqual(removed, [ended.id]);
  assert.equal(store.runs.get(ended.id), undefined);
  assert.equal(store.runs.get(waiting.id)?.status, "held");
  assert.equal(store.inbox.claim(10, 1_000).length, 1, "a delivery that was never decided is still there");
  assert.equal(store.events.after(0, 10, ended.id).length, 0);
});
