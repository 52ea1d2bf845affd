/** The file watch on a real file system: every way in which people and programs change a file. */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, open, realpath, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createFileWatch, type FileWatch } from "../../src/adapters/watch-files.ts";
import { silentLog } from "../../src/kit/log.ts";
import { until } from "../support/wait.ts";

describe("the file watch", () => {
  let root: string;
  let dir: string;
  let watch: FileWatch;
  let made = 0;
  const seen: string[] = [];
  const file = (name: string) => join(dir, name);
  /** Waits until exactly this file was told; forgets it. */
  const told = async (path: string) => {
    await until(async () => seen.includes(path), { what: `news of ${path}`, timeoutMs: 10_000 });
    seen.length = 0;
  };

  before(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), "slipstream-watch-")));
    watch = createFileWatch({ log: silentLog(), changed: (path) => seen.push(path), stillMs: 60 });
  });
  after(async () => {
    await watch.close();
    await rm(root, { recursive: true, force: true });
  });
  /** A fresh folder, so that what one test leaves behind tells the next nothing. */
  const fresh = async () => {
    dir = join(root, String(made++));
    await mkdir(dir);
    seen.length = 0;
  };

  test("a file written in place, replaced by rename, removed and made again is told each time", async () => {
    await fresh();
    await writeFile(file("a"), "1");
    await watch.set([file("a")]);
    await writeFile(file("a"), "22");
    await told(file("a"));
    await writeFile(file("a.new"), "333");
    await rename(file("a.new"), file("a"));
    await told(file("a"));
    await unlink(file("a"));
    await told(file("a"));
    await writeFile(file("a"), "4444");
    await told(file("a"));
  });

  test("neighbours of a watched file are not told", async () => {
    await fresh();
    await writeFile(file("a"), "1");
    await writeFile(file("b"), "1");
    await watch.set([file("a")]);
    await writeFile(file("b"), "22");
    await writeFile(file("c"), "1");
    await mkdir(file("d"));
    await writeFile(file("a"), "22");
    await until(async () => seen.includes(file("a")), { what: "news of a", timeoutMs: 10_000 });
    assert.deepEqual([...new Set(seen)], [file("a")]);
  });

  test("a file in a folder that does not exist yet is told when the folder comes", async () => {
    await fresh();
    const deep = join(dir, "x", "y", "a");
    await watch.set([deep]);
    await mkdir(join(dir, "x", "y"), { recursive: true });
    await told(deep);
    assert.equal(await watch.set([deep]), true, "the nearer folder is watched from now on");
    await writeFile(deep, "1");
    await told(deep);
  });

  test("a link that is turned to another file, and the file it leads to, are told under the link's name", async () => {
    await fresh();
    await mkdir(file("v1"));
    await mkdir(file("v2"));
    await writeFile(join(dir, "v1", "conf"), "1");
    await writeFile(join(dir, "v2", "conf"), "2");
    await symlink(join("v1", "conf"), file("conf"));
    await watch.set([file("conf")]);
    await writeFile(join(dir, "v1", "conf"), "11");
    await told(file("conf"));
    await symlink(join("v2", "conf"), file("conf.new"));
    await rename(file("conf.new"), file("conf"));
    await told(file("conf"));
    assert.equal(await watch.set([file("conf")]), true, "the watch follows to where it leads now");
    await writeFile(join(dir, "v2", "conf"), "22");
    await told(file("conf"));
  });

  test("a folder that is watched for its coming and going is told", async () => {
    await fresh();
    await watch.set([file(".src")]);
    await mkdir(file(".src"));
    await told(file(".src"));
    await rm(file(".src"), { recursive: true });
    await told(file(".src"));
  });

  test("a file written in pieces is told when it is still", async () => {
    await fresh();
    await watch.set([file("a")]);
    const handle = await open(file("a"), "w");
    for (let i = 0; i < 5; i++) await handle.write("x".repeat(1000));
    await handle.close();
    await told(file("a"));
  });

  test("the same files again leave the watch as it is", async () => {
    await fresh();
    assert.equal(await watch.set([file("a"), file("b")]), true);
    assert.equal(await watch.set([file("b"), file("a")]), false);
    assert.equal(await watch.set([file("a")]), true);
  });
});
