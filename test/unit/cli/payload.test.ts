import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hookFor } from "../../../src/cli/hook.ts";
import { type Found, simulated, usualEvent } from "../../../src/cli/payload.ts";
import type { Change } from "../../../src/domain/change.ts";
import { ConfigError, UsageError } from "../../../src/domain/errors.ts";
import type { ReleaseFeed, Subsystem } from "../../../src/domain/subsystem.ts";
import { createGiteaReceiver } from "../../../src/ingest/receivers/gitea.ts";
import { createGithubReceiver } from "../../../src/ingest/receivers/github.ts";
import { Secret } from "../../../src/kit/secret.ts";
import { signHmacSha256, verifyHmacSha256 } from "../../../src/kit/verify.ts";
import { commit, subsystem } from "../../support/subsystem.ts";

const receiver = createGithubReceiver({ secrets: [new Secret("test", "0123456789abcdef")] });
const feed: ReleaseFeed = { api: "https://api.github.com", repository: "acme/dist", assetHosts: [], trust: "digest", assetWaitMs: 1, maxBytes: 1, maxUnpackedBytes: 1 };
const found = (fields: Partial<Found> = {}): Found => ({ subsystem: "api", from: "v1.0.0", to: "v1.1.0", commit: commit("a"), asset: null, verdict: "update", stages: [], restarts: "api", ...fields });
const at = { now: Date.UTC(2026, 5, 1), id: "one" };

/** What the receiver makes of a simulated delivery. */
function received(s: Subsystem, f: Found, event = usualEvent(s)): Change {
  const sent = simulated(s, f, event, at);
  const extracted = receiver.extract(sent.event, JSON.parse(JSON.stringify(sent.body)));
  assert.ok(extracted.ok, JSON.stringify(extracted));
  return extracted.change;
}

describe("a simulated delivery is understood as GitHub's own would be", () => {
  const when = { at: "2026-06-01T00:00:00.000Z" };
  for (const [what, s, f, change] of [
    ["a new tag", subsystem(), found(), { kind: "tag", repository: "acme/api", tag: "v1.1.0", commit: commit("a"), ...when }],
    ["a new commit", subsystem({ strategy: "commits", branch: "dev" }), found({ from: commit("b"), to: commit("a") }), { kind: "branch", repository: "acme/api", branch: "dev", commit: commit("a"), forced: false, ...when }],
    ["a release in source mode", subsystem({ strategy: "releases" }), found(), { kind: "release", repository: "acme/api", tag: "v1.1.0", releaseId: "0", action: "published", draft: false, prerelease: false }],
    ["a release in release mode", subsystem({ mode: "release", release: feed, repositories: ["acme/api", "acme/dist"] }), found({ commit: null, releaseId: "9007199254740993" }), { kind: "release", repository: "acme/dist", tag: "v1.1.0", releaseId: "9007199254740993", action: "published", draft: false, prerelease: false }],
    ["a prerelease", subsystem({ mode: "release", release: feed }), found({ commit: null, releaseId: "7", prerelease: true }), { kind: "release", repository: "acme/dist", tag: "v1.1.0", releaseId: "7", action: "published", draft: false, prerelease: true }],
  ] as const satisfies readonly (readonly [string, Subsystem, Found, Change])[]) {
    test(what, () => {
      assert.deepEqual(received(s, f), change);
    });
  }

  test("the event asked for outranks the usual one", () => {
    assert.equal(received(subsystem(), found(), "release").kind, "release");
    assert.equal(received(subsystem({ strategy: "releases" }), found(), "push").kind, "tag");
  });

  test("a branch of which nothing is installed yet counts as new, and no commit is invented", () => {
    const { body } = simulated(subsystem({ strategy: "commits" }), found({ from: null, to: commit("a") }), "push", at) as { body: { before: string; created: boolean; commits: unknown[] } };
    assert.deepEqual([body.before, body.created, body.commits], ["0".repeat(40), true, []]);
  });

  test("no two have the same bytes, even within a millisecond", () => {
    const bytes = (id: string) => JSON.stringify(simulated(subsystem(), found(), "push", { ...at, id }).body);
    assert.notEqual(bytes("one"), bytes("two"));
  });

  for (const [what, s, f, event, says] of [
    ["a release of a subsystem that follows commits", subsystem({ strategy: "commits" }), found(), "release", /follows the commits of main; expected --event push/],
    ["a push without a commit", subsystem({ mode: "release", release: feed }), found({ commit: null }), "push", /commit of v1\.1\.0 is not known/],
    ["a subsystem without a repository name", subsystem({ repositories: [] }), found(), "push", /no repository that a webhook could name/],
  ] as const) {
    test(`${what} is refused`, () => {
      assert.throws(() => simulated(s, f, event, at), (error) => error instanceof UsageError && says.test(error.message));
    });
  }
});

