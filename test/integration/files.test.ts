/** Files on a real disk: what must hold when something is in the way. */

import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { digestOf, placeVerified, removeTree, writeDurably } from "../../src/adapters/files.ts";
import { openLogFile } from "../../src/adapters/log-file.ts";

describe("files", () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "files-"));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  test("a program is placed only with the digest it was verified with", async () => {
    const from = join(dir, "built");
    await writeFile(from, "#!/bin/sh\n");
    await placeVerified(from, join(dir, "bin", "staged"), await digestOf(from));
    await assert.rejects(placeVerified(from, join(dir, "bin", "staged"), `sha256:${"0".repeat(64)}`), { code: "digest-mismatch" });
  });

  test("a link planted where a file is about to be written is replaced, never followed", async () => {
    const victim = join(dir, "victim");
    await writeFile(victim, "precious");
    await symlink(victim, join(dir, ".version.new"));
    await writeDurably(join(dir, ".version"), "v1\n");
    assert.equal(await readFile(victim, "utf8"), "precious");
    assert.equal(await readFile(join(dir, ".version"), "utf8"), "v1\n");
  });

  test("a tree with read-only folders is removed", async () => {
    const deep = join(dir, "tree", "mod", "pkg");
    await mkdir(deep, { recursive: true });
    await writeFile(join(deep, "x"), "x");
    await chmod(deep, 0o555);
    await chmod(join(dir, "tree", "mod"), 0o555);
    await removeTree(join(dir, "tree"));
    assert.ok(!(await readdir(dir)).includes("tree"));
  });

  test("a log takes no line after its close, so that none lands in another file", async () => {
    const log = openLogFile(join(dir, "logs", "1.log"), (t) => t);
    log.line("one");
    log.close();
    const other = openLogFile(join(dir, "logs", "2.log"), (t) => t);
    log.line("late");
    other.close();
    assert.equal(await readFile(join(dir, "logs", "1.log"), "utf8"), "one\n");
    assert.equal(await readFile(join(dir, "logs", "2.log"), "utf8"), "");
  });

  test("a log is cut at its cap and says so; secrets are masked before a long line is cut", async () => {
    const log = openLogFile(join(dir, "logs", "3.log"), (t) => t.replaceAll("hunter2", "[secret]"), 40_000);
    log.line(`${"x".repeat(16 * 1024 - 4)}hunter2`);
    for (let i = 0; i < 100; i++) log.line("y".repeat(1_000));
    assert.equal(log.close().truncated, true);
    const text = await readFile(join(dir, "logs", "3.log"), "utf8");
    assert.ok(!text.includes("hunter") && text.includes("[log cut") && text.length < 41_000);
  });
});
