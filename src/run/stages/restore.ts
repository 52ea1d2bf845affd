/** restore: the first stage of a rollback a person asked for: a kept version becomes the one to swap in (V112). */

import { join } from "node:path";
import { digestIfAny } from "../../adapters/files.ts";
import { PolicyError } from "../../domain/errors.ts";
import type { StageDefinition } from "../deps.ts";

export const restoreKept: StageDefinition = {
  name: "restore",
  timeoutMs: () => 60_000,
  async run({ run, subsystem, deps, line }) {
    const kept = deps.store.versions.list(subsystem.name, "previous").find((v) => v.version === run.toVersion && v.path !== undefined);
    const built = kept?.path === undefined ? undefined : join(subsystem.dir, kept.path, subsystem.binary);
    if (kept === undefined || built === undefined || (await digestIfAny(built)) !== kept.digest) {
      throw new PolicyError("no-previous-version", `version ${run.toVersion} of ${subsystem.name} is not kept, expected it below .bin/.previous`);
    }
    line(`${run.toVersion} is kept at ${built}`);
    return { context: { built, digest: kept.digest, ...(kept.commit === undefined ? {} : { commit: kept.commit }) }, message: kept.digest.slice(0, 19) };
  },
};