describe("a simulated delivery about a subsystem on Gitea or Forgejo", () => {
  const secrets = { hub: new Secret("github", "the secret of GitHub"), tea: new Secret("gitea", "the secret of Gitea"), work: new Secret("work", "the secret of work") };
  const receivers = [
    { name: "github", forge: "github", path: "/webhook", secrets: [secrets.hub], repositories: [] },
    { name: "work", forge: "gitea", path: "/hooks/work", secrets: [secrets.work], repositories: ["work/*"] },
    { name: "gitea", forge: "gitea", path: "/hooks/tea", secrets: [secrets.tea], repositories: [] },
  ] as const;
  const gitea = createGiteaReceiver({ secrets: [secrets.tea] });
  const feedThere: ReleaseFeed = { ...feed, api: "https://gitea.example/api/v1" };

  for (const [what, s, f, change] of [
    ["a new tag", subsystem({ forge: "gitea" }), found(), { kind: "tag", repository: "acme/api", tag: "v1.1.0" }],
    ["a new commit", subsystem({ forge: "gitea", strategy: "commits" }), found({ from: commit("b"), to: commit("a") }), { kind: "branch", repository: "acme/api", branch: "main", commit: commit("a"), forced: false }],
    ["a release", subsystem({ forge: "gitea", mode: "release", release: feedThere }), found({ commit: null, releaseId: "42" }), { kind: "release", repository: "acme/dist", tag: "v1.1.0", releaseId: "42", action: "published", draft: false, prerelease: false }],
  ] as const satisfies readonly (readonly [string, Subsystem, Found, Change])[]) {
    test(`${what}: in their shape, signed with the secret of their receiver, and taken by it alone`, () => {
      const sent = simulated(s, f, usualEvent(s), at);
      const hook = hookFor(receivers, sent, "simulate-1");
      assert.equal(hook.path, "/hooks/tea");
      assert.deepEqual(gitea.verify(hook.body, hook.headers), { ok: true, key: "gitea" });
      assert.deepEqual(gitea.claims(hook.headers), { event: sent.event, id: "simulate-1" });
      assert.deepEqual(gitea.extract(sent.event, JSON.parse(hook.body.toString())), { ok: true, change });
      assert.equal(receiver.extract(sent.event, JSON.parse(hook.body.toString())).ok, false);
      assert.equal(gitea.extract(sent.event, JSON.parse(JSON.stringify(simulated({ ...s, forge: "github" }, f, usualEvent(s), at).body))).ok, false);
    });
  }

  test("goes to the receiver that may speak about the repository, and where there is none nothing is sent", () => {
    const sent = (repository: string, forge?: "gitea") => ({ event: "push", body: {}, repository, ...(forge === undefined ? {} : { forge }) });
    assert.deepEqual([hookFor(receivers, sent("work/api", "gitea"), "1").path, hookFor(receivers, sent("work/api"), "1").path], ["/hooks/work", "/webhook"]);
    assert.throws(() => hookFor(receivers.slice(0, 2), sent("acme/api", "gitea"), "1"), ConfigError);
  });

  test("speaks of the first of the repository's names that its receiver may speak about, and says what is missing where there is none", () => {
    const s = subsystem({ forge: "gitea", upstream: "/ws/.upstream/hello", repositories: [".upstream/hello", "work/hello"] });
    const hook = hookFor(receivers.slice(0, 2), simulated(s, found(), "push", at), "1");
    assert.deepEqual([hook.path, hook.repository, JSON.parse(hook.body.toString()).repository.full_name], ["/hooks/work", "work/hello", "work/hello"]);
    const elsewhere = simulated({ ...s, repositories: [".upstream/hello"] }, found(), "push", at);
    assert.throws(() => hookFor(receivers.slice(0, 2), elsewhere, "1"), /receiver work may not speak about \.upstream\/hello \(receivers\.work\.repositories: work\/\*\), expected one that may; add it there, or to repositories of the subsystem/);
    assert.throws(() => hookFor(receivers.slice(0, 1), elsewhere, "1"), /receiver for \.upstream\/hello on gitea is missing/);
  });

  test("is about the upstream that has the version, where there are several", () => {
    const others = [{ upstream: "https://gitea.example/ours/api", branch: "trunk", repositories: ["ours/api"], forge: "gitea" as const }];
    const s = subsystem({ forge: "github", others });
    assert.deepEqual([simulated(s, found(), "push", at)].map((d) => [d.forge, d.repository]), [["github", "acme/api"]]);
    assert.deepEqual([simulated(s, found({ upstream: "https://gitea.example/ours/api" }), "push", at)].map((d) => [d.forge, d.repository]), [["gitea", "ours/api"]]);
  });
});

describe("our signature", () => {
  const key = new Secret("test", "It's a Secret to Everybody");
  const raw = Buffer.from("Hello, World!");
  test("is the one of GitHub's own example, and verifies", () => {
    // Example of GitHub docs, "Validating webhook deliveries".
    assert.equal(signHmacSha256(raw, key), "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    assert.deepEqual(verifyHmacSha256(raw, signHmacSha256(raw, key), [key]), { ok: true, key: "test" });
  });
});
