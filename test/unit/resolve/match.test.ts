import assert from "node:assert/strict";
import { test } from "node:test";
import { newestOffer } from "../../../src/resolve/coalesce.ts";
import { match, type RefOffer, type UpstreamChange } from "../../../src/resolve/match.ts";
import { commit, subsystem } from "../../support/subsystem.ts";

const api = subsystem();
const web = subsystem({ name: "web", repositories: ["acme/web", "ours/web-fork"] });
const edge = subsystem({ name: "edge", strategy: "commits", branch: "main", repositories: ["acme/edge"] });
const feed = subsystem({ name: "feed", strategy: "releases", repositories: ["acme/feed"] });
const all = [api, web, edge, feed];
const tagged = (repository: string, tag: string): UpstreamChange => ({ kind: "tag", repository, tag, commit: commit("b") });
const pushed = (repository: string, branch: string): UpstreamChange => ({ kind: "branch", repository, branch, commit: commit("b"), forced: false });
const released = (repository: string, draft = false): UpstreamChange => ({ kind: "release", repository, tag: "v1.1.0", releaseId: "1", action: "published", draft, prerelease: false });
const brief = (change: UpstreamChange, subsystems = all) => match(change, subsystems).map((m) => `${m.subsystem.name}:${"reason" in m ? m.reason : m.offer.kind}`);

test("only the subsystem whose repository it is, or a configured fork of it, is concerned", () => {
  assert.deepEqual(brief(tagged("acme/api", "v1.1.0")), ["api:tag"]);
  assert.deepEqual(brief(tagged("ours/web-fork", "v1.1.0")), ["web:tag"]);
  assert.deepEqual(brief(tagged("evil/api", "v1.1.0")), []);
});

test("each strategy listens to its own kind of change", () => {
  assert.deepEqual(brief(pushed("acme/api", "main")), ["api:strategy-differs"]);
  assert.deepEqual(brief(pushed("acme/edge", "main")), ["edge:branch"]);
  assert.deepEqual(brief(pushed("acme/edge", "dev")), ["edge:branch-not-tracked"]);
  assert.deepEqual(brief(tagged("acme/edge", "v1.1.0")), ["edge:strategy-differs"]);
  assert.deepEqual(brief(tagged("acme/feed", "v1.1.0")), ["feed:strategy-differs"]);
  assert.deepEqual(brief(released("acme/feed")), ["feed:tag"]);
  assert.deepEqual(brief(released("acme/api")), ["api:tag"]);
  assert.deepEqual(brief(released("acme/feed", true)), ["feed:draft"]);
});

test("a release its author calls a prerelease is one, whatever its tag looks like", () => {
  assert.deepEqual(brief({ ...released("acme/api"), prerelease: true } as UpstreamChange), ["api:prerelease"]);
  assert.deepEqual(brief({ ...released("acme/api"), prerelease: true } as UpstreamChange, [subsystem({ policy: { prerelease: "allow" } })]), ["api:tag"]);
});

test("a shared repository's tag that names one subsystem concerns only that one", () => {
  const mono = ["api", "api-gateway", "web"].map((name) => subsystem({ name, repositories: ["acme/mono"] }));
  assert.deepEqual(brief(tagged("acme/mono", "api-gateway-v1.0.0"), mono), ["api:other-subsystem", "api-gateway:tag", "web:other-subsystem"]);
  assert.deepEqual(brief(tagged("acme/mono", "v1.0.0-web"), mono), ["api:other-subsystem", "api-gateway:other-subsystem", "web:tag"]);
  assert.deepEqual(brief(tagged("acme/mono", "v1.0.0"), mono), ["api:tag", "api-gateway:tag", "web:tag"]);
});

test("in a shared repository a tag is for the subsystem whose pattern fits it most closely", () => {
  const mono = [subsystem({ name: "app", tags: ["v{version}"] }), subsystem({ name: "srv", tags: ["server/v{version}"] }), subsystem({ name: "web" }), subsystem({ name: "cli", mode: "release", tags: ["tools/cli/v{version}"] })].map((s) => ({ ...s, repositories: ["acme/mono"] }));
  const tags = (tag: string) => brief(tagged("acme/mono", tag), mono).slice(0, 3);
  assert.deepEqual(tags("server/v1.0.0"), ["app:other-subsystem", "srv:tag", "web:other-subsystem"]);
  assert.deepEqual(tags("v1.0.0"), ["app:tag", "srv:other-subsystem", "web:other-subsystem"]);
  assert.deepEqual(tags("v1.0.0-web"), ["app:other-subsystem", "srv:other-subsystem", "web:tag"]);
  assert.deepEqual(tags("nightly"), ["app:tag-not-tracked", "srv:tag-not-tracked", "web:tag"]);
  assert.deepEqual(brief({ ...released("acme/mono"), tag: "tools/cli/v1.0.0" } as UpstreamChange, mono)[3], "cli:release");
  const twins = ["a", "b"].map((name) => subsystem({ name, tags: ["v{version}"] }));
  assert.deepEqual(brief(tagged("acme/api", "v1.0.0"), twins), ["a:tag", "b:tag"]);
});

test("a delivery about a tag that no pattern takes in says so, in both modes", () => {
  const source = subsystem({ tags: ["v*", "!*-nightly"] });
  const shipped = subsystem({ tags: ["v2.*"], mode: "release" });
  assert.deepEqual([brief(tagged("acme/api", "next"), [source]), brief(tagged("acme/api", "v1-nightly"), [source]), brief(tagged("acme/api", "v1"), [source])], [["api:tag-not-tracked"], ["api:tag-not-tracked"], ["api:tag"]]);
  assert.deepEqual(brief(released("acme/api"), [shipped]), ["api:tag-not-tracked"]);
});

test("a prerelease of a listed channel is offered, whatever its author calls it", () => {
  const beta = [subsystem({ channel: ["beta"] })];
  const early = (tag: string) => brief({ ...released("acme/api"), tag, prerelease: true } as UpstreamChange, beta);
  assert.deepEqual([early("v1.1.0-beta.1"), early("v1.1.0-rc.1"), early("v1.1.0")], [["api:tag"], ["api:prerelease"], ["api:prerelease"]]);
});

test("what slipstream does not manage is said so", () => {
  assert.deepEqual(brief(tagged("acme/api", "v1.1.0"), [subsystem({ notManaged: "it supervises slipstream" })]), ["api:not-managed"]);
});

test("of a burst the newest tag stands for all, whatever the order of arrival", () => {
  const offer = (tag: string): RefOffer => ({ kind: "tag", tag });
  const newest = (...tags: string[]) => tags[newestOffer(api, tags.map(offer))];
  assert.equal(newest("v1.1.0", "v1.10.0", "v1.2.0"), "v1.10.0");
  assert.equal(newest("v1.10.0", "v1.2.0", "nightly"), "v1.10.0");
  assert.equal(newest("v1.1.0", "v2.0.0-rc.1"), "v1.1.0");
  assert.equal(newest("v1.1.0"), "v1.1.0");
});

test("a prerelease of a listed channel and a date stand for a burst when they are the newest", () => {
  const newest = (s: typeof api, ...tags: string[]) => tags[newestOffer(s, tags.map((tag): RefOffer => ({ kind: "tag", tag })))];
  assert.equal(newest(subsystem({ channel: ["rc"] }), "v2.0.0-rc.1", "v1.1.0", "v3.0.0-alpha"), "v2.0.0-rc.1");
  assert.equal(newest(subsystem({ versions: "date" }), "2024-06-01", "20240512", "nightly"), "2024-06-01");
});
