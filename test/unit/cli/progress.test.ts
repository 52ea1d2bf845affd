import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMeter, progressLine } from "../../../src/cli/progress.ts";

describe("the progress of a download", () => {
  const table: readonly (readonly [Parameters<typeof progressLine>, string])[] = [
    [[20_100_000, 44_600_000, 5_200_000, 20], "[#########-----------] 45 %  20.1 of 44.6 MB  5.2 MB/s"],
    [[0, 44_600_000, undefined, 20], "[--------------------] 0 %  0.0 of 44.6 MB"],
    [[44_600_000, 44_600_000, 900, 10], "[##########] 100 %  44.6 of 44.6 MB  900 B/s"],
    [[50_000_000, 44_600_000, 1_500, 4], "[####] 100 %  50.0 of 44.6 MB  1.5 kB/s"],
    [[44_599_999, 44_600_000, undefined, 4], "[###-] 99 %  44.6 of 44.6 MB"],
    [[999, 2_000_000_000, undefined, 4], "[----] 0 %  0.0 of 2.0 GB"],
    [[20_100_000, 0, 5_200_000, 20], "20.1 MB  5.2 MB/s"],
    [[512, 0, undefined, 20], "512 B"],
  ];
  for (const [args, line] of table) {
    test(`reads ${line}`, () => {
      assert.equal(progressLine(...args), line);
    });
  }

  test("has no speed as long as nothing has come", () => {
    const meter = createMeter();
    assert.deepEqual([0, 250, 500].map((at) => meter.add(at, 0)), [undefined, undefined, undefined]);
    assert.equal(meter.add(1_000, 500), 500);
    meter.add(2_000, 0);
    assert.equal(meter.add(2_250, 0), undefined, "another download");
  });

  test("has no speed at its first look, then that of the last seconds, and starts over when the number goes back", () => {
    const meter = createMeter();
    assert.equal(meter.add(0, 1_000), undefined);
    assert.equal(meter.add(0, 2_000), undefined, "no time has passed");
    assert.equal(meter.add(1_000, 3_000), 2_000);
    for (const s of [2, 3, 4, 5, 6, 7, 8]) meter.add(s * 1_000, 3_000);
    assert.equal(meter.add(9_000, 3_000), 0, "what was long ago does not count");
    assert.equal(meter.add(10_000, 500), undefined, "another download");
    assert.equal(meter.add(11_000, 1_500), 1_000);
  });
});
