/** Of all versions upstream, the newest that may be installed: one that is quarantined, rejected or refused does not hide those below it. */

import { type Candidate, type Decision, stepTo } from "../domain/decide.ts";
import { withinPin } from "../domain/pin.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Store } from "../store/store.ts";
import { decisionOn } from "./enqueue.ts";

export interface Choice {
  readonly candidate: Candidate;
  readonly decision: Decision;
}

/** The first candidate (newest first) that would run or be held; else the very newest within the pin with the reason why not. Undefined for no candidates. With `only` run, one that would be held hides none below it. */
export function chooseNewest(store: Store, subsystem: Subsystem, candidates: readonly Candidate[], only?: "run"): Choice | undefined {
  let newest: Choice | undefined;
  let reached = false;
  for (const candidate of withinPin(subsystem, candidates, (c) => c.version)) {
    const choice = { candidate, decision: decisionOn(store, subsystem, candidate) };
    const { decision } = choice;
    newest ??= choice;
    // What was published before the installed one is newer only where their versions say so.
    if (only !== undefined && decision.verdict === "hold") continue;
    if (decision.verdict !== "ignore" && !(reached && stepTo(subsystem, store.versions.current(subsystem.name), candidate) === "unparsable")) return choice;
    const behind = decision.verdict === "ignore" && (decision.reason === "already-current" || decision.reason === "older-than-current");
    // From here on everything is what we have, or older; unless they come in the order of their publication.
    if (behind && subsystem.strategy !== "releases") break;
    reached ||= behind && decision.reason === "already-current";
  }
  return newest;
}
