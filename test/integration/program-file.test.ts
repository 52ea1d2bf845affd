import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { thisPlatform } from "../../src/kit/platform.ts";
import { programProblem } from "../../src/adapters/program.ts";

const dir = await mkdtemp(join(tmpdir(), "program-"));
after(() => rm(dir, { recursive: true }));
const here = thisPlatform();

async function problem(content: Buffer | string, platform = here): Promise<string | null> {
  const path = join(dir, "program");
  await writeFile(path, content);
  return programProblem(path, platform);
}

test("a program of this machine and a script pass", async () => {
  assert.equal(await programProblem(process.execPath, here), null);
  assert.equal(await problem("#!/bin/sh\necho 1\n"), null);
  assert.equal(await problem(""), null, "an empty one is refused by the size");
});

test("a program for another machine, another system, or a web page is refused before it is installed", async () => {
  const own = (await readFile(process.execPath)).subarray(0, 64);
  const other = Buffer.from(own);
  other.writeUInt16LE(own.readUInt16LE(18) === 0xb7 ? 0x3e : 0xb7, 18);
  assert.match((await problem(other)) ?? "", /another machine/);
  assert.match((await problem(Buffer.from("cffaedfe0c000001", "hex"))) ?? "", /macOS/);
  assert.match((await problem("MZ\u0090\u0000\u0003")) ?? "", /Windows/);
  assert.match((await problem("\n<!DOCTYPE html><html>")) ?? "", /web page/);
  assert.match((await problem(own, { os: "darwin", arch: "arm64" })) ?? "", /expected one for darwin/);
});

test("the machine is named in Go's words, with its libc", () => {
  assert.deepEqual([here.os, ["amd64", "arm64"].includes(here.arch), ["gnu", "musl"].includes(here.libc ?? "")], ["linux", true, true]);
});
