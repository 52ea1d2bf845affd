import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import { showDefects } from "../../../src/cli/findings-defects.ts";
import { createPrinter } from "../../../src/cli/io.ts";
import { runCli } from "../../../src/cli/program.ts";
import type { Defect, FixReport } from "../../../src/domain/defect.ts";
import { fakeContext, terminal } from "../../support/cli.ts";
import { examination } from "../../support/examination.ts";

const DIFF = "--- a/nats/Taskfile.yml\n+++ b/nats/Taskfile.yml\n@@ -1,2 +1,2 @@\n tasks:\n-  a: x\n+  a: y\n";
const defect = (fields: Partial<Defect> = {}): Defect => ({ id: "D7", subsystem: "nats", file: "nats/Taskfile.yml", line: 2, message: "nats:a is x", mend: "make it y", diff: DIFF, safe: true, ...fields });
const report = (fields: Partial<FixReport> = {}): FixReport => ({ dryRun: false, files: [{ file: "nats/Taskfile.yml", ids: ["D7"], diff: DIFF, backup: ".slipstream/backups/x/nats/Taskfile.yml" }], left: [defect({ id: "D8", safe: false })], ...fields });

async function doctor(args: readonly string[], given: { readonly defects?: readonly Defect[]; readonly fixed?: FixReport } = {}) {
  const shown = terminal();
  const asked: unknown[] = [];
  const fix = async (options: unknown) => {
    asked.push(options);
    return given.fixed ?? report();
  };
  const code = await runCli(["doctor", ...args], "0.0.0", fakeContext(shown, { examine: async () => examination({ defects: given.defects ?? [] }), fix }));
  return { code, out: shown.out(), err: shown.err(), asked };
}

describe("defects on the terminal", () => {
  test("without any, doctor says nothing of them; with some, its findings and exit code stay as they are, and its last line counts them", async () => {
    const [without, some] = [await doctor([]), await doctor([], { defects: [defect()] })];
    assert.equal(without.out.includes("Defects"), false);
    assert.deepEqual([some.code, without.code], [0, 0]);
    assert.equal(some.out.slice(0, some.out.indexOf("\nDefects")), without.out.slice(0, without.out.lastIndexOf("\n\n") + 1));
    assert.equal(some.out.split("\n").at(-2), `${without.out.split("\n").at(-2)}; defects in files: 1`);
    assert.match(without.out, /\nchecks: \d+ ok, 0 to look at, 0 wrong\n$/);
  });

  test("one line per kind, and a mend only where its kind is met first", async () => {
    const others = ["a", "b", "c", "d", "e", "f"].map((name) => defect({ subsystem: name, file: `${name}/Taskfile.yml`, message: `${name}:a is x` }));
    const { out } = await doctor([], { defects: [defect(), ...others, defect({ id: "D8", line: 9, safe: false, whyNotSafe: "only you know" })] });
    assert.match(out, /Defects of Taskfiles and the process-compose file: 8 in 7 files\n {2}D7 {2}a running program is written over +7x +--fix +nats, a, b, c, d, e and 1 more\n {2}D8 .* 1x +by hand +nats\n/);
    assert.match(out, /\n {5}2 {2}D7 {2}nats:a is x\n {12}make it y \(--fix\)\n {12}--- a\/nats/);
    assert.match(out, /make it y \(by hand: only you know\)/);
    assert.equal(out.match(/make it y/g)?.length, 2);
    assert.match(out, /slipstream doctor --fix applies 7 of them/);
  });

  test("as JSON each has its place, its diff as text, and whether it is safe", async () => {
    const { out } = await doctor(["--json"], { defects: [defect()] });
    assert.deepEqual((JSON.parse(out) as { defects: unknown }).defects, [defect()]);
  });

  test("a diff is coloured on a terminal only, and what a file holds cannot drive it", () => {
    const shown = (isTTY: boolean) => {
      let text = "";
      const stream = Object.assign(new Writable({ write: (chunk, _, done) => done(void (text += String(chunk))) }), { isTTY });
      showDefects(createPrinter({ stdout: stream, stderr: stream, plain: false }), [defect({ diff: `${DIFF}+\u001b]0;evil\u0007\n` })]);
      return text;
    };
    assert.ok(shown(true).includes(`\u001b[31m${" ".repeat(12)}-  a: x\u001b[39m`));
    assert.ok(shown(true).includes(`\u001b[32m${" ".repeat(12)}+  a: y\u001b[39m`));
    assert.equal(/\p{Cc}/u.test(shown(false).replaceAll("\n", "")), false);
    assert.equal(shown(true).includes("\u001b]0;"), false);
  });

  test("--fix shows what it changed and where the old text is; one that was refused ends with 1", async () => {
    const done = await doctor(["--fix"]);
    assert.deepEqual([done.code, done.asked], [0, [{ fix: true, dryRun: false }]]);
    assert.match(done.out, /^nats\/Taskfile\.yml changed \(D7\)\n[\s\S]*\+ {2}a: y\n[\s\S]*kept in \.slipstream\/backups\/x\/nats\/Taskfile\.yml\n\n1 defect is left for you to look at: slipstream doctor\n$/);
    const [file] = report().files;
    const refused = await doctor(["--fix"], { fixed: report({ files: [{ ...(file as NonNullable<typeof file>), refused: "it is read-only" }], left: [] }) });
    assert.deepEqual([refused.code, /was not changed \(D7\)\n {6}it is read-only\n/.test(refused.out)], [1, true], refused.out);
    const dry = await doctor(["--fix", "--dry-run"], { fixed: report({ dryRun: true }) });
    assert.match(dry.out, /would be changed \(D7\)[\s\S]*This was a dry run: nothing was changed\./);
    assert.deepEqual(JSON.parse((await doctor(["--fix", "--json"])).out), report());
    const nothing = await doctor(["--fix"], { fixed: report({ files: [], left: [] }) });
    assert.equal(nothing.out, "Nothing that could be mended safely was found, so nothing was changed.\n");
  });

  test("--dry-run alone is a mistake that is said", async () => {
    const { code, err } = await doctor(["--dry-run"]);
    assert.deepEqual([code, err], [64, "slipstream: --dry-run is given without --fix, expected both: doctor alone changes nothing\n"]);
  });
});
