import assert from "node:assert/strict";
import { test } from "node:test";
import { createShared } from "../../../src/adapters/forge/shared.ts";

const never = new AbortController().signal;

/** Work that ends when told to; `began` resolves when round number n begins. */
function rounds() {
  const begun: { end: (value: string) => void; signal: AbortSignal }[] = [];
  const waiting: (() => void)[] = [];
  let running = 0;
  return {
    begun,
    async work(signal: AbortSignal): Promise<string> {
      running += 1;
      assert.equal(running, 1, "two rounds at once");
      const { promise, resolve } = Promise.withResolvers<string>();
      begun.push({ end: resolve, signal });
      for (const wake of waiting.splice(0)) wake();
      return await promise.finally(() => void (running -= 1));
    },
    async began(n: number) {
      while (begun.length < n) await new Promise<void>((resolve) => waiting.push(resolve));
      return begun[n - 1] as (typeof begun)[number];
    },
  };
}

test("who asks while an answer is under way gets a later one, and all who waited share it", async () => {
  const r = rounds();
  const shared = createShared();
  const first = shared.run("url", r.work, never);
  const one = await r.began(1);
  const later = [shared.run("url", r.work, never), shared.run("url", r.work, never)];
  one.end("before");
  assert.equal(await first, "before");
  (await r.began(2)).end("after");
  assert.deepEqual(await Promise.all(later), ["after", "after"]);
  assert.equal(r.begun.length, 2);
});

test("a failed answer fails its own callers only", async () => {
  const shared = createShared();
  const failing = shared.run("url", async () => Promise.reject(new Error("down")), never);
  const other = shared.run("another", async () => "up", never);
  await assert.rejects(failing, /down/);
  assert.equal(await other, "up");
  assert.equal(await shared.run("url", async () => "up again", never), "up again");
});

test("work is stopped when its last caller is gone, and the next caller does not inherit the stop", async () => {
  const r = rounds();
  const shared = createShared();
  const [a, b] = [new AbortController(), new AbortController()];
  const gone = [shared.run("url", r.work, a.signal), shared.run("url", r.work, b.signal)];
  const one = await r.began(1);
  a.abort();
  assert.equal(one.signal.aborted, false);
  b.abort();
  assert.equal(one.signal.aborted, true);
  for (const caller of gone) await assert.rejects(caller, { code: "cancelled" });
  const next = shared.run("url", r.work, never);
  one.end("stopped");
  const two = await r.began(2);
  assert.equal(two.signal.aborted, false);
  two.end("fresh");
  assert.equal(await next, "fresh");
});

test("a caller that joins a round given up before it began gets a round of its own", async () => {
  const shared = createShared();
  const impatient = new AbortController();
  const gone = shared.run("url", async (signal) => (signal.throwIfAborted(), "first"), impatient.signal);
  impatient.abort();
  assert.equal(await shared.run("url", async (signal) => (signal.throwIfAborted(), "second"), never), "second");
  await assert.rejects(gone, { code: "cancelled" });
});
