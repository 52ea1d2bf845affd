import assert from "node:assert/strict";
import { test } from "node:test";
import { runCli } from "../../../src/cli/program.ts";
import type { App } from "../../../src/domain/app.ts";
import { fakeApp, fakeContext, run, terminal } from "../../support/cli.ts";

const FORK = "https://gitea.example/ours/api";
const AWAY = "https://github.com/acme/api: upstream is away";

async function said(args: readonly string[], app: Partial<App>): Promise<{ out: string; err: string }> {
  const shown = terminal();
  await runCli([...args], "0", fakeContext(shown, { open: async () => fakeApp(app) }));
  return { out: shown.out(), err: shown.err() };
}

test("check, why, runs and a dry run name an upstream that is not the first, and those they looked without", async () => {
  const check = await said(["check"], { check: async () => ({ api: { name: "api", current: "v1.0.0", latest: "v1.2.0", upstream: FORK, silent: [AWAY], update_available: true } }) });
  assert.match(check.out, new RegExp(`v1\\.2\\.0 +available \\(from ${FORK}\\)`));
  assert.match(check.err, /api: looked without https:\/\/github\.com\/acme\/api: upstream is away/);
  const why = await said(["why", "api"], { why: async () => ({ subsystem: "api", quarantined: [], deliveries: [], gates: [], runs: [{ ...run({ upstream: FORK }), stages: [] }], latest: { version: "v1.2.0", upstream: FORK }, silent: [AWAY] }) });
  assert.match(why.out, new RegExp(`latest v1\\.2\\.0 \\(from ${FORK}\\)\nlooked without ${AWAY}\n`));
  assert.match(why.out, new RegExp(`→ v1\\.1\\.0 \\(from ${FORK}\\): succeeded`));
  const one = await said(["runs", "r1"], { run: async () => ({ ...run({ upstream: FORK }), stages: [] }) });
  assert.match(one.out, new RegExp(`→ v1\\.1\\.0 \\(from ${FORK}\\), succeeded`));
  const dry = await said(["update", "api", "--dry-run"], { preview: async () => ({ subsystem: "api", from: "v1.0.0", to: "v1.2.0", upstream: FORK, commit: null, asset: null, verdict: "update", reason: "minor", stages: ["build"], restarts: null }) });
  assert.match(dry.out, new RegExp(`api: v1\\.0\\.0 → v1\\.2\\.0 from ${FORK} \\(minor\\): build`));
});
