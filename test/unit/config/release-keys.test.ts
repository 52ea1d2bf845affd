import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configJsonSchema } from "../../../src/config/schema.ts";
import { configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";
import { releaseFeed } from "../../support/subsystem.ts";

type T = Parameters<typeof configWorkspace>[0];
const FILES = { "Taskfile.yml": rootTaskfile("nats"), "nats/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/acme/api") };
const load = async (t: T, own: string) => (await (await configWorkspace(t, { ...FILES, "slipstream.yaml": own })).load()).subsystems[0];
const problems = async (t: T, own: string) => (await (await configWorkspace(t, { ...FILES, "slipstream.yaml": own })).problems()).map((p) => `${p.file}:${p.line} ${p.message}`);
const feed = async (t: T, line: string) => (await load(t, `subsystems:\n  nats:\n    release:\n      ${line}\n`))?.release;

describe("what of a release may be fetched", () => {
  it("has safe defaults", async (t) => assert.deepEqual(await feed(t, "{}"), releaseFeed()));

  it("is told key by key, the subsystem's own before defaults", async (t) => {
    const own = `
defaults:
  release: { asset: "{name}.tgz", asset_hosts: [a.example], trust: none, asset_wait: 1h, max_mb: 10, max_unpacked_mb: 20 }
limits: { download_rate: 10MB, kept_versions: 7 }
subsystems:
  nats:
    release: { asset: "{binary}-{version}-{os}-{arch}.tar.gz", asset_hosts: [Mirror.Example, "*.cdn.example:8443", "10.0.0.1:443", "[::1]:9"], max_mb: 2048 }
`;
    const nats = await load(t, own);
    assert.deepEqual(
      nats?.release,
      releaseFeed({ asset: "{binary}-{version}-{os}-{arch}.tar.gz", assetHosts: ["mirror.example", "*.cdn.example:8443", "10.0.0.1", "[::1]:9"], trust: "none", assetWaitMs: 3_600_000, maxBytes: 2048 * 1024 ** 2, maxUnpackedBytes: 20 * 1024 ** 2, bytesPerSecond: 10 * 1024 ** 2 }),
    );
    assert.equal(nats?.keep, 7);
  });

  for (const [rate, bytes] of [["2048", 2048], ["500KB", 512_000], ["1.5MB", 1_572_864], ["1GB", 1_073_741_824]] as const) {
    it(`comes at ${rate} a second at most`, async (t) => assert.equal((await load(t, `limits: { download_rate: ${rate} }`))?.release?.bytesPerSecond, bytes));
  }
});

const NO_API = "expected the address of a forge's API such as https://api.github.com or https://gitea.example/api/v1, with neither login nor query; http only on this machine";
const NO_HOST = "expected a host such as mirror.example, mirror.example:8443 or *.mirror.example";
const NO_RATE = "expected bytes per second, at least 1024, or text such as 500KB, 10MB, 1GB";
const PLACEHOLDERS = "expected {name} {binary} {tag} {version} {os} {arch}";

