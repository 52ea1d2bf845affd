import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, it } from "node:test";
import type { Limits } from "../../src/web/limits.ts";
import { type FrontDoor, openFrontDoor, type RawConnection, rawConnection, REPO, SECRET } from "../support/front-door.ts";
import { branchPushed, deliver, signDelivery } from "../support/github.ts";

const MIB = 1024 * 1024;
const pushed = () => branchPushed(REPO, "main", "a".repeat(40), "b".repeat(40));
const signed = () => signDelivery({ secret: SECRET, ...pushed() });

let opened: FrontDoor | undefined;
let door: FrontDoor;
const connections: RawConnection[] = [];
const open = async (limits: Partial<Limits> = {}) => {
  door = opened = await openFrontDoor({ limits });
};
const connection = async () => {
  const c = await rawConnection(door.port);
  connections.push(c);
  return c;
};
/** A webhook request head with these headers. */
const head = (...headers: string[]) => ["POST /webhook HTTP/1.1", "host: x", "content-type: application/json", ...headers, "", ""].join("\r\n");
const answered = (text: string) => text.includes("\r\n\r\n") && text.endsWith("}");

afterEach(async () => {
  for (const c of connections.splice(0)) c.destroy();
  await opened?.close();
  opened = undefined;
});

describe("size", () => {
  it("a body that says it is 26 MiB is refused with 413 before a byte of it was sent", async () => {
    await open();
    const c = await connection();
    c.send(head(`content-length: ${26 * MIB}`));
    assert.match(await c.until(answered), /^HTTP\/1\.1 413 .*"code":"too-large"/s);
    assert.equal(door.refused.list()[0]?.bytes, 0);
  });
  it("a sender that asks first (Expect: 100-continue) is told 413 without being told to go on", async () => {
    await open();
    const c = await connection();
    c.send(head("expect: 100-continue", `content-length: ${26 * MIB}`));
    assert.match(await c.until(answered), /^HTTP\/1\.1 413 /);
  });
  it("a sender that asks first is told to go on when its body fits", async () => {
    await open();
    const s = await signed();
    const c = await connection();
    c.send(head("expect: 100-continue", `content-length: ${s.body.length}`, ...Object.entries(s.headers).filter(([k]) => k.startsWith("x-")).map(([k, v]) => `${k}: ${v}`)));
    await c.until((t) => t.startsWith("HTTP/1.1 100 Continue"));
    c.send(s.body);
    assert.match(await c.until(answered), /HTTP\/1\.1 202 /);
  });
  it("a chunked body is refused with 413 at the cap, whatever else would come, and the connection is closed", async () => {
    await open({ lingerBytes: 1 });
    const c = await connection();
    c.send(head("transfer-encoding: chunked"));
    const chunk = Buffer.concat([Buffer.from(`${MIB.toString(16)}\r\n`), Buffer.alloc(MIB, 32), Buffer.from("\r\n")]);
    for (let i = 0; i < 26; i++) c.send(chunk);
    assert.match(await c.closed, /^HTTP\/1\.1 413 /);
    const bytes = door.refused.list()[0]?.bytes ?? 0;
    assert.ok(bytes > 25 * MIB && bytes < 25.5 * MIB, `stopped after ${bytes} bytes`);
  });
  it("a client library that keeps sending still reads the 413", async () => {
    await open();
    for (const headers of [{ "content-length": String(26 * MIB) }, { "transfer-encoding": "chunked" }]) {
      const s = { headers: { "content-type": "application/json", ...headers }, body: Buffer.alloc(26 * MIB, 32) };
      const status = await new Promise((resolve, reject) => {
        const req = request(`${door.url}/webhook`, { method: "POST", headers: s.headers }, (res) => {
          res.resume();
          resolve(res.statusCode);
        });
        req.on("error", reject);
        req.end(s.body);
      });
      assert.equal(status, 413);
    }
  });
  it("a sender that reads nothing before it has sent all still finds the 413, not a reset", async () => {
    await open();
    const socket = connect(door.port, "127.0.0.1");
    await once(socket, "connect");
    socket.pause();
    socket.write(head(`content-length: ${26 * MIB}`));
    await new Promise<void>((resolve, reject) => socket.write(Buffer.alloc(26 * MIB, 32), (error) => (error ? reject(error) : resolve())));
    const [answer] = await once(socket.resume(), "data");
    assert.match(String(answer), /^HTTP\/1\.1 413 /);
    socket.destroy();
  });
  it("a body of exactly 25 MiB is read: its signature decides", async () => {
    await open();
    const answer = await deliver(`${door.url}/webhook`, { headers: { "content-type": "application/json" }, body: Buffer.alloc(25 * MIB, 32) });
    assert.equal(answer.status, 401);
  });
  it("bodies that together exceed the memory allowance are refused with 503 and Retry-After; the allowance comes back", async () => {
    await open({ bufferedBytes: 100_000, freeBytes: 0 });
    const first = await connection();
    first.send(head("content-length: 90000"));
    first.send(Buffer.alloc(80_000));
    const refused = await waitFor503();
    assert.match(refused, /retry-after: \d+/i);
    assert.match(refused, /"code":"busy"/);
    first.send(Buffer.alloc(10_000));
    assert.match(await first.until(answered), /^HTTP\/1\.1 401 /);
    assert.equal((await deliver(`${door.url}/webhook`, { headers: { "content-type": "application/json" }, body: Buffer.alloc(90_000) })).status, 401);
  });
  it("an ordinary delivery is read while stalled giants hold the whole allowance", async () => {
    await open({ bufferedBytes: 100_000, freeBytes: 8_000 });
    const giant = await connection();
    giant.send(head("content-length: 200000"));
    giant.send(Buffer.alloc(107_000));
    assert.equal((await deliver(`${door.url}/webhook`, { headers: { "content-type": "application/json" }, body: Buffer.alloc(7_600) })).status, 401);
  });
  it("a body of one-byte chunks costs about its size in memory", async () => {
    await open();
    const c = await connection();
    c.send(head("transfer-encoding: chunked"));
    const before = process.memoryUsage().rss;
    const chunk = Buffer.from("1\r\nA\r\n".repeat(20_000));
    for (let i = 0; i < 50; i++) c.send(chunk);
    c.send("0\r\n\r\n");
    assert.match(await c.until(answered), /^HTTP\/1\.1 401 /);
    assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024, "a million one-byte chunks stay far below a gigabyte");
  });
  it("headers over 16 KiB are 431, in JSON", async () => {
    await open();
    const c = await connection();
    c.send(head(`x-much: ${"x".repeat(17_000)}`));
    assert.match(await c.closed, /^HTTP\/1\.1 431 .*"code":"headers-too-large"/s);
  });
  it("a body of the API needs a length, and not a large one", async () => {
    await open();
    const post = async (...headers: string[]) => {
      const c = await connection();
      c.send(["POST /api/echo HTTP/1.1", "host: x", "content-type: application/json", ...headers, "", ""].join("\r\n"));
      return (await c.until(answered)).slice(9, 12);
    };
    assert.equal(await post("transfer-encoding: chunked"), "411");
    assert.equal(await post(`content-length: ${MIB + 1}`), "413");
    assert.deepEqual((await deliver(`${door.url}/api/echo`, { headers: { "content-type": "application/json" }, body: Buffer.from('{"a":1}') })).body, { a: 1 });
  });
});

