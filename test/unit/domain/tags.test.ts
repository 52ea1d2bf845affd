import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fitsPin, isPin, isPinnedExactly, withinPin } from "../../../src/domain/pin.ts";
import { isTracked, spellings, versionText } from "../../../src/domain/tags.ts";
import { newestFirst, parseVersion, stepBetween, type VersionScheme } from "../../../src/domain/version.ts";
import { commit, subsystem } from "../../support/subsystem.ts";

const scheme = (...tags: string[]): VersionScheme => ({ name: "server", tags });

test("only tags that fit a pattern and no excluding one are versions", () => {
  const s = scheme("server-v{version}", "v*", "!*-nightly");
  for (const tag of ["server-v1.2.3", "v1.2.3", "vnext", "server-v1.2.3-rc.1"]) assert.equal(isTracked(tag, s), true, tag);
  for (const tag of ["client-v1.2.3", "1.2.3", "v1.2.3-nightly", "server-vnext", "server-v", "server-1.2.3"]) assert.equal(isTracked(tag, s), false, tag);
  assert.equal(isTracked("whatever", scheme()), true, "without patterns every tag may be one");
  assert.deepEqual(["v1", "v1-nightly"].map((t) => isTracked(t, scheme("!*-nightly"))), [true, false], "patterns that only exclude leave the rest");
});

test("what stands for {version} is what is read and compared, in tags of whatever form", () => {
  for (const [pattern, tag] of [["server/v{version}", "server/v1.2.3"], ["cmd/server/{version}", "cmd/server/v1.2.3"], ["pkg@{version}", "pkg@1.2.3"], ["rel_{version}_final", "rel_1.2.3_final"], ["{version}", "v1.2.3"]] as const) {
    assert.deepEqual(parseVersion(tag, scheme(pattern)), parseVersion("1.2.3"), tag);
  }
  const s = scheme("server/v{version}");
  assert.equal(stepBetween("server/v1.2.3", "server/v1.3.0", s), "minor");
  assert.equal(stepBetween("1.2.3", "server/v1.2.4", s), "patch", "a stamp says the bare version");
  assert.equal(stepBetween("server-v1.2.3", "server/v1.2.3", s), "same", "what was installed before there was a pattern");
});

test("without a pattern a tag may have the subsystem's name before or behind its version", () => {
  for (const tag of ["server-v1.2.3", "v1.2.3-server", "server/v1.2.3", "server@1.2.3", "1.2.3"]) assert.deepEqual(parseVersion(tag, "server"), parseVersion("v1.2.3"), tag);
  for (const tag of ["client-v1.2.3", "client/v1.2.3", "serverv1.2.3"]) assert.equal(parseVersion(tag, "server"), null, tag);
});

const versions = fc.oneof(
  fc.tuple(fc.array(fc.nat(999), { minLength: 1, maxLength: 4 }), fc.constantFrom("", "-rc.1", "-beta2", "+build.5")).map(([n, s]) => `${n.join(".")}${s}`),
  fc.constantFrom("v1.2.3", "2024.05.12"),
);
const literal = fc.stringMatching(/^[a-z0-9/@_.-]{0,12}$/);

test("a pattern gives back the version it was filled with", () => {
  fc.assert(
    fc.property(literal, literal, versions, (before, behind, version) => {
      const s = scheme(`${before}{version}${behind}`);
      const tag = `${before}${version}${behind}`;
      assert.equal(isTracked(tag, s), true);
      assert.equal(versionText(tag, s), version);
      assert.deepEqual(parseVersion(tag, s), parseVersion(version));
    }),
  );
});

test("a tag that a pattern was filled in for is found by the version a person names", () => {
  fc.assert(
    fc.property(literal, literal, fc.array(fc.nat(99), { minLength: 1, maxLength: 4 }), (before, behind, numbers) => {
      const tag = `${before}${numbers.join(".")}${behind}`;
      const s = scheme(`${before}{version}${behind}`);
      assert.ok(spellings(numbers.join("."), s).includes(tag));
      assert.ok(spellings(tag, s).includes(tag));
    }),
  );
});

test("a version a person names is looked for in the pattern's form first, else in the usual ones", () => {
  assert.deepEqual(spellings("v1.2.3", scheme("server/v{version}")), ["server/v1.2.3", "v1.2.3"]);
  assert.deepEqual(spellings("1.2.3", scheme()), ["1.2.3", "v1.2.3", "server-1.2.3", "1.2.3-server", "server-v1.2.3", "v1.2.3-server", "server/1.2.3", "server/v1.2.3"]);
  assert.deepEqual(spellings("1.2.3", scheme("server/{version}")), ["server/1.2.3", "server/v1.2.3", "1.2.3"]);
  assert.deepEqual(spellings("nightly", scheme("v{version}")), ["nightly"]);
});

