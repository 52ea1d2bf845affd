import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AssetWanted, assetFor, byPublication, digestFiles, digestIn, type Platform, type Release, type ReleaseAsset, versionOfTag } from "../../../src/domain/release.ts";

const LINUX: Platform = { os: "linux", arch: "amd64", libc: "gnu" };
const MUSL: Platform = { os: "linux", arch: "amd64", libc: "musl" };
const MAC: Platform = { os: "darwin", arch: "arm64" };
const A = "a".repeat(64);
const B = "b".repeat(64);

const asset = (name: string, patch: Partial<ReleaseAsset> = {}): ReleaseAsset => ({ id: "1", name, bytes: 1, complete: true, ...patch });
const release = (id: string, patch: Partial<Release> = {}): Release => ({ id, tag: `v${id}`, draft: false, prerelease: false, assets: [], ...patch });
const wanted = (patch: Partial<AssetWanted> = {}): AssetWanted => ({ subsystem: { name: "nats" }, binary: "nats-server", platform: LINUX, ...patch });
/** What is found: the name, or the kind where nothing is. */
function pick(names: readonly string[], patch: Partial<AssetWanted> = {}, tag = "v2.10.1"): string | readonly string[] {
  const found = assetFor(names.map((n) => asset(n)), wanted(patch), tag);
  return found.kind === "found" ? found.asset.name : found.kind === "several" ? found.names : found.kind;
}

test("the newest publication comes first, drafts never, undated ones last", () => {
  const all = [release("7"), release("5", { publishedAt: 10 }), release("6", { publishedAt: 20 }), release("9", { publishedAt: 30, draft: true }), release("8")];
  assert.deepEqual(byPublication(all).map((r) => r.id), ["6", "5", "8", "7"]);
});

test("of two published in the same second the larger id is newer, however long ids are", () => {
  const all = ["9", "10", "9007199254740993", "9007199254740992"].map((id) => release(id, { publishedAt: 1 }));
  assert.deepEqual(byPublication(all).map((r) => r.id), ["9007199254740993", "9007199254740992", "10", "9"]);
});

test("the order of publication does not depend on the order of the answer", () => {
  const any = fc.uniqueArray(fc.record({ id: fc.bigInt(1n, 2n ** 63n).map(String), publishedAt: fc.option(fc.nat(3), { nil: undefined }) }), { selector: (r) => r.id, maxLength: 12 });
  fc.assert(
    fc.property(any, fc.infiniteStream(fc.nat()), (entries, random) => {
      const releases = entries.map(({ id, publishedAt }) => release(id, publishedAt === undefined ? {} : { publishedAt }));
      const shuffled = releases.map((r) => ({ r, at: random.next().value as number })).sort((a, b) => a.at - b.at).map(({ r }) => r);
      assert.deepEqual(byPublication(shuffled), byPublication(releases));
    }),
  );
});

test("a version is the tag without the subsystem's name and without a v", () => {
  for (const tag of ["v1.2.3", "1.2.3", "nats-v1.2.3", "nats-1.2.3", "v1.2.3-nats"]) assert.equal(versionOfTag(tag, "nats"), "1.2.3", tag);
  assert.equal(versionOfTag("v1.2.3-rc.1", "nats"), "1.2.3-rc.1");
  assert.equal(versionOfTag("arc-v1.2.3", "nats"), "arc-v1.2.3");
  assert.equal(versionOfTag("vanilla", "nats"), "vanilla");
});

test("a pattern says which part of a tag an asset's name has for its version", () => {
  const subsystem = { name: "nats", tags: ["server/v{version}"] };
  assert.equal(versionOfTag("server/v1.2.3", subsystem), "1.2.3");
  assert.equal(pick(["nats-server-1.2.3-linux-amd64.tar.gz", "nats-server-1.2.2-linux-amd64.tar.gz"], { subsystem }, "server/v1.2.3"), "nats-server-1.2.3-linux-amd64.tar.gz");
  assert.equal(pick(["x_1.2.3_linux"], { subsystem, template: "x_{version}_{os}" }, "server/v1.2.3"), "x_1.2.3_linux");
});

test("each usual name of an asset is found for its machine, and for no other", () => {
  const stems = ["linux-amd64", "linux_amd64", "2.10.1-linux-amd64", "v2.10.1_linux_amd64", "linux-amd64-2.10.1", "linux_amd64_v2.10.1", "linux-amd64-gnu", "2.10.1-linux-amd64-glibc"];
  for (const base of ["nats-server", "nats"])
    for (const stem of stems)
      for (const extension of [".tar.gz", ".tgz", ".gz", ""]) {
        const name = `${base}${stem.includes("_") ? "_" : "-"}${stem}${extension}`;
        assert.equal(pick([name]), name);
        for (const platform of [MAC, { ...LINUX, arch: "arm64" }, { os: "linux", arch: "arm" }, { os: "windows", arch: "amd64" }]) assert.equal(pick([name], { platform }), "none", name);
      }
});

