import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../../../src/domain/run.ts";
import type { StageScope } from "../../../src/run/deps.ts";
import { planFor } from "../../../src/run/plan.ts";
import { assertReloadable } from "../../../src/run/reloadable.ts";
import { notesOf, toBlame, touched } from "../../../src/run/reload-notes.ts";
import { subsystem } from "../../support/subsystem.ts";

const stages = (...given: Parameters<typeof planFor>) => planFor(...given).map((s) => s.name).join(" ");
const never = new AbortController().signal;

test("a run goes through the stages of its kind and mode, and one that leaves its process alone ends after the swap", () => {
  const s = subsystem();
  assert.equal(stages("update", s), "update-source build verify swap reload health");
  assert.equal(stages("update", s, { noReload: false }), "update-source build verify swap reload health");
  assert.equal(stages("update", s, { noReload: true }), "update-source build verify swap");
  assert.equal(stages("update", subsystem({ mode: "release" }), { noReload: true }), "download verify swap");
  assert.equal(stages("update", subsystem({ test: { task: "t" }, process: null })), "update-source build test verify swap");
  assert.equal(stages("rollback", s, { noReload: true }), "restore swap");
  assert.equal(stages("reload", s), "reload health");
});

test("a run that leaves its process alone needs no Process Compose", async () => {
  const scope = (run: Partial<Run>) => ({ run, subsystem: subsystem({ dir: import.meta.dirname, binary: "../plan.test.ts" }), deps: { supervisor: null }, line: () => undefined }) as unknown as StageScope;
  await assertReloadable(scope({ noReload: true }), never);
  await assert.rejects(assertReloadable(scope({}), never), { code: "supervisor-unreachable" });
});

test("the note of an older row is read as a list of one, and the process to blame is the last that was not seen healthy", () => {
  const note = (process: string, healthy?: string, path: "stop-start" | "none" = "stop-start") => ({ plan: { process, path }, at: 1, ...(healthy === undefined ? {} : { healthy }) });
  assert.deepEqual(notesOf({}), []);
  assert.deepEqual(notesOf({ reload: note("api") }), [note("api")]);
  const reload = [note("api-0", "sha256:a"), note("api-1"), note("api-2", undefined, "none")];
  assert.deepEqual(touched({ reload }).map((n) => n.plan.process), ["api-0", "api-1"]);
  assert.equal(toBlame({ reload })?.plan.process, "api-1");
  assert.equal(toBlame({ reload: note("api", "sha256:a") })?.plan.process, "api");
  assert.equal(toBlame({}), undefined);
});
