/** A command that meets a daemon on its way up uses that daemon. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { childEnv } from "../../src/adapters/exec.ts";
import { controlSocketPath } from "../../src/adapters/socket-path.ts";
import { createDaemon } from "../../src/daemon.ts";
import { silentLog } from "../../src/kit/log.ts";
import { takeLock } from "../../src/store/lock.ts";
import { configWorkspace, rootTaskfile, taskfile } from "../support/config-workspace.ts";
import { LAUNCHER, run } from "../support/launcher.ts";
import { until } from "../support/wait.ts";

const FILES = { "Taskfile.yml": rootTaskfile("api"), "api/Taskfile.yml": taskfile("UPSTREAM_REPO: /srv/git/acme/api"), "slipstream.yaml": "subsystems: { api: { mode: source } }\n", ".slipstream/secrets.env": `WEBHOOK_SECRET=${"0123456789abcdef".repeat(4)}\n` };

describe("a command while the daemon starts", { timeout: 60_000 }, () => {
  it("waits until the daemon answers, and is served by it", async (t) => {
    const w = await configWorkspace(t, FILES);
    const config = await w.load({ env: childEnv(process.env) });
    // It has the lock from here on, and answers only once it runs.
    const daemon = await createDaemon({ config: { ...config, listen: { host: "127.0.0.1", port: 0 } }, log: silentLog(), listen: true });
    const stop = new AbortController();
    let asked = 0;
    const notYet = createServer((socket) => {
      asked++;
      socket.destroy();
    });
    await once(notYet.listen(controlSocketPath(config.stateDir)), "listening");
    const command = run([LAUNCHER, "update", "api", "--no-wait", "--json", "--workspace", w.dir], w.dir, childEnv(process.env));
    await until(() => asked >= 2, { what: "the command to ask again" });
    await new Promise((done) => notYet.close(done));
    const running = daemon.run(stop.signal);
    try {
      const { exitCode, stdout, stderr } = await command;
      assert.equal(exitCode, 0, `${stdout}${stderr}`);
      const { id, receiver } = JSON.parse(stdout) as { id: string; receiver: string };
      assert.deepEqual([receiver, (await daemon.app.delivery(id)).id], ["operator", id]);
    } finally {
      // Before the workspace is removed: what it writes must not come back.
      stop.abort();
      await running;
    }
  });

  it("still ends with 4 when who holds the workspace is no daemon", async (t) => {
    const w = await configWorkspace(t, FILES);
    const lock = takeLock(join(w.dir, ".slipstream/lock.db"));
    t.after(() => lock.release());
    const { exitCode, stdout } = await run([LAUNCHER, "update", "api", "--json", "--workspace", w.dir], w.dir, childEnv(process.env));
    assert.deepEqual([exitCode, (JSON.parse(stdout) as { error: { code: string } }).error.code], [4, "workspace-locked"]);
  });
});

describe("the help of check", () => {
  it("promises no more than it keeps: it installs nothing, and writes the manifest", async (t) => {
    const w = await configWorkspace(t, {});
    const { stdout } = await run([LAUNCHER, "check", "--help"], w.dir, childEnv(process.env));
    assert.match(stdout.replaceAll(/\s+/g, " "), /newest version upstream; installs nothing/);
    assert.doesNotMatch(stdout, /changes nothing/);
  });
});
