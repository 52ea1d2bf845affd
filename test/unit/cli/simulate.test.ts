import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Reply } from "../../../src/cli/context.ts";
import { runCli } from "../../../src/cli/program.ts";
import { reachable } from "../../../src/cli/simulate.ts";
import type { App, StatusView, UpdatePreview } from "../../../src/domain/app.ts";
import { delivery, fakeApp, fakeContext, run, terminal } from "../../support/cli.ts";
import { commit, subsystem } from "../../support/subsystem.ts";

const UP: StatusView["daemon"] = { running: true, pid: 7, version: "0", startedAt: 0, url: "http://0.0.0.0:8080" };
const PREVIEW: UpdatePreview = { subsystem: "api", from: "v1.0.0", to: "v1.1.0", commit: commit("a"), asset: null, verdict: "update", stages: [], restarts: "api" };

interface Setting {
  readonly daemon?: StatusView["daemon"];
  readonly preview?: Partial<UpdatePreview>;
  readonly reply?: Partial<Reply>;
  readonly app?: Partial<App>;
  readonly args?: readonly string[];
}

/** Runs `simulate api` in a world of a few facts. */
async function simulate(s: Setting = {}) {
  const shown = terminal();
  const sent: { url: string; event: string; body: object }[] = [];
  const app = fakeApp({
    status: async () => ({ daemon: s.daemon ?? UP, workspace: "/srv/ws", subsystems: [], problems: [] }),
    preview: async () => ({ ...PREVIEW, ...s.preview }),
    delivery: async () => delivery({ runId: "r1" }),
    run: async () => run(),
    ...s.app,
  });
  const context = fakeContext(shown, {
    open: async () => app,
    deliver: async (_options, daemon, { event, body }) => {
      const url = `${daemon}/webhook`;
      sent.push({ url, event, body });
      return { url, status: 202, ms: 8, body: { delivery: "d1" }, ...s.reply };
    },
  });
  const code = await runCli(["simulate", "api", ...(s.args ?? [])], "0", context);
  return { code, out: shown.out(), err: shown.err(), sent };
}

