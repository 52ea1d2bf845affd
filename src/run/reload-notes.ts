/** The notes of a run about the processes it reloads: what recovery and rollback go by. */

import type { ReloadPlan } from "../adapters/process-compose.ts";
import type { ReloadNote, RunContext } from "../domain/run.ts";
import type { StageScope } from "./deps.ts";

/** In the order in which the processes were touched. */
export function notesOf({ reload }: RunContext): readonly ReloadNote[] {
  if (reload === undefined) return [];
  return "plan" in reload ? [reload] : reload;
}

/** The notes of processes that were really reloaded, and not left as they were found. */
export function touched(context: RunContext): readonly ReloadNote[] {
  return notesOf(context).filter((n) => n.plan.path !== "none");
}

export function noteOn(context: RunContext, process: string): ReloadNote | undefined {
  return notesOf(context).find((n) => n.plan.process === process);
}

/** The plan a process is reloaded by, as it was journalled. */
export function planIn(note: ReloadNote): ReloadPlan {
  return note.plan as unknown as ReloadPlan;
}

/** Persists a note at once, in the place of an earlier one about the same process. */
export function keepNote(scope: StageScope, note: ReloadNote): void {
  const notes = notesOf(scope.context);
  const known = notes.some((n) => n.plan.process === note.plan.process);
  scope.journal({ reload: known ? notes.map((n) => (n.plan.process === note.plan.process ? note : n)) : [...notes, note] });
}

/** The process that is to blame when reload or health fails: the last one that was not seen healthy. */
export function toBlame(context: RunContext): ReloadNote | undefined {
  const notes = notesOf(context);
  return notes.findLast((n) => n.plan.path !== "none" && n.healthy === undefined) ?? notes.at(-1);
}
