/** update-source: a fresh shadow workspace with the exact commit in `.src` (V34). */

import { join } from "node:path";
import { StateError } from "../../domain/errors.ts";
import type { StageDefinition } from "../deps.ts";
import { assertReloadable } from "../reloadable.ts";
import { prepareShadow } from "../workspace.ts";

export const updateSource: StageDefinition = {
  name: "update-source",
  timeoutMs: (s) => s.timeouts.source,
  async run(scope, signal) {
    const { run, subsystem, deps, line } = scope;
    if (run.commit === undefined || run.ref === undefined) throw new StateError("internal", `run ${run.id} has no commit, expected the one resolve decided on`);
    await assertReloadable(scope, signal);
    const shadow = await prepareShadow(deps, subsystem);
    line(`fetching ${run.ref} at ${run.commit} from ${subsystem.upstream} with ${deps.git.engine} git`);
    const { commit } = await deps.git.checkout(
      { url: subsystem.upstream, ref: run.ref, commit: run.commit, dest: shadow.src, cacheDir: join(deps.stateDir, "git", subsystem.name), onLine: line },
      signal,
    );
    return { context: { commit }, message: `checked out ${commit.slice(0, 12)}` };
  },
};
