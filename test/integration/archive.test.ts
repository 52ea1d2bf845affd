/** Unpacking on a real disk: what a stranger's archive may do (nothing but give us its program), and what makes it unfit. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type ArchiveKind, createUnpacker, kindOf, type UnpackOptions } from "../../src/adapters/archive.ts";
import { StateError } from "../../src/domain/errors.ts";
import { gnuLongName, paxHeader, TAR_END, tar, tarGz, tarHeader, type TarMember, tarMember, zeroBomb } from "../support/tarballs.ts";

const MIB = 2 ** 20;
const zeros = gzipSync(Buffer.alloc(64 * MIB), { level: 1 });
const program = (name = "nats-server"): TarMember => ({ name, content: "#!/bin/sh\necho hello\n" });

describe("unpacking", () => {
  let base: string;
  let out: string;
  /** Bytes the last archive was asked for. */
  let fed = 0;
  before(async () => {
    base = await mkdtemp(join(tmpdir(), "archive-"));
  });
  after(() => rm(base, { recursive: true, force: true }));

  /** Feeds bytes in pieces, as a network would. */
  async function unpack(kind: ArchiveKind, bytes: Buffer, options: Partial<UnpackOptions> & { readonly piece?: number } = {}) {
    await rm(base, { recursive: true, force: true });
    out = join(base, "a", "b", "out");
    await mkdir(out, { recursive: true });
    const { piece = 64 * 1024, ...rest } = options;
    const unpacker = createUnpacker(kind, { dir: out, binary: "nats-server", maxBytes: 64 * MIB, ...rest });
    fed = 0;
    const pieces = function* () {
      for (let at = 0; at < bytes.length; at += piece) {
        fed = Math.min(bytes.length, at + piece);
        yield bytes.subarray(at, fed);
      }
    };
    const piped = pipeline(Readable.from(pieces(), { objectMode: false }), unpacker.into).catch(() => undefined);
    return unpacker.result().finally(() => piped);
  }

  const listing = async () => (await readdir(base, { recursive: true })).sort();
  const NOTHING = ["a", "a/b", "a/b/out"];

  async function refused(bytes: Buffer, message: RegExp, options: Parameters<typeof unpack>[2] & { kind?: ArchiveKind } = {}) {
    const { kind = "tar.gz", ...rest } = options;
    await assert.rejects(unpack(kind, bytes, rest), (error: Error & { code?: string }) => {
      assert.equal(error.code, "artifact-invalid", String(error.stack));
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await listing(), NOTHING, "a refused archive leaves something");
  }

  describe("takes", () => {
    for (const piece of [1, 7, 511, 1_000_000])
      test(`the program and its .version and nothing else, fed ${piece} bytes at a time`, async () => {
        const bytes = tarGz({ name: "./", type: "5" }, { name: "./README.md", content: "x".repeat(3_000) }, program("./nats-server"), { name: "./.version", content: "v1.2.3\n" }, { name: "./docs/latest", type: "2", link: "../README.md" }, { name: "copy", type: "1", link: "README.md" });
        const { program: path, stamp, entries } = await unpack("tar.gz", bytes, { piece });
        assert.equal(path, join(out, "nats-server.unverified"));
        assert.equal(await readFile(path, "utf8"), "#!/bin/sh\necho hello\n");
        assert.equal((await stat(path)).mode & 0o777, 0o600, "nobody may run it yet");
        assert.equal(stamp, "v1.2.3\n");
        assert.equal(entries, 6);
        assert.deepEqual(await listing(), [...NOTHING, "a/b/out/nats-server.unverified"]);
      });

    test("a large program byte for byte, with the .version beside it rather than another", async () => {
      const content = randomBytes(3 * MIB + 77);
      const bytes = tarGz({ name: ".version", content: "outer" }, { name: "x/.version", content: "other" }, { name: "nats-1.0/nats-server", content }, { name: "nats-1.0/.version", content: "inner" });
      const { program: path, stamp } = await unpack("tar.gz", bytes);
      assert.ok(content.equals(await readFile(path)));
      assert.equal(stamp, "inner");
    });

    test("a program under another of its names, in a folder of its own name", async () => {
      const { program: path } = await unpack("tar.gz", tarGz({ name: "nats-server/", type: "5" }, program("nats-server/nats-server-linux-amd64")), { aliases: ["nats-server-linux-amd64"] });
      assert.equal(path, join(out, "nats-server.unverified"));
    });

    test("names that only pax or GNU headers can hold", async () => {
      const deep = "d".repeat(150);
      for (const header of [paxHeader({ path: `${deep}/nats-server` }), gnuLongName(`${deep}/nats-server`)]) {
        const { entries } = await unpack("tar.gz", tarGz(header, program("short")));
        assert.equal(entries, 1);
      }
    });

    test("a .version of any length, cut at 64 KiB", async () => {
      const { stamp } = await unpack("tar.gz", tarGz(program(), { name: ".version", content: "v".repeat(200_000) }));
      assert.equal(stamp?.length, 64 * 1024);
    });

    test("no file deeper than three names for the program", async () => {
      const { entries } = await unpack("tar.gz", tarGz({ name: "a/b/c/nats-server", content: "completion" }, program("a/b/nats-server")));
      assert.equal(entries, 2);
    });

    test("a tar whose writer forgot the end mark", async () => {
      await unpack("tar.gz", gzipSync(tarMember(program())));
    });

    test("a tar with much padding behind its end mark, which is not kept", { timeout: 20_000 }, async () => {
      await unpack("tar.gz", Buffer.concat([gzipSync(tar(program())), ...Array.from({ length: 6 }, () => zeros)]), { maxBytes: 512 * MIB });
    });

    test("zeros behind the gzip, which tapes and some mirrors add", async () => {
      const { entries } = await unpack("tar.gz", Buffer.concat([tarGz(program()), Buffer.alloc(3 * MIB)]));
      assert.equal(entries, 1);
    });

    test("a large program only while there is room on the disk, which is asked for every 64 MiB", async () => {
      let asked = 0;
      await unpack("gz", Buffer.concat([zeros, zeros, zeros]), { maxBytes: 512 * MIB, checkRoom: async () => void asked++ });
      assert.equal(asked, 3);
      asked = 0;
      const checkRoom = async () => {
        if (++asked === 2) throw new StateError("disk-full", "disk has nothing left, expected room", { retryable: true });
      };
      const more = Buffer.concat([zeros, zeros, zeros, zeros, zeros, zeros]);
      await assert.rejects(unpack("gz", more, { maxBytes: 512 * MIB, checkRoom }), { code: "disk-full", retryable: true });
      assert.ok(fed < more.length / 2, `${fed} of ${more.length} bytes were read`);
      assert.deepEqual(await listing(), NOTHING);
    });

    test("bare and gzipped programs", async () => {
      const content = randomBytes(300_000);
      assert.ok(content.equals(await readFile((await unpack("raw", content)).program)));
      assert.ok(content.equals(await readFile((await unpack("gz", gzipSync(content))).program)));
    });
  });

  describe("refuses", () => {
    const member = (name: string, rest: Partial<TarMember> = {}) => tarGz(program(), { name, content: "evil", ...rest });
    const cases: readonly [string, Buffer, RegExp][] = [
      ["a path with ..", member("../evil"), /member "\.\.\/evil" has \.\. in its path/],
      ["a path with .. further in", member("x/../../evil"), /has \.\. in its path/],
      ["a path with .. and backslashes", member("x\\..\\evil"), /has \.\. in its path/],
      ["a folder with ..", member("../evil/", { type: "5", content: "" }), /has \.\. in its path/],
      ["a long name with ..", tarGz(program(), paxHeader({ path: `../${"e".repeat(200)}` }), { name: "ok", content: "x" }), /has \.\. in its path/],
      ["an absolute path", member("/etc/cron.d/evil"), /has an absolute path/],
      ["an absolute path with a backslash", member("\\evil"), /has an absolute path/],
      ["a path on a drive", member("C:evil"), /has an absolute path/],
      ["a program that is outside", tarGz(program("../nats-server")), /has \.\. in its path/],
      ["a symbolic link to an absolute path", member("x", { type: "2", link: "/etc/passwd", content: "" }), /is a link to "\/etc\/passwd", expected a relative target/],
      ["a symbolic link that leads out", member("a/x", { type: "2", link: "../../etc", content: "" }), /is a link to "\.\.\/\.\.\/etc", expected a target inside/],
      ["a symbolic link that leads out and in again", member("x", { type: "2", link: "../out/x", content: "" }), /expected a target inside/],
      ["a hard link to an absolute path", member("x", { type: "1", link: "/etc/passwd", content: "" }), /expected a relative target/],
      ["a hard link that leads out", member("a/x", { type: "1", link: "../x", content: "" }), /expected a target inside/],
      ["a character device", member("x", { type: "3", content: "" }), /is a character device/],
      ["a block device", member("x", { type: "4", content: "" }), /is a block device/],
      ["a fifo", member("x", { type: "6", content: "" }), /is a fifo/],
      ["two programs", tarGz(program(), program("bin/nats-server")), /"nats-server" and "bin\/nats-server" are both the program/],
      ["the same program twice", tarGz(program(), program()), /are both the program/],
      ["no program", tarGz({ name: "nats-cli", content: "x" }), /has no program "nats-server", expected one/],
      ["a program that is a folder", tarGz({ name: "nats-server/", type: "5" }), /has no program "nats-server" but a folder of that name/],
      ["a program that is a link", tarGz({ name: "real", content: "x" }, { name: "nats-server", type: "2", link: "real" }), /is a SymbolicLink, expected the program/],
      ["a program that is a hard link", tarGz({ name: "real", content: "x" }, { name: "nats-server", type: "1", link: "real" }), /is a Link, expected the program/],
      ["an empty program", tarGz({ name: "nats-server" }), /is empty/],
      ["a sparse program", tarGz(program("GNUSparseFile.77/nats-server")), /sparse/],
      ["a program of a kind tar readers disagree on", tarGz({ ...program(), type: "S" }), /is a SparseFile, expected the program/],
      ["a gzip within the gzip", gzipSync(tarGz(program())), /packed twice/],
      ["what is no tar", gzipSync(randomBytes(4_096)), /not a whole tar/],
      ["an empty gzip", gzipSync(Buffer.alloc(0)), /not a whole tar/],
      ["a gzip of three bytes", gzipSync("abc"), /not a whole tar|cut off/],
      ["what is no gzip", Buffer.from("<!doctype html><title>Sorry</title>"), /damaged, cut off or not gzip/],
      ["something else behind the gzip", Buffer.concat([tarGz(program()), Buffer.alloc(300_000, "x")]), /damaged, cut off/],
      ["nothing at all", Buffer.alloc(0), /damaged, cut off|not a whole tar/],
      ["a cut gzip", tarGz({ name: "nats-server", content: randomBytes(200_000) }).subarray(0, 150_000), /damaged, cut off/],
      ["a tar that is cut in a member", gzipSync(tar({ name: "nats-server", content: randomBytes(200_000) }).subarray(0, 150_000)), /Truncated|cut off/],
      ["a tar that is cut in a header", gzipSync(Buffer.concat([tarMember(program()), tarHeader(program("x")).subarray(0, 300)])), /cut off/],
      ["a header with a wrong checksum", gzipSync(Buffer.concat([tarMember(program()), Buffer.alloc(512, 1), TAR_END])), /checksum failure/],
      ["a size that pax makes endless", tarGz(paxHeader({ size: "1e309" }), program()), /is Infinity bytes long/],
      ["a size that pax makes huge", tarGz(paxHeader({ size: "9000000000000000" }), program()), /unpacks to more than/],
      ["a size that a global pax header hides", tarGz(paxHeader({ size: "1" }, "g"), paxHeader({ size: "900000000000" }), program()), /unpacks to more than/],
      ["a header longer than any name", tarGz(tarMember({ name: "x", type: "x", content: "7 a=b\n".repeat(400_000) }), program()), /has a header of 2400000 bytes/],
    ];
    for (const [what, bytes, message] of cases) test(what, () => refused(bytes, message));

    test("names of members are escaped and cut in messages", async () => {
      const name = `../\u001b[2J\u202egnp.exe\n${"x".repeat(200)}`;
      await assert.rejects(unpack("tar.gz", tarGz(program(), paxHeader({ path: name.replace("\n", " ") }), { name: "x" })), (error: Error) => {
        assert.match(error.message, /^[ -~…]{1,220}$/);
        assert.match(error.message, /\\u001b\[2J\\u202egnp/);
        return true;
      });
    });

    test("empty bare programs", () => refused(Buffer.alloc(0), /is empty/, { kind: "raw" }));
    test("bare programs over the cap", () => refused(Buffer.alloc(2 * MIB), /more than 1048576 bytes/, { kind: "raw", maxBytes: MIB }));
    test("gzipped programs over the cap", () => refused(gzipSync(Buffer.alloc(2 * MIB)), /more than 1048576 bytes/, { kind: "gz", maxBytes: MIB }));

    test("a bomb of 2 GiB by the size it announces, before it is unpacked", async () => {
      const bomb = zeroBomb("nats-server", 2);
      await refused(bomb, /more than 8388608 bytes/, { maxBytes: 8 * MIB });
      assert.ok(fed < bomb.length / 4, `${fed} of ${bomb.length} bytes were read`);
    });

    test("a bomb that hides behind the end mark, and one that hides in a member that is skipped", async () => {
      await refused(Buffer.concat([gzipSync(tar(program())), ...Array.from({ length: 32 }, () => zeros)]), /more than 8388608 bytes/, { maxBytes: 8 * MIB });
      assert.ok(fed < MIB, `${fed} bytes were read`);
      await refused(Buffer.concat([gzipSync(tarMember(program())), zeroBomb("README", 2)]), /more than 8388608 bytes/, { maxBytes: 8 * MIB });
      assert.ok(fed < MIB, `${fed} bytes were read`);
    });

    test("100,000 members, after the first 10,000", async () => {
      const many = gzipSync(Buffer.concat([...Array.from({ length: 100_000 }, (_, n) => tarHeader({ name: `f${n}`, type: "5" })), tarMember(program()), TAR_END]), { level: 1 });
      await refused(many, /more than 10000 members/);
      assert.equal((await unpack("tar.gz", many, { maxEntries: 100_001 })).entries, 100_001);
    });

    test("endless headers for members that never come", async () => {
      const one = tarHeader({ name: "x", type: "x" });
      await refused(gzipSync(Buffer.concat([tarMember(program()), ...Array.from({ length: 60_000 }, () => one), TAR_END]), { level: 1 }), /more headers than 100 members need/, { maxEntries: 100 });
    });

    test("a binary name that is a path", () => {
      for (const binary of ["../x", "a/b", "a\\b", "..", ""]) assert.throws(() => createUnpacker("raw", { dir: base, binary, maxBytes: 1 }), { code: "usage" });
    });

    test("a name that is taken, and leaves what is there", async () => {
      await unpack("raw", Buffer.from("first"));
      const again = createUnpacker("raw", { dir: out, binary: "nats-server", maxBytes: MIB });
      again.into.end("second");
      await assert.rejects(again.result(), { code: "EEXIST" });
      assert.equal(await readFile(join(out, "nats-server.unverified"), "utf8"), "first");
    });
  });

  test("a source that fails half way leaves nothing, and its own error is what is reported", async () => {
    for (const kind of ["raw", "gz", "tar.gz"] as const) {
      await rm(base, { recursive: true, force: true });
      out = join(base, "a", "b", "out");
      await mkdir(out, { recursive: true });
      const whole = { raw: randomBytes(500_000), gz: gzipSync(randomBytes(500_000)), "tar.gz": tarGz({ name: "nats-server", content: randomBytes(500_000) }) }[kind];
      const unpacker = createUnpacker(kind, { dir: out, binary: "nats-server", maxBytes: MIB });
      const broken = new Error("the line broke");
      const source = async function* () {
        yield whole.subarray(0, 300_000);
        throw broken;
      };
      await assert.rejects(pipeline(source(), unpacker.into));
      await assert.rejects(unpacker.result(), broken);
      assert.deepEqual(await listing(), NOTHING);
    }
  });

  test("the kind of an asset is told by its name, and unreadable kinds are told apart", () => {
    const kinds = { "nats-linux-amd64.tar.gz": "tar.gz", "nats.TGZ": "tar.gz", "nats-v2.10.1-linux-amd64.gz": "gz", "nats-v2.10.1-linux-amd64": "raw", "nats.exe": "raw", nats: "raw" } as const;
    for (const [name, kind] of Object.entries(kinds)) assert.equal(kindOf(name), kind, name);
    for (const name of ["nats.zip", "nats.deb", "nats.tar.xz", "nats.tar", "nats.tar.zst", "nats.rpm", "SHA256SUMS.sha256", "nats.tar.gz.sha256", "nats.sig", "nats.sbom.json"]) assert.equal(kindOf(name), undefined, name);
  });
});
