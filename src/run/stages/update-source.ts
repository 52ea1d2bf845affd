/** update-source: a fresh shadow workspace with the exact commit in `.src` (V34). */

import { join } from "node:path";
import type { CheckoutRequest } from "../../adapters/git.ts";
import { SlipstreamError, StateError } from "../../domain/errors.ts";
import { type Backoff, backoffMs } from "../../kit/backoff.ts";
import type { StageDefinition, StageScope } from "../deps.ts";
import { assertReloadable } from "../reloadable.ts";
import { prepareShadow } from "../workspace.ts";

/** About four minutes of waiting in all. */
const TRIES = 8;
const BACKOFF: Backoff = { baseMs: 2_000, maxMs: 60_000 };

export const updateSource: StageDefinition = {
  name: "update-source",
  timeoutMs: (s) => s.timeouts.source,
  async run(scope, signal) {
    const { run, subsystem, deps, line } = scope;
    if (run.commit === undefined || run.ref === undefined) throw new StateError("internal", `run ${run.id} has no commit, expected the one resolve decided on`);
    await assertReloadable(scope, signal);
    const shadow = await prepareShadow(deps, subsystem);
    line(`fetching ${run.ref} at ${run.commit} from ${subsystem.upstream} with ${deps.git.engine} git`);
    const request = { url: subsystem.upstream, ref: run.ref, commit: run.commit, dest: shadow.src, cacheDir: join(deps.stateDir, "git", subsystem.name), onLine: line };
    const commit = await checkoutPatiently(scope, request, signal);
    return { context: { commit }, message: `checked out ${commit.slice(0, 12)}` };
  },
};

/** A dropped connection must not cost an update: GitHub does not send the news again. Gives up with the stage's own time. */
async function checkoutPatiently({ deps, line }: StageScope, request: CheckoutRequest, signal: AbortSignal): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await deps.git.checkout(request, signal)).commit;
    } catch (error) {
      if (signal.aborted || attempt >= TRIES || !(error instanceof SlipstreamError) || !error.retryable) throw error;
      line(`try ${attempt}: ${error.message}`);
      await deps.clock.sleep(backoffMs(BACKOFF, attempt), signal);
    }
  }
}
