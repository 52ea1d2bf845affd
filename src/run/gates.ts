/** Gates: looked at once more when a run is about to start, because the world may have moved since it was queued. */

import { decide, identityOf } from "../domain/decide.ts";
import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Store } from "../store/store.ts";

export type GateVerdict =
  | { readonly verdict: "pass" }
  /** It has become a step that a person has to allow. */
  | { readonly verdict: "hold"; readonly rule: string; readonly waitMs: number }
  | { readonly verdict: "skip"; readonly reason: string };

const PASS: GateVerdict = { verdict: "pass" };

/** Whether a queued run may start. An approval counts only for the exact commit it was given for. */
export function checkGates(store: Store, run: Run, subsystem: Subsystem | undefined): GateVerdict {
  if (subsystem === undefined) return { verdict: "skip", reason: "not-managed" };
  if (run.kind !== "update" || identityOf(run) === undefined || run.ref === undefined) return PASS;
  // The workspace has changed its mode since: what the run would need is not there.
  if ((run.artifact !== undefined) !== (subsystem.mode === "release")) return { verdict: "skip", reason: "mode-differs" };
  const decision = decide({
    subsystem,
    current: store.versions.current(run.subsystem),
    quarantined: store.versions.isQuarantined(run.subsystem, { ...run, version: run.toVersion }),
    candidate: { version: run.toVersion, ref: run.ref, ...(run.commit === undefined ? {} : { commit: run.commit }), ...(run.artifact === undefined ? {} : { artifact: run.artifact }), ...(run.upstream === undefined ? {} : { upstream: run.upstream }), forced: run.rule === "rewritten", explicit: run.rule === "asked-for" },
  });
  if (decision.verdict === "run") return PASS;
  if (decision.verdict === "ignore") return { verdict: "skip", reason: decision.reason };
  const approval = store.approvals.of(run.id);
  if (approval?.verdict === "approved" && approval.boundTo === identityOf(run)) return PASS;
  return { verdict: "hold", rule: decision.rule, waitMs: subsystem.policy.approvalWaitMs };
}
