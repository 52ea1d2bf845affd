import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describe as describeProgram } from "../../../src/cli/completion.ts";
import { createProgram, runCli } from "../../../src/cli/program.ts";
import { fakeApp, fakeContext, run, terminal } from "../../support/cli.ts";
import { subsystem } from "../../support/subsystem.ts";

const verbs = describeProgram(createProgram("1.2.3", fakeContext(terminal()), () => undefined));
const verb = (name: string) => verbs.find((v) => v.names.includes(name));

async function complete(kind: string, fields: Parameters<typeof fakeContext>[1] = {}) {
  const shown = terminal();
  const code = await runCli(["__complete", kind], "0", fakeContext(shown, fields));
  return { code, names: shown.out().split("\n").filter((l) => l !== ""), err: shown.err() };
}

describe("what the shells complete", () => {
  test("comes from the program: verbs and aliases, options, choices, and what each place takes", () => {
    assert.deepEqual(verb("serve"), verb("watch"));
    assert.deepEqual([verb("update")?.places, verb("approve")?.places, verb("logs")?.places, verb("reload")?.places, verb("completion")?.places], [["subsystem"], ["held"], ["run"], ["process"], [{ words: ["bash", "zsh", "fish"] }]]);
    const takes = (name: string, flag: string) => verb(name)?.options.find((o) => o.flags.includes(flag))?.takes;
    assert.deepEqual([takes("simulate", "--event"), takes("runs", "--subsystem"), takes("update", "-w"), takes("update", "--version"), takes("update", "--no-reload")], [{ words: ["release", "push"] }, "subsystem", "dir", "any", undefined]);
    assert.ok(!verbs.flatMap((v) => v.names).includes("__complete"));
  });

  test("names are asked of slipstream; those that a line cannot hold are left out", async () => {
    const subsystems = async () => [subsystem({ name: "nats" }), subsystem({ name: "two words" }), subsystem({ name: "esc\u001b]0;x", process: null })];
    assert.deepEqual((await complete("subsystem", { subsystems })).names, ["nats"]);
    assert.deepEqual((await complete("process", { subsystems: async () => [subsystem({ process: "jobs" }), subsystem({ process: null })] })).names, ["jobs"]);
    const open = async () => fakeApp({ runs: async () => [run({ id: "r1" }), run({ id: "r2", status: "held" })] });
    assert.deepEqual([(await complete("run", { open })).names, (await complete("held", { open })).names], [["r1", "r2"], ["r2"]]);
  });

  test("nothing is offered, and nothing is said, where there is no workspace", async () => {
    const subsystems = () => Promise.reject(new Error("no workspace here"));
    assert.deepEqual(await complete("subsystem", { subsystems }), { code: 0, names: [], err: "" });
  });

  test("a script for another shell than these three is refused with their names", async () => {
    const shown = terminal();
    assert.equal(await runCli(["completion", "tcsh"], "0", fakeContext(shown)), 64);
    assert.match(shown.err(), /bash, zsh, fish/);
  });
});
