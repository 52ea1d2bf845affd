/** Several upstreams from a delivery to the installed program: real git servers, real forges over HTTP, the real engine. */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { childEnv, exec } from "../../src/adapters/exec.ts";
import { createForges } from "../../src/adapters/forge/forges.ts";
import { createGit, type Git } from "../../src/adapters/git.ts";
import { proveRunning } from "../../src/adapters/running-digest.ts";
import { createTask } from "../../src/adapters/task.ts";
import type { Change } from "../../src/domain/change.ts";
import type { Run } from "../../src/domain/run.ts";
import { originsOf, type Subsystem } from "../../src/domain/subsystem.ts";
import { createBell } from "../../src/kit/bell.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { thisPlatform } from "../../src/kit/platform.ts";
import { createFeed } from "../../src/resolve/feed.ts";
import { createUpstream as createLookup } from "../../src/resolve/upstream.ts";
import { createResolveWorker } from "../../src/resolve/worker.ts";
import { createEngine } from "../../src/run/engine.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { type FakeForge, startForge } from "../support/forge.ts";
import { createUpstream, type GitServer, startGitServer, type Upstream } from "../support/git-server.ts";
import { packTarball } from "../support/release-assets.ts";
import { checksums } from "../support/release-programs.ts";
import { releaseDeps } from "../support/release-deps.ts";
import { releaseFeed, subsystem as subsystemWith } from "../support/subsystem.ts";
import { until } from "../support/wait.ts";

/** A build that is one script: its program says which commit it was made of. */
const BUILD = { "build.sh": "printf '#!/bin/sh\\necho %s\\n' \"$(git -C \"$1\" rev-parse HEAD)\" > .bin/api-server; chmod +x .bin/api-server\n" };