test("a program whose name only begins alike is never taken", () => {
  const own = { subsystem: { name: "nats" }, binary: "nats" };
  for (const name of ["nats-server-linux-amd64.tar.gz", "nats-2.10.0-linux-amd64.tar.gz", "natsx-linux-amd64", "nats-linux-amd64-debug.tar.gz", "nats-linux-amd64.tar.gz.sha256", "nats-linux-amd64.zip", "nats-linux-amd64v3.tar.gz", "NATS-linux-amd64", "x-nats-linux-amd64"]) assert.equal(pick([name], own), "none", name);
  for (const tag of ["nats-server", "nats-server-v2.10.1"]) assert.equal(pick(["nats-server-linux-amd64.tar.gz", "nats-server-v2.10.1-linux-amd64.tar.gz"], own, tag), "none", tag);
  assert.equal(pick(["nats-server-linux-amd64.tar.gz", "nats-linux-amd64.tar.gz"], own), "nats-linux-amd64.tar.gz");
});

test("systems and architectures go by Go's names only", () => {
  for (const name of ["nats-server-linux-x86_64.tar.gz", "nats-server-Linux-amd64.tar.gz", "nats-server-macos-aarch64.tar.gz", "nats-server-x86_64-unknown-linux-gnu.tar.gz"]) for (const platform of [LINUX, MAC]) assert.equal(pick([name], { platform }), "none", name);
  assert.equal(pick(["nats-server-darwin-arm64.tar.gz"], { platform: MAC }), "nats-server-darwin-arm64.tar.gz");
});

test("a machine gets its own libc, before one that is not named, and never the other", () => {
  const [none, gnu, glibc, musl] = ["", "-gnu", "-glibc", "-musl"].map((w) => `nats-server-linux-amd64${w}.tar.gz`) as [string, string, string, string];
  assert.equal(pick([musl, none, gnu]), gnu);
  assert.equal(pick([none, glibc]), glibc);
  assert.equal(pick([musl, none]), none);
  assert.equal(pick([musl]), "none");
  assert.equal(pick([none, gnu, musl], { platform: MUSL }), musl);
  assert.equal(pick([none, glibc], { platform: MUSL }), none);
  assert.equal(pick([gnu, glibc], { platform: MUSL }), "none");
  assert.equal(pick([gnu, musl], { platform: { os: "linux", arch: "amd64" } }), "none");
  assert.deepEqual(pick([gnu, glibc]), [gnu, glibc]);
});

test("the binary's name goes before the subsystem's, an archive before a bare program", () => {
  const names = ["nats-linux-amd64.tar.gz", "nats-server-linux-amd64", "nats-server-linux-amd64.gz", "nats-server-linux-amd64.tar.gz"];
  for (let n = names.length; n > 0; n--) assert.equal(pick(names.slice(0, n)), names[n - 1]);
});

test("two that fit alike are for a person to choose between", () => {
  const names = ["nats-server-linux-amd64.tar.gz", "nats-server_2.10.1_linux_amd64.tar.gz"];
  assert.deepEqual(pick(names), names);
  assert.equal(pick(names, { template: "{binary}_{version}_{os}_{arch}.tar.gz" }), names[1]);
});

test("a template names exactly one asset", () => {
  const exact = (template: string, name: string, tag?: string) => pick([name], { template }, tag);
  assert.equal(exact("{name}/{tag}", "nats/v2.10.1"), "nats/v2.10.1");
  assert.equal(exact("{binary}-{tag}-{os}-{arch}.tgz", "nats-server-nats-v2.10.1-linux-amd64.tgz", "nats-v2.10.1"), "nats-server-nats-v2.10.1-linux-amd64.tgz");
  assert.equal(exact("{version}{version}", "2.10.12.10.1", "v2.10.1-nats"), "2.10.12.10.1");
  assert.equal(exact("fixed.tar.gz", "fixed.tar.gz"), "fixed.tar.gz");
  assert.equal(exact("fixed.tar.gz", "nats-server-linux-amd64.tar.gz"), "none");
  for (const template of ["{libc}.tgz", "{}", "{constructor}", "{__proto__}"]) assert.equal(exact(template, template), "none", template);
});

