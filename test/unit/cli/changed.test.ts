import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runCli } from "../../../src/cli/program.ts";
import type { App, CheckEntry, RunView } from "../../../src/domain/app.ts";
import type { OperatorRequest } from "../../../src/domain/change.ts";
import { StateError, unknownSubsystem } from "../../../src/domain/errors.ts";
import { delivery, fakeApp, fakeContext, run, terminal } from "../../support/cli.ts";

type Ending = Partial<RunView> | "away";

interface Setting {
  readonly check: Readonly<Record<string, Partial<CheckEntry>>>;
  /** How the run of each subsystem ends; those without one succeed. */
  readonly ends?: Readonly<Record<string, Ending>>;
  readonly args?: readonly string[];
  readonly app?: Partial<App>;
}

/** Runs `update --changed` in a world of a few facts. */
async function changed({ check, ends = {}, args = ["--changed"], app = {} }: Setting) {
  const shown = terminal({ live: true });
  const requests: OperatorRequest[] = [];
  const appended: Record<string, string> = {};
  const name = (id: string) => id.replace(/^.*-/, "");
  const world = fakeApp({
    check: async (names) => Object.fromEntries(Object.entries(check).filter(([n]) => names.length === 0 || names.includes(n)).map(([n, e]) => [n, { name: n, current: "v1.0.0", latest: "v1.1.0", update_available: false, ...e }])),
    request: async (request) => {
      requests.push(request);
      const subsystem = "subsystem" in request ? request.subsystem : "";
      if (ends[subsystem] === "away") throw new StateError("daemon-unreachable", "daemon is gone");
      return delivery({ id: `d-${subsystem}`, runId: `r-${subsystem}` });
    },
    run: async (id) => run({ id, subsystem: name(id), noReload: args.includes("--no-reload"), ...(ends[name(id)] as Partial<RunView> | undefined) }),
    logs: async () => "== build\n::error::made by the build\n",
    ...app,
  });
  const context = fakeContext(shown, { open: async () => world, ci: { outputs: "/out", summary: "/sum", commands: true }, append: async (path, text) => void (appended[path] = text) });
  const code = await runCli(["update", ...args], "0", context);
  return { code, out: shown.out(), err: shown.err(), requests, appended, names: requests.map((r) => ("subsystem" in r ? r.subsystem : "")) };
}

const MOVED = { update_available: true };
const HELD = { status: "held", holdReason: "approval", rule: "major", commit: "c".repeat(40) } as const;
const FAILED = { status: "failed", code: "build-failed", message: "it does not compile" } as const;

