import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareVersions, newestFirst, parseVersion, stepBetween, type Version } from "../../../src/domain/version.ts";

const version = (text: string): Version => {
  const v = parseVersion(text);
  assert.ok(v, `${text} is a version`);
  return v;
};

test("tags order as semver 2.0.0 §11 says", () => {
  const ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "v1.0.1", "1.2", "v2", "v2.0.0.1", "v10.0.0"];
  for (const [i, a] of ordered.entries()) for (const [j, b] of ordered.entries()) assert.equal(Math.sign(compareVersions(version(a), version(b))), Math.sign(i - j), `${a} against ${b}`);
});

test("the order of any versions is total and antisymmetric", () => {
  const any = fc.record({ numbers: fc.array(fc.nat(99), { minLength: 1, maxLength: 4 }), prerelease: fc.array(fc.oneof(fc.nat(20).map(String), fc.constantFrom("alpha", "beta", "rc")), { maxLength: 3 }) });
  fc.assert(
    fc.property(any, any, any, (a, b, c) => {
      assert.equal(Math.sign(compareVersions(a, b)), -Math.sign(compareVersions(b, a)) + 0);
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) assert.ok(compareVersions(a, c) <= 0);
    }),
  );
});

test("what is no version is not taken for one", () => {
  for (const text of ["", "latest", "v", "1..2", "v1.2.3.4.5", "1.2.3-", "-1.2", "v1.2.3 ", "1e3", "main", "v1.2.3/../x", "99999999999.0.0"]) assert.equal(parseVersion(text), null, text);
});

test("a subsystem's own tag styles are understood", () => {
  assert.deepEqual(parseVersion("nats-v2.1.0", "nats"), parseVersion("v2.1.0"));
  assert.deepEqual(parseVersion("v2.1.0-nats", "nats"), parseVersion("v2.1.0"));
  assert.equal(parseVersion("arc-v2.1.0", "nats"), null);
});

test("the size of a step decides who may take it", () => {
  const step = (a: string | undefined, b: string) => stepBetween(a, b, "nats");
  assert.equal(step(undefined, "v1.0.0"), "first");
  assert.equal(step("v1.2.3", "v1.2.4"), "patch");
  assert.equal(step("v1.2.3", "v1.3.0"), "minor");
  assert.equal(step("v1.2.3", "v2.0.0"), "major");
  assert.equal(step("v1.2.3", "v1.2.2"), "older");
  assert.equal(step("v1.2.3", "1.2.3"), "same");
  assert.equal(step("v1.2.3", "nightly"), "unparsable");
  assert.equal(step("unknown", "v1.2.3"), "unparsable");
  assert.equal(step("v1.2.3-rc.1", "v1.2.3"), "patch");
});

test("the newest tag ignores prereleases unless they are wanted", () => {
  const tags = ["v1.0.0", "v1.10.0", "v1.9.0", "v2.0.0-rc.1", "nightly"];
  assert.equal(newestFirst(tags, "x", false)[0], "v1.10.0");
  assert.equal(newestFirst(tags, "x", true)[0], "v2.0.0-rc.1");
  assert.equal(newestFirst(["nightly"], "x", true)[0], undefined);
});
