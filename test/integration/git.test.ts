/** What only the system's git does (its cache, the user's configuration), and how an engine is chosen. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { maskUrls, remoteOf, withinSize } from "../../src/adapters/git-request.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { Secret } from "../../src/kit/secret.ts";
import { createGitFixture, fails, GIT_TEST_ENV, type GitFixture, never } from "../support/git-fixture.ts";

let place: GitFixture;
before(async () => {
  place = await createGitFixture();
});
after(() => place.close());

describe("git, system engine only", { timeout: 120_000 }, () => {
  const damages: Record<string, (cache: string) => Promise<void>> = {
    "its packs are cut short": async (cache) => {
      const packs = join(cache, "objects/pack");
      for (const file of await readdir(packs)) if (file.endsWith(".pack")) await truncate(join(packs, file), 40);
    },
    "its pack indexes are empty": async (cache) => {
      const packs = join(cache, "objects/pack");
      for (const file of await readdir(packs)) if (file.endsWith(".idx")) await rm(join(packs, file)).then(() => writeFile(join(packs, file), ""));
    },
    "a killed git left its lock": (cache) => writeFile(join(cache, "shallow.lock"), ""),
    "its HEAD is rubbish": (cache) => writeFile(join(cache, "HEAD"), "rubbish"),
    "it is not a repository at all": async (cache) => {
      await rm(cache, { recursive: true });
      await writeFile(cache, "a file");
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    it(`mends its cache when ${what}`, async () => {
      const up = await place.upstream();
      const one = await up.commitFiles({ a: "1", b: randomBytes(2_000) }, "one");
      const git = await place.make("system");
      const first = await place.request(up.url(place.server.url), "refs/heads/main");
      await git.checkout(first, never);
      await damage(first.cacheDir);
      const lines: string[] = [];
      const again = { ...(await place.request(up.url(place.server.url), "refs/heads/main", one)), cacheDir: first.cacheDir, onLine: (line: string) => lines.push(line) };
      assert.deepEqual(await git.checkout(again, never), { commit: one });
      assert.match(lines.join("\n"), /object cache is unusable/);
      const two = await up.commitFiles({ a: "2" }, "two");
      const later = { ...(await place.request(up.url(place.server.url), "refs/heads/main", two)), cacheDir: first.cacheDir };
      assert.deepEqual(await git.checkout(later, never), { commit: two });
    });
  }

  it("keeps a sound cache when the upstream is away, and fetches only what is new", async () => {
    const up = await place.upstream();
    await up.commitFiles({ big: randomBytes(300_000), a: "1" }, "one");
    const git = await place.make("system");
    const first = await place.request(up.url(place.server.url), "refs/heads/main");
    await git.checkout(first, never);
    const packs = async () => {
      const dir = join(first.cacheDir, "objects/pack");
      const sizes = (await readdir(dir)).filter((f) => f.endsWith(".pack")).map(async (f) => (await lstat(join(dir, f))).size);
      return (await Promise.all(sizes)).sort((a, b) => b - a);
    };
    const kept = await packs();
    await fails(git, { ...(await place.request("http://127.0.0.1:9/x.git", "refs/heads/main")), cacheDir: first.cacheDir }, "upstream-unreachable");
    assert.deepEqual(await packs(), kept);
    await up.commitFiles({ a: "2" }, "two");
    await git.checkout({ ...(await place.request(up.url(place.server.url), "refs/heads/main")), cacheDir: first.cacheDir }, never);
    const [big = 0, small = 0] = await packs();
    assert.ok(big > 300_000 && small < 5_000, `packs are ${big} and ${small} bytes`);
  });

  it("starts the cache anew before old versions fill it", async () => {
    const up = await place.upstream();
    const git = await place.make("system", { maxBytes: 1_000_000 });
    const { cacheDir } = await place.request("", "");
    for (let n = 0; n < 6; n++) {
      const commit = await up.commitFiles({ a: randomBytes(200_000) }, `version ${n}`);
      assert.deepEqual(await git.checkout({ ...(await place.request(up.url(place.server.url), "refs/heads/main", commit)), cacheDir }, never), { commit });
    }
  });

  it("runs no hook of the user's configuration", async () => {
    const up = await place.upstream();
    await up.commitFiles({ a: "1" }, "one");
    const home = await place.folder();
    await mkdir(join(home, "hooks"), { recursive: true });
    await writeFile(join(home, "hooks/post-checkout"), `#!/bin/sh\ntouch ${home}/ran\n`, { mode: 0o755 });
    await writeFile(join(home, "config"), `[core]\n\thooksPath = ${home}/hooks\n[user]\n\tname = me\n`);
    const env = { ...GIT_TEST_ENV, GIT_CONFIG_GLOBAL: join(home, "config") };
    await (await place.make("system", { env })).checkout(await place.request(up.url(place.server.url), "refs/heads/main"), never);
    assert.deepEqual((await readdir(home)).sort(), ["config", "hooks"]);
  });

  it("reads an upstream that is a folder of this machine", async () => {
    const up = await place.upstream();
    const one = await up.commitFiles({ a: "1" }, "one");
    const git = await place.make("system");
    for (const url of [up.dir, `file://${up.dir}`]) assert.deepEqual(await git.checkout(await place.request(url, "refs/heads/main"), never), { commit: one });
  });
});

describe("the choice of the engine", () => {
  it("takes the system's git when it is there, else the built-in one", async () => {
    assert.equal((await place.make("auto")).engine, "system");
    assert.equal((await place.make("auto", { env: { PATH: "/nonexistent" } })).engine, "isomorphic");
    await assert.rejects(place.make("system", { env: { PATH: "/nonexistent" } }), { code: "tool-missing" });
  });

  it("takes the built-in one when the system's git is too old", async () => {
    const dir = await place.folder();
    await writeFile(join(dir, "git"), "#!/bin/sh\necho git version 2.30.2\n", { mode: 0o755 });
    assert.equal((await place.make("auto", { env: { PATH: dir } })).engine, "isomorphic");
    await assert.rejects(place.make("system", { env: { PATH: dir } }), { code: "tool-missing", message: /2\.30/ });
  });

  it("says that ssh and folders need git installed", async () => {
    const git = await place.make("isomorphic");
    for (const url of ["ssh://git@example.com/x.git", "git@example.com:x/y.git", "file:///x", "/x"]) {
      await fails(git, await place.request(url, "refs/heads/main"), "tool-missing");
    }
  });

  it("offers the token to its own https host only", () => {
    const token = { host: "github.com", secret: new Secret("t", "s3cret-token") };
    const header = `Basic ${Buffer.from("x-access-token:s3cret-token").toString("base64")}`;
    assert.deepEqual(remoteOf("https://github.com/o/r.git", token), { url: "https://github.com/o/r.git", auth: { scope: "https://github.com/", header } });
    for (const url of ["http://github.com/o/r.git", "https://github.com.evil.example/o/r.git", "https://github.com:8443/o/r.git", "ssh://git@github.com/o/r.git", "git@github.com:o/r.git"]) {
      assert.deepEqual(remoteOf(url, token), { url });
    }
  });
});

describe("the limits of a checkout", () => {
  it("stops the work while it still runs, once a folder is over its size", async () => {
    const dir = await place.folder();
    const work = async (signal: AbortSignal) => {
      await writeFile(join(dir, "big"), Buffer.alloc(2_000));
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      throw new Error("killed");
    };
    const limits = { dirs: [dir], maxBytes: 1_000, url: "http://x/y", clock: systemClock };
    await assert.rejects(withinSize(limits, AbortSignal.timeout(10_000), work), { code: "upstream-too-large" });
  });

  it("hides logins in whatever text holds a url", () => {
    assert.equal(maskUrls("fatal: 'https://me:p@ss@host/x.git' and ssh://git@h/y"), "fatal: 'https://***@host/x.git' and ssh://***@h/y");
  });
});
