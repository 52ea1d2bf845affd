import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exitCodeOf, follow } from "../../../src/cli/follow.ts";
import { summary } from "../../../src/cli/summary.ts";
import type { RunView } from "../../../src/domain/app.ts";
import type { Event } from "../../../src/domain/event.ts";
import { delivery, fakeApp, run, terminal } from "../../support/cli.ts";

const UNTIL = Date.UTC(2026, 0, 2, 3, 4, 5);
const told = (r: RunView) => summary(terminal().print, { delivery: delivery(), run: r, exitCode: 0 });

describe("a run that is held", () => {
  for (const [fields, says, code] of [
    [{ holdReason: "approval", rule: "major", commit: "abc" }, "waiting for approval: api v1.0.0 → v1.1.0 (major, commit abc)\n  slipstream approve r1", 3],
    [{ holdReason: "approval", rule: "major", artifact: { identity: "sha256:ab", releaseId: "1", assetId: "2", name: "api.tar.gz", bytes: 3 } }, "waiting for approval: api v1.0.0 → v1.1.0 (major, asset api.tar.gz, sha256:ab)\n  slipstream approve r1", 3],
    [{ holdReason: "assets", holdUntil: UNTIL, lookAt: 5 }, "waiting for the assets of v1.1.0 until 2026-01-02T03:04:05.000Z: api v1.0.0 → v1.1.0", 0],
    [{ holdReason: "rate-limit", holdUntil: 5, lookAt: UNTIL }, "waiting for the forge's rate limit until 2026-01-02T03:04:05.000Z: api v1.0.0 → v1.1.0", 0],
  ] as const) {
    test(`for ${fields.holdReason} says so and ends with ${code}`, () => {
      const held = run({ status: "held", ...fields });
      assert.equal(told(held), says);
      assert.equal(exitCodeOf(held), code);
    });
  }
});

describe("following a run", () => {
  /** A run that downloads for two looks and then is done. */
  const downloading = () => {
    const looks: (number | undefined)[] = [];
    const views = [{ status: "running" as const, progress: { stage: "download" as const, done: 10_000_000, total: 40_000_000 } }, { status: "running" as const, progress: { stage: "download" as const, done: 20_000_000, total: 40_000_000 } }, {}];
    const finished: Event = { id: 1, at: 0, type: "stage_completed", stage: "download", durationMs: 2_000, data: { outcome: "success" } };
    const app = fakeApp({
      run: async () => run(views.shift() ?? {}),
      events: async ({ waitMs }) => {
        looks.push(waitMs);
        return views.length === 0 ? [finished] : [];
      },
    });
    return { app, looks };
  };

  test("shows on a terminal how far a download is, looks again sooner, and clears the line at the end", async () => {
    const shown = terminal({ live: true });
    const { app, looks } = downloading();
    const followed = await follow(app, delivery({ runId: "r1" }), shown.print);
    assert.equal(followed.exitCode, 0);
    assert.match(shown.err(), /… download \[#####-{15}\] 25 % {2}10\.0 of 40\.0 MB[\s\S]*… download \[##########-{10}\] 50 % {2}20\.0 of 40\.0 MB {2}.*\/s/);
    assert.ok(looks.slice(0, 2).every((ms) => ms !== undefined && ms <= 250), String(looks));
    assert.match(shown.err(), / {2}download +ok +2\.0 s/);
  });

  test("prints nothing about it where nobody watches", async () => {
    const shown = terminal();
    const { app, looks } = downloading();
    await follow(app, delivery({ runId: "r1" }), shown.print);
    assert.deepEqual([shown.err(), shown.out()], ["", ""]);
    assert.ok((looks[0] ?? 0) >= 1_000, String(looks));
  });

  test("ends with the delivery where no run came of it: 0 when ignored, 1 when failed", async () => {
    const codes = await Promise.all((["ignored", "failed"] as const).map(async (state) => (await follow(fakeApp({}), delivery({ state }), terminal().print)).exitCode));
    assert.deepEqual(codes, [0, 1]);
  });
});
