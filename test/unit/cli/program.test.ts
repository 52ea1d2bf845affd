import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Command } from "commander";
import { isHidden } from "../../../src/cli/completion.ts";
import { examplesOf } from "../../../src/cli/man.ts";
import { createProgram } from "../../../src/cli/program.ts";
import { fakeContext, terminal } from "../../support/cli.ts";

const program = createProgram("1.2.3", fakeContext(terminal()), () => undefined);

describe("the command line", () => {
  test("shows examples in the help of every verb, and each begins a real command line", () => {
    const verbs = program.commands.filter((c) => !isHidden(c, program));
    assert.ok(verbs.length > 12);
    assert.deepEqual(verbs.filter((c) => examplesOf(c).length === 0).map((c) => c.name()), []);
    const foreign = verbs.flatMap((c) => examplesOf(c).filter((line) => !new RegExp(`\\bslipstream (${[c.name(), ...c.aliases()].join("|")})\\b`).test(line)));
    assert.deepEqual(foreign, []);
    assert.deepEqual(examplesOf(new Command("none")), []);
  });

  test("does not show the verb that shells ask for names", () => {
    assert.doesNotMatch(program.helpInformation(), /__complete/);
    assert.ok(program.commands.some((c) => c.name() === "__complete"));
  });
});
