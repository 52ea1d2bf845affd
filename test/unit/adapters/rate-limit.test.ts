import assert from "node:assert/strict";
import { test } from "node:test";
import { createRateLimits, limitOf } from "../../../src/adapters/forge/rate-limit.ts";
import type { Clock } from "../../../src/kit/clock.ts";

const NOW = 1_750_000_000_000;
const API = "https://api.github.com";

function at(answer: { readonly status?: number; readonly origin?: string; readonly text?: string; readonly headers?: Readonly<Record<string, string>> }) {
  const limit = limitOf({ origin: answer.origin ?? API, api: API, status: answer.status ?? 429, headers: new Headers(answer.headers), text: answer.text ?? "" }, NOW);
  return limit === undefined ? undefined : [limit.at - NOW, limit.named];
}

test("a wait is read from seconds, from a date and from the reset, by the server's own clock", () => {
  assert.deepEqual(at({ headers: { "retry-after": "90" } }), [90_000, true]);
  assert.deepEqual(at({ headers: { "retry-after": new Date(NOW + 120_000).toUTCString() } }), [120_000, true]);
  assert.deepEqual(at({ headers: { "retry-after": new Date(NOW + 1_020_000).toUTCString(), date: new Date(NOW + 900_000).toUTCString() } }), [120_000, true]);
  assert.deepEqual(at({ status: 403, headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(NOW / 1_000 + 300) } }), [300_000, true]);
  assert.deepEqual(at({ headers: { "x-ratelimit-remaining": "12", "x-ratelimit-reset": String(NOW / 1_000 + 300) } }), [60_000, false]);
  assert.deepEqual(at({ headers: { "retry-after": "soon" } }), [60_000, false]);
});

test("only the API is believed when it names a short wait, and nobody when it names a long one", () => {
  for (const after of ["0", "5", new Date(NOW - 1_000).toUTCString()]) {
    assert.deepEqual(at({ headers: { "retry-after": after } }), [after === "5" ? 5_000 : 1_000, true], after);
    assert.deepEqual(at({ origin: "https://assets.example", headers: { "retry-after": after } }), [60_000, true], after);
  }
  for (const after of ["3601", "9".repeat(400)]) assert.deepEqual(at({ headers: { "retry-after": after } }), [3_600_000, true]);
});

test("a limit that only its text states is one, and another refusal is none", () => {
  assert.deepEqual(at({ status: 403, text: '{"message":"You have exceeded a secondary rate limit."}' }), [60_000, false]);
  for (const other of [{ status: 403, text: "no access" }, { status: 403, headers: { "x-ratelimit-remaining": "12" } }, { status: 404, text: "rate limit" }, { status: 200, headers: { "retry-after": "9" } }]) assert.equal(at(other), undefined);
});

test("each origin has its own budget, which comes back request by request", () => {
  let ms = 5;
  const clock: Clock = { now: () => NOW + ms, monotonic: () => ms, sleep: () => Promise.resolve() };
  const limits = createRateLimits({ clock, authenticated: false });
  const spend = () => limits.spend(API);
  for (let n = 0; n < 60; n++) {
    spend();
    ms += 900;
  }
  assert.throws(spend, { code: "rate-limited", retryable: true, retryAt: NOW + 60_005 });
  assert.throws(spend, { retryAt: NOW + 60_005 }, "a refusal costs nothing");
  limits.spend("https://gitea.example");
  ms = 60_005;
  spend();
  assert.throws(spend, { retryAt: NOW + 60_905 });
  ms = 200_000;
  for (let n = 0; n < 60; n++) spend();
  assert.throws(spend, { retryAt: NOW + 260_000 });
});
