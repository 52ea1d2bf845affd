import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { type FrontDoor, FORMER_SECRET, openFrontDoor, REPO, SECRET } from "../support/front-door.ts";
import { branchPushed, deliver, issueOpened, type Payload, ping, releasePublished, type Signed, signDelivery, tagCreated, tagPushed } from "../support/github.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);
const pushed = () => branchPushed(REPO, "main", A, B);

let door: FrontDoor;
const send = async (p: Payload, path = "/webhook") => deliver(door.url + path, await signDelivery({ secret: SECRET, ...p }));
const sendBody = async (body: string | Buffer, event = "push", headers: Record<string, string | undefined> = {}) => {
  const signed = await signDelivery({ secret: SECRET, event, body });
  return deliver(`${door.url}/webhook`, withHeaders(signed, headers));
};
function withHeaders(signed: Signed, changed: Record<string, string | undefined>): Signed {
  const headers = Object.entries({ ...signed.headers, ...changed }).filter((e): e is [string, string] => e[1] !== undefined);
  return { headers: Object.fromEntries(headers), body: signed.body };
}
const stored = () => door.store.inbox.claim(1_000, 1).map((c) => c.delivery);

describe("a signed delivery", () => {
  beforeEach(async () => {
    door = await openFrontDoor();
  });
  afterEach(() => door.close());

  it("is on disk when it is answered with 202", async () => {
    const p = pushed();
    const answer = await send(p);
    assert.equal(answer.status, 202);
    assert.deepEqual(Object.keys(answer.body).sort(), ["delivery", "state"]);
    assert.equal(answer.body.state, "received");
    const row = door.store.inbox.get(answer.body.delivery);
    assert.partialDeepStrictEqual(row, { receiver: "github", event: "push", key: "current", state: "received", change: { kind: "branch", repository: "acme/one", branch: "main", commit: B } });
    assert.equal(row?.bodySha256, createHash("sha256").update(JSON.stringify(p.body)).digest("hex"));
    assert.equal(door.rings(), 1);
  });
  for (const [what, p, kind] of [
    ["a pushed tag", () => tagPushed(REPO, "v1.0.0", A), "tag"],
    ["a created tag", () => tagCreated(REPO, "v1.0.0"), "tag"],
    ["a published release", () => releasePublished(REPO, "v1.0.0"), "release"],
  ] as const) {
    it(`of ${what} is received`, async () => {
      const answer = await send(p());
      assert.equal(answer.status, 202);
      assert.equal(door.store.inbox.get(answer.body.delivery)?.change.kind, kind);
    });
  }
  it("may name a subsystem in the URL, which is kept as a hint", async () => {
    const answer = await send(pushed(), "/webhook/nats");
    assert.equal(answer.status, 202);
    assert.equal(door.store.inbox.get(answer.body.delivery)?.hint, "nats");
  });
  it("with the former secret still counts, under that key's name", async () => {
    const answer = await deliver(`${door.url}/webhook`, await signDelivery({ secret: FORMER_SECRET, ...pushed() }));
    assert.equal(answer.status, 202);
    assert.equal(door.store.inbox.get(answer.body.delivery)?.key, "former");
  });
  it("as a form is unwrapped after its signature was checked over the form", async () => {
    const answer = await deliver(`${door.url}/webhook`, await signDelivery({ secret: SECRET, ...pushed(), form: true }));
    assert.equal(answer.status, 202);
    assert.equal(door.store.inbox.get(answer.body.delivery)?.change.kind, "branch");
  });
  it("with a byte order mark or a charset is taken", async () => {
    const bom = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(JSON.stringify(pushed().body))]);
    assert.equal((await sendBody(bom, "push", { "content-type": "Application/JSON; charset=utf-8" })).status, 202);
  });
  it("is a ping: 200, stored as ignored, and nobody is woken", async () => {
    const answer = await send(ping(REPO));
    assert.equal(answer.status, 200);
    assert.partialDeepStrictEqual(answer.body, { state: "ignored", reason: "ping" });
    assert.equal(door.rings(), 0);
  });
  it("of an unknown event or repository is answered 202 with the reason why it is ignored", async () => {
    for (const [p, reason] of [
      [issueOpened(REPO), "event-not-used"],
      [branchPushed("acme/other", "main", A, B), "repository-not-configured"],
      [releasePublished(REPO, "v1", { action: "deleted" }), "action-not-used"],
      [releasePublished(REPO, "v1", { draft: true }), "draft"],
    ] as const) {
      const answer = await send(p);
      assert.equal(answer.status, 202);
      assert.partialDeepStrictEqual(answer.body, { state: "ignored", reason });
      assert.equal(door.store.inbox.get(answer.body.delivery)?.state, "ignored");
    }
    assert.equal(door.rings(), 0);
  });
  it("without a usable delivery id gets one from its bytes", async () => {
    for (const id of [undefined, "", "a b", "x".repeat(500), "\u0080\u009f"]) {
      const signed = withHeaders(await signDelivery({ secret: SECRET, ...pushed() }), { "x-github-delivery": id });
      const answer = await deliver(`${door.url}/webhook`, signed);
      assert.equal(answer.status, 202);
      const sha = createHash("sha256").update(signed.body).digest("hex");
      assert.equal(door.store.inbox.get(answer.body.delivery)?.externalId, `sha256:${sha}`);
    }
  });
  it("leaves one log line, without secrets, signature or payload", async () => {
    await send(pushed());
    const lines = door.lines.filter((l) => l.includes("delivery received"));
    assert.equal(lines.length, 1);
    assert.partialDeepStrictEqual(JSON.parse(lines[0] ?? ""), { event: "push", repository: "acme/one", key: "current", outcome: "new", status: 202 });
    assert.doesNotMatch(door.lines.join(""), /sha256=|sha1=|webhook secret|Octo Maker|Hookshot/);
  });
});

