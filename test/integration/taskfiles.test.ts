/** The shipped `taskfiles/subsystem.yml` under real Task, with real git, Go, curl and tar. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseStamp } from "../../src/domain/artifact.ts";
import { ASSET, createTaskfileFixture, git, LIMIT_MS, PLATFORM, run, type TaskfileFixture, type TaskfileWorkspace } from "../support/taskfile-workspace.ts";

let place: TaskfileFixture;
before(async () => {
  place = await createTaskfileFixture();
});
after(() => place.close());

/** A workspace that built and packed one version, as a release would hold it. */
async function packed(version: string): Promise<{ tarball: Buffer; sum: Buffer }> {
  const w = await place.workspace();
  await w.ok("hello:bin:build", `VERSION=${version}`);
  await w.ok("hello:package", "DIST_DIR=dist");
  return { tarball: await readFile(join(w.dir, "hello/dist", ASSET)), sum: await readFile(join(w.dir, "hello/dist", `${ASSET}.sha256`)) };
}

describe("the standard service pattern builds", { timeout: LIMIT_MS }, () => {
  it("another binary for another version, with a stamp that says so, and verifies it", async () => {
    const w = await place.workspace();
    await w.ok("hello:bin:build");
    const first = { digest: await w.digest(), stamp: await w.stamp() };
    assert.equal(await w.greeting(), "one");
    await w.ok("hello:src:update", "VERSION=v1.1.0");
    await w.ok("hello:bin:build", "VERSION=v1.1.0");
    const second = { digest: await w.digest(), stamp: await w.stamp() };
    assert.equal(await w.greeting(), "two");
    assert.notEqual(second.digest, first.digest);
    for (const [built, version] of [[first, "v1.0.0"], [second, "v1.1.0"]] as const) {
      const commit = await git(place.upstream, "rev-parse", "--short=7", `${version}^{commit}`);
      assert.deepEqual({ ...built.stamp, timestamp: "" }, { commit, checksum: built.digest, version, timestamp: "" });
      assert.match(built.stamp.timestamp ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    }
    assert.match(await w.ok("hello:bin:verify"), new RegExp(`v1\\.1\\.0 verified, sha256 ${second.digest}`));
    assert.deepEqual((await readdir(join(w.dir, "hello/.bin"))).sort(), [".version", "hello-server"]);
  });

  it("and stamps what the source is at, not what was asked for", async () => {
    const w = await place.workspace();
    await w.ok("hello:src:update", "VERSION=v1.1.0");
    await w.ok("hello:bin:build");
    assert.equal((await w.stamp()).version, "v1.1.0");
  });

  it("to OUT, leaving the installed program alone", async () => {
    const w = await place.workspace();
    await w.ok("hello:bin:build");
    const before = await w.digest();
    await w.ok("hello:src:update", "VERSION=main");
    await w.ok("hello:bin:build", "VERSION=main", `OUT=${w.dir}/staged/hello`);
    assert.equal(await w.digest(), before);
    assert.equal((await run([join(w.dir, "staged/hello")], w.dir)).stdout, "tip");
    assert.equal(parseStamp(await readFile(join(w.dir, "staged/.version"), "utf8")).version, "main");
  });

  it("a plain source folder inside somebody else's repository without cloning over it", async () => {
    const w = await place.workspace();
    await git(w.dir, "init", "-q");
    await git(w.dir, "commit", "-q", "--allow-empty", "-m", "the workspace's own");
    await mkdir(join(w.dir, "hello/.src"), { recursive: true });
    for (const file of ["go.mod", "main.go"]) await cp(join(place.upstream, file), join(w.dir, "hello/.src", file));
    const commit = "0123456789abcdef0123456789abcdef01234567";
    await w.ok("hello:bin:build", "VERSION=v9.9.9", `COMMIT=${commit}`);
    assert.equal(await w.greeting(), "tip");
    const { version, commit: stamped } = await w.stamp();
    assert.deepEqual([version, stamped], ["v9.9.9", "0123456"]);
    assert.deepEqual((await readdir(join(w.dir, "hello/.src"))).sort(), ["go.mod", "main.go"]);
    await w.fails(/\.src is no git checkout/, "hello:src:update", "VERSION=v1.1.0");
  });

  it("nothing into place when the build fails or makes nothing", async () => {
    const w = await place.workspace();
    await w.ok("hello:bin:build");
    const before = { digest: await w.digest(), stamp: await w.stamp() };
    await writeFile(join(w.dir, "hello/.src/main.go"), "package broken(");
    await w.fails(/syntax error/, "hello:bin:build");
    const lazy = await place.workspace({ BUILD_CMD: "true" });
    await lazy.fails(/BUILD_CMD made no program/, "hello:bin:build");
    assert.deepEqual({ digest: await w.digest(), stamp: await w.stamp() }, before);
  });

  it("outside of a Go workspace, whatever the environment says", async () => {
    const w = await place.workspace({ BUILD_CMD: 'printf "%s" "$GOWORK" > "$OUT"' });
    await run([place.tools.task, "hello:bin:build"], w.dir, { GOWORK: "/nowhere/go.work" });
    assert.equal(await readFile(join(w.dir, "hello/.bin/hello-server"), "utf8"), "off");
  });
});

describe("the standard service pattern moves its source", { timeout: LIMIT_MS }, () => {
  const at = (w: TaskfileWorkspace) => git(join(w.dir, "hello/.src"), "rev-parse", "HEAD");
  const wanted = (ref: string) => git(place.upstream, "rev-parse", `${ref}^{commit}`);

  it("to a tag, a branch and a commit, from a shallow clone", async () => {
    const w = await place.workspace();
    await w.ok("hello:src:clone");
    assert.equal(await at(w), await wanted("v1.0.0"));
    assert.equal(await git(join(w.dir, "hello/.src"), "rev-list", "--count", "HEAD"), "1");
    for (const ref of ["v1.1.0", "main", await wanted("main")]) {
      await w.ok("hello:src:update", `VERSION=${ref}`);
      assert.equal(await at(w), await wanted(ref));
    }
    await w.ok("hello:src:clone");
    assert.equal(await at(w), await wanted("main"));
  });

  it("along a branch that advanced", async () => {
    const w = await place.workspace({ VERSION: "moving" });
    await git(place.upstream, "branch", "-f", "moving", "v1.0.0");
    await w.ok("hello:src:update");
    await git(place.upstream, "branch", "-f", "moving", "v1.1.0");
    await w.ok("hello:src:update");
    assert.equal(await at(w), await wanted("v1.1.0"));
  });

  it("after a clone that was interrupted", async () => {
    const w = await place.workspace();
    await mkdir(join(w.dir, "hello/.src"), { recursive: true });
    await git(join(w.dir, "hello/.src"), "init", "-q");
    await mkdir(join(w.dir, "hello/.src.partial"));
    await w.ok("hello:src:clone");
    assert.equal(await at(w), await wanted("v1.0.0"));
  });

  it("but never over a developer's uncommitted work, nor cuts a full history short", async () => {
    const w = await place.workspace();
    await git(w.dir, "clone", "-q", place.upstream, join(w.dir, "hello/.src"));
    await writeFile(join(w.dir, "hello/.src/main.go"), "mine");
    await w.fails(/would be overwritten/, "hello:src:update", "VERSION=v1.0.0");
    assert.equal(await readFile(join(w.dir, "hello/.src/main.go"), "utf8"), "mine");
    assert.equal(await git(join(w.dir, "hello/.src"), "rev-list", "--count", "HEAD"), "3");
  });

  it("not to a version that does not exist, nor to one that is shell code", async () => {
    const w = await place.workspace();
    await w.fails(/has no tag or branch v9/, "hello:src:update", "VERSION=v9");
    for (const evil of ["v1;touch${IFS}pwned", "$(touch${IFS}pwned)", "--upload-pack=touch", "a'b", "../x"]) await w.fails(/is no tag, branch or commit/, "hello:src:update", `VERSION=${evil}`);
    assert.deepEqual((await readdir(w.dir, { recursive: true })).filter((f) => f.includes("pwned")), []);
  });
});

describe("bin:verify", { timeout: LIMIT_MS }, () => {
  it("fails for a changed program, a missing one, and a stamp without a checksum", async () => {
    const w = await place.workspace({ BUILD_CMD: 'cp main.go "$OUT"' });
    await w.fails(/\.bin\/hello-server is missing/, "hello:bin:verify");
    await w.ok("hello:bin:build");
    await w.ok("hello:bin:verify");
    await writeFile(join(w.dir, "hello/.bin/hello-server"), "tampered");
    await w.fails(/has sha256 \w+, expected \w+/, "hello:bin:verify");
    await writeFile(join(w.dir, "hello/.bin/.version"), "latest\n");
    await w.fails(/has no checksum/, "hello:bin:verify");
  });

  it("fails where no checksum tool is", async () => {
    const w = await place.workspace({ BUILD_CMD: 'cp main.go "$OUT"' });
    await w.ok("hello:bin:build");
    const bare = join(w.dir, "path");
    await mkdir(bare);
    for (const tool of ["sed", "cut", "basename", "dirname"]) await symlink((await run(["which", tool], w.dir)).stdout, join(bare, tool));
    const result = await run([place.tools.task, "hello:bin:verify"], w.dir, { PATH: bare });
    assert.notEqual(result.exitCode, 0);
    assert.match(result.stderr, /neither sha256sum nor shasum/);
  });
});

describe("package and bin:download", { timeout: LIMIT_MS }, () => {
  it("carry the program and its stamp from one machine to another", async () => {
    const { tarball, sum } = await packed("v1.1.0");
    assert.equal(sum.toString(), `${createHash("sha256").update(tarball).digest("hex")}  ${ASSET}\n`);
    place.publish("hello-v1.1.0", { [ASSET]: tarball, [`${ASSET}.sha256`]: sum });
    const user = await place.workspace();
    await user.ok("hello:bin:download", "RELEASE_VERSION=v1.1.0");
    assert.equal(await user.greeting(), "two");
    assert.deepEqual((await user.stamp()).version, "v1.1.0");
    await user.ok("hello:bin:verify");
    assert.deepEqual((await readdir(join(user.dir, "hello"))).sort(), [".bin"]);
  });

  it("take the newest release that holds the program when none is named", async () => {
    const { tarball, sum } = await packed("v1.0.0");
    place.publish("v5.0.0-hello", { [ASSET]: tarball, SHA256SUMS: Buffer.from(`${"0".repeat(64)}  other.tar.gz\n${sum}`) });
    const link = (tag: string, name: string) => ({ assets: [{ browser_download_url: `${place.url}/acme/dist/releases/download/${tag}/${name}` }] });
    place.files.set("/api/repos/acme/dist/releases?per_page=100", Buffer.from(JSON.stringify([link("v6.0.0", `other-${PLATFORM}.tar.gz`), link("v5.0.0-hello", ASSET), link("v4.0.0", ASSET)])));
    const user = await place.workspace();
    await user.ok("hello:ensure");
    assert.equal(await user.greeting(), "one");
  });

  it("refuse what has a wrong checksum or none, what is missing, and leave the old program", async () => {
    const { tarball, sum } = await packed("v1.0.0");
    const user = await place.workspace();
    await user.ok("hello:bin:build");
    const before = await user.digest();
    place.publish("hello-bad", { [ASSET]: Buffer.concat([tarball, Buffer.from("x")]), [`${ASSET}.sha256`]: sum });
    await user.fails(/has sha256 \w+, expected \w+/, "hello:bin:download", "RELEASE_VERSION=bad");
    place.publish("hello-nosum", { [ASSET]: tarball });
    await user.fails(/neither \S+\.sha256 nor SHA256SUMS/, "hello:bin:download", "RELEASE_VERSION=nosum");
    await user.fails(/no release of acme\/dist among .* holds/, "hello:bin:download", "RELEASE_VERSION=gone");
    await user.fails(/is no tag, branch or commit/, "hello:bin:download", "RELEASE_VERSION=bad;id");
    assert.equal(await user.digest(), before);
    const lost = await place.workspace({ RELEASE_REPO: "" });
    await lost.fails(/RELEASE_REPO is '', expected owner\/name/, "hello:bin:download");
  });

  it("refuse a link in place of the program", async () => {
    const dir = await place.folder();
    await symlink("/bin/sh", join(dir, "hello-server"));
    await run(["tar", "-czf", ASSET, "hello-server"], dir);
    const tarball = await readFile(join(dir, ASSET));
    place.publish("hello-link", { [ASSET]: tarball, [`${ASSET}.sha256`]: Buffer.from(`${createHash("sha256").update(tarball).digest("hex")}  ${ASSET}\n`) });
    await (await place.workspace()).fails(/holds no file hello-server/, "hello:bin:download", "RELEASE_VERSION=link");
  });
});

describe("the other tasks of the pattern", { timeout: LIMIT_MS }, () => {
  it("run starts the program as it is and never builds", async () => {
    const w = await place.workspace({ BUILD_CMD: 'printf "#!/bin/sh\\necho ran \\"\\$@\\"\\n" > "$OUT"', RUN_ARGS: "--fixed 'a b'" });
    await w.fails(/hello-server is missing; make it with: task hello:ensure/, "hello:run");
    assert.deepEqual(await readdir(join(w.dir, "hello")), []);
    await w.ok("hello:bin:build");
    assert.equal(await w.ok("hello:run", "--", "more"), "ran --fixed a b more");
  });

  it("ensure builds where there is source", async () => {
    const w = await place.workspace({ BUILD_CMD: 'cp main.go "$OUT"' });
    await w.ok("hello:src:clone");
    await w.ok("hello:ensure");
    await w.ok("hello:bin:verify");
  });

  it("health asks the URL, and deps, test and the clean ones do theirs", async () => {
    place.files.set("/well", Buffer.from("ok"));
    const w = await place.workspace({ HEALTH_URL: `${place.url}/well` });
    await w.ok("hello:health");
    await (await place.workspace({ HEALTH_URL: `${place.url}/ill` })).fails(/404/, "hello:health");
    await (await place.workspace({ HEALTH_CMD: "exit 7" })).fails(/exit status 7/, "hello:health");
    await (await place.workspace()).fails(/neither HEALTH_URL nor HEALTH_CMD/, "hello:health");
    await w.ok("hello:deps");
    await w.ok("hello:test");
    await mkdir(join(w.dir, "hello/.data"));
    await mkdir(join(w.dir, "hello/.bin"));
    for (const [task, left] of [["clean", [".data", ".src"]], ["clean:data", [".src"]], ["clean:src", []]] as const) {
      await w.ok(`hello:${task}`);
      assert.deepEqual((await readdir(join(w.dir, "hello"))).sort(), left);
    }
  });
});
