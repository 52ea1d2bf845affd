import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "../../../src/config/load.ts";
import { configJsonSchema } from "../../../src/config/schema.ts";
import { configWorkspace } from "../../support/config-workspace.ts";
import { ROOT } from "../../support/launcher.ts";
import { releaseFeed } from "../../support/subsystem.ts";

const read = (path: string) => readFile(join(ROOT, path), "utf8");

async function shippedWorkspace(t: Parameters<typeof configWorkspace>[0], own: string, more: Readonly<Record<string, string>> = {}) {
  const files = ["Taskfile.yml", "process-compose.yml", "taskfiles/subsystem.yml", "taskfiles/sync.yml"];
  return configWorkspace(t, { "slipstream.yaml": own, ...more, ...Object.fromEntries(await Promise.all(files.map(async (f) => [f, await read(f)] as const))) });
}

describe("the shipped examples", () => {
  it("load as they stand", async () => {
    const config = await loadConfig({ workspace: ROOT, env: {} });
    assert.deepEqual(config.subsystems.map((s) => [s.name, s.strategy, s.declaredVersion, s.process]), [["nats", "tags", "v2.10.24", "nats"], ["telegraf", "releases", "v1.33.0", "telegraf"]]);
    assert.deepEqual(config.warnings, []);
  });

  it("slipstream.example.yaml loads, and changes nothing but what it says", async (t) => {
    const [nats] = (await (await shippedWorkspace(t, await read("slipstream.example.yaml"))).load()).subsystems;
    const [bare] = (await (await shippedWorkspace(t, "")).load()).subsystems;
    assert.deepEqual({ ...nats, policy: bare?.policy, timeouts: bare?.timeouts, health: bare?.health, dir: "" }, {
      ...bare,
      dir: "",
      repositories: ["nats-io/nats-server", "our-forks/nats-server"],
      buildVars: { BUILD_CMD: 'go build -trimpath -o "$OUT" .' },
      test: { task: "nats:test" },
      smoke: { argv: ["{binary}", "--version"] },
    });
    assert.deepEqual([nats?.policy, nats?.timeouts, nats?.health], [bare?.policy, bare?.timeouts, bare?.health]);
  });

  it("slipstream.example.yaml shows every key there is", async () => {
    const text = await read("slipstream.example.yaml");
    const missing = keysOf(configJsonSchema()).filter((key) => !new RegExp(`(^|[\\s#{])${key}:`, "m").test(text) && key !== "command");
    assert.deepEqual(missing, []);
  });

  it("slipstream.example.yaml shows values of release mode that work once they are no comments", async (t) => {
    const text = (await read("slipstream.example.yaml")).replace(/^( +)# (download_rate|repository|api|asset|asset_hosts): /gm, "$1$2: ");
    const [nats] = (await (await shippedWorkspace(t, text)).load()).subsystems;
    assert.deepEqual([nats?.mode, nats?.release], ["release", releaseFeed({ repository: "acme/platform", asset: "{binary}-{os}-{arch}.tar.gz", assetHosts: ["*.mirror.example"], bytesPerSecond: 10 * 1024 ** 2 })]);
  });

  it("slipstream.example.yaml shows receivers, upstreams and keys of versions that work once they are no comments", async (t) => {
    const text = (await read("slipstream.example.yaml"))
      .replace(/^ {4}upstream: .*\n/m, "")
      .replace(/^# (receivers:.*| {2}.*)$/gm, "$1")
      .replace(/^ {4}# (upstreams:.*|tags:.*|channel:.*|pin:.*| {2}.*)$/gm, "    $1");
    const secrets = ["WEBHOOK_SECRET_GITHUB", "WEBHOOK_SECRET_GITHUB_WORK"].map((name, i) => `${name}=${String(i).repeat(32)}\n`).join("");
    const ws = await shippedWorkspace(t, text, { ".slipstream/secrets.env": secrets });
    const { receivers, subsystems: [nats] } = await ws.load();
    assert.deepEqual(receivers.map((r) => [r.name, r.forge, r.path, r.secrets.map((s) => s.name), r.repositories]), [["github", "github", "/webhook", ["github"], []], ["work", "github", "/hooks/work", ["github_work"], ["work/*"]]]);
    assert.deepEqual([nats?.upstream, nats?.branch, nats?.others.map((o) => [o.upstream, o.forge]), nats?.tags, nats?.channel, nats?.pin], ["https://github.com/our-forks/nats-server", "stable", [["https://gitea.example/mirrors/nats-server", "gitea"]], ["v*", "!*-nightly"], ["rc"], "v2.10.24"]);
  });

  it(".env.example sets nothing until somebody edits it", async () => {
    const lines = (await read(".env.example")).split("\n").filter((l) => l !== "" && !l.startsWith("#"));
    assert.deepEqual(lines, []);
  });
});

function keysOf(schema: unknown): string[] {
  const { properties = {}, additionalProperties, items } = schema as { properties?: Record<string, unknown>; additionalProperties?: unknown; items?: unknown };
  const below = [additionalProperties, items].filter((s) => typeof s === "object" && s !== null);
  return [...new Set([...Object.entries(properties).flatMap(([key, s]) => [key, ...keysOf(s)]), ...below.flatMap(keysOf)])];
}
