/** Programs that an interpreter runs, updated by webhook: what the kernel has mapped is the interpreter, so the proof is another one. Real node, python3, sh, Process Compose and git. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import type { App, RunView } from "../../src/domain/app.ts";
import { createInterpretedWorkspace, FIRST, INTERPRETED, type InterpretedName, type InterpretedWorkspace } from "../support/interpreted.ts";
import { operatorOf, runOf, told } from "../support/story.ts";

const NEXT = "v1.1.0";

describe("a program that an interpreter runs", { timeout: 120_000 }, () => {
  let ws: InterpretedWorkspace;
  let app: App;

  before(async () => {
    await promisify(execFile)("python3", ["--version"]).catch(() => assert.fail("python3 is not on PATH, expected it: install Python 3, for these tests run a real program of it"));
    ws = await createInterpretedWorkspace();
    app = operatorOf(ws);
  });
  after(() => ws?.close());

  async function update(name: InterpretedName): Promise<RunView> {
    return runOf(app, await ws.release(name, NEXT));
  }

  /** Its process is another one, the new file runs, and nobody else was restarted. */
  async function assertUpdated(name: InterpretedName, proof: RegExp): Promise<void> {
    const before = await ws.processes();
    const run = await update(name);
    assert.equal(run.status, "succeeded", `${told(run)}\n${await app.logs(run.id)}`);
    assert.match(run.context.health?.proof ?? "", proof);
    for (const [process, now] of await ws.processes()) assert.equal(now.pid === before.get(process)?.pid, process !== name, `pid of ${process}`);
    const { content, file } = INTERPRETED[name];
    assert.equal(await ws.ran(name), `${NEXT} ${run.context.health?.pid}`, "the new file runs, in the process that was proved");
    assert.equal(await ws.installed(name), content(NEXT));
    assert.equal((await stat(join(ws.dir, name, ".bin", file))).mode & 0o777, 0o755);
  }

  for (const name of ["web", "jobs", "cron"] as const) {
    test(`is updated from source, with proof: ${INTERPRETED[name].command}`, () => assertUpdated(name, new RegExp(`^command-line: pid \\d+ started after the swap to run .*/${name}/\\.bin/`)));
  }

  test("is updated from a release that holds nothing but its file, without a line that names an interpreter", () => assertUpdated("kiosk", /^command-line: /));

  describe("that is not seen to run the new file", () => {
    let ran: string;
    let runs: Promise<readonly [RunView, RunView]>;

    // Side by side: each waits until nothing can come any more.
    before(async () => {
      ran = await ws.ran("stuck");
      runs = Promise.all([update("stuck"), update("shim")]);
    });

    test("is rolled back when the old one goes on running behind a launcher that did restart", async () => {
      const [run] = await runs;
      assert.equal(run.status, "rolled_back", `${told(run)}\n${await app.logs(run.id)}`);
      assert.match(run.message ?? "", /no process names .*stuck\/\.bin\/app\.py on its command line/);
      assert.equal(await ws.ran("stuck"), ran, "no new one has ever started");
      assert.equal(await ws.installed("stuck"), INTERPRETED.stuck.content(FIRST), "the old file is back");
    });

    test("is rolled back when it hides by handing over to another program, and the error says how to go without the proof", async () => {
      const [, run] = await runs;
      assert.equal(run.status, "rolled_back", `${told(run)}\n${await app.logs(run.id)}`);
      assert.match(run.message ?? "", /pid \d+ runs .*sleep.*set health\.proof: off/);
      assert.match(await ws.ran("shim"), new RegExp(`^${FIRST} `), "the old one runs again");
    });
  });

  test("is updated without that proof where the configuration asks for none", () => assertUpdated("trusted", /not asked for/));
});
