import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Changed } from "../../../src/cli/changed.ts";
import { createJob, inert, outputLines, summaryTable } from "../../../src/cli/ci.ts";
import { terminal } from "../../support/cli.ts";

const result = (fields: Partial<Changed>): Changed => ({ subsystem: "nats", outcome: "updated", from: "v1.0.0", to: "v1.1.0", ...fields });

describe("a job's output", () => {
  test("holds no command of the runner but our own, whatever builds and upstreams say", () => {
    for (const text of ["::add-path::/x", "  ::set-output name=a::b", "one\n::stop-commands::x", "a ##[add-mask]b", "##[error]x"]) assert.doesNotMatch(inert(text), /^\s*::|##\[/m, text);
    assert.equal(inert("std::vector and a # [b]"), "std::vector and a # [b]");
    const shown = terminal();
    const job = createJob(shown.print, { commands: true });
    job.print.json({ message: "##[error]x", next: "::x::" });
    job.group("v1\n::error::x")();
    job.annotate("error", "100 % of it ##[x]\r\n");
    assert.deepEqual(JSON.parse(shown.out()), { message: "##[error]x", next: "::x::" });
    assert.doesNotMatch(`${shown.out()}${shown.err()}`, /##\[/);
    assert.deepEqual(shown.err().split("\n"), ["::group::v1 ::error::x", "::endgroup::", "::error::100 %25 of it ## [x]\ufffd ", ""]);
  });

  test("outside of a runner has no commands, and a log only for what failed", () => {
    const shown = terminal();
    const job = createJob(shown.print, { commands: false });
    job.group("nats")();
    job.log("fine\n", false);
    assert.equal(shown.err(), "");
    job.log("bad\n", true);
    assert.equal(shown.err(), "  | bad\n");
  });

  test("outputs are one line each, and names alone", () => {
    assert.equal(outputLines([]), "changed=[]\nany=false\nheld=[]\nfailed=[]\n");
    assert.equal(outputLines([result({}), result({ subsystem: "arc", outcome: "unchanged" })]).split("\n")[0], 'changed=["nats"]');
  });

  test("the table shows a version and a reason as text, never as markup or as a cell of its own", () => {
    const table = summaryTable([result({ to: "v1|<img src=x>", reason: "[a](http://x) `b`\n| c |" })]);
    assert.equal(table.trimEnd().split("\n").at(-1), "| nats | v1.0.0 | v1\\|\\<img src=x\\> | updated | \\[a\\]\\(http\\://x\\) \\`b\\` \\| c \\| |");
  });
});
