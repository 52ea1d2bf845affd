/** Gates: looked at once more when a run is about to start, because the world may have moved since it was queued. */

import { decide } from "../domain/decide.ts";
import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Store } from "../store/store.ts";

export type GateVerdict = { readonly pass: true } | { readonly pass: false; readonly reason: string };

/** Whether a claimed run still makes sense. An approval counts only for the exact commit it was given for. */
export function checkGates(store: Store, run: Run, subsystem: Subsystem | undefined): GateVerdict {
  if (subsystem === undefined) return { pass: false, reason: "not-managed" };
  if (run.kind !== "update" || run.commit === undefined || run.ref === undefined) return { pass: true };
  const approval = store.approvals.of(run.id);
  const decision = decide({
    subsystem,
    current: store.versions.current(run.subsystem),
    quarantined: store.versions.isQuarantined(run.subsystem, run.toVersion, run.commit),
    candidate: { version: run.toVersion, ref: run.ref, commit: run.commit, forced: run.holdRule === "rewritten", explicit: run.trigger === "operator" && run.actor !== undefined },
  });
  if (decision.verdict === "run") return { pass: true };
  if (decision.verdict === "ignore") return { pass: false, reason: decision.reason };
  return approval?.verdict === "approved" && approval.boundTo === run.commit ? { pass: true } : { pass: false, reason: "approval-missing" };
}
