import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { PROCESS_KINDS } from "../support/compatibility-processes.ts";

const root = resolve(import.meta.dirname, "..");

/** The names of all tests, those made from a table as patterns. */
function testNames(): readonly RegExp[] {
  const files = globSync(["contract/supervisor*.test.ts", "unit/adapters/*.test.ts", "unit/config/*.test.ts", "integration/doctor.test.ts"], { cwd: root });
  const calls = files.flatMap((file) => [...readFileSync(join(root, file), "utf8").matchAll(/\b(?:it|test)\((?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g)]);
  return calls.map(([, plain, template]) => new RegExp(`^${(plain ?? template ?? "").split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`));
}

test("every kind of process in the compatibility table names tests that exist", () => {
  const names = testNames();
  assert.ok(names.length > 60, `${names.length} tests found`);
  const missing = PROCESS_KINDS.flatMap((kind) => kind.test.filter((name) => !names.some((known) => known.test(name))));
  assert.deepEqual(missing, []);
  assert.equal(new Set(PROCESS_KINDS.map((k) => k.kind)).size, PROCESS_KINDS.length);
});
