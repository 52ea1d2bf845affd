/** Attacks on release mode that must not succeed, by whoever publishes releases, serves assets, plants files in the workspace or hands init a checkout. Real daemon, forge, HTTP and files. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { stringify } from "yaml";
import { createGithubForge } from "../../src/adapters/forge/github.ts";
import { openHttp, readText } from "../../src/adapters/http.ts";
import { nextHop } from "../../src/adapters/http-hops.ts";
import { thisPlatform } from "../../src/kit/platform.ts";
import { loadConfig } from "../../src/config/load.ts";
import { asConfig, ownFileText } from "../../src/config/proposal.ts";
import { survey } from "../../src/config/survey.ts";
import { createDaemon } from "../../src/daemon.ts";
import type { App } from "../../src/domain/app.ts";
import { SlipstreamError } from "../../src/domain/errors.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { createLog } from "../../src/kit/log.ts";
import { createMask, Secret } from "../../src/kit/secret.ts";
import type { Store } from "../../src/store/store.ts";
import { file, startAssetServer } from "../support/asset-server.ts";
import { type FakeForge, releaseDelivery, startForge } from "../support/forge.ts";
import { deliver, type Payload, signDelivery } from "../support/github.ts";
import { releaseFeed } from "../support/subsystem.ts";
import { gnuLongName, paxHeader, type TarMember, tarGz } from "../support/tarballs.ts";
import { until } from "../support/wait.ts";

const { os, arch } = thisPlatform();
const ASSET = `api-${os}-${arch}.tar.gz`;
const TOKEN = "ghp_attack0123456789abcdefghijKLMNOP";
const SCRIPT = (word: string): string => `#!/bin/sh\necho ${word}\n`;

const program = (word: string): TarMember => ({ name: "api", content: SCRIPT(word) });
const asset = (...members: readonly (TarMember | Buffer)[]) => ({ name: ASSET, content: tarGz(...members) });

interface Target {
  readonly dir: string;
  readonly forge: FakeForge;
  readonly store: Store;
  readonly app: App;
  readonly secret: string;
  log(): string;
  send(payload: Payload): Promise<string>;
  /** Publishes, announces, and waits until something came of it: `status code` of the run, else `state reason` of the delivery. */
  release(tag: string, ...members: readonly (TarMember | Buffer)[]): Promise<string>;
  live(): Promise<string>;
  close(): Promise<void>;
}

/** A workspace with one program out of releases of `acme/api`, which nothing runs. */
async function openTarget(o: { readonly token?: boolean; readonly prepare?: (dir: string) => Promise<void> } = {}): Promise<Target> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-attack-")));
  const forge = await startForge();
  const secret = randomBytes(24).toString("hex");
  await mkdir(join(dir, ".slipstream"), { mode: 0o700 });
  await writeFile(join(dir, ".slipstream", "secrets.env"), `WEBHOOK_SECRET=${secret}\n${o.token === true ? `GITHUB_TOKEN=${TOKEN}\n` : ""}`, { mode: 0o600 });
  await mkdir(join(dir, "api", ".bin"), { recursive: true });
  const api = { mode: "release", process: false, binary: "api", release: { repository: "acme/api", api: forge.api, asset_hosts: [forge.assetHost] } };
  await writeFile(join(dir, "slipstream.yaml"), stringify({ subsystems: { api } }));
  await o.prepare?.(dir);
  const config = await loadConfig({ workspace: dir, env: { PATH: process.env["PATH"] }, flags: { port: 0 } });
  let text = "";
  const log = createLog({ level: "debug", mask: createMask(config.secrets), destination: { write: (line) => void (text += line) } });
  let store: Store | undefined;
  const daemon = await createDaemon({ config, log, listen: true, wrapStore: (s) => (store = s) });
  const stop = new AbortController();
  let listening: (url: string) => void = () => undefined;
  const ready = new Promise<string>((resolve) => (listening = resolve));
  const running = daemon.run(stop.signal, listening);
  const url = await ready;
  const close = async () => {
    stop.abort();
    await running;
    await forge.close();
    await rm(dir, { recursive: true, force: true });
  };
  const base = { dir, forge, store: store as Store, app: daemon.app, secret, log: () => text, close, live: () => readFile(join(dir, "api", ".bin", "api"), "utf8") };
  const send = async ({ event, body }: Payload) => String((await deliver(`${url}/webhook`, await signDelivery({ secret, event, body }))).body.delivery);
  return { ...base, send, release: (tag, ...members) => releaseTo({ ...base, send }, tag, members) };
}

