/** update-source: a fresh shadow workspace with the exact commit in `.src` (V34). */

import { join } from "node:path";
import type { CheckoutRequest } from "../../adapters/git.ts";
import { codeOf, messageOf, SlipstreamError, StateError } from "../../domain/errors.ts";
import { type Backoff, backoffMs } from "../../kit/backoff.ts";
import type { StageDefinition, StageScope } from "../deps.ts";
import { mirrorsFor, originFor } from "../origin.ts";
import { assertReloadable } from "../reloadable.ts";
import { prepareShadow } from "../workspace.ts";

/** What another upstream may help with. */
const NOT_HAD = new Set(["upstream-unreachable", "version-not-found", "timed-out"]);
/** About four minutes of waiting in all. */
const TRIES = 8;
const BACKOFF: Backoff = { baseMs: 2_000, maxMs: 60_000 };

export const updateSource: StageDefinition = {
  name: "update-source",
  timeoutMs: (s) => s.timeouts.source,
  async run(scope, signal) {
    const { run, subsystem, deps, line } = scope;
    if (run.commit === undefined || run.ref === undefined) throw new StateError("internal", `run ${run.id} has no commit, expected the one resolve decided on`);
    const { upstream } = originFor(scope);
    await assertReloadable(scope, signal);
    const shadow = await prepareShadow(deps, subsystem);
    line(`fetching ${run.ref} at ${run.commit} from ${upstream} with ${deps.git.engine} git`);
    const request = { url: upstream, ref: run.ref, commit: run.commit, dest: shadow.src, cacheDir: join(deps.stateDir, "git", subsystem.name), onLine: line };
    const commit = await checkoutPatiently(scope, request, signal);
    return { context: { commit }, message: `checked out ${commit.slice(0, 12)}` };
  },
};

/** A dropped connection must not cost an update: GitHub does not send the news again. Gives up with the stage's own time. */
async function checkoutPatiently(scope: StageScope, request: CheckoutRequest, signal: AbortSignal): Promise<string> {
  const { deps, line } = scope;
  for (let attempt = 1; ; attempt++) {
    try {
      return (await deps.git.checkout(request, signal)).commit;
    } catch (error) {
      const mirrored = signal.aborted || !NOT_HAD.has(codeOf(error)) ? undefined : await fromMirror(scope, request, { error, signal });
      if (mirrored !== undefined) return mirrored;
      if (signal.aborted || attempt >= TRIES || !(error instanceof SlipstreamError) || !error.retryable) throw error;
      line(`try ${attempt}: ${error.message}`);
      await deps.clock.sleep(backoffMs(BACKOFF, attempt), signal);
    }
  }
}

/** The same commit from a lower upstream, undefined where none has it. */
async function fromMirror(scope: StageScope, request: CheckoutRequest, { error, signal }: { readonly error: unknown; readonly signal: AbortSignal }): Promise<string | undefined> {
  for (const { upstream, branch } of mirrorsFor(scope)) {
    scope.line(`${messageOf(error)}; fetching ${request.commit} from ${upstream}`);
    try {
      return (await scope.deps.git.checkout({ ...request, url: upstream, ref: `refs/heads/${branch}` }, signal)).commit;
    } catch (cause) {
      if (signal.aborted || !(cause instanceof SlipstreamError)) throw cause;
      scope.line(cause.message);
    }
  }
  return undefined;
}
