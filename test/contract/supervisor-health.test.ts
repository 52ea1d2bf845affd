/** What every supervisor must call healthy, and the ways to reach it, shown on the oldest and the newest real Process Compose. `PROCESS_COMPOSE=/path/of/another/version` runs it against that one. */

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createSupervisor } from "../../src/adapters/process-compose.ts";
import { atLeast } from "../../src/adapters/process-compose-plan.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { Secret } from "../../src/kit/secret.ts";
import { BOUNDED, health, NEIGHBOUR, never, onEachVersion, READY, reloadWell, service, TOGETHER, up } from "../support/supervisor-bench.ts";
import { until } from "../support/wait.ts";

onEachVersion("a supervisor", (bench) => {
  describe("health", TOGETHER, () => {
    it("is refused within seconds to a new version that crashes at its start", async (t) => {
      const b = await bench(t, { web: service("web", { ...READY("web"), ...BOUNDED }), other: NEIGHBOUR }, { ready: ["web"] });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      await writeFile(b.file("web.crash"), "");
      await b.supervisor.reload(plan, never);
      const began = performance.now();
      await assert.rejects(b.supervisor.waitHealthy(plan, health, never), { code: "unhealthy", message: /exit code 7/ });
      assert.ok(performance.now() - began < health.timeoutMs, "long before the deadline");
      const again = await b.supervisor.replan(plan, never);
      await rm(b.file("web.crash"));
      await b.supervisor.reload(again, never);
      await b.supervisor.waitHealthy(again, health, never);
    });

    it("is refused to a crashing version that Process Compose restarts by itself", async (t) => {
      const b = await bench(t, { web: service("web", { ...BOUNDED, availability: { restart: "on_failure", backoff_seconds: 1 } }), other: NEIGHBOUR });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      await writeFile(b.file("web.crash"), "");
      await b.supervisor.reload(plan, never);
      await assert.rejects(b.supervisor.waitHealthy(plan, health, never), { code: "unhealthy", message: /restarted by itself/ });
    });

    it("is refused to a version that gets Ready and dies during the soak", async (t) => {
      const b = await bench(t, { web: service("web", { ...READY("web"), ...BOUNDED }), other: NEIGHBOUR }, { ready: ["web"] });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      await writeFile(b.file("web.dies"), "");
      await b.supervisor.reload(plan, never);
      await assert.rejects(b.supervisor.waitHealthy(plan, { soakMs: 20_000, timeoutMs: 15_000 }, never), { code: "unhealthy", message: /exit code 8/ });
    });

    it("is not given to a Ready that an earlier instance left behind", async (t) => {
      const b = await bench(t, { web: service("web", { ...READY("web"), ...BOUNDED }), other: NEIGHBOUR }, { ready: ["web"], files: ["web.dies"] });
      await until(async () => (await b.supervisor.state("web", never)).ready === "Ready", { what: "web to be Ready" });
      const plan = await b.supervisor.plan("web", never);
      await until(async () => (await b.supervisor.state("web", never)).status === "Completed", { what: "web to die" });
      await rm(b.file("web.dies"));
      await rm(b.file("web.ready"));
      const again = await b.supervisor.replan(plan, never);
      await b.supervisor.reload(again, never);
      await assert.rejects(b.supervisor.waitHealthy(again, { soakMs: 0, timeoutMs: 3_000 }, never), { code: "unhealthy" });
    });

    it("is refused at the deadline to a version that never gets Ready", async (t) => {
      const b = await bench(t, { web: service("web", { ...READY("web"), ...BOUNDED }), other: NEIGHBOUR }, { ready: ["web"] });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      await rm(b.file("web.ready"));
      await b.supervisor.reload(plan, never);
      await assert.rejects(b.supervisor.waitHealthy(plan, { soakMs: 500, timeoutMs: 3_000 }, never), { code: "unhealthy", message: /not Ready after 3000 ms/ });
      assert.equal((await b.supervisor.state("web", never)).isRunning, true);
    });

    it("is refused while the proof says that something else runs", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED), other: NEIGHBOUR });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      await b.supervisor.reload(plan, never);
      const asked: number[] = [];
      const prove = async (pid: number) => ({ ok: asked.push(pid) < 0, detail: "the old file is mapped" });
      await assert.rejects(b.supervisor.waitHealthy(plan, { soakMs: 300, timeoutMs: 1_500, prove }, never), { code: "unhealthy", message: /the old file is mapped/ });
      assert.equal(asked[0], (await b.supervisor.state("web", never)).pid);
    });

    it("is not given to the old instance when nothing was reloaded", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED), other: NEIGHBOUR });
      await up(b, "web");
      const plan = await b.supervisor.plan("web", never);
      await assert.rejects(b.supervisor.waitHealthy(plan, { soakMs: 100, timeoutMs: 1_000 }, never), { code: "unhealthy" });
    });

    it("asks for no readiness where only a liveness probe is configured", async (t) => {
      const b = await bench(t, { web: service("web", { ...BOUNDED, liveness_probe: { exec: { command: "true" }, period_seconds: 1 } }), other: NEIGHBOUR });
      await up(b, "web");
      assert.equal((await reloadWell(b, "web")).hasReadiness, false);
    });

    it("waits for the line that a program prints when it is ready", async (t) => {
      const b = await bench(t, { web: service("web", { ...BOUNDED, ready_log_line: "now serving web" }), other: NEIGHBOUR });
      await up(b, "web");
      assert.equal((await reloadWell(b, "web")).hasReadiness, true);
      assert.equal((await b.supervisor.state("web", never)).ready, "Ready");
      assert.ok((await b.supervisor.lastLines("web", 5, never)).includes("now serving web"));
    });
  });

  describe("the way to the supervisor", TOGETHER, () => {
    it("works over TCP as over a unix socket", async (t) => {
      const b = await bench(t, { web: service("web", BOUNDED), other: NEIGHBOUR }, { transport: "tcp" });
      await up(b, "web");
      await reloadWell(b, "web");
    });

    it("takes names that need escaping in a URL", async (t) => {
      const b = await bench(t, { "a b?c#d": service("web", BOUNDED), other: NEIGHBOUR });
      await until(() => b.journal("web").includes("start"), { what: "web to run" });
      await reloadWell(b, "a b?c#d");
    });

    it("names the processes there are when one is unknown", async (t) => {
      const b = await bench(t, { other: NEIGHBOUR });
      await assert.rejects(b.supervisor.state("nope", never), { code: "process-unknown" });
      await assert.rejects(b.supervisor.plan("nope", never), { code: "process-unknown", message: /expected one of: other/ });
      assert.deepEqual(await b.supervisor.lastLines("nope", 5, never), []);
    });

    it("is supervisor-unreachable and worth a retry when Process Compose is away", async () => {
      for (const address of [{ socket: join(tmpdir(), "no-such.sock") }, { host: "127.0.0.1", port: 1 }]) {
        const supervisor = createSupervisor({ address, clock: systemClock, log: silentLog() });
        await assert.rejects(supervisor.list(never), { code: "supervisor-unreachable", retryable: true });
      }
    });

    it("needs the right token where one is set, and never shows it", async (t) => {
      const token = "a-token-of-twenty-characters-or-more";
      const b = await bench(t, { web: service("web", BOUNDED), other: NEIGHBOUR }, { token });
      await up(b, "web");
      await reloadWell(b, "web");
      if (!atLeast(b.version, [1, 94])) return; // it looks at no token: ours is sent in vain
      const { token: _, ...open } = b.pc.address;
      for (const address of [open, { ...open, token: new Secret("wrong", "wrong-token-of-twenty-characters") }]) {
        const supervisor = createSupervisor({ address, clock: systemClock, log: silentLog() });
        await assert.rejects(supervisor.list(never), (error: Error) => /token is refused/.test(error.message) && !error.message.includes("wrong-token"));
      }
    });
  });
});
