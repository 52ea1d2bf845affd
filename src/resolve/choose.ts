/** Of all versions upstream, the newest that may be installed: one that is quarantined, rejected or refused does not hide those below it. */

import type { Candidate, Decision } from "../domain/decide.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Store } from "../store/store.ts";
import { decisionOn } from "./enqueue.ts";

export interface Choice {
  readonly candidate: Candidate;
  readonly decision: Decision;
}

/** The first candidate (newest first) that would run or be held; else the very newest with the reason why not. Undefined for no candidates. */
export function chooseNewest(store: Store, subsystem: Subsystem, candidates: readonly Candidate[]): Choice | undefined {
  let newest: Choice | undefined;
  for (const candidate of candidates) {
    const choice = { candidate, decision: decisionOn(store, subsystem, candidate) };
    newest ??= choice;
    if (choice.decision.verdict !== "ignore") return choice;
    // From here on everything is what we have, or older.
    if (choice.decision.reason === "already-current" || choice.decision.reason === "older-than-current") break;
  }
  return newest;
}
