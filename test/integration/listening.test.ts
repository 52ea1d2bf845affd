import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer as createNetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { StateError } from "../../src/domain/errors.ts";
import { silentLog } from "../../src/kit/log.ts";
import { LIMITS } from "../../src/web/limits.ts";
import { createServer } from "../../src/web/server.ts";

describe("listening", () => {
  const running: AbortController[] = [];
  afterEach(() => {
    for (const stop of running.splice(0)) stop.abort();
    for (const d of dirs.splice(0)) rmSync(d, { recursive: true, force: true });
  });
  const server = (listen: Parameters<typeof createServer>[0]["listen"]) => {
    const stop = new AbortController();
    const s = createServer({ listen, log: silentLog(), fetch: () => new Response("hello"), limits: { ...LIMITS, graceMs: 200 } });
    running.push(stop);
    const ended = s.run(stop.signal);
    ended.catch(() => {});
    const end = () => {
      stop.abort();
      return ended;
    };
    return { ready: s.ready, ended, stop: end };
  };
  const dirs: string[] = [];
  const dir = () => {
    const d = mkdtempSync(join(tmpdir(), "listen-"));
    dirs.push(d);
    return d;
  };

  it("on a port in use fails with the port and what to do", async () => {
    const first = server({ host: "127.0.0.1", port: 0 });
    const bound = await first.ready;
    assert.ok("port" in bound && bound.port > 0);
    const second = server(bound);
    await assert.rejects(second.ready, (e) => e instanceof StateError && e.code === "address-in-use" && e.message.includes(`port ${bound.port}`) && e.message.includes("--port"));
    await assert.rejects(second.ended, StateError);
  });
  it("on a unix socket answers there, for its owner only, and leaves no file behind", async () => {
    const d = dir();
    const path = join(d, "control.sock");
    const s = server({ socket: path });
    await s.ready;
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const text = await new Promise((resolve, reject) => {
      request({ socketPath: path, path: "/" }, (res) => res.setEncoding("utf8").on("data", resolve)).on("error", reject).end();
    });
    assert.equal(text, "hello");
    await s.stop();
    assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
  });
  it("takes over the socket file of a killed process, but never one that answers or a file of another kind", async () => {
    const d = dir();
    const path = join(d, "control.sock");
    const other = createNetServer().listen(path);
    other.unref();
    await once(other, "listening");
    await assert.rejects(server({ socket: path }).ready, /in use by another process/);
    const still = connect(path);
    await once(still, "connect");
    still.destroy();
    other.close();
    const stale = join(d, "stale.sock");
    await leaveStaleSocket(stale);
    const s = server({ socket: stale });
    await s.ready;
    await s.stop();
    const file = join(d, "notes.txt");
    writeFileSync(file, "mine");
    await assert.rejects(server({ socket: file }).ready, /is not a socket/);
    assert.equal(statSync(file).size, 4);
  });
});

/** A process that is killed while it listens leaves its socket file. */
async function leaveStaleSocket(path: string): Promise<void> {
  const child = spawn(process.execPath, ["-e", `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok(statSync(path).isSocket());
}
