/** `slipstream init` in a folder that somebody else filled: names, links, pipes and texts made to mislead it. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { parse } from "yaml";
import { childEnv } from "../../src/adapters/exec.ts";
import { type ConfigWorkspace, configWorkspace } from "../support/config-workspace.ts";
import { init, listing, report } from "../support/init.ts";
import { LAUNCHER, run, tempDir } from "../support/launcher.ts";

const LONG = 300_000;
const WITHIN_MS = 30_000;
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
const program = (w: ConfigWorkspace, path: string) => w.write(path, "#!/bin/sh\n", 0o755);

async function pipe(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  assert.equal((await run(["mkfifo", path], "/", childEnv(process.env))).exitCode, 0);
}

/** The real command, which is ended when it takes too long. */
const command = (w: ConfigWorkspace, ...args: string[]) => run([LAUNCHER, ...args, "--workspace", w.dir], w.dir, childEnv(process.env), WITHIN_MS);

describe("names that are made to look like configuration", () => {
  const evil = "b\nlisten:\n  host: 0.0.0.0\ndefaults: {}\nsubsystems: {evil: {dir: nats, build: {command: [sh, -c, id]}}}\n#";

  it("of a program never reach slipstream.yaml, and are mentioned in one line", async (t) => {
    const w = await configWorkspace(t, {});
    for (const name of ["a", evil, "\u001b[31mred", "x\u2028listen: {}", "-x", "a # b"]) await program(w, `nats/.bin/${name}`);
    const { code, out } = await init(w.dir);
    assert.equal(code, 0);
    const own = await readFile(join(w.dir, "slipstream.yaml"), "utf8");
    assert.equal(parse(own), null);
    assert.deepEqual(own.split("\n").filter((line) => line !== "" && !line.startsWith("#")), []);
    assert.doesNotMatch(own, /evil|red|listen/);
    assert.match(out, /program "b\\nlisten:\\n {2}host.* in nats\/\.bin has a name that slipstream does not take/);
    assert.match(out, /program "\\u001b\[31mred"/);
    assert.equal((await report(w.dir)).open.filter((u) => u.what.includes("has a name that")).length, 5);
  });

  it("of a folder, a socket or a process stay comments of one line", async (t) => {
    const w = await configWorkspace(t, { "process-compose.yml": JSON.stringify({ processes: { a: { command: "./api/.bin/api" }, "b\nlisten: {port: 9}": { command: "./api/.bin/api" } } }), "Taskfile.yml": "version: '3'\nincludes: {api: ./api}\n", "api/Taskfile.yml": "version: '3'\nvars: {UPSTREAM_REPO: /srv/git/acme/api, BIN_NAME: api}\n" });
    await program(w, "na\nlisten: {port: 9}\n/.bin/x");
    for (const name of ["one.sock", "two.sock", "3\nlog_level: trace\n#.sock"]) {
      const server = createServer().listen(join(w.dir, name));
      await once(server, "listening");
      t.after(() => server.close());
    }
    const { code, out } = await init(w.dir);
    assert.equal(code, 0, out);
    const own = await readFile(join(w.dir, "slipstream.yaml"), "utf8");
    assert.equal(parse(own), null, own);
    assert.match(own, /^# +socket: one\.sock {2}# or two\.sock$/m);
    assert.match(own, /^# +process: a {2}# or b\\u000alisten: \{port: 9\}: all of them run it$/m);
    assert.match(out, /socket "3\\nlog_level: trace\\n#\.sock" has a name/);
    assert.match(out, /"na\\nlisten: \{port: 9\}\\n" looks like a program/);
    await w.load();
  });
});

describe("links that lead init elsewhere", () => {
  const refused = async (dir: string, says: RegExp) => {
    for (const args of [[], ["--dry-run"], ["--example"]]) {
      const { code, err } = await init(dir, args);
      assert.deepEqual([code, says.test(err)], [64, true], err);
    }
  };

  it("are refused for the state folder, and what they lead to stays as it is", async (t) => {
    const w = await configWorkspace(t, {});
    const victim = await tempDir(t);
    await writeFile(join(victim, "mine"), "mine", { mode: 0o644 });
    await symlink(victim, join(w.dir, ".slipstream"));
    const before = [await listing(victim), await modeOf(victim)];
    await refused(w.dir, /\.slipstream: is a symbolic link, expected a folder of the user who runs slipstream; remove it if you did not make it/);
    assert.deepEqual([await listing(victim), await modeOf(victim)], before);
    assert.deepEqual(await readdir(w.dir), [".slipstream"]);
  });

  for (const there of [true, false]) {
    it(`are refused for secrets.env, whether they lead to a file or to nothing (${there ? "a file" : "nothing"})`, async (t) => {
      const w = await configWorkspace(t, {});
      const victim = join(await tempDir(t), "profile");
      if (there) await writeFile(victim, "alias ll='ls -l'\n", { mode: 0o644 });
      await mkdir(join(w.dir, ".slipstream"), { mode: 0o755 });
      await symlink(victim, join(w.dir, ".slipstream/secrets.env"));
      await refused(w.dir, /secrets\.env: is a symbolic link, expected a regular file/);
      if (there) assert.deepEqual([await readFile(victim, "utf8"), await modeOf(victim)], ["alias ll='ls -l'\n", "644"]);
      else await assert.rejects(stat(victim));
      assert.equal(await modeOf(join(w.dir, ".slipstream")), "755", "nothing is touched before it is refused");
    });
  }

  it("and files of somebody else are refused with the way out", { skip: process.geteuid?.() !== 0 }, async (t) => {
    const w = await configWorkspace(t, {});
    await mkdir(join(w.dir, ".slipstream"));
    await run(["chown", "65534", join(w.dir, ".slipstream")], "/", childEnv(process.env));
    await refused(w.dir, /\.slipstream: belongs to somebody else.*run slipstream init as its owner/);
  });
});

describe("pipes in the place of files", { timeout: 120_000 }, () => {
  const places = [".slipstream/secrets.env", "slipstream.yaml", "Taskfile.yml", "process-compose.yml", "api/.src/.git/config", "api/.src/.git", "hook"];
  for (const place of places) {
    it(`hold neither init nor doctor up: ${place}`, async (t) => {
      const w = await configWorkspace(t, place === "hook" ? { ".slipstream/secrets.env": "WEBHOOK_SECRET_FILE=hook\n" } : {});
      await pipe(join(w.dir, place));
      const results = [await command(w, "init", "--dry-run"), await command(w, "doctor"), await command(w, "status")];
      for (const r of results) assert.notEqual(r.exitCode, null, `it was ended:\n${r.stdout}${r.stderr}`);
    });
  }

  it("are named as what they are", async (t) => {
    const w = await configWorkspace(t, {});
    await pipe(join(w.dir, "hook"));
    assert.deepEqual(await w.problems({ env: { WEBHOOK_SECRET_FILE: "hook" } }).then((p) => p.filter((one) => one.file === "hook").map((one) => one.message)), ["cannot be read: it is not a regular file"]);
  });
});

describe("texts that are made to be slow to read", { timeout: 120_000 }, () => {
  const spaces = " ".repeat(LONG);
  const cases: Record<string, Record<string, string>> = {
    "a gitdir of spaces": { "api/.src/.git": `gitdir: x${spaces}y` },
    "a remote of spaces": { "api/.src/.git/config": `[remote "origin"]\n url =${spaces}\u2028\n` },
    "secrets of empty lines": { ".slipstream/secrets.env": `${"\n".repeat(LONG)}x` },
    "secrets of spaces": { ".slipstream/secrets.env": `export${spaces}x` },
    "a template that never ends": { "Taskfile.yml": `version: '3'\nvars: {A: '{{${spaces}'}\n` },
    "templates that are all beginning": { "Taskfile.yml": `version: '3'\nvars: {A: '${"{{".repeat(LONG / 2)}'}\n` },
    "an include of spaces": { "Taskfile.yml": `version: '3'\nincludes:\n  api: '{{.A |${spaces}'\n` },
    "aliases of a long list": { "Taskfile.yml": `version: '3'\nx: &x {a: [${"1,".repeat(LONG / 3)}1]}\nincludes:\n${Array.from({ length: 20_000 }, (_, i) => `  s${i}: *x\n`).join("")}` },
  };
  for (const [what, files] of Object.entries(cases)) {
    it(`end in time: ${what}`, async (t: TestContext) => {
      const w = await configWorkspace(t, files);
      const { exitCode, stdout, stderr } = await command(w, "init", "--dry-run");
      assert.equal(exitCode, 0, `${stdout}${stderr}`.slice(0, 2_000));
    });
  }
});
