/** What both git engines promise, against git's own smart-HTTP server with real repositories. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { exec } from "../../src/adapters/exec.ts";
import type { GitDeps } from "../../src/adapters/git.ts";
import { createGitFixture, fails, type GitFixture, inRepo, never } from "../support/git-fixture.ts";
import { createUpstream, startGitServer } from "../support/git-server.ts";

let place: GitFixture;
before(async () => {
  place = await createGitFixture();
});
after(() => place.close());

/** Accepts requests and never answers. */
async function startSilentServer() {
  let onRequest = () => {};
  const asked = new Promise<void>((resolve) => {
    onRequest = resolve;
  });
  const silent = createServer(() => onRequest());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const close = () => {
    silent.closeAllConnections();
    return new Promise((resolve) => silent.close(resolve));
  };
  return { url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/x.git`, asked, close };
}

for (const engine of ["system", "isomorphic"] as const) {
  describe(`git, ${engine} engine`, { timeout: 120_000 }, () => {
    it("lists branches and tags, annotated tags as the commit they stand for", async () => {
      const up = await place.upstream();
      const one = await up.commitFiles({ a: "1" }, "one");
      await up.tag("v1", { annotated: true });
      const two = await up.commitFiles({ a: "2" }, "two");
      await up.tag("v2");
      await up.branch("next/x");
      const refs = await (await place.make(engine)).listRefs(up.url(place.server.url), never);
      assert.deepEqual(
        [...refs].sort((a, b) => a.name.localeCompare(b.name)),
        [
          { name: "refs/heads/main", commit: two },
          { name: "refs/heads/next/x", commit: two },
          { name: "refs/tags/v1", commit: one },
          { name: "refs/tags/v2", commit: two },
        ],
      );
    });

    it("lists nothing for an upstream without a commit", async () => {
      const up = await place.upstream();
      assert.deepEqual(await (await place.make(engine)).listRefs(up.url(place.server.url), never), []);
    });

    for (const tipsOnly of [false, true]) {
      it(`checks out exactly the commit asked for${tipsOnly ? " from a server that hands out tips only" : ""}`, async () => {
        const up = await place.upstream({ tipsOnly });
        const one = await up.commitFiles({ a: "1" }, "one");
        await up.tag("v1", { annotated: true });
        const two = await up.commitFiles({ a: "2" }, "two");
        await up.tag("v2");
        const bare = await up.commitFiles({ a: "2b" }, "the tip of nothing");
        const three = await up.commitFiles({ a: "3" }, "three");
        const git = await place.make(engine);
        const wanted = [
          { ref: "refs/tags/v1", ask: one, get: one, text: "1", describe: "v1" },
          { ref: "refs/tags/v1", ask: undefined, get: one, text: "1", describe: "v1" },
          { ref: "refs/tags/v2", ask: two, get: two, text: "2", describe: "v2" },
          { ref: "refs/heads/main", ask: undefined, get: three, text: "3", describe: three.slice(0, 7) },
          { ref: "refs/heads/main", ask: three, get: three, text: "3", describe: three.slice(0, 7) },
          { ref: "refs/heads/main", ask: one, get: one, text: "1", describe: one.slice(0, 7) },
          { ref: "refs/heads/main", ask: bare, get: bare, text: "2b", describe: bare.slice(0, 7) },
        ];
        const { cacheDir } = await place.request("", "");
        for (const { ref, ask, get, text, describe } of wanted) {
          const asked = { ...(await place.request(up.url(place.server.url), ref, ask)), cacheDir };
          assert.deepEqual(await git.checkout(asked, never), { commit: get });
          assert.deepEqual(await readdir(asked.parent), ["src"]);
          assert.equal(await readFile(join(asked.dest, "a"), "utf8"), text);
          assert.equal(await inRepo(asked.dest, "rev-parse", "HEAD"), get);
          assert.equal(await inRepo(asked.dest, "rev-parse", "--abbrev-ref", "HEAD"), "HEAD");
          assert.equal(await inRepo(asked.dest, "describe", "--tags", "--always"), describe);
          assert.equal(await inRepo(asked.dest, "status", "--porcelain"), "");
          assert.equal(await inRepo(asked.dest, "config", "remote.origin.url"), asked.url);
          assert.ok((await lstat(join(asked.dest, ".git"))).isDirectory());
          await inRepo(asked.dest, "fsck");
        }
      });
    }

    it("checks out a commit that a forced push has taken off its branch, as long as the server has it", async () => {
      const up = await place.upstream();
      const one = await up.commitFiles({ a: "1" }, "one");
      const two = await up.commitFiles({ a: "2" }, "two");
      await up.reset(one);
      assert.deepEqual(await (await place.make(engine)).checkout(await place.request(up.url(place.server.url), "refs/heads/main", two), never), { commit: two });
    });

    it("keeps executable bits and symlinks, and follows an upstream that turns a symlink into a folder", async () => {
      const up = await place.upstream();
      const one = await up.commitFiles({ "run.sh": { executable: "#!/bin/sh\n" }, plain: "p", link: { symlinkTo: "plain" } }, "one");
      const two = await up.commitFiles({ link: null, "link/inside": "i" }, "two");
      const git = await place.make(engine);
      const first = await place.request(up.url(place.server.url), "refs/heads/main", one);
      await git.checkout(first, never);
      assert.equal((await lstat(join(first.dest, "run.sh"))).mode & 0o111, 0o111);
      assert.equal((await lstat(join(first.dest, "plain"))).mode & 0o111, 0);
      assert.equal(await readlink(join(first.dest, "link")), "plain");
      const second = { ...(await place.request(up.url(place.server.url), "refs/heads/main", two)), cacheDir: first.cacheDir };
      await git.checkout(second, never);
      assert.equal(await readFile(join(second.dest, "link/inside"), "utf8"), "i");
    });

    it("refuses a tag that stands for another commit than the one announced", async () => {
      const up = await place.upstream();
      const one = await up.commitFiles({ a: "1" }, "one");
      await up.commitFiles({ a: "2" }, "two");
      await up.tag("v1", { annotated: true });
      const error = await fails(await place.make(engine), await place.request(up.url(place.server.url), "refs/tags/v1", one), "commit-mismatch");
      assert.equal(error.retryable, false);
    });

    it("says that a tag, a branch or a commit is not there", async () => {
      const up = await place.upstream();
      await up.commitFiles({ a: "1" }, "one");
      const url = up.url(place.server.url);
      const git = await place.make(engine);
      const tag = await fails(git, await place.request(url, "refs/tags/v9"), "version-not-found");
      assert.match(tag.message, /refs\/tags\/v9/);
      assert.equal(tag.retryable, true);
      await fails(git, await place.request(url, "refs/heads/gone"), "version-not-found");
      await fails(git, await place.request(url, "refs/heads/main", "1".repeat(40)), "version-not-found");
    });

    it("finds a tag that the server shows only after the first look", async () => {
      const upstreams = await place.folder();
      let appear = () => {};
      // The answer to this request holds the refs; the one before only says hello.
      const lagging = await startGitServer(upstreams, { onServed: (path) => (path.endsWith("/git-upload-pack") ? appear() : undefined) });
      try {
        const up = await createUpstream(upstreams, "lag");
        const one = await up.commitFiles({ a: "1" }, "one");
        const tagged = new Promise<string>((resolve, reject) => {
          appear = () => {
            appear = () => {};
            up.tag("v1").then(resolve, reject);
          };
        });
        const git = await place.make(engine, { lagMs: 20_000 });
        assert.deepEqual(await up.git("tag"), "");
        assert.deepEqual(await git.checkout(await place.request(up.url(lagging.url), "refs/tags/v1", one), never), { commit: one });
        assert.equal(await tagged, one);
      } finally {
        await lagging.close();
      }
    });

    it("says that a server is away, and that it has no such repository", async () => {
      const gone = await startSilentServer();
      await gone.close();
      const git = await place.make(engine);
      const away = await fails(git, await place.request(gone.url, "refs/heads/main"), "upstream-unreachable");
      assert.equal(away.retryable, true);
      await fails(git, await place.request(`${place.server.url}/nothing.git`, "refs/heads/main", "1".repeat(40)), "upstream-unreachable");
      await assert.rejects(git.listRefs(`${place.server.url}/nothing.git`, never), { code: "upstream-unreachable" });
    });

    it("stops at once when cancelled, and in time when the server hangs", async () => {
      const silent = await startSilentServer();
      try {
        const stop = new AbortController();
        const failed = fails(await place.make(engine), await place.request(silent.url, "refs/heads/main"), "cancelled", stop.signal);
        await silent.asked;
        const started = performance.now();
        stop.abort();
        await failed;
        assert.ok(performance.now() - started < 3_000, "cancelling took more than 3 s");
        const hurried = await place.make(engine, { timeoutMs: 700 });
        await fails(hurried, await place.request(silent.url, "refs/heads/main"), "timed-out");
        await assert.rejects(hurried.listRefs(silent.url, never), { code: "timed-out" });
        await assert.rejects(hurried.listRefs(silent.url, AbortSignal.abort()), { code: "cancelled" });
      } finally {
        await silent.close();
      }
    });

    it("refuses an upstream that is too large, on the wire or once unpacked", async () => {
      const up = await place.upstream();
      const random = await up.commitFiles({ a: randomBytes(400_000) }, "incompressible");
      const zeros = await up.commitFiles({ a: "0".repeat(4_000_000) }, "compressible");
      const git = await place.make(engine, { maxBytes: 200_000 });
      await fails(git, await place.request(up.url(place.server.url), "refs/heads/main", random), "upstream-too-large");
      await fails(git, await place.request(up.url(place.server.url), "refs/heads/main", zeros), "upstream-too-large");
      for (let n = 0; n < 30; n++) await up.tag(`a-tag-with-a-long-name-${n}`);
      await assert.rejects((await place.make(engine, { maxBytes: 1_000 })).listRefs(up.url(place.server.url), never), { code: "upstream-too-large" });
    });

    it("refuses a commit whose files would land outside its folder", async () => {
      const up = await place.upstream();
      await up.commitFiles({ a: "1" }, "one");
      const blob = await up.git("hash-object", "-w", "a");
      await writeFile(join(up.dir, "tree"), Buffer.concat([Buffer.from("100644 ../escaped\0"), Buffer.from(blob, "hex")]));
      const tree = await up.git("hash-object", "-w", "-t", "tree", "--literally", "tree");
      await up.git("update-ref", "refs/heads/main", await up.git("commit-tree", "-m", "hostile", tree));
      await fails(await place.make(engine), await place.request(up.url(place.server.url), "refs/heads/main"), "artifact-invalid");
    });

    it("refuses urls and refs that are options, remote helpers or refspecs", async () => {
      const git = await place.make(engine);
      for (const url of ["--upload-pack=touch /tmp/x", "-x", "ext::sh -c true", "ftp://x/y", "https://x/y z", "ssh://-oProxyCommand=x/y", ""]) {
        await fails(git, await place.request(url, "refs/heads/main"), "usage");
        await assert.rejects(git.listRefs(url, never), { code: "usage" });
      }
      for (const ref of ["main", "--all", "refs/heads/../x", "refs/heads/a:b", "+refs/heads/a", "refs/heads/*", "refs/notes/x"]) await fails(git, await place.request(`${place.server.url}/x.git`, ref), "usage");
      await fails(git, await place.request(`${place.server.url}/x.git`, "refs/heads/main", "HEAD"), "usage");
    });

    it("does not touch a folder that is there already", async () => {
      const up = await place.upstream();
      await up.commitFiles({ a: "1" }, "one");
      const asked = await place.request(up.url(place.server.url), "refs/heads/main");
      await mkdir(asked.dest);
      await writeFile(join(asked.dest, "mine"), "mine");
      await assert.rejects((await place.make(engine)).checkout(asked, never), { code: "usage" });
      assert.deepEqual(await readdir(asked.dest), ["mine"]);
    });

    it("sends the credentials of a url as a header and writes them nowhere", async () => {
      const upstreams = await place.folder();
      const locked = await startGitServer(upstreams, { authorization: `Basic ${Buffer.from("me:pass word").toString("base64")}` });
      try {
        const up = await createUpstream(upstreams, "locked");
        const one = await up.commitFiles({ a: "1" }, "one");
        const withLogin = (login: string) => up.url(locked.url).replace("http://", `http://${login}@`);
        const seen: string[] = [];
        const spying: GitDeps["exec"] = (options, signal) => {
          seen.push(...options.argv);
          return exec(options, signal);
        };
        const git = await place.make(engine, { exec: spying });
        const asked = { ...(await place.request(withLogin("me:pass%20word"), "refs/heads/main")), onLine: (line: string) => seen.push(line) };
        assert.deepEqual(await git.checkout(asked, never), { commit: one });
        assert.equal(await inRepo(asked.dest, "config", "remote.origin.url"), up.url(locked.url));
        assert.ok(seen.length > 0);
        assert.doesNotMatch(seen.join("\n"), /pass/);
        const refused = await fails(git, await place.request(withLogin("me:wrong-pass"), "refs/heads/main"), "upstream-unreachable");
        assert.doesNotMatch(refused.message, /wrong-pass/);
      } finally {
        await locked.close();
      }
    });
  });
}
