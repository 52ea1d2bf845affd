import assert from "node:assert/strict";
import { test } from "node:test";
import { runCli } from "../../../src/cli/program.ts";
import type { StatusView } from "../../../src/domain/app.ts";
import { delivery, fakeApp, fakeContext, run, terminal } from "../../support/cli.ts";

async function status(noReload: boolean, process: string | null): Promise<string> {
  const shown = terminal();
  const view: StatusView = { daemon: { running: true, version: "0" }, workspace: "/ws", problems: [], subsystems: [{ name: "api", upstream: "https://github.com/acme/api", mode: "source", strategy: "tags", process, managed: true, lastRun: run({ noReload }) }] };
  await runCli(["status"], "0", fakeContext(shown, { open: async () => fakeApp({ status: async () => view }) }));
  return shown.out();
}

test("a held run does not hide that the program was changed by hand", async () => {
  const shown = terminal();
  const drift = { subsystem: "api", at: 0, digest: "b", before: "a", verified: false, detail: "it has no checksum" } as const;
  const view: StatusView = { daemon: { running: true, version: "0" }, workspace: "/ws", problems: [], subsystems: [{ name: "api", upstream: "https://github.com/acme/api", mode: "source", strategy: "tags", process: "web", managed: true, heldRun: run({ status: "held", holdReason: "approval" }), drift }] };
  await runCli(["status"], "0", fakeContext(shown, { open: async () => fakeApp({ status: async () => view }) }));
  assert.match(shown.out(), /waiting for approval → v1\.1\.0 \(slipstream approve r1\); changed by hand .*, not verified: it has no checksum \(slipstream reload web restarts it\)/);
});

test("status says when the last run has left the process alone", async () => {
  assert.match(await status(true, "web"), /succeeded → v1\.1\.0, .*, process left alone \(slipstream reload web restarts it\)/);
  for (const other of [await status(false, "web"), await status(true, null)]) assert.doesNotMatch(other, /left alone/);
});

test("update --all says of whom each line is, and a first install as one", async () => {
  const shown = terminal();
  const base = { upstream: "https://github.com/acme/api", mode: "source", strategy: "tags", process: null, managed: true } as const;
  const view: StatusView = { daemon: { running: true, version: "0" }, workspace: "/ws", problems: [], subsystems: [{ ...base, name: "api" }, { ...base, name: "web" }] };
  const { fromVersion: _, ...first } = run();
  const ended = { api: delivery({ runId: "r1" }), web: delivery({ id: "d2", state: "failed", reason: "upstream does not answer" }) };
  const app = fakeApp({ status: async () => view, request: async (r) => ended[(r as { subsystem: "api" | "web" }).subsystem], delivery: async (id) => (id === "d2" ? ended.web : ended.api), run: async () => first });
  assert.equal(await runCli(["update", "--all"], "0", fakeContext(shown, { open: async () => app })), 1);
  assert.equal(shown.out(), "succeeded: api v1.1.0 (first install)\nweb: failed: upstream does not answer\n");
});