describe("several upstreams", { timeout: 120_000 }, () => {
  let dir: string;
  let git: Git;
  let store: Store;
  let servers: { acme: GitServer; ours: GitServer };
  let repos: { acme: Upstream; ours: Upstream };

  before(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-upstreams-")));
    const place = async (owner: string) => ({ server: await startGitServer(join(dir, owner)), repo: await createUpstream(join(dir, owner), `${owner}/api`) });
    const [acme, ours] = [await place("acme"), await place("ours")];
    servers = { acme: acme.server, ours: ours.server };
    repos = { acme: acme.repo, ours: ours.repo };
    for (const repo of Object.values(repos)) await repo.commitFiles(BUILD, "first");
    for (const repo of Object.values(repos)) await repo.tag("v1.0.0");
    await mkdir(join(dir, "ws", "api"), { recursive: true });
    await writeFile(join(dir, "ws", "Taskfile.yml"), "version: '3'\n");
    git = await createGit({ exec, env: childEnv(process.env), engine: "auto", maxBytes: 1 << 26, timeoutMs: 20_000, lagMs: 0 }, AbortSignal.timeout(20_000));
    store = openStore(join(dir, "state.db"), () => Date.now());
  });
  after(async () => {
    store.close();
    await Promise.all(Object.values(servers).map((s) => s.close()));
    await rm(dir, { recursive: true, force: true });
  });

  const subsystem = (fields: Parameters<typeof subsystemWith>[0] = {}): Subsystem => {
    const url = (owner: "acme" | "ours") => repos[owner].url(servers[owner].url);
    return subsystemWith({ dir: join(dir, "ws", "api"), upstream: url("acme"), process: null, build: { argv: ["sh", "{src}/build.sh", "{src}"] }, others: [{ upstream: url("ours"), branch: "main", repositories: ["ours/api"] }], ...fields });
  };
  const forgeFor = (s: Subsystem) => createForges({ clock: systemClock, feeds: originsOf(s).flatMap((o) => o.release ?? []) });
  let sent = 0;

  /** Takes one delivery to its verdict, and returns the run it led to. */
  async function resolved(s: Subsystem, change: Change): Promise<Run> {
    const [accepted] = store.inbox.accept([{ receiver: "github", event: change.kind, change, externalId: `d${++sent}`, bodySha256: `b${sent}`, key: "default", body: Buffer.from("{}"), state: "received" }]);
    const delivery = () => store.inbox.get(accepted?.delivery.id ?? "");
    const stop = new AbortController();
    const forge = forgeFor(s);
    const worker = createResolveWorker({ store, clock: systemClock, log: silentLog(), upstream: createLookup(git, forge), feed: createFeed({ forge, platform: thisPlatform() }), subsystems: () => [s], looked: async () => undefined, adopt: async () => undefined, bell: createBell(systemClock), queued: createBell(systemClock) }).run(stop.signal);
    await until(() => delivery()?.state !== "received" || delivery()?.reason !== undefined, { what: "the delivery to be judged" });
    stop.abort();
    await worker;
    const run = store.runs.get(delivery()?.runId ?? "");
    assert.ok(run, delivery()?.reason);
    return run;
  }

  /** Runs what is queued to its end. */
  async function executed(s: Subsystem): Promise<Run> {
    const place = { workspace: join(dir, "ws"), stateDir: join(dir, "ws", ".slipstream"), rootTaskfile: join(dir, "ws", "Taskfile.yml") };
    const deps = { store, clock: systemClock, log: silentLog(), mask: (t: string) => t, exec, env: process.env, git, task: createTask({ exec, program: "task", env: process.env }), supervisor: null, prove: proveRunning, ...releaseDeps(store, place.workspace), forge: forgeFor(s), platform: thisPlatform(), ...place };
    const run = store.runs.move((store.runs.nextQueued() as Run).id, "running");
    await createEngine(deps).execute(run, s, new AbortController().signal);
    return store.runs.get(run.id) as Run;
  }
  const installed = () => readFile(join(dir, "ws", "api", ".bin", "api-server"), "utf8");

  test("a version that only the lower one has is fetched, built and installed from there", async () => {
    const commit = await repos.ours.commitFiles({ "feature.txt": "ours" }, "v1.1.0");
    await repos.ours.tag("v1.1.0");
    const run = await resolved(subsystem(), { kind: "tag", repository: "ours/api", tag: "v1.1.0", commit });
    const ended = await executed(subsystem());
    assert.deepEqual([run.upstream, ended.status], [subsystem().others[0]?.upstream, "succeeded"], ended.message);
    assert.deepEqual([store.versions.current("api")?.commit, await installed()], [commit, `#!/bin/sh\necho ${commit}\n`]);
  });

  test("a commit of the first one's branch comes from a mirror while the first is away", async () => {
    const commits = subsystem({ strategy: "commits" });
    const commit = await repos.acme.commitFiles({ "next.txt": "both" }, "next");
    await repos.ours.git("fetch", "--quiet", repos.acme.dir, "main");
    await repos.ours.reset("FETCH_HEAD");
    const run = await resolved(commits, { kind: "branch", repository: "acme/api", branch: "main", commit, forced: false });
    assert.deepEqual([run.commit, run.upstream], [commit, undefined]);
    await servers.acme.close();
    const ended = await executed(commits);
    assert.equal(ended.status, "succeeded", ended.message);
    assert.equal(await installed(), `#!/bin/sh\necho ${commit}\n`);
  });

  test("a run whose upstream is no longer configured says so and installs nothing", async () => {
    const before = await installed();
    store.runs.create({ kind: "update", subsystem: "api", status: "queued", trigger: "delivery", toVersion: "v1.9.0", commit: "a".repeat(40), ref: "refs/tags/v1.9.0", upstream: "https://gone.example/a/b" });
    const ended = await executed(subsystem());
    assert.deepEqual([ended.status, ended.code, ended.failedStage], ["failed", "version-not-found", "update-source"]);
    assert.match(ended.message ?? "", /upstream of run \S+ is https:\/\/gone\.example\/a\/b, expected one that api is configured with now/);
    assert.equal(await installed(), before);
  });

  describe("with releases", () => {
    const forges: FakeForge[] = [];
    const { os, arch } = thisPlatform();
    const name = `api-server-${os}-${arch}.tar.gz`;
    after(() => Promise.all(forges.map((f) => f.close())));

    test("the newest is downloaded from the forge that has it, another style of forge or not", async () => {
      const [acme, ours] = [await startForge({ firstId: 5n }), await startForge({ style: "gitea", firstId: 5n })];
      forges.push(acme, ours);
      const program = async (version: string) => packTarball({ "api-server": Buffer.concat([await readFile(await realpath("/bin/true")), Buffer.from(version)]) });
      const publish = async (forge: FakeForge, repo: string, tag: string) => {
        const packed = { name, content: await program(tag) };
        return forge.publish(repo, { tag, assets: [packed, checksums([packed])] });
      };
      await publish(acme, "acme/api", "v2.0.1");
      const { id } = await publish(ours, "ours/api", "v2.0.2");
      store.versions.setCurrent({ subsystem: "api", version: "v2.0.0", digest: "sha256:old" });
      const feed = (forge: FakeForge, repository: string) => releaseFeed({ api: forge.api, repository, assetHosts: [forge.assetHost] });
      const s = subsystem({ mode: "release", release: feed(acme, "acme/api"), others: [{ upstream: `${new URL(ours.api).origin}/ours/api`, branch: "main", repositories: ["ours/api"], release: feed(ours, "ours/api"), forge: "gitea" }] });
      const run = await resolved(s, { kind: "release", repository: "ours/api", tag: "v2.0.2", releaseId: id, action: "published", draft: false, prerelease: false });
      assert.deepEqual([run.toVersion, run.upstream], ["v2.0.2", s.others[0]?.upstream]);
      const ended = await executed(s);
      assert.equal(ended.status, "succeeded", ended.message);
      assert.deepEqual([acme.downloadsOf(name), ours.downloadsOf(name)], [0, 1]);
      assert.equal(store.versions.current("api")?.version, "v2.0.2");
    });
  });
});