async function releaseTo(t: Pick<Target, "forge" | "store" | "send" | "log">, tag: string, members: readonly (TarMember | Buffer)[]): Promise<string> {
  const { id } = t.forge.publish("acme/api", { tag, assets: [asset(...members)] });
  return outcome(t, await t.send(releaseDelivery(t.forge, id, "published")));
}

/** What came of a delivery. */
function outcome(t: Pick<Target, "store" | "log">, delivery: string): Promise<string> {
  const found = () => {
    const d = t.store.inbox.get(delivery);
    if (d === undefined || d.state === "received") return undefined;
    const run = d.runId === undefined ? undefined : t.store.runs.get(d.runId);
    if (run === undefined) return `${d.state} ${d.reason?.replace(/:.*/s, "") ?? ""}`.trim();
    return ["queued", "running"].includes(run.status) ? undefined : `${run.status} ${run.code ?? run.holdReason ?? ""}`.trim();
  };
  return until(found, { what: "the delivery's outcome", everyMs: 15, onTimeout: () => t.log().slice(-3_000) });
}

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
}

describe("who publishes releases", () => {
  it("cannot make an approval install other bytes than those it was given for", async () => {
    const t = await openTarget();
    after(t.close);
    assert.equal(await t.release("v1.0.0", program("one")), "succeeded");
    assert.equal(await t.release("v2.0.0", program("two")), "held approval");
    const held = t.store.runs.held("api", "approval");
    const { releaseId = "" } = held?.artifact ?? {};
    t.forge.replaceAsset(releaseId, asset(program("bad")));
    await t.app.request({ verb: "approve", runId: held?.id ?? "", actor: "operator" });
    const ended = await until(() => ["failed", "succeeded"].find((s) => s === t.store.runs.get(held?.id ?? "")?.status), { what: "the approved run to end" });
    assert.deepEqual([ended, await t.live()], ["failed", SCRIPT("one")]);
    assert.deepEqual(await readdir(join(t.dir, ".slipstream", "downloads")), [], "nothing of the other bytes is left");
  });

  it("cannot write outside with members that climb, link, double or hide, nor get half an archive in", async () => {
    const t = await openTarget();
    after(t.close);
    const outside = join(t.dir, "..", "slipstream-pwned");
    const attacks: readonly (readonly (TarMember | Buffer)[])[] = [
      [{ name: "../../slipstream-pwned", content: "x" }, program("a")],
      [{ name: outside, content: "x" }, program("b")],
      [{ name: "api", type: "2", link: "/bin/sh" }],
      [{ name: "d", type: "2", link: "../../.." }, { name: "d/slipstream-pwned", content: "x" }, program("c")],
      [{ name: "api", type: "1", link: "../../../.slipstream/secrets.env" }],
      [program("d"), program("e")],
      [paxHeader({ path: "../../../slipstream-pwned" }), program("f")],
      [gnuLongName(`${"../".repeat(9)}slipstream-pwned`), program("g")],
      [{ name: "api", type: "6" }],
      [{ name: "api", content: SCRIPT("h"), size: 2 ** 32 }],
    ];
    for (const [i, members] of attacks.entries()) assert.equal(await t.release(`v1.0.${i}`, ...members), "failed artifact-invalid", `attack ${i}`);
    await assert.rejects(lstat(outside), { code: "ENOENT" });
    assert.deepEqual(await readdir(join(t.dir, "api", ".bin")), []);
    assert.deepEqual(await readdir(join(t.dir, ".slipstream", "downloads")), []);
  });

  it("cannot speak through the archive's .version: no terminal codes, no shell code, no downgrade", async () => {
    const t = await openTarget();
    after(t.close);
    const stamped = (word: string, stamp: string) => [program(word), { name: ".version", content: stamp }];
    assert.equal(await t.release("v1.2.0", ...stamped("a", "version: \u001b]0;pwned\u0007v9\ncommit: $(id)\n")), "succeeded");
    assert.deepEqual(t.store.versions.current("api")?.version, "v1.2.0");
    assert.equal(t.store.versions.current("api")?.commit, undefined);
    assert.equal(await t.release("v1.2.1", ...stamped("b", "version: v1.0.0\n")), "failed policy-refused");
    assert.equal(await t.release("v1.2.2", ...stamped("c", "version: v9.0.0\n")), "failed policy-refused");
    assert.equal(await t.release("v1.2.3", ...stamped("d", `checksum: ${"0".repeat(64)}\n`)), "failed digest-mismatch");
    assert.equal(await t.live(), SCRIPT("a"));
    assert.doesNotMatch(await readFile(join(t.dir, "api", ".bin", ".version"), "utf8"), /\p{Cc}(?<!\n)|\$/u);
  });

  it("cannot get odd tags looked at, nor an older release installed by announcing it later", async () => {
    const t = await openTarget();
    after(t.close);
    assert.equal(await t.release("v1.1.0", program("new")), "succeeded");
    for (const tag of ["v1.1.1\u001b[2J", "v1.1.1;id", "v1.1.1$(id)", "../../v1.1.1", "-v1.1.1", "v1.1.1\nx", "v1.1.1 x"]) t.forge.publish("acme/api", { tag: "v1.1.1", odd: { tag_name: tag }, assets: [asset(program("bad"))] });
    assert.equal(await t.release("v1.0.9", program("old")), "ignored older-than-current");
    assert.equal(await t.live(), SCRIPT("new"));
    assert.deepEqual(t.store.runs.list({ limit: 9 }).map((r) => r.toVersion), ["v1.1.0"]);
  });

  it("gets one download for a burst of deliveries about one release, and at most one look for each", async () => {
    const t = await openTarget();
    after(t.close);
    const { id } = t.forge.publish("acme/api", { tag: "v1.0.0", assets: [asset(program("a"))] });
    const sent = await Promise.all(Array.from({ length: 60 }, (_, i) => t.send(releaseDelivery(t.forge, id, i % 2 === 0 ? "edited" : "published"))));
    for (const delivery of sent) await outcome(t, delivery);
    // One more is the address of the asset.
    assert.ok(t.forge.countApi() <= 61, `${t.forge.countApi()} requests for 60 deliveries`);
    assert.equal(t.forge.downloadsOf(ASSET), 1);
  });
});

