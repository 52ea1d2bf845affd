import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Git } from "../../../src/adapters/git.ts";
import { chooseNewest } from "../../../src/resolve/choose.ts";
import { createFeed } from "../../../src/resolve/feed.ts";
import { newestFor } from "../../../src/resolve/newest.ts";
import { createUpstream } from "../../../src/resolve/upstream.ts";
import { openStore } from "../../../src/store/store.ts";
import { PLATFORM, release, tableForge } from "../../support/release-table.ts";
import { commit, releaseFeed, subsystem } from "../../support/subsystem.ts";

const tag = (version: string, sha: string) => ({ version, ref: `refs/tags/${version}`, commit: commit(sha) });

test("a quarantined newest version does not hide a good one below it, and what is installed ends the search", () => {
  const store = openStore(":memory:", () => 1);
  after(() => store.close());
  store.versions.setCurrent({ subsystem: "api", version: "v1.0.0", digest: "sha256:1", commit: commit("1") });
  store.versions.quarantine({ subsystem: "api", version: "v1.0.3", digest: "sha256:3", commit: commit("3"), reason: "unhealthy" });
  const api = subsystem();
  const all = [tag("v1.0.3", "3"), tag("v1.0.2", "2"), tag("v1.0.0", "1"), tag("v0.9.0", "0")];
  assert.equal(chooseNewest(store, api, all)?.candidate.version, "v1.0.2");
  const only = chooseNewest(store, api, [tag("v1.0.3", "3"), tag("v1.0.0", "1")]);
  assert.deepEqual([only?.candidate.version, only?.decision], ["v1.0.3", { verdict: "ignore", reason: "quarantined" }]);
  assert.equal(chooseNewest(store, api, []), undefined);
});

test("newer versions outside the pin do not hide the newest within it", () => {
  const store = openStore(":memory:", () => 1);
  after(() => store.close());
  store.versions.setCurrent({ subsystem: "api", version: "v2.0.0", digest: "sha256:1", commit: commit("1") });
  const all = [tag("v3.1.0", "5"), tag("v3.0.0", "4"), tag("v2.1.0", "2"), tag("v2.0.0", "1"), tag("v1.0.0", "0")];
  const said = (pin: string, from = all) => {
    const choice = chooseNewest(store, subsystem({ pin }), from);
    return `${choice?.candidate.version} ${choice?.decision.verdict === "ignore" ? choice.decision.reason : choice?.decision.verdict}`;
  };
  assert.equal(said("2.x"), "v2.1.0 run");
  assert.equal(said("2.0.0"), "v2.0.0 already-current");
  assert.equal(said("1.x"), "v1.0.0 older-than-current", "a pin never goes back by itself");
  assert.equal(said("4.x"), "v3.1.0 pinned");
});

test("a backport that was published last does not hide a newer version published before it", () => {
  const store = openStore(":memory:", () => 1);
  after(() => store.close());
  store.versions.setCurrent({ subsystem: "api", version: "v1.10.0", digest: "sha256:1", commit: commit("1") });
  const published = [tag("v1.9.9", "3"), tag("v1.11.0", "2"), tag("v1.10.0", "1")];
  assert.equal(chooseNewest(store, subsystem({ strategy: "releases" }), published)?.candidate.version, "v1.11.0");
});

test("of a repository's tags only those that may be versions are listed: by pattern, channel, scheme and pin", async () => {
  const names = ["v1.0.0", "v3.0.0", "v2.0.0", "v2.1.0-rc.1", "v2.1.0-beta.1", "server/v9.0.0", "server/v8.0.0", "20240512", "2024-06-01", "nightly"];
  const refs = [...names.map((n) => ({ name: `refs/tags/${n}`, commit: commit("a") })), { name: "refs/heads/main", commit: commit("b") }];
  const upstream = createUpstream({ listRefs: async () => refs } as unknown as Git, tableForge([release("v2.1.0-rc.1", [], { prerelease: true }), release("server/v8.0.0", []), release("v1.0.0", [])]));
  const listed = async (fields: Parameters<typeof subsystem>[0]) => (await upstream.versions(subsystem(fields), AbortSignal.timeout(5_000))).map((c) => c.version);
  assert.deepEqual(await listed({}), ["v3.0.0", "v2.0.0", "v1.0.0"]);
  assert.deepEqual(await listed({ tags: ["server/v{version}"] }), ["server/v9.0.0", "server/v8.0.0"]);
  assert.deepEqual(await listed({ channel: ["rc"], pin: "2.x" }), ["v2.1.0-rc.1", "v2.0.0"]);
  assert.deepEqual(await listed({ versions: "date" }), ["2024-06-01", "20240512"]);
  assert.deepEqual(await listed({ tags: ["nightly"] }), ["nightly"]);
  const releases = { strategy: "releases", release: releaseFeed() } as const;
  assert.deepEqual(await listed({ ...releases, channel: ["rc"] }), ["v1.0.0", "server/v8.0.0", "v2.1.0-rc.1"]);
  assert.deepEqual(await listed({ ...releases, tags: ["server/v{version}"] }), ["server/v8.0.0"]);
  assert.equal((await upstream.named(subsystem({ tags: ["server/v{version}"] }), "8.0.0", AbortSignal.timeout(5_000))).version, "server/v8.0.0");
});

test("an update takes the newest that goes by itself, and one that waits for a person only where nothing below it may go", async () => {
  const store = openStore(":memory:", () => 1);
  after(() => store.close());
  store.versions.setCurrent({ subsystem: "api", version: "v1.2.0", digest: "sha256:1", commit: commit("1") });
  const to = async (...versions: string[]) => {
    const git = { listRefs: async () => versions.map((v, i) => ({ name: `refs/tags/${v}`, commit: commit(String(i + 1)) })) } as unknown as Git;
    const lookup = { store, upstream: createUpstream(git, tableForge([])), feed: createFeed({ forge: tableForge([]), platform: PLATFORM }) };
    const choice = await newestFor(lookup, subsystem(), AbortSignal.timeout(5_000));
    return `${choice?.candidate.version} ${choice?.decision.verdict}`;
  };
  assert.equal(await to("v1.2.0", "v1.2.1", "v2.0.0"), "v1.2.1 run");
  assert.equal(await to("v1.2.0", "v2.0.0"), "v2.0.0 hold");
  assert.equal(await to("v1.2.0", "v1.1.0", "v2.0.0"), "v2.0.0 hold", "an older one is not taken in its place");
});
