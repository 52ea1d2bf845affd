/** The upstream a run takes its program from, as the configuration has it when the run starts. */

import { StateError } from "../domain/errors.ts";
import { type Origin, originAt, originsOf, type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import type { StageScope } from "./deps.ts";

/** The one that was decided on. @throws StateError version-not-found when it is no longer configured */
export function originFor({ run, subsystem }: Pick<StageScope, "run" | "subsystem">): Origin {
  const origin = originAt(subsystem, run.upstream);
  if (origin !== undefined) return origin;
  throw new StateError("version-not-found", `upstream of run ${run.id} is ${run.upstream}, expected one that ${subsystem.name} is configured with now; it was removed or renamed since the run was decided on: slipstream update ${subsystem.name}`);
}

/** Where else the exact commit of a run may come from: a commit's id is its content, so with strategy commits any lower upstream that has it is as good. */
export function mirrorsFor({ run, subsystem }: { readonly run: StageScope["run"]; readonly subsystem: Subsystem }): readonly Origin[] {
  return tracksCommits(subsystem) ? originsOf(subsystem).filter((o) => o.upstream !== (run.upstream ?? subsystem.upstream)) : [];
}