describe("who serves assets", () => {
  it("never sees the token, and neither does any file, record or log line", async () => {
    const t = await openTarget({ token: true });
    after(t.close);
    t.forge.requireToken(TOKEN);
    assert.equal(await t.release("v1.0.0", program("a")), "succeeded");
    t.forge.fault(ASSET, { kind: "redirect-elsewhere", url: "https://elsewhere.example/x" });
    assert.equal(await t.release("v1.0.1", program("b")), "failed download-failed");
    assert.deepEqual([...new Set(t.forge.requests.map((r) => `${r.host} ${r.authorization}`))].sort(), ["api true", "asset false"]);
    const runs = await Promise.all(t.store.runs.list({ limit: 9 }).map((r) => t.app.run(r.id)));
    const said = [t.log(), JSON.stringify([await t.app.status(), runs, await t.app.why("api")])];
    for (const path of await filesBelow(t.dir)) if (!path.endsWith("secrets.env")) said.push(await readFile(path, "latin1"));
    for (const text of said) assert.ok(!text.includes(TOKEN) && !text.includes(t.secret));
  });

  it("cannot send a feed to a service on this machine", async () => {
    const service = await startAssetServer();
    after(service.close);
    service.script(file(asset(program("ssrf")).content));
    const feed = releaseFeed();
    for (const url of [`${service.url}/x`, "http://localhost:1/x", "https://[::1]/x", "https://github.com:22/x", "https://user@github.com/x", "https://github.com.evil.example/x", "file:///etc/passwd"]) {
      assert.equal(createGithubForge({ clock: systemClock }).source(feed, { id: "7", url }).url, "https://api.github.com/repos/acme/api/releases/assets/7", url);
    }
    const source = createGithubForge({ clock: systemClock, token: new Secret("GITHUB_TOKEN", TOKEN) }).source(feed, { id: "7" });
    const from = { url: new URL(source.url), home: true };
    for (const to of [`${service.url}/x`, "https://127.0.0.1/x", "https://localhost/x", "//169.254.169.254/latest", "http://github.com/x", "https://a@github.com/x", "gopher://github.com/"]) assert.throws(() => nextHop(source, from, to), { code: "download-failed" }, to);
    const t = await openTarget();
    after(t.close);
    t.forge.fault(ASSET, { kind: "redirect-elsewhere", url: `${service.url}/x` });
    assert.equal(await t.release("v1.0.0", program("a")), "failed download-failed");
    assert.equal(service.requests.length, 0);
  });

  it("cannot keep a request open for ever, or break the process, with answers that are odd", async () => {
    const answers: readonly string[] = [
      "HTTP/1.1 200 OK\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-encoding: \u009b31m\r\ncontent-length: 2\r\n\r\nhi",
      `HTTP/1.1 200 OK\r\nx: ${"a".repeat(200_000)}\r\n\r\n`,
      "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nhi",
      "HTTP/1.1 000 x\r\ncontent-length: 0\r\n\r\n",
      "\u001b]0;pwned\u0007 SSH-2.0\r\n",
      "HTTP/1.1 302 x\r\nlocation: file:///etc/passwd\r\n\r\n",
      "HTTP/1.1 302 x\r\nlocation: \r\n\r\n",
      "HTTP/1.1 302 x\r\nlocation: http://2130706433:1/\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n".repeat(500),
      "HTTP/1.1 200 OK\r\ncontent-length: 2",
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(20_000)}0\r\n\r\n`,
    ];
    let answer = "";
    const server = createServer((socket) => void socket.on("error", () => undefined).once("data", () => socket.end(answer, "latin1")));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    after(() => server.close());
    const source = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`, redirectHosts: [] };
    for (answer of answers) {
      const text = await openHttp(source, { headMs: 2_000, idleMs: 2_000 }, AbortSignal.timeout(5_000)).then((reply) => readText(reply, 1_000)).catch((error: unknown) => error);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not reach a terminal
      if (typeof text !== "string") assert.ok(text instanceof SlipstreamError && !/[\u0000-\u001f]/.test(text.message), String(text));
    }
  });
});

