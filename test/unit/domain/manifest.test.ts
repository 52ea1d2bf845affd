import assert from "node:assert/strict";
import { test } from "node:test";
import type { InstalledVersion } from "../../../src/domain/artifact.ts";
import { type ManifestEntry, manifestEntry, parseManifest, recordedIn } from "../../../src/domain/manifest.ts";
import { commit, releaseFeed, subsystem } from "../../support/subsystem.ts";

const time = (ms: number) => `t${ms}`;
const nats = subsystem({ name: "nats", upstream: "https://github.com/acme/nats" });
const arc = subsystem({ name: "arc", upstream: "https://github.com/acme/arc", strategy: "commits" });
const installed = (fields: Partial<InstalledVersion>): InstalledVersion => ({ subsystem: "nats", version: "v2.10.24", digest: "sha256:x", state: "current", at: 7, ...fields });

test("with tags an entry has commits in short form, both tags, and whether there is an update", () => {
  const entry = manifestEntry(nats, installed({ commit: commit("1") }), { now: { version: "v2.10.25", commit: commit("2"), updateAvailable: true } }, time);
  assert.deepEqual(entry, { name: "nats", upstream_repo: "https://github.com/acme/nats", current_commit: "1111111", current_tag: "v2.10.24", latest_commit: "2222222", latest_tag: "v2.10.25", update_available: true, last_updated: "t7" });
});

test("a tracked branch has no tags in its entry", () => {
  const entry = manifestEntry(arc, installed({ version: commit("3"), commit: commit("3") }), { now: { version: commit("3"), commit: commit("3"), updateAvailable: false } }, time);
  assert.deepEqual(entry, { name: "arc", upstream_repo: "https://github.com/acme/arc", current_commit: "3333333", latest_commit: "3333333", update_available: false, last_updated: "t7" });
});

test("after an update the entry follows without a new look", () => {
  const before: ManifestEntry = manifestEntry(nats, installed({ commit: commit("1") }), { now: { version: "v2.10.25", commit: commit("2"), updateAvailable: true } }, time);
  const after = manifestEntry(nats, installed({ version: "v2.10.25", commit: commit("2"), at: 9 }), { before }, time);
  assert.deepEqual([after.current_tag, after.latest_tag, after.update_available, after.last_updated], ["v2.10.25", "v2.10.25", false, "t9"]);
  assert.equal(manifestEntry(nats, installed({ commit: commit("1") }), { before }, time).update_available, true, "a run that failed leaves it available");
});

test("a release's tag counts, whatever its stamp calls it, and its commit is known once it is installed", () => {
  const s = subsystem({ name: "nats", mode: "release", release: releaseFeed() });
  const now = { version: "v7", updateAvailable: true };
  const waiting = manifestEntry(s, installed({ version: "2.1.0", tag: "v6" }), { now }, time);
  assert.deepEqual([waiting.current_tag, waiting.latest_tag, waiting.current_commit, waiting.latest_commit], ["v6", "v7", null, null]);
  const done = manifestEntry(s, installed({ version: "2.2.0", tag: "v7", commit: "abcdef1" }), { before: waiting }, time);
  assert.deepEqual([done.current_tag, done.current_commit, done.latest_commit, done.update_available], ["v7", "abcdef1", "abcdef1", false]);
});

test("nothing installed and nothing looked up is told as unknown", () => {
  assert.deepEqual(manifestEntry(nats, undefined, {}, time), { name: "nats", upstream_repo: "https://github.com/acme/nats", current_commit: null, latest_commit: null, update_available: false, last_updated: null });
});

test("a file that is no manifest counts as none", () => {
  for (const text of ["", "{", "[]", "null", '"x"', '{"subsystems":3}']) assert.equal(parseManifest(text), undefined, text);
  assert.deepEqual(parseManifest('{"last_check":"t","subsystems":{}}'), { last_check: "t", subsystems: {} });
});

const ms = (text: string) => (/^t\d+$/.test(text) ? Number(text.slice(1)) : undefined);

test("what an entry says was installed comes back whole: written again it is the same entry", () => {
  for (const [s, version] of [[nats, "v2.10.24"], [arc, commit("1").slice(0, 7)]] as const) {
    const entry = manifestEntry(s, installed({ subsystem: s.name, version, commit: commit("1") }), { now: { version: s === nats ? "v2.10.25" : commit("2"), commit: commit("2"), updateAvailable: true } }, time);
    const recorded = recordedIn(s, entry, ms);
    assert.deepEqual([recorded?.version, recorded?.commit, recorded?.at], [version, commit("1").slice(0, 7), 7]);
    assert.deepEqual(manifestEntry(s, recorded, { before: entry }, time), entry);
  }
});

test("an entry about another upstream, or that says nothing of use, stands for nothing installed", () => {
  const good = manifestEntry(nats, installed({ commit: commit("1") }), {}, time);
  assert.notEqual(recordedIn(nats, good, ms), undefined);
  for (const entry of [undefined, null, "x", {}, { ...good, upstream_repo: "https://github.com/acme/other" }, { ...good, current_tag: "--upload-pack=x" }, { ...good, current_tag: 7 }, { ...good, current_tag: undefined }]) assert.equal(recordedIn(nats, entry, ms), undefined);
  assert.equal(recordedIn(arc, { ...good, upstream_repo: arc.upstream, current_commit: null }, ms), undefined, "a tag is no commit");
  assert.equal(manifestEntry(nats, recordedIn(nats, { ...good, last_updated: "yesterday" }, ms), {}, time).last_updated, null);
});