describe("a duplicate", () => {
  beforeEach(async () => {
    door = await openFrontDoor();
  });
  afterEach(() => door.close());

  it("by delivery id is answered 200 and changes nothing", async () => {
    const first = await deliver(`${door.url}/webhook`, await signDelivery({ secret: SECRET, ...pushed(), deliveryId: "guid-1" }));
    const second = await deliver(`${door.url}/webhook`, await signDelivery({ secret: SECRET, ...pushed(), deliveryId: "guid-1" }));
    assert.equal(second.status, 200);
    assert.deepEqual(second.body, { delivery: first.body.delivery, state: "received", duplicate: true });
    assert.equal(stored().length, 1);
    assert.equal(door.rings(), 1);
  });
  it("by body is answered 200: a captured delivery replayed under another id does nothing", async () => {
    const p = pushed();
    const first = await send(p);
    const second = await send(p);
    assert.equal(second.status, 200);
    assert.equal(second.body.delivery, first.body.delivery);
    assert.equal(stored().length, 1);
  });
  it("of one that failed opens it again: 202", async () => {
    const p = pushed();
    const first = await send(p);
    const [claim] = door.store.inbox.claim(1, 60_000);
    assert.ok(claim);
    door.store.inbox.settle(claim, { state: "failed", reason: "upstream-unreachable" });
    const second = await send(p);
    assert.equal(second.status, 202);
    assert.deepEqual(second.body, { delivery: first.body.delivery, state: "received" });
    assert.equal(door.rings(), 2);
  });
  it("cannot be prepared by a stranger: a forged delivery does not use up the id", async () => {
    await deliver(`${door.url}/webhook`, await signDelivery({ secret: "a stranger's secret", ...pushed(), deliveryId: "guid-2" }));
    const real = await deliver(`${door.url}/webhook`, await signDelivery({ secret: SECRET, ...pushed(), deliveryId: "guid-2" }));
    assert.equal(real.status, 202);
  });
});

