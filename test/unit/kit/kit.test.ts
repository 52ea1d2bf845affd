import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";
import { backoffMs } from "../../../src/kit/backoff.ts";
import { createBell } from "../../../src/kit/bell.ts";
import { systemClock } from "../../../src/kit/clock.ts";
import { newId } from "../../../src/kit/id.ts";
import { createLog, silentLog } from "../../../src/kit/log.ts";
import { createMask, Secret } from "../../../src/kit/secret.ts";
import { verifyHmacSha256 } from "../../../src/kit/verify.ts";
import { supervise } from "../../../src/kit/worker.ts";

const key = (value: string, name = "default") => new Secret(name, value);
const sign = (secret: string, body: string | Buffer) => `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

test("GitHub's published test vector verifies", () => {
  const header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  assert.deepEqual(verifyHmacSha256(Buffer.from("Hello, World!"), header, [key("It's a Secret to Everybody")]), { ok: true, key: "default" });
});

test("several keys may be active, and the one that fits is named", () => {
  const keys = [key("old secret", "old"), key("new secret", "new")];
  assert.deepEqual(verifyHmacSha256(Buffer.from("x"), sign("new secret", "x"), keys), { ok: true, key: "new" });
  assert.deepEqual(verifyHmacSha256(Buffer.from("x"), sign("old secret", "x"), keys), { ok: true, key: "old" });
  assert.deepEqual(verifyHmacSha256(Buffer.from("x"), sign("else", "x"), keys), { ok: false, reason: "mismatch" });
});

test("what is not exactly a signature is refused, and without keys everything is", () => {
  const body = Buffer.from("x");
  for (const header of ["sha256=", "sha1=abc", sign("k", "x").toUpperCase(), `${sign("k", "x")}0`, sign("k", "x").slice(0, -2), "757107", `sha256=${"g".repeat(64)}`]) assert.deepEqual(verifyHmacSha256(body, header, [key("k")]), { ok: false, reason: "malformed" }, header);
  assert.deepEqual(verifyHmacSha256(body, undefined, [key("k")]), { ok: false, reason: "missing" });
  assert.deepEqual(verifyHmacSha256(body, "", [key("k")]), { ok: false, reason: "missing" });
  assert.deepEqual(verifyHmacSha256(body, sign("", "x"), []), { ok: false, reason: "mismatch" });
});

test("a secret shows itself to nobody who does not ask for it", () => {
  const s = key("hunter2-hunter2");
  for (const text of [`${s}`, JSON.stringify({ s }), inspect({ s }), inspect(s, { showHidden: true, depth: 5 })]) assert.ok(!text.includes("hunter2"), text);
});

test("known secret values are masked wherever they stand, also encoded", () => {
  const mask = createMask([key("pa$$ wörd/1234"), key("tiny")]);
  for (const form of ["pa$$ wörd/1234", encodeURIComponent("pa$$ wörd/1234"), Buffer.from("pa$$ wörd/1234").toString("base64")]) assert.equal(mask(`a ${form} b`), "a [secret] b");
  assert.equal(mask("tiny things stay"), "tiny things stay");
  assert.equal(createMask([key("-----BEGIN KEY-----\nabcdefgh\n")])("line: abcdefgh"), "line: [secret]");
});

test("a log line never carries a secret, in a field or in a message", () => {
  const lines: string[] = [];
  const log = createLog({ level: "info", mask: createMask([key("hunter2-hunter2")]), destination: { write: (l: string) => void lines.push(l) } });
  log.info({ token: "abc", nested: { url: "http://x/?k=hunter2-hunter2" } }, "said hunter2-hunter2");
  assert.equal(lines.length, 1);
  assert.ok(!/hunter2|abc/.test(lines[0] ?? ""), lines[0]);
});

test("backoff doubles, stays below its cap and never falls below half a step", () => {
  for (let attempt = 1; attempt < 60; attempt++) {
    const step = Math.min(60_000, 1_000 * 2 ** (attempt - 1));
    assert.equal(backoffMs({ baseMs: 1_000, maxMs: 60_000 }, attempt, () => 0), Math.round(step / 2));
    assert.equal(backoffMs({ baseMs: 1_000, maxMs: 60_000 }, attempt, () => 1), step);
  }
});

test("ids sort in the order they were made, also within a millisecond and when the clock goes back", () => {
  const at = Date.now() + 1_000;
  const ids = [at, at, at, at - 5_000, at + 1].map((ms) => newId(ms));
  assert.deepEqual(ids, [...ids].sort());
  for (const id of ids) assert.match(id, /^[0-9a-z]{20,64}$/);
});

test("a bell rung before the wait is not lost, and a wait ends by itself", async () => {
  const bell = createBell(systemClock);
  const never = new AbortController().signal;
  bell.ring();
  await bell.wait(60_000, never);
  const waiting = bell.wait(60_000, never);
  bell.ring();
  await waiting;
  await bell.wait(1, never);
});

test("a worker that ends by surprise stops the others, and its error is the one that counts", async () => {
  let stopped = false;
  const steady = { name: "steady", run: (signal: AbortSignal) => new Promise<void>((resolve) => signal.addEventListener("abort", () => ((stopped = true), resolve()))) };
  const broken = { name: "broken", run: () => Promise.reject(new Error("disk on fire")) };
  await assert.rejects(supervise([steady, broken], silentLog(), new AbortController().signal), /disk on fire/);
  assert.equal(stopped, true);
  const quitter = { name: "quitter", run: async () => undefined };
  await assert.rejects(supervise([steady, quitter], silentLog(), new AbortController().signal), /worker quitter ended/);
});
