import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import type { Artifact } from "../../../src/domain/release.ts";
import { MIGRATION_0001 } from "../../../src/store/migrations/0001.ts";
import { openStore } from "../../../src/store/store.ts";

const dir = mkdtempSync(join(tmpdir(), "store-release-"));
after(() => rmSync(dir, { recursive: true, force: true }));

const artifact: Artifact = { identity: "sha256:a", releaseId: "9007199254740993", assetId: "5", name: "api-linux-amd64.tar.gz", bytes: 10, digest: `sha256:${"a".repeat(64)}` };
const held = { kind: "update", subsystem: "api", status: "held", trigger: "delivery", toVersion: "v2.0.0" } as const;

test("a workspace of the version before keeps its runs and versions", () => {
  const path = join(dir, "old.db");
  const old = new DatabaseSync(path);
  old.exec(MIGRATION_0001);
  old.exec("PRAGMA user_version=1; PRAGMA journal_mode=WAL");
  old.exec(`INSERT INTO runs (id, kind, subsystem, status, hold_reason, rule, hold_until, "trigger", to_version, commit_sha, created_at) VALUES ('r1','update','api','held','approval','major',9,'delivery','v2.0.0','${"b".repeat(40)}',1)`);
  old.exec("INSERT INTO versions (subsystem, version, digest, state, at) VALUES ('api','v1.0.0','sha256:x','current',1)");
  old.close();
  const store = openStore(path, () => 5);
  after(() => store.close());
  assert.deepEqual([store.runs.held("api", "approval")?.id, store.runs.held("api", "approval")?.artifact], ["r1", undefined]);
  assert.equal(store.versions.current("api")?.version, "v1.0.0");
  const more = store.runs.create({ ...held, holdReason: "assets", lookAt: 7, holdUntil: 9 });
  assert.deepEqual([store.runs.held("api", "assets")?.id, store.runs.nextLook("assets")], [more.id, 7]);
});

test("one run of a subsystem may wait for a person while another waits for its assets, and no two for the same", () => {
  const store = openStore(join(dir, "holds.db"), () => 5);
  after(() => store.close());
  store.runs.create({ ...held, holdReason: "approval", holdUntil: 9 });
  store.runs.create({ ...held, toVersion: "v2.1.0", holdReason: "assets", holdUntil: 9 });
  assert.throws(() => store.runs.create({ ...held, toVersion: "v2.2.0", holdReason: "assets", holdUntil: 9 }), /UNIQUE/);
});

test("a run that waited goes on with what was found, or waits on for a person", () => {
  const store = openStore(join(dir, "complete.db"), () => 5);
  after(() => store.close());
  const first = store.runs.create({ ...held, holdReason: "assets", holdUntil: 9, lookAt: 6 });
  const queued = store.runs.complete(first.id, { artifact, rule: "minor" });
  assert.deepEqual([queued.status, queued.rule, queued.artifact], ["queued", "minor", artifact]);
  const second = store.runs.create({ ...held, subsystem: "web", holdReason: "assets", holdUntil: 9, lookAt: 6 });
  const waits = store.runs.complete(second.id, { artifact, rule: "major", hold: { reason: "approval", until: 99 } });
  assert.deepEqual([waits.status, waits.holdReason, waits.holdUntil, waits.lookAt], ["held", "approval", 99, undefined]);
});

test("a running run may be put off until the forge lets it go on", () => {
  const store = openStore(join(dir, "limit.db"), () => 5);
  after(() => store.close());
  const run = store.runs.create({ ...held, status: "queued" });
  store.runs.move(run.id, "running");
  assert.equal(store.runs.hold(run.id, { reason: "rate-limit", until: 99, lookAt: 50 }).status, "held");
  assert.deepEqual(store.runs.dueLooks("rate-limit", 49), []);
  assert.deepEqual(store.runs.dueLooks("rate-limit", 50).map((r) => r.id), [run.id]);
});

test("a version keeps which release and which artifact it is, through a rollback and back", () => {
  const store = openStore(join(dir, "versions.db"), () => 5);
  after(() => store.close());
  store.versions.setCurrent({ subsystem: "api", version: "1.0.0", digest: "sha256:1", tag: "v1", artifact: "sha256:a1" });
  store.versions.setCurrent({ subsystem: "api", version: "1.1.0", digest: "sha256:2", tag: "v2", artifact: "sha256:a2" });
  store.versions.setCurrent({ subsystem: "api", version: "1.0.0", digest: "sha256:1" });
  assert.deepEqual([store.versions.current("api")?.tag, store.versions.current("api")?.artifact], ["v1", "sha256:a1"]);
  store.versions.quarantine({ subsystem: "api", version: "1.1.0", digest: "sha256:2", reason: "unhealthy" });
  assert.equal(store.versions.isQuarantined("api", { version: "v2", artifact: { identity: "sha256:a2" } }), true);
  assert.equal(store.versions.isQuarantined("api", { version: "v2", artifact: { identity: "sha256:other" } }), false, "other bytes under the same tag");
  store.versions.release("api", "v2");
  assert.equal(store.versions.isQuarantined("api", { version: "v2", artifact: { identity: "sha256:a2" } }), false);
});

test("what was installed by other hands learns its origin without counting as changed", () => {
  let now = 5;
  const store = openStore(join(dir, "origin.db"), () => now);
  after(() => store.close());
  store.versions.setCurrent({ subsystem: "api", version: "v1.0.0", digest: "sha256:1" });
  now = 50;
  store.versions.noteOrigin("api", { tag: "v1.0.1", artifact: "sha256:a1" });
  const current = store.versions.current("api");
  assert.deepEqual([current?.version, current?.tag, current?.artifact, current?.at], ["v1.0.0", "v1.0.1", "sha256:a1", 5]);
});