/** The first connection's bytes have to arrive before the second can be refused. */
async function waitFor503(): Promise<string> {
  for (let tries = 0; tries < 200; tries++) {
    const c = await connection();
    c.send(head("content-length: 30000"));
    c.send(Buffer.alloc(30_000));
    const text = await c.until(answered);
    if (text.startsWith("HTTP/1.1 503")) return text;
  }
  throw new Error("no request was refused");
}

describe("time", () => {
  it("headers that do not come to an end are 408", async () => {
    await open({ headersWithinMs: 200, checkEveryMs: 50 });
    const c = await connection();
    c.send("POST /webhook HTTP/1.1\r\nhost: x\r\n");
    assert.match(await c.closed, /^HTTP\/1\.1 408 .*"code":"too-slow"/s);
  });
  it("a connection that says nothing is closed", async () => {
    await open({ headersWithinMs: 200, checkEveryMs: 50 });
    await (await connection()).closed;
  });
  it("a body that trickles is 408 after its time, however lively it trickles", async () => {
    await open({ bodyWithinMs: 300, lingerMs: 100 });
    const c = await connection();
    c.send(head("content-length: 1000"));
    const drip = setInterval(() => c.send("x"), 20);
    try {
      assert.match(await c.closed, /^HTTP\/1\.1 408 .*"code":"too-slow"/s);
    } finally {
      clearInterval(drip);
    }
  });
  it("a client that goes away in the middle leaves only a counter", async () => {
    await open();
    const c = await connection();
    c.send(head("content-length: 1000"));
    c.send("{");
    c.destroy();
    while (door.refused.counts().refused.aborted === undefined) await new Promise(setImmediate);
    assert.equal((await deliver(`${door.url}/webhook`, await signed())).status, 202);
  });
});