test("an upload under way is waited for, even where a lesser asset is ready", () => {
  const assets = [asset("nats-server-linux-amd64"), asset("nats-server-linux-amd64.tar.gz", { complete: false })];
  assert.deepEqual(assetFor(assets, wanted(), "v1"), { kind: "incomplete", asset: assets[1] });
  assert.deepEqual(assetFor([], wanted(), "v1"), { kind: "none" });
});

const word = fc.constantFrom("nats", "nats-server", "-", "_", "linux", "amd64", "musl", "gnu", "v", "2.10.1", ".tar.gz", ".tgz", ".gz", "{os}", "(", "\\", "é");
const names = fc.array(fc.oneof(fc.array(word, { maxLength: 9 }).map((w) => w.join("")), fc.string()), { maxLength: 8 });

test("whatever the assets are called, what is found is one of them and for this machine", () => {
  fc.assert(
    fc.property(names, fc.constantFrom(LINUX, MUSL, MAC), fc.oneof(fc.constant("v2.10.1"), fc.string()), (list, platform, tag) => {
      const assets = list.map((n) => asset(n));
      const found = assetFor(assets, wanted({ platform }), tag);
      if (found.kind === "found") {
        assert.ok(assets.includes(found.asset));
        assert.match(found.asset.name.replaceAll("_", "-"), new RegExp(`-${platform.os}-${platform.arch}\\b`));
        assert.ok(platform !== LINUX || !found.asset.name.includes("musl"));
      }
      if (found.kind === "several") assert.ok(found.names.length > 1 && found.names.every((n) => list.includes(n)));
    }),
    { numRuns: 500 },
  );
});

test("checksum files are looked at from the most specific on", () => {
  const inOrder = ["a.tgz.sha256", "a.tgz.sha256sum", "SHA256SUMS", "SHA256SUMS.txt", "sha256sums.txt", "checksums.txt"];
  const all = [...inOrder, "a.tgz", "b.tgz.sha256", "a.tgz.sha256.sig", "sha256sums"].map((n) => asset(n)).reverse();
  assert.deepEqual(digestFiles(all, "a.tgz").map((a) => a.name), inOrder);
});

test("a digest is read in every dialect of checksum files", () => {
  const other = `${B}  other.tgz\n`;
  const texts = [`${A}  a.tgz`, `${A} *a.tgz`, `${A} a.tgz`, `${A}\ta.tgz`, `${A}  ./a.tgz`, `SHA256 (a.tgz) = ${A}`, `SHA256(a.tgz)= ${A}`, `SHA2-256(a.tgz)= ${A}`, `${A.toUpperCase()}  a.tgz`];
  for (const text of texts) for (const whole of [text, `${text}\r\n`, `\uFEFF${text}\n`, `${other}${text}\n${other}`, `${text}\r\n${text}\r\n`]) assert.equal(digestIn(whole, "a.tgz"), `sha256:${A}`, whole);
  for (const lone of [A, `${A}\n`, `\r\n${A.toUpperCase()} \r\n`]) assert.equal(digestIn(lone, "a.tgz"), `sha256:${A}`);
});

test("no digest is read where none, half a one or two are stated", () => {
  for (const text of ["", "\n", `${A}  b.tgz`, `${A}  dist/a.tgz`, `${A}  a.tgz.sig`, `${A.slice(1)}  a.tgz`, `${A}0  a.tgz`, `${A}a.tgz`, `# ${A}  a.tgz`, `MD5 (a.tgz) = ${A}`, `SHA512 (a.tgz) = ${A}`, `${A}\n${B}`, `${A}\n${A}`, `${A}  a.tgz\n${B}  a.tgz`, `${A}  a.tgz\nSHA256 (a.tgz) = ${B}`, "<!DOCTYPE html>"]) assert.equal(digestIn(text, "a.tgz"), undefined, text);
});

test("whatever a checksum file says, a digest is well-formed, and what was written is read", () => {
  const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
  const name = fc.stringMatching(/^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,20}$/).filter((n) => !n.startsWith("./"));
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string(), (text, n) => assert.match(digestIn(text, n) ?? `sha256:${A}`, /^sha256:[0-9a-f]{64}$/)));
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(name, hex), { selector: ([n]) => n, minLength: 1, maxLength: 6 }), fc.boolean(), (sums, bsd) => {
      const text = sums.map(([n, h]) => (bsd ? `SHA256 (${n}) = ${h}` : `${h}  ${n}`)).join("\n");
      for (const [n, h] of sums) assert.equal(digestIn(text, n), `sha256:${h}`);
    }),
  );
});