test("the newest tag comes first, strangers never, and a tag that a pattern names letter by letter last", () => {
  const tags = ["v1.0.0", "v1.10.0", "nightly", "v1.9.0", "client-v9.0.0", "edge"];
  assert.deepEqual(newestFirst(tags, { name: "server" }), ["v1.10.0", "v1.9.0", "v1.0.0"]);
  assert.deepEqual(newestFirst(tags, scheme("v*", "nightly")), ["v1.10.0", "v1.9.0", "v1.0.0", "nightly"]);
  assert.deepEqual(newestFirst(tags, scheme("edge")), ["edge"]);
  assert.deepEqual(newestFirst(["20240512", "2024-06-01", "v1.0.0"], { name: "server", versions: "date" }), ["2024-06-01", "20240512"]);
});

const pinned = (pin: string, fields: Parameters<typeof subsystem>[0] = {}) => (version: string) => fitsPin(subsystem({ name: "server", pin, ...fields }), version);

test("an exact pin takes its version in any tag style, a series every version that begins so", () => {
  assert.deepEqual(["v2.10.0", "2.10", "server-v2.10.0", "server/v2.10.0"].map(pinned("2.10.0")), [true, true, true, true]);
  assert.deepEqual(["v2.10.1", "v2.10.0-rc.1", "nightly"].map(pinned("2.10.0")), [false, false, false]);
  assert.deepEqual(["v2.0.0", "v2.10.3", "server-v2.1", "v2.3.4.5", "2"].map(pinned("2.x")), [true, true, true, true, true]);
  assert.deepEqual(["v3.0.0", "v20.0.0", "nightly", "v1.2.0"].map(pinned("v2.x")), [false, false, false, false]);
  assert.deepEqual(["v2.10.0", "v2.10.9.1", "v2.1.0", "v2.100.0"].map(pinned("2.10.x")), [true, true, false, false]);
  assert.deepEqual(["1.2.3.4", "1.2.3", "1.2.4.0"].map(pinned("1.2.3.x")), [true, true, false]);
  assert.deepEqual(["1.2.3.4", "1.2.3.5"].map(pinned("1.2.3.4")), [true, false]);
  assert.deepEqual(["server/v2.1.0", "server/v3.0.0"].map(pinned("server/v2.x", { tags: ["server/v{version}"] })), [true, false]);
  assert.deepEqual(["2024-05-12", "RELEASE.2024-05-13T01-02-03Z", "2024.06.01", "20240531"].map(pinned("24.05.x", { versions: "date" })), [true, true, false, true]);
  assert.deepEqual(["nightly", "edge"].map(pinned("nightly")), [true, false]);
});

test("of a followed branch a pin is a commit, which may be abbreviated to seven characters", () => {
  const head = commit("a");
  assert.deepEqual(["aaaaaaa", head, "aaaaaa", "aaaaaab", commit("b")].map((pin) => pinned(pin, { strategy: "commits" })(head)), [true, true, false, false, false]);
});

test("those within the pin hide those outside, and none within hides none", () => {
  const s = subsystem({ pin: "2.x" });
  assert.deepEqual(withinPin(s, ["v3.0.0", "v2.1.0", "v2.0.0", "v1.0.0"], (v) => v), ["v2.1.0", "v2.0.0"]);
  assert.deepEqual(withinPin(s, ["v3.0.0", "v1.0.0"], (v) => v), ["v3.0.0", "v1.0.0"]);
});

test("a pin that says nothing is known for one", () => {
  for (const pin of ["v2.10.0", "2.x", "2.10.x", "v2.X", "server-v2.x", "nightly", "1.2.3.x", "box-1"]) assert.equal(isPin(pin, scheme()), true, pin);
  for (const pin of ["2.x.1", "x", "x.1", "vx.x", "2.x.x", "1.2.3.4.x", "main.x"]) assert.equal(isPin(pin, scheme()), false, pin);
  assert.equal(isPin("2.x", { name: "server", versions: "date" }), false);
  assert.equal(isPin("2024.x", { name: "server", versions: "date" }), true);
  assert.equal(isPinnedExactly(subsystem({ pin: "2.x" }), "v2.0.0"), false);
});