describe("a wrong key of release mode is a problem with its line", () => {
  for (const [line, wanted] of [
    ["api: http://gitea.example/api/v1", `api: ${NO_API}`],
    ["api: http://127.0.0.1.evil.example", `api: ${NO_API}`],
    ["api: https://me:hunter22@gitea.example/api/v1", `api: ${NO_API}`],
    ["api: https://gitea.example/api/v1?token=x", `api: ${NO_API}`],
    ["api: https://gitea.example/api/v1#x", `api: ${NO_API}`],
    ["api: ftp://gitea.example", `api: ${NO_API}`],
    ["api: gitea.example/api/v1", `api: ${NO_API}`],
    ["asset_hosts: ['*']", `asset_hosts.0: ${NO_HOST}`],
    ["asset_hosts: ['*.com']", `asset_hosts.0: ${NO_HOST}`],
    ["asset_hosts: [a.*.example]", `asset_hosts.0: ${NO_HOST}`],
    ["asset_hosts: [https://a.example]", `asset_hosts.0: ${NO_HOST}`],
    ["asset_hosts: [a.example/x]", `asset_hosts.0: ${NO_HOST}`],
    ["asset_hosts: ['a.example:70000']", `asset_hosts.0: ${NO_HOST}`],
    ["asset_hosts: ['']", `asset_hosts.0: ${NO_HOST}`],
    ["asset: '{binary}-{platform}.tgz'", `asset: {platform} is no placeholder, ${PLACEHOLDERS}`],
    ["asset: '{binry}.tgz'", `asset: {binry} is no placeholder, ${PLACEHOLDERS}; did you mean {binary}?`],
    ["asset: '{binary-{os}.tgz'", `asset: has a brace without its partner, ${PLACEHOLDERS}`],
    ["asset: ''", "asset: expected the name of a file, without a folder"],
    ["asset: '../{binary}'", "asset: expected the name of a file, without a folder"],
    ["trust: nothing", 'trust: Invalid option: expected one of "digest"|"none"'],
    ["asset_wait: soon", "asset_wait: expected a duration such as 500ms, 10s, 5m, 2h, or a number of seconds"],
    ["asset_wait: 100d", "asset_wait: expected a time from 1s to 24d; there is no unlimited one"],
    ["max_mb: 0", "max_mb: Too small: expected number to be >=1"],
    ["max_unpacked_mb: 1e9", "max_unpacked_mb: Too big: expected number to be <=65536"],
  ] as const) {
    it(line, async (t) => {
      assert.deepEqual(await problems(t, `subsystems:\n  nats:\n    release:\n      ${line}\n`), [`slipstream.yaml:4 subsystems.nats.release.${wanted}`]);
      assert.deepEqual(await problems(t, `defaults:\n  release:\n    ${line}\nsubsystems: { nats: { branch: dev } }\n`), [`slipstream.yaml:3 defaults.release.${wanted}`]);
    });
  }

  for (const [own, wanted] of [
    ["limits:\n  kept_versions: 0", "slipstream.yaml:2 limits.kept_versions: Too small: expected number to be >=1"],
    ["limits:\n  kept_versions: 51", "slipstream.yaml:2 limits.kept_versions: Too big: expected number to be <=50"],
    ["limits:\n  download_rate: fast", `slipstream.yaml:2 limits.download_rate: ${NO_RATE}`],
    ["limits:\n  download_rate: 10 MB", `slipstream.yaml:2 limits.download_rate: ${NO_RATE}`],
    ["limits:\n  download_rate: 0", `slipstream.yaml:2 limits.download_rate: ${NO_RATE}`],
    ["limits:\n  download_rate: -1", `slipstream.yaml:2 limits.download_rate: ${NO_RATE}`],
    ["limits:\n  kept_version: 3", "slipstream.yaml:2 limits.kept_version is not a known key; did you mean kept_versions?"],
    ["defaults:\n  mode: releases", 'slipstream.yaml:2 defaults.mode: Invalid option: expected one of "auto"|"source"|"release"'],
    ["subsystems:\n  nats:\n    mod: source", "slipstream.yaml:3 subsystems.nats.mod is not a known key; did you mean mode?"],
    ["subsystems:\n  nats:\n    release:\n      repo: a/b\n      asset_host: [x]", "slipstream.yaml:5 subsystems.nats.release.asset_host is not a known key; did you mean asset_hosts?"],
  ] as const) {
    it(own.replaceAll(/\s+/g, " "), async (t) => {
      const all = await problems(t, own);
      assert.ok(all.includes(wanted), all.join("\n"));
    });
  }

  it("does not hide what is wrong beside it", async (t) => {
    const own = "defaults:\n  release:\n    asset_hosts: ['*']\nsubsystems:\n  nats:\n    pin: -x\n";
    assert.deepEqual((await problems(t, own)).map((p) => p.split(" ")[0]), ["slipstream.yaml:3", "slipstream.yaml:6"]);
  });
});

describe("the schema for editors", () => {
  it("knows the keys of release mode, at each subsystem and in defaults", () => {
    type Node = { properties: Record<string, Node>; additionalProperties: Node; enum?: string[] };
    const { properties } = configJsonSchema() as unknown as Node;
    const keys = ["repository", "api", "asset", "asset_hosts", "trust", "asset_wait", "max_mb", "max_unpacked_mb"];
    for (const place of [properties.defaults, properties.subsystems?.additionalProperties]) {
      assert.deepEqual(place?.properties.mode?.enum, ["auto", "source", "release"]);
      assert.deepEqual(Object.keys(place?.properties.release?.properties ?? {}), keys);
    }
    assert.deepEqual(Object.keys(properties.limits?.properties ?? {}), ["parallel_runs", "kept_versions", "download_rate"]);
  });
});
