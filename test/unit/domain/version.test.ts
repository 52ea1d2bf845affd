import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareVersions, parseVersion, stepBetween, type Version } from "../../../src/domain/version.ts";

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


test("a fourth number and leading zeros are read, and count", () => {
  const step = (a: string, b: string) => stepBetween(a, b, "nats");
  assert.equal(step("1.2.3.4", "1.2.3.5"), "patch");
  assert.equal(step("1.2.3", "v1.2.3.1"), "patch");
  assert.equal(step("1.2.3.9", "1.2.4.0"), "patch");
  assert.equal(step("1.2.3.10", "1.2.3.9"), "older");
  assert.equal(step("v1.02", "1.2.0"), "same");
  assert.equal(step("v1.02", "v1.03"), "minor");
  assert.equal(step("2024.05.01", "2024.05.09"), "patch");
  assert.equal(step("2024.12.31", "2025.01.01"), "major");
});

test("the tenth release candidate comes after the ninth, however it is written", () => {
  for (const [a, b] of [["1.0.0-rc9", "1.0.0-rc10"], ["1.0.0-rc.9", "1.0.0-rc.10"], ["1.0.0-beta-2", "1.0.0-beta-10"], ["1.0rc1", "1.0rc2"], ["1.0b9", "1.0rc1"], ["1.0rc1", "1.0"], ["1.0.0-x.99999999999999999998", "1.0.0-x.99999999999999999999"]] as const) {
    assert.ok(compareVersions(version(a), version(b)) < 0, `${a} is older than ${b}`);
  }
});

test("under semver a date with dashes or in one piece is no version, so it never passes for the newest", () => {
  for (const text of ["2024-05-12", "2024-05", "v2024-05-12", "2024-05-12-1", "2024-05-12T01-02-03Z", "20240512", "v20240512", "20240512-1", "20240512.3", "RELEASE.2024-05-12T01-02-03Z"]) assert.equal(parseVersion(text), null, text);
  for (const text of ["2024.05.12", "24.04", "1.2.3-20240512", "1.2.3-2024-05-12", "2024", "20241", "20241399"]) assert.notEqual(parseVersion(text), null, text);
});

const dates = (tags: readonly string[] = []) => ({ name: "os", versions: "date" as const, tags });

test("under date every style is read as the same day, and ordered by time, then by the number behind it", () => {
  const day = ["2024.05.12", "2024-05-12", "20240512", "v2024.05.12", "2024.5.12", "24.05.12", "RELEASE.2024-05-12T00-00-00Z", "20240512T000000Z", "os-2024.05.12", "2024.05.12-os"];
  for (const a of day) for (const b of day) assert.equal(stepBetween(a, b, dates()), "same", `${a} against ${b}`);
  const ordered = ["23.10", "2024-01", "24.04", "2024.05.11", "20240512-rc.1", "2024-05-12-rc2", "2024.05.12", "2024.05.12.1", "v2024.05.12-2", "20240512.3", "2024-05-12.10", "20240512010202", "RELEASE.2024-05-12T01-02-03Z", "2024-05-12T01:02:04Z", "20240512T0103", "2024.05.13", "2024.10", "2025"];
  for (const [i, a] of ordered.entries()) for (const [j, b] of ordered.entries()) assert.equal(stepBetween(a, b, dates()), i === j ? "same" : i < j ? "minor" : "older", `${a} to ${b}`);
});

test("under date what is none is not read", () => {
  for (const text of ["", "v1.2.3", "1.2", "nightly", "2024-13-01", "20241301", "2024-05-32", "20240500", "202405", "3024.01", "2024..1", "24", "2024.05.12.1.2.3", "2024-05-12T", "RELEASE.", "2024.05.12-"]) assert.equal(parseVersion(text, dates()), null, text);
});

test("the order of whatever tags can be read is total, antisymmetric and transitive, in both schemes", () => {
  const number = fc.oneof(fc.nat(12).map(String), fc.nat(12).map((n) => `0${n}`), fc.constantFrom("2024", "20240512", "05", "24"));
  const suffix = fc.oneof(fc.constant(""), fc.stringMatching(/^[-.](rc|beta|a-|)[.-]?\d{0,3}[a-c]?$/));
  const tag = (first: fc.Arbitrary<string>) => fc.tuple(fc.constantFrom("", "v"), first, fc.array(number, { maxLength: 3 }), fc.constantFrom(".", ".", "-"), suffix).map(([v, a, n, dash, s]) => `${v}${[a, ...n].join(dash)}${s}`);
  for (const [scheme, text] of [[{ name: "os" }, tag(number)], [dates(), tag(fc.constantFrom("2024", "2025", "24", "20240512", "2024-05-12"))]] as const) {
    const any = text.map((t) => ({ t, v: parseVersion(t, scheme) })).filter((x): x is { t: string; v: Version } => x.v !== null);
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        assert.equal(Math.sign(compareVersions(a.v, b.v)), -Math.sign(compareVersions(b.v, a.v)) + 0);
        if (compareVersions(a.v, b.v) <= 0 && compareVersions(b.v, c.v) <= 0) assert.ok(compareVersions(a.v, c.v) <= 0, `${a.t} ${b.t} ${c.t}`);
      }),
      { numRuns: 1_000 },
    );
  }
});