describe("bytes on the wire", () => {
  const xHeaders = (headers: Record<string, string>) => Object.entries(headers).filter(([k]) => k.startsWith("x-")).map(([k, v]) => `${k}: ${v}`);

  it("a body cut anywhere, even inside a character, verifies", async () => {
    await open();
    const s = await signed();
    assert.notEqual(s.body.length, s.body.toString().length, "the body needs a multibyte character");
    const c = await connection();
    c.send(head("transfer-encoding: chunked", ...xHeaders(s.headers)));
    for (const byte of s.body) c.send(Buffer.concat([Buffer.from("1\r\n"), Buffer.from([byte]), Buffer.from("\r\n")]));
    c.send("0\r\n\r\n");
    assert.match(await c.until(answered), /^HTTP\/1\.1 202 /);
  });
  it("control characters in a header, two lengths, or length with chunks are 400 and go nowhere", async () => {
    await open();
    const s = await signed();
    for (const bad of [["x-github-delivery: a\u0001b"], ["x-github-delivery: a\u0000b"], ["content-length: 5", "content-length: 6"], ["content-length: 5", "transfer-encoding: chunked"], ["bad header"], [" folded: x"]]) {
      const c = await connection();
      c.send(head(...bad, ...xHeaders(s.headers)));
      assert.match(await c.closed, /^HTTP\/1\.1 400 .*"code":"bad-request"/s, bad.join());
    }
    assert.deepEqual(door.batches, []);
  });
  it("a repeated signature or event header is refused", async () => {
    await open();
    const s = await signed();
    for (const [name, status] of [["x-hub-signature-256", 401], ["x-github-event", 400]] as const) {
      const c = await connection();
      c.send(head(`content-length: ${s.body.length}`, ...xHeaders(s.headers), `${name}: ${s.headers[name]}`));
      c.send(s.body);
      assert.ok((await c.until(answered)).startsWith(`HTTP/1.1 ${status} `), name);
    }
  });
  it("one connection carries many deliveries, also after a refusal whose body was read", async () => {
    await open();
    const c = await connection();
    for (const status of [202, 401, 202]) {
      const s = await signDelivery({ secret: status === 401 ? "a stranger's secret" : SECRET, ...pushed() });
      c.send(Buffer.concat([Buffer.from(head(`content-length: ${s.body.length}`, ...xHeaders(s.headers))), s.body]));
      await c.until((t) => t.split("HTTP/1.1 ").at(-1)?.startsWith(String(status)) === true && answered(t));
    }
  });
  it("garbage instead of HTTP is 400", async () => {
    await open();
    const c = await connection();
    c.send("\u0016\u0003\u0001 not http\r\n\r\n");
    assert.match(await c.closed, /^HTTP\/1\.1 400 /);
  });
});

describe("stopping", () => {
  it("lets a delivery that is being read finish with its commit, and closes idle connections", async () => {
    await open({ graceMs: 10_000 });
    const s = await signed();
    const idle = await connection();
    idle.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    await idle.until((t) => t.endsWith("OK"));
    const c = await connection();
    c.send(head(`content-length: ${s.body.length}`, "expect: 100-continue", ...Object.entries(s.headers).filter(([k]) => k.startsWith("x-")).map(([k, v]) => `${k}: ${v}`)));
    await c.until((t) => t.includes("100 Continue"));
    const down = door.stop();
    await idle.closed;
    c.send(s.body);
    assert.match(await c.closed, /HTTP\/1\.1 202 .*connection: close/is);
    await down;
    assert.equal(door.batches.length, 1);
  });
  it("cuts what does not finish within the grace, with 503", async () => {
    await open({ graceMs: 100 });
    const c = await connection();
    c.send(head("content-length: 1000", "expect: 100-continue"));
    await c.until((t) => t.includes("100 Continue"));
    await door.stop();
    assert.match(await c.closed, /HTTP\/1\.1 503 .*"code":"stopping"/s);
  });
  it("is not held up by a request whose headers never end", async () => {
    await open({ graceMs: 100 });
    const c = await connection();
    c.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\nPOST /webhook HTTP/1.1\r\nhost:");
    await c.until((t) => t.endsWith("OK"));
    await door.stop();
    await c.closed;
  });
});