describe("update --changed", () => {
  test("asks for those that moved, one after the other, and for no other", async () => {
    const { code, names, out } = await changed({ check: { arc: MOVED, nats: { reason: "already-current" }, web: MOVED, self: { reason: "not-managed" } } });
    assert.deepEqual([code, names], [0, ["arc", "web"]]);
    assert.match(out, /updated: arc, web; unchanged: 1\n$/);
  });

  test("says that nothing moved, and ends with 0; with --json it prints one array", async () => {
    const check = { arc: { reason: "already-current" }, nats: { reason: "already-current" } };
    const { code, names, out } = await changed({ check });
    assert.deepEqual([code, names, out], [0, [], "nothing moved: all 2 subsystems are as new as may be installed\n"]);
    const json = await changed({ check, args: ["--changed", "--json"] });
    assert.deepEqual((JSON.parse(json.out) as { outcome: string }[]).map((r) => r.outcome), ["unchanged", "unchanged"]);
    const one = await changed({ check: { arc: MOVED }, args: ["arc", "--changed", "--json"] });
    assert.ok(Array.isArray(JSON.parse(one.out)));
  });

  test("with a name looks at that one alone, and leaves it when it has not moved", async () => {
    assert.deepEqual((await changed({ check: { arc: MOVED, web: MOVED }, args: ["web", "--changed"] })).names, ["web"]);
    assert.deepEqual((await changed({ check: { arc: MOVED, web: {} }, args: ["web", "--changed"] })).names, []);
  });

  test("tries all, whatever fails, and ends with 1", async () => {
    const { code, names, out } = await changed({ check: { arc: MOVED, nats: MOVED, sad: { error: "upstream does not answer" }, web: MOVED }, ends: { arc: FAILED, nats: "away" } });
    assert.deepEqual([code, names], [1, ["arc", "nats", "web"]]);
    assert.match(out, /nats: failed: daemon is gone\n/);
    assert.match(out, /sad: failed: upstream does not answer\n/);
    assert.match(out, /updated: web; failed: arc, nats, sad\n$/);
  });

  test("ends with 3 when one waits for a person, and with 1 when another failed as well", async () => {
    const waits = await changed({ check: { arc: MOVED, web: MOVED }, ends: { web: HELD } });
    assert.equal(waits.code, 3);
    assert.match(waits.out, /slipstream approve r-web/);
    assert.match(waits.out, /waiting for approval: web\n$/);
    assert.equal((await changed({ check: { arc: MOVED, web: MOVED }, ends: { web: HELD, arc: FAILED } })).code, 1);
  });

  test("what goes on by itself is no failure under a daemon, and one on a build machine, where nothing is left to go on", async () => {
    const limited = { status: "held", holdReason: "rate-limit", lookAt: 1 } as const;
    assert.equal((await changed({ check: { arc: MOVED }, ends: { arc: limited } })).code, 0);
    assert.equal((await changed({ check: { arc: MOVED }, ends: { arc: limited }, args: ["--changed", "--ci"] })).code, 1);
  });

  test("--no-reload goes with the request, and a run that was begun before is named when it reloads all the same", async () => {
    const { requests, err } = await changed({ check: { arc: MOVED }, args: ["--changed", "--no-reload"] });
    assert.deepEqual(requests, [{ verb: "update", subsystem: "arc", actor: "cli:test", reload: false }]);
    assert.doesNotMatch(err, /was there before/);
    const begun = await changed({ check: { arc: MOVED }, ends: { arc: { noReload: false } }, args: ["--changed", "--no-reload"] });
    assert.match(begun.err, /run r-arc was there before --no-reload was given/);
    assert.equal("reload" in ((await changed({ check: { arc: MOVED } })).requests[0] ?? {}), false);
  });

  test("--dry-run shows the plans of those that moved and asks for nothing", async () => {
    const preview: App["preview"] = async (subsystem) => ({ subsystem, from: "v1.0.0", to: "v1.1.0", commit: null, asset: null, verdict: "update", stages: ["build"], restarts: null });
    const { names, out } = await changed({ check: { arc: MOVED, web: {} }, args: ["--changed", "--dry-run", "--json"], app: { preview } });
    assert.deepEqual([names, (JSON.parse(out) as { subsystem: string }[]).map((p) => p.subsystem)], [[], ["arc"]]);
  });
});

describe("update --ci", () => {
  test("writes outputs and a table, folds the log, and moves no cursor although a terminal watches", async () => {
    const { code, appended, err } = await changed({ check: { arc: MOVED, nats: MOVED, web: MOVED }, ends: { nats: FAILED, web: HELD }, args: ["--changed", "--ci"] });
    assert.equal(code, 1);
    assert.equal(appended["/out"], 'changed=["arc"]\nany=true\nheld=["web"]\nfailed=["nats"]\n');
    assert.match(appended["/sum"] ?? "", /\| nats \| .* \| failed \| build-failed\\: it does not compile \|/);
    assert.deepEqual(err.match(/^::.*$/gm), ["::group::arc v1.0.0 → v1.1.0", "::endgroup::", "::group::nats v1.0.0 → v1.1.0", "::endgroup::", "::error::nats: build-failed: it does not compile", "::group::web v1.0.0 → v1.1.0", "::endgroup::", "::warning::web v1.1.0 waits for approval"]);
    assert.ok(!err.includes("\r") && !err.includes("\u001b"));
  });

  test("without --changed takes those it is told, and refuses a name that is none", async () => {
    const status: App["status"] = async () => ({ daemon: { running: false, version: "0" }, workspace: "/", problems: [], subsystems: [{ name: "arc", upstream: "", mode: "source", strategy: "tags", process: null, managed: true }] });
    const named = await changed({ check: {}, args: ["arc", "--ci", "--version", "v2"], app: { status } });
    assert.deepEqual(named.requests, [{ verb: "update", subsystem: "arc", actor: "cli:test", version: "v2" }]);
    assert.equal((await changed({ check: {}, args: ["nobody", "--ci"], app: { status } })).code, 64);
    assert.equal((await changed({ check: {}, args: ["nobody", "--changed"], app: { check: () => Promise.reject(unknownSubsystem("nobody", [])) } })).code, 64);
  });

  test("says at once what does not go together", async () => {
    for (const [args, why] of [[["--all", "--changed"], /--all is given with --changed/], [["api", "--all"], /--all is given with the name/], [["--changed", "--version", "v1"], /--version is given with --changed/], [["--changed", "--ci", "--no-wait"], /--no-wait is given with --ci/], [["--ci"], /the name of a subsystem, --all or --changed/]] as const) {
      const { code, err } = await changed({ check: {}, args });
      assert.equal(code, 64, args.join(" "));
      assert.match(err, why);
    }
  });
});
