/** What a build machine gets: fresh checkouts without `.bin` and `.src`, and of all subsystems only those built that moved. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import type { CheckEntry } from "../../src/domain/app.ts";
import { type CiWorkspace, createCiWorkspace, type JobResult } from "../support/ci-workspace.ts";

const CHANGED = ["update", "--changed", "--no-reload", "--ci"];

/** Exit code and outputs, parsed. */
function said(r: JobResult): unknown {
  const { changed = "?", any = "?", held = "?", failed = "?" } = r.outputs;
  return { exit: r.exitCode, changed: JSON.parse(changed), any, held: JSON.parse(held), failed: JSON.parse(failed) };
}

const all = (r: JobResult) => `${r.stdout}\n${r.stderr}`;

describe("a job on a build machine", { timeout: 240_000 }, () => {
  let w: CiWorkspace;
  before(async () => {
    w = await createCiWorkspace();
    for (const name of ["arc", "nats", "web"] as const) await w.publish(name, "v1.0.0");
  });
  after(() => w.close());

  test("builds everything once, without daemon, Process Compose, webhook secret or .src, and swaps without a reload", async () => {
    const job = await w.checkout();
    const result = await job.slipstream([...CHANGED, "--json"]);
    assert.deepEqual(said(result), { exit: 0, changed: ["arc", "nats", "web"], any: "true", held: [], failed: [] }, all(result));
    const entries = JSON.parse(result.stdout) as { subsystem: string; outcome: string; run: { noReload: boolean; stages: { name: string }[] } }[];
    assert.deepEqual(entries.map((e) => [e.subsystem, e.outcome, e.run.noReload, e.run.stages.at(-1)?.name]), ["arc", "nats", "web"].map((name) => [name, "updated", true, "swap"]));
    assert.ok(existsSync(join(job.dir, "nats/.bin/.version")) && !existsSync(join(job.dir, "nats/.src")));
    assert.ok(!all(result).includes("::group::") && !all(result).includes("\u001b"), "no runner's commands outside of one, and no terminal");
    await job.keepManifest();
  });

  test("finds nothing to do in a fresh checkout whose manifest is up to date, says so and builds nothing", async () => {
    const job = await w.checkout();
    const before = await job.manifest();
    const result = await job.slipstream(CHANGED);
    assert.deepEqual(said(result), { exit: 0, changed: [], any: "false", held: [], failed: [] }, all(result));
    assert.match(result.stdout, /^nothing moved/);
    assert.deepEqual((await job.manifest()).subsystems, before.subsystems);
    assert.ok(!existsSync(join(job.dir, "nats/.bin")));
  });

  test("builds only the one that moved, and the manifest keeps what it knew about the others", async () => {
    const commit = await w.publish("nats", "v1.1.0");
    const job = await w.checkout();
    const before = await job.manifest();
    const result = await job.slipstream(CHANGED, { GITHUB_ACTIONS: "true" });
    assert.deepEqual(said(result), { exit: 0, changed: ["nats"], any: "true", held: [], failed: [] }, all(result));
    assert.deepEqual(["arc", "web"].filter((name) => existsSync(join(job.dir, name))), []);
    const { arc, nats, web } = (await job.manifest()).subsystems;
    assert.deepEqual({ arc, web }, { arc: before.subsystems["arc"], web: before.subsystems["web"] });
    assert.deepEqual([nats?.current_tag, nats?.current_commit, nats?.update_available], ["v1.1.0", commit.slice(0, 7), false]);
    assert.deepEqual(result.stderr.match(/^::\w+::.*$/gm), ["::group::nats v1.0.0 → v1.1.0", "::endgroup::"]);
    assert.match(result.summary, /\| nats \| v1\.0\.0 \| v1\.1\.0 \| updated \|/);
    await job.keepManifest();
  });

  test("one that fails stops no other, a major waits for a person, and no output of a build reaches the runner as a command", async () => {
    await w.publish("nats", "v1.2.0", { good: false, says: "::add-path::/tmp/evil\n##[add-mask]x" });
    await w.publish("web", "v2.0.0");
    await w.publish("arc", "two");
    const job = await w.checkout();
    const before = await job.manifest();
    const result = await job.slipstream(CHANGED, { GITHUB_ACTIONS: "true" });
    assert.deepEqual(said(result), { exit: 1, changed: ["arc"], any: "true", held: ["web"], failed: ["nats"] }, all(result));
    assert.match(result.stdout, /waiting for approval: web v1\.0\.0 → v2\.0\.0 \(major\).*slipstream update web --version v2\.0\.0/);
    assert.match(result.stderr, /^ {2}\| ::add-path::/m, "the log is shown, behind a mark");
    assert.deepEqual([...new Set(all(result).match(/^\s*::[a-z-]+/gm))].sort(), ["::endgroup", "::error", "::group", "::warning"]);
    assert.doesNotMatch(all(result), /##\[/);
    const { nats, web } = (await job.manifest()).subsystems;
    assert.deepEqual([nats?.current_tag, nats?.update_available, web?.current_tag, web?.update_available], ["v1.1.0", true, "v1.0.0", true]);
    assert.equal(nats?.last_updated, before.subsystems["nats"]?.last_updated);
    await job.keepManifest();
  });

  test("ends with 3 when all that is left waits for a person, who lets it go by naming the version", async () => {
    await w.publish("nats", "v1.2.1");
    const first = await w.checkout();
    const only = await first.slipstream(["update", "nats", ...CHANGED.slice(1)]);
    assert.deepEqual(said(only), { exit: 0, changed: ["nats"], any: "true", held: [], failed: [] }, all(only));
    await first.keepManifest();
    const job = await w.checkout();
    const waits = await job.slipstream(CHANGED);
    assert.deepEqual(said(waits), { exit: 3, changed: [], any: "false", held: ["web"], failed: [] }, all(waits));
    const told = await job.slipstream(["update", "web", "--version", "v2.0.0", "--no-reload", "--ci"]);
    assert.deepEqual(said(told), { exit: 0, changed: ["web"], any: "true", held: [], failed: [] }, all(told));
    await job.keepManifest();
  });

  test("fails where an upstream cannot be asked: nobody knows whether it moved", async () => {
    const job = await w.checkout();
    assert.equal((await job.shell("mv ../arc.git ../away.git")).exitCode, 0);
    const result = await job.slipstream(CHANGED);
    assert.deepEqual(said(result), { exit: 1, changed: [], any: "false", held: [], failed: ["arc"] }, all(result));
    assert.equal((await job.shell("mv ../away.git ../arc.git")).exitCode, 0);
  });

  test("only --ci takes the manifest's word: anywhere else a program that is not there is not installed", async () => {
    const machine = await w.checkout();
    const check = await machine.slipstream(["check", "nats", "--json"]);
    const { nats } = JSON.parse(check.stdout) as Record<string, CheckEntry>;
    assert.deepEqual([nats?.current, nats?.update_available], [null, true]);
    assert.equal((await machine.manifest()).subsystems["nats"]?.current_tag, undefined);
  });

  test("runs the steps of the printed CI file: what moved is updated and packed, typed text stays text", async () => {
    await w.publish("nats", "v1.3.0");
    const job = await w.checkout();
    const steps = (parse((await job.slipstream(["workflow"])).stdout) as { jobs: { update: { steps: { id?: string; run?: string }[] } } }).jobs.update.steps;
    for (const { run } of steps) if (run !== undefined) assert.equal((await job.shell('bash -n -c "$STEP"', { STEP: run })).exitCode, 0, run);
    const [update, pack] = ["update", "pack"].map((id) => steps.find((s) => s.id === id)?.run ?? "exit 9") as [string, string];
    const asked = { SLIPSTREAM_ONLY: "", SLIPSTREAM_EXACTLY: "" };
    const typed = await job.shell(update, { ...asked, SLIPSTREAM_ONLY: `$(touch ${job.dir}/ran)`, SLIPSTREAM_EXACTLY: "--all" });
    assert.equal(typed.exitCode, 64, all(typed));
    const updated = await job.shell(update, asked);
    assert.deepEqual(said(updated), { exit: 0, changed: ["nats"], any: "true", held: [], failed: [] }, all(updated));
    const packed = await job.shell(pack, { SLIPSTREAM_CHANGED: updated.outputs["changed"] ?? "" });
    assert.equal(packed.exitCode, 0, all(packed));
    assert.deepEqual((await readdir(join(job.dir, ".dist"))).map((f) => f.replace(/-.*?(\..*)$/, "$1")), ["nats.tar.gz", "nats.tar.gz.sha256"]);
    const exactly = await job.shell(update, { SLIPSTREAM_ONLY: "nats", SLIPSTREAM_EXACTLY: "v1.2.1" });
    assert.deepEqual(said(exactly), { exit: 0, changed: ["nats"], any: "true", held: [], failed: [] }, all(exactly));
    assert.ok(!existsSync(join(job.dir, "ran")));
  });
});
