import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { thisPlatform } from "../../src/kit/platform.ts";
import { programKind, programProblem } from "../../src/adapters/program.ts";

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

test("what needs no permission to run is told from what does", async () => {
  const kind = async (content: Buffer | string) => {
    await writeFile(join(dir, "program"), content);
    return programKind(join(dir, "program"));
  };
  assert.equal(await programKind(process.execPath), "native");
  assert.equal(await kind("#!/usr/bin/env node\n"), "script");
  assert.equal(await kind("console.log(1)\n"), "text");
  assert.equal(await kind("# größer ist nicht besser\n"), "text");
  assert.equal(await kind("PK\u0003\u0004\u0014"), "zip");
  assert.equal(await kind("!<arch>\n__.PKGDEF       0"), "other", "what go build leaves of a package without main");
  assert.equal(await kind(Buffer.from("cafebabe00000041", "hex")), "other");
  assert.equal(await kind(""), "other");
  assert.equal(await programKind(join(dir, "missing")), "other");
});

test("the machine is named in Go's words, with its libc", () => {
  assert.deepEqual([here.os, ["amd64", "arm64"].includes(here.arch), ["gnu", "musl"].includes(here.libc ?? "")], ["linux", true, true]);
});
