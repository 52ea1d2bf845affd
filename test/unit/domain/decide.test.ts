import assert from "node:assert/strict";
import { test } from "node:test";
import type { InstalledVersion } from "../../../src/domain/artifact.ts";
import { type Candidate, decide, isNewer, isPrerelease, sameCommit } from "../../../src/domain/decide.ts";
import { commit, subsystem } from "../../support/subsystem.ts";

const installed = (version: string, sha = "a"): InstalledVersion => ({ subsystem: "api", version, commit: commit(sha), digest: "sha256:0", state: "current", at: 0 });
const tag = (version: string, sha = "b"): Candidate => ({ version, ref: `refs/tags/${version}`, commit: commit(sha) });
const say = (fields: Partial<Parameters<typeof decide>[0]>) => {
  const d = decide({ subsystem: subsystem(), current: installed("v1.2.3"), quarantined: false, candidate: tag("v1.2.4"), ...fields });
  return d.verdict === "ignore" ? d.reason : `${d.verdict}:${d.rule}`;
};

test("patch and minor go by themselves, major and unparsable wait for a person", () => {
  assert.equal(say({ candidate: tag("v1.2.4") }), "run:patch");
  assert.equal(say({ candidate: tag("v1.3.0") }), "run:minor");
  assert.equal(say({ candidate: tag("v2.0.0") }), "hold:major");
  assert.equal(say({ candidate: tag("spring-edition") }), "hold:unparsable");
  assert.equal(say({ current: installed("unknown") }), "hold:unparsable");
});

test("the first version of a subsystem goes by itself", () => {
  assert.equal(say({ current: undefined }), "run:first-install");
});

test("what is installed already, or older, changes nothing", () => {
  assert.equal(say({ candidate: tag("v1.2.3", "a") }), "already-current");
  assert.equal(say({ candidate: tag("v1.2.9", "a") }), "already-current");
  assert.equal(say({ candidate: tag("v1.2.2") }), "older-than-current");
});

test("a tag that moved to another commit waits for a person", () => {
  assert.equal(say({ candidate: tag("v1.2.3", "c") }), "hold:rewritten");
});

test("quarantine, pin, prerelease and not-managed are reasons of their own", () => {
  assert.equal(say({ quarantined: true }), "quarantined");
  assert.equal(say({ rejected: true, candidate: tag("v2.0.0") }), "rejected");
  assert.equal(say({ subsystem: subsystem({ pin: "v1.2.3" }) }), "pinned");
  assert.equal(say({ subsystem: subsystem({ pin: "v1.2.4" }) }), "run:patch");
  assert.equal(say({ candidate: tag("v1.3.0-rc.1") }), "prerelease");
  assert.equal(say({ subsystem: subsystem({ policy: { prerelease: "allow" } }), candidate: tag("v1.3.0-rc.1") }), "run:minor");
  assert.equal(say({ subsystem: subsystem({ notManaged: "it supervises slipstream" }) }), "not-managed");
});

test("a version a person named goes even when it is older, quarantined or pinned away", () => {
  assert.equal(say({ candidate: { ...tag("v1.0.0"), explicit: true }, quarantined: true, subsystem: subsystem({ pin: "v1.2.3" }) }), "run:asked-for");
  assert.equal(say({ candidate: { ...tag("v1.2.3", "a"), explicit: true } }), "already-current");
});

test("policy may refuse, and may let majors go", () => {
  assert.equal(say({ subsystem: subsystem({ policy: { minor: "refuse" } }), candidate: tag("v1.3.0") }), "policy-refused");
  assert.equal(say({ subsystem: subsystem({ policy: { major: "auto" } }), candidate: tag("v2.0.0") }), "run:major");
});

test("a tracked branch follows its head, but not through rewritten history", () => {
  const s = subsystem({ strategy: "commits" });
  const head = (forced: boolean): Candidate => ({ version: commit("b"), ref: "refs/heads/main", commit: commit("b"), forced });
  assert.equal(say({ subsystem: s, candidate: head(false) }), "run:commit");
  assert.equal(say({ subsystem: s, candidate: head(true) }), "hold:rewritten");
});

test("commits compare by seven or more characters", () => {
  assert.equal(sameCommit("aaaaaaa", commit("a")), true);
  assert.equal(sameCommit("aaaaaa", commit("a")), false);
  assert.equal(sameCommit(commit("b"), commit("a")), false);
});

test("of two waiting versions the newer stays", () => {
  assert.equal(isNewer(subsystem(), { version: "v1.2.10" }, { version: "v1.2.9" }), true);
  assert.equal(isNewer(subsystem(), { version: "v1.2.9" }, { version: "v1.2.10" }), false);
});

test("a tag that no pattern takes in is no version, unless a person names it", () => {
  const s = subsystem({ tags: ["api/v{version}", "!*-broken"] });
  assert.equal(say({ subsystem: s, candidate: tag("v1.2.4") }), "tag-not-tracked");
  assert.equal(say({ subsystem: s, candidate: tag("api/v1.3.0") }), "run:minor");
  assert.equal(say({ subsystem: s, candidate: tag("api/v1.3.0-broken") }), "tag-not-tracked");
  assert.equal(say({ subsystem: s, candidate: { ...tag("v1.2.4"), explicit: true } }), "run:asked-for");
  const asset = { identity: "sha256:1", releaseId: "1", assetId: "1", name: "x", bytes: 1 };
  assert.equal(say({ subsystem: subsystem({ ...s, mode: "release" }), candidate: { version: "v9.0.0", ref: "refs/tags/v9.0.0", artifact: asset } }), "tag-not-tracked");
});

