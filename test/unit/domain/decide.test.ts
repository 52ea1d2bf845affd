import assert from "node:assert/strict";
import { test } from "node:test";
import type { InstalledVersion } from "../../../src/domain/artifact.ts";
import { type Candidate, decide, isNewer, sameCommit } from "../../../src/domain/decide.ts";
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
