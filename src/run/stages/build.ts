/** build: the subsystem's own build task, in the shadow workspace (V35). */

import type { StageDefinition } from "../deps.ts";
import { resetOutput, shadowOf } from "../workspace.ts";
import { runCommand, versionVars } from "./commands.ts";

export const build: StageDefinition = {
  name: "build",
  timeoutMs: (s) => s.timeouts.build,
  async run(scope, signal) {
    const { subsystem, deps } = scope;
    const shadow = shadowOf(deps, subsystem);
    await resetOutput(shadow);
    await runCommand(scope, subsystem.build, { shadow, vars: versionVars(scope), timeoutMs: subsystem.timeouts.build, failCode: "build-failed" }, signal);
    return { context: { built: `${shadow.bin}/${subsystem.binary}` } };
  },
};
