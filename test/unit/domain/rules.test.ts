import assert from "node:assert/strict";
import { test } from "node:test";
import { formatStamp, parseStamp } from "../../../src/domain/artifact.ts";
import { isSafeRef, isZeroCommit } from "../../../src/domain/change.ts";
import { canMove, isTerminal, RUN_TRANSITIONS, type RunStatus } from "../../../src/domain/run.ts";
import { isSubsystemName } from "../../../src/domain/subsystem.ts";

test("a terminal status never reopens", () => {
  for (const status of ["succeeded", "failed", "stale", "skipped", "cancelled", "rolled_back"] as const) {
    assert.equal(isTerminal(status), true);
    for (const to of Object.keys(RUN_TRANSITIONS) as RunStatus[]) assert.equal(canMove(status, to), false, `${status} to ${to}`);
  }
});

test("a held run never starts without being queued again", () => {
  assert.equal(canMove("held", "running"), false);
  assert.equal(canMove("held", "queued"), true);
});

test("the three dialects of .version are read, and ours is read back", () => {
  assert.deepEqual(parseStamp("commit: 1d6f7ea\ntimestamp: 2025-12-21T08:35:43Z\nchecksum: abc\n"), { commit: "1d6f7ea", timestamp: "2025-12-21T08:35:43Z", checksum: "abc" });
  assert.deepEqual(parseStamp("v2.10.24\n"), { version: "v2.10.24" });
  assert.deepEqual(parseStamp("latest\n"), {}, "what was asked for is no version");
  assert.deepEqual(parseStamp("version: v1.5.0\ntimestamp: 2025-12-21T08:35:43Z\nchecksum: abc\n"), { version: "v1.5.0", timestamp: "2025-12-21T08:35:43Z", checksum: "abc" });
  assert.deepEqual(parseStamp(""), {});
  const ours = { commit: "1d6f7eabcdef", timestamp: "2026-01-01T00:00:00Z", checksum: "ff", version: "v2" };
  assert.deepEqual(parseStamp(formatStamp(ours)), { ...ours, commit: "1d6f7ea" });
});

test("a ref that could be an option, a refspec or a path is not handed to git", () => {
  for (const good of ["v1.2.3", "release/2026-01", "nats-v2.10.25", "v1.0.0+build.5", "feature_x"]) assert.equal(isSafeRef(good), true, good);
  for (const bad of ["-x", "--upload-pack=x", "a..b", "a:b", "a b", "a~1", "a^", "a//b", "/a", "a/", "a.lock", "a@{1}", "", "a\nb", "x".repeat(256), "a*", "a?", "a[", "a\\b"]) assert.equal(isSafeRef(bad), false, JSON.stringify(bad));
});

test("names from outside cannot reach a shell, a path or an option", () => {
  for (const good of ["nats", "arc", "a-b-2", "9p"]) assert.equal(isSubsystemName(good), true, good);
  for (const bad of ["", "-a", "A", "a b", "a/b", "..", "a;b", "$(x)", "a\n", "x".repeat(65), "__proto__"]) assert.equal(isSubsystemName(bad), false, JSON.stringify(bad));
});

test("git's null id is known in both lengths", () => {
  assert.equal(isZeroCommit("0".repeat(40)), true);
  assert.equal(isZeroCommit("0".repeat(64)), true);
  assert.equal(isZeroCommit(`${"0".repeat(39)}1`), false);
});
