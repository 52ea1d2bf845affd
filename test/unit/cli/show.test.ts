import assert from "node:assert/strict";
import { test } from "node:test";
import { runCli } from "../../../src/cli/program.ts";
import type { StatusView } from "../../../src/domain/app.ts";
import { fakeApp, fakeContext, run, terminal } from "../../support/cli.ts";

async function status(noReload: boolean, process: string | null): Promise<string> {
  const shown = terminal();
  const view: StatusView = { daemon: { running: true, version: "0" }, workspace: "/ws", problems: [], subsystems: [{ name: "api", upstream: "https://github.com/acme/api", mode: "source", strategy: "tags", process, managed: true, lastRun: run({ noReload }) }] };
  await runCli(["status"], "0", fakeContext(shown, { open: async () => fakeApp({ status: async () => view }) }));
  return shown.out();
}

test("status says when the last run has left the process alone", async () => {
  assert.match(await status(true, "web"), /succeeded → v1\.1\.0, .*, process left alone \(slipstream reload web restarts it\)/);
  for (const other of [await status(false, "web"), await status(true, null)]) assert.doesNotMatch(other, /left alone/);
});
