import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cell, oneLine, safe, table } from "../../../src/cli/io.ts";
import { runCli } from "../../../src/cli/program.ts";
import { delivery, fakeApp, fakeContext, run, terminal } from "../../support/cli.ts";

describe("text from outside", () => {
  test("loses what drives a terminal and what turns the direction of writing", () => {
    assert.equal(safe("a\u001b[31mb\u009bc\u0007\rd"), "a\ufffd[31mb\ufffdc\ufffd\ufffdd");
    for (const c of "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") assert.equal(safe(`v1${c}x`), "v1\ufffdx", c.codePointAt(0)?.toString(16));
    assert.equal(safe("naïve 名前 ✓\n\tnext"), "naïve 名前 ✓\n\tnext");
  });

  test("stays in its own row and column", () => {
    assert.deepEqual(table([["A", "B"], ["x\ny", "z"], ["q", "1\n2\t3"]]), ["A    B", "x y  z", "q    1 2 3"]);
    assert.equal(oneLine("a\n\n\tb\u202e"), "a b\ufffd");
  });

  test("is cut where it would widen every row", () => {
    assert.equal(cell("x".repeat(100)), "x".repeat(100));
    assert.equal(cell("x".repeat(101)), `${"x".repeat(99)}…`);
  });
});

describe("why", () => {
  test("does not let one long reason widen its table", async () => {
    const shown = terminal();
    const app = fakeApp({ why: async (subsystem) => ({ subsystem, quarantined: [], runs: [], gates: [], deliveries: [delivery({ state: "ignored", reason: "because ".repeat(100) }), { ...delivery({ runId: "r1" }), run: run() }] }) });
    assert.equal(await runCli(["why", "api"], "0", fakeContext(shown, { open: async () => app })), 0, shown.err());
    const rows = shown.out().split("\n").filter((line) => line.includes("github"));
    assert.equal(rows.length, 2);
    for (const row of rows) assert.ok(row.length < 220, `${row.length}: ${row}`);
  });
});