describe("who can plant files in the workspace", () => {
  it("cannot have an update write through links where it keeps its files", async () => {
    const victim = await mkdtemp(join(tmpdir(), "slipstream-victim-"));
    after(() => rm(victim, { recursive: true, force: true }));
    const names = [".version-manifest.json", "api/.bin/.version", "api/.bin/.version.new", ".version-manifest.json.new"];
    const prepare = async (dir: string) => {
      for (const [i, name] of names.entries()) {
        await writeFile(join(victim, `${i}`), "precious\n");
        await symlink(join(victim, `${i}`), join(dir, name));
      }
    };
    const t = await openTarget({ prepare });
    after(t.close);
    assert.equal(await t.release("v1.0.0", program("a")), "succeeded");
    await until(async () => (await lstat(join(t.dir, names[0] as string))).isFile(), { what: "the manifest", everyMs: 15 });
    for (const i of names.keys()) assert.equal(await readFile(join(victim, `${i}`), "utf8"), "precious\n", names[i]);
  });
});

describe("a checkout given to init", () => {
  it("cannot put logins, keys or terminal codes into slipstream.yaml", async () => {
    const dir = await mkdtemp(join(tmpdir(), "slipstream-attack-init-"));
    after(() => rm(dir, { recursive: true, force: true }));
    const urls = ['"https://user:hunter2@host.example/a/b?token=hunter2#hunter2"', "ext::sh -c id", "/\\u001b]0;pwned", "-oProxyCommand=id", "https://host.example/a/b\\n[core]"];
    const folders = [...urls.map((_, i) => `f${i}`), "na\nlisten: {host: 0.0.0.0}", "esc\u001b[2J", "__proto__", "a: {b: c}", "# x", "&a", "*a", "!!js/function x"];
    for (const [i, folder] of folders.entries()) {
      await mkdir(join(dir, folder, ".bin"), { recursive: true });
      await writeFile(join(dir, folder, ".bin", "run\nme: {x: y}"), "");
      await chmod(join(dir, folder, ".bin", "run\nme: {x: y}"), 0o755);
      if (urls[i] === undefined) continue;
      await mkdir(join(dir, folder, ".src", ".git"), { recursive: true });
      await writeFile(join(dir, folder, ".src", ".git", "config"), `[remote "origin"]\n\turl = ${urls[i]}\n`);
    }
    await mkdir(join(dir, "loop", ".src", ".git"), { recursive: true });
    await symlink("config", join(dir, "loop", ".src", ".git", "config"));
    await mkdir(join(dir, "huge", ".src", ".git"), { recursive: true });
    await writeFile(join(dir, "huge", ".src", ".git", "config"), Buffer.alloc(3 * 1024 * 1024, "a"));
    const found = await survey({ workspace: dir, env: {} });
    const text = ownFileText(found.entries);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not reach a terminal
    assert.doesNotMatch(text, /hunter2|[\u0000-\u0009\u000b-\u001f]/);
    assert.deepEqual(asConfig(found.entries), {}, "nothing of it is in force");
    assert.doesNotMatch(JSON.stringify([found.unknown, found.problems]), /hunter2/);
    assert.ok(text.split("\n").every((line) => line === "" || line.startsWith("#")), text);
  });
});
