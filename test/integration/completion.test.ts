/** The scripts and the page that are made from the program, read by the programs they are for. Of the shells only bash is on every machine. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bashScript } from "../../src/cli/completion-bash.ts";
import { fishScript } from "../../src/cli/completion-fish.ts";
import { zshScript } from "../../src/cli/completion-zsh.ts";
import { describe as describeProgram } from "../../src/cli/completion.ts";
import { manPage } from "../../src/cli/man.ts";
import { createProgram } from "../../src/cli/program.ts";
import { childEnv } from "../../src/adapters/exec.ts";
import { fakeContext, terminal } from "../support/cli.ts";
import { LAUNCHER, run } from "../support/launcher.ts";

const onPath = (name: string): string | undefined => (process.env["PATH"] ?? "").split(":").map((at) => join(at, name)).find((path) => existsSync(path));
const program = createProgram("1.2.3", fakeContext(terminal()), () => undefined);
const verbs = describeProgram(program);

describe("completion", { timeout: 60_000 }, () => {
  let dir: string;
  /** What names were asked for, and what a name would have run. */
  const file = (name: string) => join(dir, name);
  before(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-completion-")));
    const evil = [`n$(touch ${file("ran")})`, `n\`touch ${file("ran")}\``, `n'; touch ${file("ran")}; '`, "n two"];
    await writeFile(file("names"), ["nats", "web", ...evil].map((name) => `${name}\n`).join(""));
    await writeFile(file("slipstream"), `#!/bin/sh\necho "$*" >> ${file("asked")}\ncat ${file("names")}\n`);
    await chmod(file("slipstream"), 0o755);
    await writeFile(file("c.bash"), bashScript(verbs));
    await writeFile(file("c.zsh"), zshScript(verbs));
    await writeFile(file("c.fish"), fishScript(verbs));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  const shell = (program: string, args: readonly string[]) => execFileSync(program, args, { cwd: dir, encoding: "utf8", env: { ...childEnv(process.env), HOME: dir, PATH: `${dir}:${process.env["PATH"]}` }, timeout: 20_000 });
  /** What bash would offer for the last of these words. */
  const offered = (...words: string[]): string[] => {
    const script = 'set -u; source ./c.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _slipstream; printf "%s\\n" "${COMPREPLY[@]+"${COMPREPLY[@]}"}"';
    return shell("bash", ["--noprofile", "--norc", "-c", script, "bash", "slipstream", ...words]).split("\n").filter((line) => line !== "");
  };

  test("bash offers verbs, the options of a verb, the values an option may have, and paths", async () => {
    assert.deepEqual(offered("up"), ["update"]);
    assert.ok(offered("").includes("serve") && !offered("").includes("__complete"));
    assert.deepEqual(offered("update", "--c"), ["--changed", "--ci", "--config"]);
    assert.deepEqual([offered("simulate", "nats", "--event", ""), offered("simulate", "--event", "=", "p")], [["release", "push"], ["push"]]);
    assert.deepEqual([offered("update", "--version", ""), offered("watch", "n")], [[], []]);
    await writeFile(file("my.yaml"), "");
    assert.deepEqual(offered("status", "-c", "my"), ["my.yaml"]);
    assert.deepEqual(shell("bash", ["-c", "source ./c.bash; complete -p slipstream"]).trim(), "complete -F _slipstream slipstream");
  });

  test("bash offers names of the workspace that the line names, each quoted so that it is one word and runs nothing", async () => {
    assert.deepEqual(offered("update", "w"), ["web"]);
    const all = offered("-w", "~/ws", "--config=x", "why", "n");
    assert.equal(all.length, 5);
    // What the line would hold, read by a shell again, is the name and nothing else.
    const names = (await readFile(file("names"), "utf8")).trimEnd().split("\n").filter((name) => name.startsWith("n"));
    assert.deepEqual(all.map((word) => shell("bash", ["-c", `printf %s ${word}`])), names);
    assert.ok(!existsSync(file("ran")));
    assert.match(await readFile(file("asked"), "utf8"), new RegExp(`^__complete subsystem -w ${dir}/ws$`, "m"));
  });

  test("real names come from the workspace, in bash as it is loaded by people", async () => {
    await writeFile(file("Taskfile.yml"), "version: '3'\n");
    await writeFile(file("slipstream.yaml"), "subsystems: { nats: { upstream: /srv/git/nats, mode: source, build: { command: [make] } } }\n");
    const script = `slipstream() { ${LAUNCHER} "$@"; }; command() { "$@"; }; source <(slipstream completion bash); COMP_WORDS=(slipstream update ''); COMP_CWORD=2; _slipstream; echo "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await run(["bash", "--noprofile", "--norc", "-c", script], dir, childEnv(process.env));
    assert.equal(stdout.trim(), "nats", stderr);
  });

  const zsh = onPath("zsh");
  test(`zsh ${zsh === undefined ? "is not installed: its script has the form" : "reads its script and completes"} that names go to compadd alone`, () => {
    const script = zshScript(verbs);
    assert.match(script, /^#compdef slipstream\n/);
    assert.match(script, / {2}compadd -- "\$\{names\[@\]\}"\n/);
    assert.doesNotMatch(script, /\beval\b|compadd -(?!- )|_arguments|\$\{\(e\)/);
    if (zsh === undefined) return;
    const stubs = 'compadd() { shift; print -rl -- "$@" }; _describe() { print -rl -- "${described[@]}" }; source ./c.zsh; words=("$@"); CURRENT=$#words; _slipstream';
    const said = (...words: string[]) => shell(zsh, ["-f", "-c", stubs, "zsh", "slipstream", ...words]).trimEnd().split("\n");
    assert.ok(said("").some((line) => line.startsWith("update:")));
    assert.equal(said("update", "").length, 6);
    assert.ok(!existsSync(file("ran")));
  });

  const fish = onPath("fish");
  test(`fish ${fish === undefined ? "is not installed: its script has a line for every verb and option" : "reads its script and completes"}, names by a list that is never run`, () => {
    const script = fishScript(verbs);
    for (const name of verbs.flatMap((v) => v.names)) assert.match(script, new RegExp(`^complete -c slipstream -n '__slipstream_none' -a '${name}' -d '`, "m"));
    for (const flag of verbs.flatMap((v) => v.options).flatMap((o) => o.flags.filter((f) => f.startsWith("--")))) assert.match(script, new RegExp(` -l ${flag.slice(2)} `), flag);
    assert.doesNotMatch(script, /\beval\b|\bsource\b/);
    assert.match(script, /-n '__slipstream_is simulate' -l event -x -a 'release push'/);
    if (fish === undefined) return;
    const said = (line: string) => shell(fish, ["--no-config", "-c", `source ./c.fish; complete -C ${JSON.stringify(line)}`]).trimEnd().split("\n");
    assert.deepEqual(said("slipstream up").map((l) => l.split("\t")[0]), ["update"]);
    assert.equal(said("slipstream update ").length, 6);
    assert.ok(!existsSync(file("ran")));
  });

  const reader = onPath("groff") ?? onPath("mandoc");
  test(`the manual page is read without a warning${reader === undefined ? " (neither groff nor mandoc is installed: only its form is checked)" : ""}`, async () => {
    await writeFile(file("slipstream.1"), manPage(program));
    if (reader === undefined) return assert.match(manPage(program), /^\.TH SLIPSTREAM 1 /);
    const { exitCode, stdout, stderr } = await run([reader, ...(reader.endsWith("groff") ? ["-man", "-ww", "-Tutf8", "-P-cbou"] : ["-W", "warning", "-T", "utf8"]), file("slipstream.1")], dir, childEnv(process.env));
    assert.deepEqual([exitCode, stderr], [0, ""]);
    const shown = stdout.replaceAll(/.[\b]/g, "");
    assert.match(shown, /^ {7}--no-reload\n {14}Install the new program and leave its process alone$/m);
    assert.match(shown, /^ {11}slipstream update --changed --no-reload --ci --json$/m);
  });
});