describe("the store", () => {
  afterEach(() => door.close());

  it("takes 200 deliveries at once, each exactly once, several per transaction", async () => {
    door = await openFrontDoor();
    const signed = await Promise.all(Array.from({ length: 200 }, () => signDelivery({ secret: SECRET, ...pushed() })));
    const answers = await Promise.all(signed.map((s) => deliver(`${door.url}/webhook`, s)));
    assert.deepEqual([...new Set(answers.map((a) => a.status))], [202]);
    assert.equal(new Set(answers.map((a) => a.body.delivery)).size, 200);
    const rows = stored();
    assert.deepEqual(new Set(rows.map((r) => r.externalId)), new Set(signed.map((s) => s.headers["x-github-delivery"])));
    assert.equal(rows.length, 200);
    assert.equal(door.batches.reduce((a, b) => a + b, 0), 200);
    assert.ok(door.batches.length < 200, `expected fewer transactions than deliveries, got ${door.batches.length}`);
    assert.ok(Math.max(...door.batches) > 1);
    assert.deepEqual(door.refused.counts(), { accepted: 200, duplicates: 0, refused: {} });
  });
  it("takes the same delivery sent 20 times at once as one new and 19 duplicates", async () => {
    door = await openFrontDoor();
    const signed = await signDelivery({ secret: SECRET, ...pushed() });
    const answers = await Promise.all(Array.from({ length: 20 }, () => deliver(`${door.url}/webhook`, signed)));
    assert.deepEqual(answers.map((a) => a.status).sort(), [...Array(19).fill(200), 202]);
    assert.equal(stored().length, 1);
  });
  it("that cannot commit means 503 with Retry-After, nothing stored, nobody woken; afterwards the redelivery is new", async () => {
    let broken = true;
    door = await openFrontDoor({
      inbox: (real) => ({
        accept: (items) =>
          door.store.tx(() => {
            const accepted = real.accept(items);
            if (broken) throw new Error("database or disk is full");
            return accepted;
          }),
      }),
    });
    const signed = await signDelivery({ secret: SECRET, ...pushed() });
    const refused = await deliver(`${door.url}/webhook`, signed);
    assert.equal(refused.status, 503);
    assert.match(String(refused.headers["retry-after"]), /^\d+$/);
    assert.equal(refused.body.error.code, "not-stored");
    assert.doesNotMatch(JSON.stringify(refused.body), /disk|database/);
    assert.equal(stored().length, 0);
    assert.equal(door.rings(), 0);
    broken = false;
    assert.equal((await deliver(`${door.url}/webhook`, signed)).status, 202);
    assert.equal(stored().length, 1);
  });
  it("that gives nonsense means 500 without internal text, one log line, and the door stays open", async () => {
    door = await openFrontDoor({ inbox: (real) => ({ accept: (items) => (items[0]?.event === "create" ? [{} as never] : real.accept(items)) }) });
    const answer = await send(tagCreated(REPO, "v9"));
    assert.equal(answer.status, 500);
    assert.equal(answer.body.error.code, "internal");
    assert.doesNotMatch(JSON.stringify(answer.body), /TypeError|undefined|at /);
    assert.equal(door.lines.filter((l) => l.includes("request failed")).length, 1);
    assert.equal((await send(pushed())).status, 202);
  });
});

