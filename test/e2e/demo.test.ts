/** The demo is the README's first command; this holds its machine-readable promise. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const DEMO = resolve(import.meta.dirname, "../demo/main.ts");

interface Line {
  readonly scene: string;
  readonly subsystem: string;
  readonly from: string;
  readonly to: string;
  readonly outcome: string;
  readonly restarted: readonly string[];
  readonly untouched: readonly string[];
  readonly digest_proved: boolean;
  readonly ack_ms: number;
  readonly healthy_ms: number;
}

test("the demo shows its five scenes, one JSON line each, and exits 0 only because all hold", { timeout: 180_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [DEMO, "--json"], { timeout: 170_000, maxBuffer: 1 << 20 });
  const lines = stdout
    .trim()
    .split("\n")
    .map((l) => JSON.parse(l) as Line);
  assert.deepEqual(
    lines.map((l) => [l.scene, l.outcome, l.restarted]),
    [
      ["source-update", "succeeded", ["api"]],
      ["bad-release-rolled-back", "rolled_back", ["api"]],
      ["duplicate-ignored", "already-current", []],
      ["forged-refused", "signature-refused", []],
      ["release-update", "succeeded", ["api"]],
    ],
  );
  for (const line of lines) {
    assert.equal(line.digest_proved, true, line.scene);
    for (const name of ["jobs", "slipstream", "web"]) assert.ok(line.untouched.includes(name), `${name} is untouched in ${line.scene}`);
    for (const ms of [line.ack_ms, line.healthy_ms]) assert.ok(Number.isFinite(ms) && ms >= 0, line.scene);
    assert.deepEqual(Object.keys(line), ["scene", "subsystem", "from", "to", "outcome", "restarted", "untouched", "digest_proved", "ack_ms", "healthy_ms"]);
  }
});