describe("simulate", () => {
  test("says where it sent what, how it was answered, and what came of it", async () => {
    const { code, out, sent } = await simulate();
    assert.deepEqual([code, sent.length, sent[0]?.event], [0, 1, "push"]);
    assert.equal(out, "sent push of tag v1.1.0 to http://127.0.0.1:8080/webhook: 202 in 8 ms\nsucceeded: api v1.0.0 → v1.1.0\n");
  });

  test("says beforehand that nothing is newer, and ends with 0", async () => {
    const app = { delivery: async () => delivery({ state: "ignored" as const, reason: "already-current" }) };
    const { code, out, err } = await simulate({ preview: { to: "v1.0.0", verdict: "nothing", reason: "already-current" }, app });
    assert.equal(code, 0);
    assert.match(err, /nothing newer is upstream: v1\.0\.0 is installed.*will be already-current/);
    assert.match(out, /202 in 8 ms\nnothing to do: already-current/);
  });

  test("says beforehand that an older version is not installed by itself, and how to go back", async () => {
    const app = { delivery: async () => delivery({ state: "ignored" as const, reason: "older-than-current" }) };
    const { code, err, sent } = await simulate({ preview: { from: "v1.1.0", to: "v1.0.9" }, app, args: ["--version", "v1.0.9"] });
    assert.deepEqual([code, sent.length], [0, 1]);
    assert.match(err, /^v1\.0\.9 is older than v1\.1\.0, which is installed.*so the answer will be older-than-current; to go back: slipstream update api --version v1\.0\.9$/m);
    for (const preview of [{ from: "v1.1.0", to: "v1.2.0" }, { from: null, to: "v1.0.9" }, { from: "nightly", to: "v1.0.9" }]) assert.doesNotMatch((await simulate({ preview })).err, /older/);
  });

  test("ends with 1 for a run that failed, and 3 for one that waits for approval", async () => {
    const ending = async (fields: Parameters<typeof run>[0]) => simulate({ app: { run: async () => run(fields) } });
    const failed = await ending({ status: "failed", code: "build-failed", message: "no" });
    assert.deepEqual([failed.code, /failed: api .*build-failed: no/.test(failed.out)], [1, true], failed.out);
    const held = await ending({ status: "held", holdReason: "approval", rule: "major", commit: commit("a") });
    assert.deepEqual([held.code, /slipstream approve r1/.test(held.out)], [3, true], held.out);
  });

  test("without a daemon it says how to start one and sends nothing", async () => {
    const { code, err, sent } = await simulate({ daemon: { running: false, version: "0" } });
    assert.deepEqual([code, sent], [1, []]);
    assert.match(err, /daemon of \/srv\/ws is not running.*start it with: slipstream watch/);
  });

  test("a daemon that does not say where it listens is an error, not a guess", async () => {
    const { code, err, sent } = await simulate({ daemon: { running: true, version: "0" } });
    assert.deepEqual([code, sent], [1, []]);
    assert.match(err, /address of the daemon.*is unknown/);
  });

  for (const [what, reply, says] of [
    ["a refused signature", { status: 401, body: { error: { code: "signature-refused", message: "…" } } }, /refused with 401.*another webhook secret/],
    ["a refusal", { status: 503, body: { error: { code: "not-stored", message: "the delivery cannot be stored now" } } }, /answer of http:\/\/127\.0\.0\.1:8080\/webhook is 503 \(the delivery cannot be stored now\)/],
    ["another program's page", { status: 200, body: "<html>" }, /is 200, expected 202 from slipstream/],
  ] as const) {
    test(`${what} is an error that says what to do`, async () => {
      const { code, err } = await simulate({ reply });
      assert.equal(code, 1);
      assert.match(err, says);
    });
  }

  test("no version upstream, an unknown subsystem and a made-up event are refused before anything is sent", async () => {
    const none = await simulate({ preview: { to: null, commit: null, verdict: "nothing" } });
    assert.deepEqual([none.code, none.sent], [1, []]);
    assert.match(none.err, /has no version of api/);
    const made = await simulate({ args: ["--event", "issues"] });
    assert.deepEqual([made.code, made.sent], [64, []]);
    const shown = terminal();
    assert.equal(await runCli(["simulate", "nobody"], "0", fakeContext(shown)), 64);
    assert.match(shown.err(), /"nobody" is unknown, expected one of: api/);
  });

  test("--version is asked for by name, --event is what is sent, and --no-wait does not follow", async () => {
    const asked: (string | undefined)[] = [];
    const preview = async (_s: string, version?: string) => (asked.push(version), PREVIEW);
    const { code, sent, out } = await simulate({ args: ["--version", "v1.1.0", "--event", "release", "--no-wait"], app: { preview, delivery: async () => delivery({ state: "received" }), run: () => Promise.reject(new Error("followed")) } });
    assert.deepEqual([code, asked, sent[0]?.event], [0, ["v1.1.0"], "release"]);
    assert.match(out, /request d1 is stored/);
  });

  test("where a repository feeds several subsystems, the verdict on the one that was asked about counts", async () => {
    const shown = terminal();
    const app = fakeApp({
      status: async () => ({ daemon: UP, workspace: "/srv/ws", subsystems: [], problems: [] }),
      preview: async () => PREVIEW,
      delivery: async () => delivery({ runId: "of-another", reason: "no-asset" }),
      why: async (name) => ({ subsystem: name, quarantined: [], runs: [], gates: [], deliveries: [delivery({ id: "older" }), delivery({ runId: "r1" })] }),
      run: async (id) => (id === "r1" ? run() : Promise.reject(new Error(`followed ${id}`))),
    });
    const context = fakeContext(shown, { open: async () => app, subsystems: async () => [subsystem(), subsystem({ name: "web" })], deliver: async (_options, daemon) => ({ url: `${daemon}/webhook`, status: 202, ms: 8, body: { delivery: "d1" } }) });
    assert.equal(await runCli(["simulate", "api"], "0", context), 0, shown.err());
    assert.match(shown.out(), /succeeded: api/);
  });

  test("--json prints one object: what was sent, the delivery and its run", async () => {
    const { code, out } = await simulate({ args: ["--json"] });
    assert.equal(code, 0);
    const { sent, delivery: d, run: r } = JSON.parse(out);
    assert.deepEqual([sent, d.id, r.status], [{ url: "http://127.0.0.1:8080/webhook", event: "push", version: "v1.1.0", commit: commit("a"), status: 202, ms: 8 }, "d1", "succeeded"]);
  });

  test("an address that means every interface is reached on the loopback one", () => {
    assert.deepEqual(["http://0.0.0.0:80", "http://[::]:8080", "http://[::1]:8080", "http://127.0.0.2:9"].map(reachable), ["http://127.0.0.1", "http://127.0.0.1:8080", "http://[::1]:8080", "http://127.0.0.2:9"]);
  });
});
