/** Which stages a run goes through, in order. */

import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { StageDefinition } from "./deps.ts";
import { build } from "./stages/build.ts";
import { download } from "./stages/download.ts";
import { health } from "./stages/health.ts";
import { reload } from "./stages/reload.ts";
import { restoreKept } from "./stages/restore.ts";
import { swap } from "./stages/swap.ts";
import { test } from "./stages/test.ts";
import { updateSource } from "./stages/update-source.ts";
import { verify } from "./stages/verify.ts";

/** Source mode builds, release mode downloads; from verify on they are the same. A subsystem without a process, and a run that leaves it alone, end after the swap. */
export function planFor(kind: Run["kind"], subsystem: Subsystem, how: Pick<Run, "noReload"> = {}): readonly StageDefinition[] {
  if (kind === "reload") return [reload, health];
  const made = subsystem.mode === "release" ? [download] : [updateSource, build, ...(subsystem.test === undefined ? [] : [test])];
  const before = kind === "rollback" ? [restoreKept] : [...made, verify];
  return [...before, swap, ...(subsystem.process === null || how.noReload === true ? [] : [reload, health])];
}