test("what was installed by other hands is current when a release says the same version in the subsystem's own form", () => {
  const candidate = (version: string): Candidate => ({ version, ref: `refs/tags/${version}`, artifact: { identity: "sha256:1", releaseId: "1", assetId: "1", name: "x", bytes: 1 } });
  assert.equal(say({ subsystem: subsystem({ mode: "release", tags: ["rel_{version}"] }), current: installed("1.2.3"), candidate: candidate("rel_1.2.3") }), "already-current");
  assert.equal(say({ subsystem: subsystem({ mode: "release", versions: "date" }), current: installed("2024.05.12"), candidate: candidate("2024-05-12") }), "already-current");
});

test("a pinned series goes on within itself and never back", () => {
  const s = subsystem({ pin: "1.x" });
  assert.equal(say({ subsystem: s, candidate: tag("v1.9.0") }), "run:minor");
  assert.equal(say({ subsystem: s, candidate: tag("v2.0.0") }), "pinned");
  assert.equal(say({ subsystem: s, current: installed("v2.1.0"), candidate: tag("v1.9.0") }), "older-than-current");
  assert.equal(say({ subsystem: subsystem({ pin: "v1.0.0" }), candidate: tag("v1.0.0") }), "older-than-current");
});

test("a followed branch goes to the commit it is pinned to and no further", () => {
  const head: Candidate = { version: commit("b"), ref: "refs/heads/main", commit: commit("b") };
  assert.equal(say({ subsystem: subsystem({ strategy: "commits", pin: "bbbbbbb" }), candidate: head }), "run:commit");
  assert.equal(say({ subsystem: subsystem({ strategy: "commits", pin: "ccccccc" }), candidate: head }), "pinned");
});

test("a channel lets its prereleases count like final versions, and no others", () => {
  const s = subsystem({ channel: ["beta", "rc"] });
  for (const version of ["v1.3.0-beta.3", "v1.3.0-beta3", "v1.3.0-RC1", "v1.3.0-rc.1+5", "v1.3.0rc2"]) assert.equal(say({ subsystem: s, candidate: tag(version) }), "run:minor", version);
  for (const version of ["v1.3.0-alpha.1", "v1.3.0-betamax", "v1.3.0-1.beta", "v1.3.0-0"]) assert.equal(say({ subsystem: s, candidate: tag(version) }), "prerelease", version);
  assert.equal(say({ subsystem: s, candidate: tag("v2.0.0-rc.1") }), "hold:major");
  assert.equal(say({ subsystem: subsystem({ pin: "1.3.0-alpha.1" }), candidate: tag("v1.3.0-alpha.1") }), "run:minor", "a pin on exactly this one");
  assert.equal(say({ subsystem: subsystem({ pin: "1.x" }), candidate: tag("v1.3.0-alpha.1") }), "prerelease");
});

test("what the forge calls a prerelease counts where its tag names a listed channel", () => {
  const s = subsystem({ channel: ["beta", "nightly"] });
  const flagged = (version: string, of = s) => isPrerelease(of, { version, prerelease: true });
  assert.deepEqual(["v1.3.0-beta.1", "nightly", "nightly-20240512"].map((v) => flagged(v)), [false, false, false]);
  assert.deepEqual(["v1.3.0", "v1.3.0-rc.1", "edge"].map((v) => flagged(v)), [true, true, true]);
  assert.deepEqual(["v1.3.0", "v1.3.0-rc.1", "edge"].map((v) => flagged(v, subsystem({ policy: { prerelease: "allow" } }))), [false, false, false]);
});

test("a moving tag at another commit, or with other bytes, is a rewritten version", () => {
  const s = subsystem({ tags: ["nightly"] });
  assert.equal(say({ subsystem: s, current: installed("nightly"), candidate: tag("nightly", "a") }), "already-current");
  assert.equal(say({ subsystem: s, current: installed("nightly"), candidate: tag("nightly") }), "hold:rewritten");
  assert.equal(say({ subsystem: subsystem({ tags: ["nightly"], policy: { rewritten: "auto" } }), current: installed("nightly"), candidate: tag("nightly") }), "run:rewritten");
});

test("every newer date is a minor step, every older one none", () => {
  const s = subsystem({ versions: "date" });
  assert.equal(say({ subsystem: s, current: installed("2024-12-31"), candidate: tag("2025-01-01") }), "run:minor");
  assert.equal(say({ subsystem: s, current: installed("2024.05.12"), candidate: tag("2024.05.12.1") }), "run:minor");
  assert.equal(say({ subsystem: s, current: installed("20240512"), candidate: tag("24.04") }), "older-than-current");
  assert.equal(say({ current: installed("2024.12.31"), candidate: tag("2025.01.01") }), "hold:major");
});

test("a release that is made again for the branch that is followed goes by itself, and any other tag without a number does not", () => {
  const followed = subsystem({ mode: "release", strategy: "commits", branch: "master" });
  const again = (version: string): Candidate => ({ ...tag(version), artifact: { identity: "sha256:2", releaseId: "1", assetId: "2", name: "api.tar.gz", bytes: 1 } });
  const { commit: _, ...current } = { ...installed("master"), tag: "api-master", artifact: "sha256:1" };
  for (const version of ["api-master", "master-api", "master"]) assert.equal(say({ subsystem: followed, current, candidate: again(version) }), "run:commit", version);
  assert.equal(say({ subsystem: followed, current, candidate: again("api-next") }), "hold:unparsable");
  assert.equal(say({ subsystem: followed, current, candidate: { ...again("api-master"), artifact: { ...again("").artifact, identity: "sha256:1" } as never } }), "already-current");
  assert.equal(say({ subsystem: subsystem({ mode: "release", branch: "master" }), current, candidate: again("api-master") }), "hold:rewritten", "who follows tags is asked about one that moved");
});
