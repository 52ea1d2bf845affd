/** Upstream repositories: the choice between the system's git and the built-in engine. */

import { StateError } from "../domain/errors.ts";
import { createIsomorphicGit } from "./git-isomorphic.ts";
import type { Git, GitDeps } from "./git-port.ts";
import { createSystemGit, systemGitVersion } from "./git-system.ts";

export type { CheckoutRequest, Git, GitDeps, RemoteRef } from "./git-port.ts";

/** The first git that reads configuration from GIT_CONFIG_COUNT (git 2.31 release notes); older ones would put the token elsewhere. */
const OLDEST_GIT = [2, 31] as const;

/** `auto` takes the system's git when it is 2.31 or newer, else the built-in engine. @throws StateError tool-missing when `system` is demanded and git is not usable. */
export async function createGit(deps: GitDeps, signal: AbortSignal): Promise<Git> {
  if (deps.engine === "isomorphic") return createIsomorphicGit(deps);
  const version = await systemGitVersion(deps, signal);
  if (version !== undefined && isNewEnough(version)) return createSystemGit(deps);
  if (deps.engine === "auto") return createIsomorphicGit(deps);
  throw new StateError("tool-missing", `git is ${version?.join(".") ?? "not runnable"}, expected ${OLDEST_GIT.join(".")} or newer on PATH; install it or choose the isomorphic engine`);
}

function isNewEnough(version: readonly [number, number]): boolean {
  return version[0] > OLDEST_GIT[0] || (version[0] === OLDEST_GIT[0] && version[1] >= OLDEST_GIT[1]);
}
