/** test: the configured regression test, before anything is swapped (V105). */

import type { StageDefinition } from "../deps.ts";
import { shadowOf } from "../workspace.ts";
import { runCommand, versionVars } from "./commands.ts";

export const test: StageDefinition = {
  name: "test",
  timeoutMs: (s) => s.timeouts.test,
  async run(scope, signal) {
    const { subsystem, deps } = scope;
    if (subsystem.test === undefined) return {};
    await runCommand(scope, subsystem.test, { shadow: shadowOf(deps, subsystem), vars: versionVars(scope), timeoutMs: subsystem.timeouts.test, failCode: "test-failed" }, signal);
    return {};
  },
};
