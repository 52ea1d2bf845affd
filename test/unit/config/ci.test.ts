import assert from "node:assert/strict";
import { test } from "node:test";
import { ciOffers } from "../../../src/config/ci.ts";
import { configWorkspace, rootTaskfile, taskfile } from "../../support/config-workspace.ts";

const modes = (c: { readonly subsystems: readonly { readonly name: string; readonly mode: string }[] }) => Object.fromEntries(c.subsystems.map((s) => [s.name, s.mode]));

test("a build machine builds what can be built, although a fresh checkout has no .src; what is configured stays", async (t) => {
  const release = "release: { repository: acme/dist }";
  const w = await configWorkspace(t, {
    "Taskfile.yml": rootTaskfile("api", "fixed", "made"),
    "api/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/acme/api"),
    "fixed/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/acme/fixed"),
    "made/Taskfile.yml": taskfile("UPSTREAM_REPO: https://github.com/acme/made"),
    "slipstream.yaml": `subsystems:\n  fixed: { mode: release }\n  made: { mode: source }\n  bought: { ${release} }\n`,
  });
  assert.deepEqual(modes(await w.load()), { api: "release", bought: "release", fixed: "release", made: "source" });
  assert.deepEqual(modes(await w.load({ flags: { build: true } })), { api: "source", bought: "release", fixed: "release", made: "source" });
});

test("what a build machine offers is told by the variables that its runner sets", () => {
  assert.deepEqual(ciOffers({ GITHUB_OUTPUT: "/o", GITHUB_STEP_SUMMARY: "/s", GITHUB_ACTIONS: "true" }), { outputs: "/o", summary: "/s", commands: true });
  assert.deepEqual(ciOffers({ GITHUB_OUTPUT: "", CI: "true" }), { commands: false });
});
