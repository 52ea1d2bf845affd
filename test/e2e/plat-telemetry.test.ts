/** The workspace slipstream was made for, as it is: uncorrected Taskfiles, probes through Task, three sorts of `.version`. Real Task, Process Compose, git and programs. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { App, CheckEntry, StatusView } from "../../src/domain/app.ts";
import { parseStamp, type VersionStamp } from "../../src/domain/artifact.ts";
import { branchPushed, type Payload, tagPushed } from "../support/github.ts";
import { DISTRIBUTION, PLAT, type PlatName } from "../support/plat-telemetry-files.ts";
import { createPlatWorkspace, filesOf, type PlatSeen, type PlatWorkspace, RUNNING } from "../support/plat-telemetry.ts";
import { digestOf } from "../support/snapshot.ts";
import { buildersOf } from "../support/leftovers.ts";
import { operatorOf, runOf, told, verdictOn } from "../support/story.ts";
import { until } from "../support/wait.ts";
import type { Sent } from "../support/workspace-io.ts";

type Seen = Readonly<Record<string, PlatSeen>>;

describe("a workspace of the plat-telemetry kind", { timeout: 180_000 }, () => {
  let ws: PlatWorkspace;
  let app: App;
  let nats: Sent;
  let natsCommit: string;

  before(async () => {
    ws = await createPlatWorkspace();
    app = operatorOf(ws);
  });
  after(() => ws?.close());

  const stampOf = async (name: PlatName): Promise<VersionStamp> => parseStamp(await readFile(join(ws.dir, name, ".bin", ".version"), "utf8"));
  const manifestOf = async (name: PlatName) => JSON.parse(await readFile(join(ws.dir, ".version-manifest.json"), "utf8")).subsystems[name];
  /** All that belongs to the workspace but the programs of one subsystem: sources, Taskfiles, neighbours. */
  const restOf = (name: PlatName) => filesOf(ws.dir, [`${name}/.bin`, ".slipstream", ".version-manifest.json", ".upstreams", "pc.out", "pc.log", "pc/.pc.sock"]);

  /** All others keep their pids, programs and restarts; all run what is installed. */
  async function onlyOneChanged(before: Seen, changed: PlatName | null): Promise<Seen> {
    const now = await ws.see();
    for (const name of RUNNING) {
      const [was, is] = [before[name] as PlatSeen, now[name] as PlatSeen];
      assert.equal(is.running, is.installed, `${name} runs what is installed`);
      if (name !== changed) assert.deepEqual(is, was, `${name} is untouched`);
      else for (const key of ["pid", "ownPid", "running", "version"] as const) assert.notEqual(is[key], was[key], `${key} of ${name}`);
    }
    return now;
  }

  async function updatedBy(payload: Payload): Promise<Sent> {
    const sent = await ws.deliver(payload);
    const run = await runOf(app, sent);
    assert.equal(run.status, "succeeded", `${told(run)}\n${await app.logs(run.id)}`);
    return sent;
  }

  /** The same bytes once more, and the same news under an id of its own: neither leads to a run. */
  async function isNoNews(sent: Sent, payload: Payload): Promise<void> {
    const before = await ws.see();
    const runs = await app.runs({});
    const again = await ws.redeliver(sent.signed);
    assert.deepEqual([again.answer.status, again.answer.body.duplicate], [200, true]);
    const verdict = await verdictOn(app, await ws.deliver(payload));
    assert.deepEqual([verdict.state, verdict.reason, verdict.runId], ["ignored", "already-current", undefined]);
    assert.equal((await app.runs({})).length, runs.length, "no run");
    await onlyOneChanged(before, null);
  }

  test("is understood without a word about its subsystems", async () => {
    const status = (await ws.json(["status"])) as StatusView;
    const shown = status.subsystems.map((s) => [s.name, s.process ?? "-", s.mode, s.strategy, s.releases ?? s.upstream.split("/").slice(-2).join("/"), s.current?.version ?? "-"].join(" "));
    assert.deepEqual(shown, [
      "arc arc source commits basekick-labs/arc.git main",
      "docs hugo source tags gohugoio/hugo.git v0.139.0",
      `gh - release tags ${DISTRIBUTION} v2.62.0`,
      "liftbridge liftbridge source commits basekick-labs/liftbridge.git -",
      "nats nats source tags nats-io/nats-server.git v2.10.24",
      `pc - release tags ${DISTRIBUTION} -`,
      `telegraf telegraf release commits ${DISTRIBUTION} master`,
    ]);
    assert.deepEqual(status.problems, []);
    assert.deepEqual(status.subsystems.filter((s) => !s.managed).map((s) => `${s.name}: ${s.note}`), ["pc: process-compose supervises every process"]);
    for (const name of ["arc", "docs", "nats"] as const) assert.equal(status.subsystems.find((s) => s.name === name)?.current?.digest, await digestOf(join(ws.dir, name, ".bin", PLAT[name].binary)));
  });

  test("cannot update itself: its own src:update and bin:build succeed, say so, and change nothing", async () => {
    const before = await ws.see();
    natsCommit = await ws.release("nats", "v2.10.25", heavy("v2.10.25"));
    for (const step of ["nats:src:update", "nats:bin:build"]) {
      const done = await ws.task(step);
      assert.equal(done.exitCode, 0, done.stderr);
    }
    assert.equal((await ws.see())["nats"]?.installed, before["nats"]?.installed);
    const verify = await ws.task("bin:verify");
    assert.notEqual(verify.exitCode, 0, "one absent program fails the verification of all others");
  });

  test("gets a new tag: only its program changes, nothing restarts beside it while a long build runs, the pin has moved, and the sources of the workspace stay as they are", async () => {
    const [before, rest] = [await ws.see(), await restOf("nats")];
    const building = until(async () => (await buildersOf(ws.dir)).find((b) => b.program === "compile"), { what: "the compiler to run", timeoutMs: 60_000, everyMs: 50 });
    [nats] = await Promise.all([updatedBy(tagPushed("nats-io/nats-server", "v2.10.25", natsCommit)), building]);
    assert.ok((await building).nice >= 10, `the compiler runs at nice ${(await building).nice}`);
    const now = await onlyOneChanged(before, "nats");
    assert.equal(now["nats"]?.version, "v2.10.25", "the running program says so itself");
    const digest = (now["nats"]?.installed ?? "").slice("sha256:".length);
    const stamp = await stampOf("nats");
    assert.deepEqual({ ...stamp, timestamp: "" }, { commit: natsCommit.slice(0, 7), timestamp: "", checksum: digest, version: "v2.10.25" });
    const { current_tag, current_commit, update_available } = await manifestOf("nats");
    assert.deepEqual([current_tag, current_commit, update_available], ["v2.10.25", natsCommit.slice(0, 7), false]);
    assert.deepEqual(await restOf("nats"), rest, "no other file of the workspace was written");
  });

  test("takes the same delivery again, and the same news under another id, as no news", () => isNoNews(nats, tagPushed("nats-io/nats-server", "v2.10.25", natsCommit)));

  test("is advanced along a branch pin by a push, once", async () => {
    const [before, from] = [await ws.see(), await ws.upstream("arc").git("rev-parse", "HEAD")];
    const commit = await ws.release("arc", "main-2");
    const sent = await updatedBy(branchPushed("basekick-labs/arc", "main", from, commit));
    const now = await onlyOneChanged(before, "arc");
    assert.equal(now["arc"]?.version, "main-2");
    assert.equal((await stampOf("arc")).commit, commit.slice(0, 7));
    assert.equal((await manifestOf("arc")).current_commit, commit.slice(0, 7));
    await isNoNews(sent, branchPushed("basekick-labs/arc", "main", from, commit));
  });

  test("restarts the process hugo for a new version of docs", async () => {
    const before = await ws.see();
    const commit = await ws.release("docs", "v0.140.0");
    await updatedBy(tagPushed("gohugoio/hugo", "v0.140.0", commit, { annotated: true }));
    assert.equal((await onlyOneChanged(before, "docs"))["docs"]?.version, "v0.140.0");
    assert.deepEqual({ ...(await stampOf("docs")), timestamp: "", checksum: "" }, { commit: commit.slice(0, 7), timestamp: "", checksum: "", version: "v0.140.0" });
  });

  test("installs what an interrupted clone never built, and leaves its disabled process alone", async () => {
    const before = await ws.see();
    const from = await ws.upstream("liftbridge").git("rev-parse", "HEAD");
    const commit = await ws.release("liftbridge", "master-2");
    await updatedBy(branchPushed("basekick-labs/liftbridge", "master", from, commit));
    assert.equal((await stampOf("liftbridge")).commit, commit.slice(0, 7));
    await onlyOneChanged(before, null);
  });

  test("of a user, without source and with a .version that names no version, is updated from a release", async () => {
    const before = await ws.see();
    const sent = await ws.announce(await ws.publish("gh", "gh-v2.63.0", "v2.63.0"));
    const run = await runOf(app, sent);
    assert.equal(run.status, "succeeded", told(run));
    assert.deepEqual((await stampOf("gh")).version, "gh-v2.63.0");
    await onlyOneChanged(before, null);
  });

  test("of a user is updated from a release whose tag stays while its asset is replaced", async () => {
    const before = await ws.see();
    const id = await ws.publish("telegraf", "telegraf-master", "master-2");
    const first = await runOf(app, await ws.announce(id));
    assert.equal(first.status, "succeeded", told(first));
    const between = await onlyOneChanged(before, "telegraf");
    assert.equal(between["telegraf"]?.version, "master-2");
    ws.forge.replaceAsset(id, await ws.asset("telegraf", "master-3"));
    const second = await runOf(app, await ws.announce(id, "edited"));
    assert.equal(second.status, "succeeded", told(second));
    assert.equal((await onlyOneChanged(between, "telegraf"))["telegraf"]?.version, "master-3");
    const again = await verdictOn(app, await ws.announce(id, "edited"));
    assert.deepEqual([again.reason, again.runId], ["already-current", undefined]);
  });

  test("has nothing left to do after all that: every check says so, and nothing looks changed by hand", async () => {
    const checked = Object.values(await app.check([])) as readonly CheckEntry[];
    assert.deepEqual(checked.filter((c) => c.update_available || (c.error !== undefined && c.name !== "pc")), []);
    const status = await app.status();
    assert.deepEqual(status.subsystems.filter((s) => s.drift !== undefined), []);
    assert.deepEqual(Object.fromEntries(status.subsystems.map((s) => [s.name, s.current?.version])), {
      ...{ arc: await ws.upstream("arc").git("rev-parse", "HEAD"), docs: "v0.140.0", gh: "gh-v2.63.0", nats: "v2.10.25", telegraf: "telegraf-master" },
      ...{ liftbridge: await ws.upstream("liftbridge").git("rev-parse", "HEAD"), pc: undefined },
    });
  });
});

/** A source that keeps the compiler busy for some seconds. */
function heavy(version: string): Record<string, string> {
  const lines = Array.from({ length: 1_500 }, (_, i) => `func f${i}(m map[string]int, s []string) string {\n\tout := ""\n\tfor i, x := range s {\n\t\tm[x] += i*${i} + len(out)\n\t\tif m[x] > ${i} {\n\t\t\tout += x + "${version}"\n\t\t}\n\t}\n\treturn out\n}`);
  return { "bulk.go": `package main\n\n${lines.join("\n\n")}\n` };
}
