import assert from "node:assert/strict";
import { it } from "node:test";
import { createRefused } from "../../../src/ingest/refused.ts";
import { systemClock } from "../../../src/kit/clock.ts";
import { createLog } from "../../../src/kit/log.ts";

function start(kept?: number) {
  const lines: string[] = [];
  let now = 1_000_000;
  const log = createLog({ level: "info", mask: (t) => t, destination: { write: (line: string) => lines.push(line) } });
  const refused = createRefused({ clock: { ...systemClock, now: () => now }, log, ...(kept === undefined ? {} : { kept }) });
  const add = (code: string, path = "/webhook") => refused.add({ status: 401, code, path, bytes: 3 });
  return { refused, add, lines, later: (ms: number) => (now += ms) };
}

it("the last 1,000 refused requests can be looked at, newest first; older ones are forgotten", () => {
  const { refused, add } = start();
  for (let i = 0; i < 1_500; i++) add("signature-refused", `/webhook/${i}`);
  const list = refused.list();
  assert.equal(list.length, 1_000);
  assert.equal(list[0]?.path, "/webhook/1499");
  assert.equal(list[999]?.path, "/webhook/500");
  assert.deepEqual(refused.counts(), { accepted: 0, duplicates: 0, refused: { "signature-refused": 1_500 } });
});

it("a flood of refusals costs one log line per reason and minute, which tells how many there were", () => {
  const { add, lines, later } = start();
  for (let i = 0; i < 100; i++) add("signature-refused");
  add("too-large");
  assert.equal(lines.length, 2);
  later(60_000);
  add("signature-refused");
  assert.equal(lines.length, 3);
  assert.equal(JSON.parse(lines[2] ?? "").requests, 100);
});

it("a stranger's path is kept only up to 200 characters", () => {
  const { refused, add } = start(2);
  add("not-found", `/webhook/${"x".repeat(10_000)}`);
  assert.equal(refused.list()[0]?.path.length, 200);
});

it("accepted and duplicate deliveries are counted apart", () => {
  const { refused } = start();
  for (const outcome of ["new", "reopened", "duplicate", "duplicate", "duplicate"] as const) refused.accepted(outcome);
  assert.partialDeepStrictEqual(refused.counts(), { accepted: 2, duplicates: 3 });
});
