/** Gitea and Forgejo from end to end: their signed deliveries make a real daemon update from a forge of their kind and from git, and nobody else's do. Nothing runs under a supervisor. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { stringify } from "yaml";
import { childEnv } from "../../src/adapters/exec.ts";
import type { App } from "../../src/domain/app.ts";
import { thisPlatform } from "../../src/kit/platform.ts";
import { ensureTools } from "../../tools/install.ts";
import { type FakeForge, type AssetSpec, startForge } from "../support/forge.ts";
import { createUpstream, type GitServer, startGitServer, type Upstream } from "../support/git-server.ts";
import { type GiteaKind, giteaReleased, giteaTagPushed, signGitea } from "../support/gitea.ts";
import { type Payload, releasePublished, signDelivery, tagPushed } from "../support/github.ts";
import { operatorOf, runOf, told, verdictOn } from "../support/story.ts";
import { tarGz } from "../support/tarballs.ts";
import { until } from "../support/wait.ts";
import { runCli, type Sent, sendAgain } from "../support/workspace-io.ts";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/slipstream");
const SECRETS = { WEBHOOK_SECRET_GITHUB: "github-0123456789abcdef", WEBHOOK_SECRET_FORGEJO: "forgejo-0123456789abcdef", GITEA_TOKEN: "gta_0123456789abcdef0123", GITHUB_TOKEN: "ghp_0123456789abcdef0123" };
const { os, arch } = thisPlatform();
const SCRIPT = (word: string): string => `#!/bin/sh\necho ${word}\n`;
const asset = (word: string): AssetSpec => ({ name: `tea-${os}-${arch}.tar.gz`, content: tarGz({ name: "tea", content: SCRIPT(word) }) });
const sums = (a: AssetSpec): AssetSpec => ({ name: "SHA256SUMS", content: Buffer.from(`${createHash("sha256").update(a.content).digest("hex")}  ${a.name}\n`) });

describe("a workspace whose upstreams are on a Gitea or Forgejo", { timeout: 120_000 }, () => {
  let dir: string;
  let forge: FakeForge;
  let git: GitServer;
  let pot: Upstream;
  let url: string;
  let output: () => string;
  let app: App;
  const ends: (() => Promise<unknown>)[] = [];

  before(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-gitea-")));
    ends.push(() => rm(dir, { recursive: true, force: true }));
    forge = await startForge({ style: "gitea" });
    ends.push(() => forge.close());
    forge.requireToken(SECRETS.GITEA_TOKEN);
    await mkdir(join(dir, ".upstreams"));
    git = await startGitServer(join(dir, ".upstreams"));
    ends.push(() => git.close());
    pot = await createUpstream(join(dir, ".upstreams"), "acme/pot");
    await pot.commitFiles({ "a.txt": "1" }, "first");
    await pot.tag("v1.0.0");
    await writeWorkspace();
    const child = spawn(LAUNCHER, ["watch", "--workspace", dir, "--port", "0"], { env: childEnv(process.env, { NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" }), cwd: tmpdir(), stdio: ["ignore", "pipe", "pipe"] });
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise<void>((done) => child.once("close", () => done()));
    ends.push(async () => {
      child.kill("SIGTERM");
      await ended;
    });
    output = () => Buffer.concat(chunks).toString();
    url = await until(() => /"url":"([^"]+)"/.exec(output())?.[1], { what: "the daemon to listen", onTimeout: output });
    app = operatorOf({ dir });
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  async function writeWorkspace(): Promise<void> {
    for (const name of ["tea", "pot", "hub"]) await mkdir(join(dir, name, ".bin"), { recursive: true });
    await mkdir(join(dir, ".slipstream"), { mode: 0o700 });
    await writeFile(join(dir, ".slipstream", "secrets.env"), Object.entries(SECRETS).map(([name, value]) => `${name}=${value}\n`).join(""), { mode: 0o600 });
    const upstream = pot.url(git.url);
    const build = (name: string) => ({ version: "3", vars: { UPSTREAM_REPO: upstream, [`${name.toUpperCase()}_VERSION`]: "v1.0.0" }, tasks: { "bin:build": { cmds: [`printf '#!/bin/sh\\necho %s\\n' "$(git -C .src describe --tags --always)" > .bin/${name}`, `chmod 755 .bin/${name}`] } } });
    for (const name of ["pot", "hub"]) await writeFile(join(dir, name, "Taskfile.yml"), stringify(build(name)));
    await writeFile(join(dir, "Taskfile.yml"), stringify({ version: "3", includes: Object.fromEntries(["pot", "hub"].map((name) => [name, { taskfile: `./${name}/Taskfile.yml`, dir: `./${name}` }])) }));
    const source = { mode: "source", process: false, upstream };
    const tea = { mode: "release", process: false, binary: "tea", release: { repository: "acme/tea", api: forge.api, asset_hosts: [forge.assetHost] } };
    await writeFile(join(dir, "slipstream.yaml"), stringify({ tools: { task: (await ensureTools()).task }, subsystems: { tea, pot: { ...source, forge: "gitea" }, hub: { ...source, forge: "github" } } }));
  }

  const send = (p: Payload, kind: GiteaKind = "gitea"): Promise<Sent> => sendAgain(`${url}/webhook`, signGitea({ secret: SECRETS.WEBHOOK_SECRET_FORGEJO, kind, ...p }));
  const announce = (id: string, how: { action?: string; kind?: GiteaKind } = {}): Promise<Sent> => {
    const { repo, release } = forge.shown(id);
    return send(giteaReleased(repo, String(release["tag_name"]), { ...how, release }), how.kind);
  };
  const publish = (tag: string, ...assets: AssetSpec[]) => forge.publish("acme/tea", { tag, assets }).id;
  const installed = (name: string) => readFile(join(dir, name, ".bin", name), "utf8");

  test("a release announced by Forgejo is downloaded with the forge's own token, checked by its SHA256SUMS and installed", async () => {
    const one = asset("one");
    const sent = await announce(publish("v1.1.0", one, sums(one)), { kind: "forgejo" });
    assert.equal(sent.answer.status, 202, JSON.stringify(sent.answer.body));
    const run = await runOf(app, sent);
    assert.deepEqual([run.status, run.toVersion], ["succeeded", "v1.1.0"], told(run));
    assert.equal(await installed("tea"), SCRIPT("one"));
    assert.equal((await app.delivery(sent.answer.body.delivery)).receiver, "gitea");
  });

  test("a draft that is published says updated, and that counts too", async () => {
    const two = asset("two");
    const run = await runOf(app, await announce(publish("v1.2.0", two, sums(two)), { action: "updated" }));
    assert.deepEqual([run.status, await installed("tea")], ["succeeded", SCRIPT("two")], told(run));
  });

  test("an asset that nothing states a digest for is not installed: Gitea states none itself", async () => {
    const bare = await runOf(app, await announce(publish("v1.3.0", asset("three"))));
    assert.notEqual(bare.status, "succeeded", told(bare));
    assert.match(`${bare.code} ${bare.holdReason}`, /digest-unknown|assets/, told(bare));
    assert.equal(await installed("tea"), SCRIPT("two"));
  });

  test("an external asset, which may name any address, is not fetched from a host nobody allowed", async () => {
    const elsewhere = await startForge({ style: "gitea" });
    ends.push(() => elsewhere.close());
    const four = asset("four");
    const external = { ...four, odd: { type: "external", browser_download_url: `${new URL(elsewhere.api).origin}/acme/tea/four.tar.gz` } };
    const run = await runOf(app, await announce(publish("v1.4.0", external, sums(four))));
    assert.deepEqual([run.status, run.code], ["failed", "forge-refused"], told(run));
    assert.equal(elsewhere.requests.length, 0);
    assert.equal(await installed("tea"), SCRIPT("two"));
  });

  test("a tag pushed to Gitea builds the subsystem that is bound to Gitea, and not the one of the same repository's name on GitHub", async () => {
    await pot.commitFiles({ "a.txt": "2" }, "second");
    const commit = await pot.git("rev-parse", "HEAD");
    await pot.tag("v1.1.0");
    const sent = await send(giteaTagPushed("acme/pot", "v1.1.0", commit));
    const run = await runOf(app, sent);
    assert.deepEqual([run.status, run.subsystem, run.commit], ["succeeded", "pot", commit], told(run));
    assert.deepEqual((await app.why("hub")).deliveries, []);
    assert.deepEqual((await app.runs({ subsystem: "hub" })).length, 0);
  });

  test("GitHub may speak neither about a repository on Gitea nor to its subsystems", async () => {
    const fromGithub = async (p: Payload) => sendAgain(`${url}/webhook`, await signDelivery({ secret: SECRETS.WEBHOOK_SECRET_GITHUB, ...p }));
    const about = await verdictOn(app, await fromGithub(releasePublished("acme/tea", "v9.0.0")));
    assert.deepEqual([about.state, about.reason], ["ignored", "repository-not-configured"]);
    const shared = await runOf(app, await fromGithub(tagPushed("acme/pot", "v1.1.0", await pot.git("rev-parse", "HEAD"))));
    assert.equal(shared.subsystem, "hub", told(shared));
    assert.equal((await app.runs({ subsystem: "pot" })).length, 1);
  });

  test("simulate sends what Gitea would, signed with the secret that is bound to it", async () => {
    const { stdout, stderr, exitCode } = await runCli(LAUNCHER, ["simulate", "pot", "--workspace", dir, "--json"]);
    assert.equal(exitCode, 0, stdout + stderr);
    const { sent, delivery } = JSON.parse(stdout);
    assert.deepEqual([sent.status, delivery.receiver, delivery.key, delivery.change.forge, delivery.reason], [202, "gitea", "forgejo", "gitea", "already-current"]);
  });

  test("none of its secrets is in the log", () => {
    for (const value of Object.values(SECRETS)) assert.equal(output().includes(value), false);
  });
});
