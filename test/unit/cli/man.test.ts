import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isHidden } from "../../../src/cli/completion.ts";
import { EXIT } from "../../../src/cli/context.ts";
import { manPage, roff } from "../../../src/cli/man.ts";
import { createProgram, runCli } from "../../../src/cli/program.ts";
import { fakeContext, terminal } from "../../support/cli.ts";

const program = createProgram("1.2.3", fakeContext(terminal()), () => undefined);
const page = manPage(program);
/** As a reader sees it: without the marks of roff. */
const read = page.replaceAll(/\\f[BIR]/g, "").replaceAll("\\-", "-").replaceAll("\\(aq", "'").replaceAll("\\(dq", '"');

describe("the manual page", () => {
  test("has the sections of a manual page, in their order", () => {
    assert.deepEqual(page.match(/^\.SH .*$/gm), ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"].map((s) => `.SH ${s}`));
  });

  test("has every verb and every option of --help, with what it does", () => {
    for (const command of program.commands.filter((c) => !isHidden(c, program))) {
      const help = command.createHelp();
      assert.match(read, new RegExp(`^\\.SS "${command.name()}[ ,"]`, "m"));
      for (const option of help.visibleOptions(command)) assert.ok(read.includes(`\n.TP\n${option.flags}\n`), `${command.name()} ${option.flags}`);
    }
    assert.match(read, /\n\.TP\n--event <event>\n.*choices: "release", "push"/);
    assert.doesNotMatch(read, /__complete/);
  });

  test("has every exit code", () => {
    const section = page.slice(page.indexOf(".SH EXIT STATUS"), page.indexOf(".SH ENVIRONMENT"));
    assert.deepEqual([...section.matchAll(/^\.B "(\d+)"$/gm)].map((m) => Number(m[1])), Object.values(EXIT));
  });

  test("lets no text of the help be taken for a request, a hyphen or a quotation mark of roff", () => {
    assert.equal(roff("a-b 'c' \"d\" `e` \\f ~^ … é"), "a\\-b \\(aqc\\(aq \\(dqd\\(dq \\(gae\\(ga \\(rsf \\(ti\\(ha \\[u2026] \\[u00E9]");
    const requests = page.match(/^[.'].*$/gm) ?? [];
    assert.deepEqual(requests.filter((line) => !/^\.(TH|SH|SS|TP|PP|B|nf|fi|RS 4|RE|nh|ad l)\b/.test(line)), []);
    assert.match(page, /^[\n -~]+$/, "ASCII alone");
    const tricky = createProgram("1", fakeContext(terminal()), () => undefined);
    tricky.command("dot").description(".so /etc/passwd 'quoted'").option("--x <y>", "'tis one");
    assert.match(manPage(tricky), /\n\.TP\n\\fB\\-\\-x\\fR \\fI<y>\\fR\n\\&\\\(aqtis one\n/);
    assert.match(manPage(tricky), /\n\\&\.so \/etc\/passwd/);
  });

  test("is printed by slipstream man", async () => {
    const shown = terminal();
    assert.equal(await runCli(["man"], "1.2.3", fakeContext(shown)), 0);
    assert.equal(shown.out(), page);
  });
});