describe("a refused request", () => {
  before(async () => {
    door = await openFrontDoor();
  });
  after(() => door.close());
  afterEach(() => {
    assert.equal(stored().length, 0, "a refused request must not reach the inbox");
    assert.deepEqual(door.batches, []);
  });
  const refusedAs = (answer: { status: number; body: { error: { code: string } } }, status: number, code: string) => {
    assert.deepEqual([answer.status, answer.body.error.code], [status, code]);
    assert.equal(door.refused.list()[0]?.code, code);
  };

  it("has the same 401 for a missing, a malformed and a wrong signature", async () => {
    const good = await signDelivery({ secret: SECRET, ...pushed() });
    const signature = good.headers["x-hub-signature-256"] ?? "";
    const bodies = new Set<string>();
    const forged = (await signDelivery({ secret: "a stranger's secret", ...pushed() })).headers["x-hub-signature-256"];
    for (const value of [undefined, "", "sha256=", signature.slice(0, -2), signature.toUpperCase(), good.headers["x-hub-signature"], forged, `${signature}, ${signature}`]) {
      const answer = await deliver(`${door.url}/webhook`, withHeaders(good, { "x-hub-signature-256": value }));
      refusedAs(answer, 401, "signature-refused");
      bodies.add(JSON.stringify(answer.body));
    }
    assert.equal(bodies.size, 1);
  });
  it("whose body was changed by one byte is 401", async () => {
    const good = await signDelivery({ secret: SECRET, ...pushed() });
    const body = Buffer.concat([good.body, Buffer.from(" ")]);
    refusedAs(await deliver(`${door.url}/webhook`, { headers: good.headers, body }), 401, "signature-refused");
  });
  it("with a signed scalar, list or null is 400 and harms nobody", async () => {
    for (const body of ["5", '"x"', "null", "[]", "true"]) refusedAs(await sendBody(body), 400, "not-an-object");
  });
  it("with a signed body that is no JSON, or no UTF-8, is 400", async () => {
    for (const body of ["", "{", "payload=%7B%7D"]) refusedAs(await sendBody(body), 400, "not-json");
    refusedAs(await sendBody(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), 400, "not-utf8");
  });
  it("with signed JSON nested a million deep, or keys of prototypes, is 400", async () => {
    assert.equal((await sendBody(`{"a":${"[".repeat(1e6)}${"]".repeat(1e6)}}`)).status, 400);
    refusedAs(await sendBody('{"__proto__":{"ref":"refs/heads/main"},"constructor":{"prototype":{}}}'), 400, "event-mismatch");
  });
  it("with a form that holds no payload is 400", async () => {
    refusedAs(await sendBody("a=1", "push", { "content-type": "application/x-www-form-urlencoded" }), 400, "form-invalid");
  });
  it("without an event name, or with a strange one, is 400", async () => {
    for (const event of [undefined, "", "push, release", "PUSH", "../push", "x".repeat(65)]) {
      refusedAs(await sendBody(JSON.stringify(pushed().body), "push", { "x-github-event": event }), 400, "event-missing");
    }
  });
  it("that replays a signed body as another event is 400", async () => {
    for (const event of ["release", "create", "ping", "issues"]) refusedAs(await sendBody(JSON.stringify(pushed().body), event), 400, "event-mismatch");
  });
  it("with signed but impossible fields is 400", async () => {
    refusedAs(await sendBody(JSON.stringify({ ...pushed().body, ref: "refs/heads/a..b" })), 400, "payload-invalid");
  });
  it("of another content type, or compressed, is 415", async () => {
    for (const type of [undefined, "text/plain", "multipart/form-data; boundary=x", "application/json-patch+json"]) {
      refusedAs(await sendBody("{}", "push", { "content-type": type }), 415, "content-type-not-supported");
    }
    refusedAs(await sendBody("{}", "push", { "content-encoding": "gzip" }), 415, "content-encoding-not-supported");
  });
  it("of another method is 405 and told which one works", async () => {
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await fetch(`${door.url}/webhook`, { method });
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.get("allow"), "POST");
    }
  });
  it("to a path that names no possible subsystem is 404, in JSON", async () => {
    for (const path of ["/webhook/", "/webhook/UPPER", "/webhook/a/b", "/webhook/..%2fetc", "/webhook/%00", "/webhook/-x", `/webhook/${"x".repeat(65)}`]) {
      refusedAs(await send(pushed(), path), 404, "not-found");
    }
    for (const path of ["/", "/webhooks", "/webhookx", "/nothing"]) assert.equal((await send(pushed(), path)).body.error.code, "not-found");
  });
});

describe("every answer", () => {
  before(async () => {
    door = await openFrontDoor();
  });
  after(() => door.close());

  it("says how it may be used and does not say what made it", async () => {
    for (const answer of [await send(pushed()), await send(pushed(), "/nothing"), await deliver(`${door.url}/webhook`, { headers: {}, body: Buffer.from("x") })]) {
      assert.equal(answer.headers["x-content-type-options"], "nosniff");
      assert.equal(answer.headers["cache-control"], "no-store");
      assert.match(String(answer.headers["content-type"]), /^application\/json/);
      assert.equal(answer.headers["x-powered-by"], undefined);
      assert.equal(answer.headers.server, undefined);
    }
  });
  it("to a page that breaks is 500 without internal text", async () => {
    const answer = await fetch(`${door.url}/api/broken`);
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /internal words|path/);
  });
});
