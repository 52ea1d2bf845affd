/** Where a crash test kills the daemon, generated from the stage list, so that a new stage is covered by itself. */

import { planFor } from "../../src/run/plan.ts";
import { rollback } from "../../src/run/stages/rollback.ts";
import { subsystem } from "./subsystem.ts";

export interface CrashPoint {
  /** Which write of the journal. */
  readonly write: "start" | "finish" | "journal";
  readonly stage: string;
  /** Before or after that write is on disk. */
  readonly side: "before" | "after";
}

export function parsePoint(text: string): CrashPoint {
  const [write, stage, side] = text.split(":") as [CrashPoint["write"], string, CrashPoint["side"]];
  return { write, stage, side };
}

const boundaries = (stage: string): string[] => [`start:${stage}:after`, `finish:${stage}:before`, `finish:${stage}:after`];

/** Every stage boundary of a good update, and every note a stage leaves before it touches anything. */
export function updatePoints(): readonly string[] {
  const stages = planFor("update", subsystem({ test: { task: "api:test" } })).map((s) => s.name);
  return stages.flatMap((s) => [...boundaries(s), ...(s === "swap" || s === "reload" ? [`journal:${s}:after`] : [])]);
}

/** What comes before the swap in release mode. */
export function downloadPoints(): readonly string[] {
  const stages = planFor("update", subsystem({ mode: "release" })).map((s) => s.name);
  return [...stages.slice(0, stages.indexOf("swap")).flatMap(boundaries), "journal:swap:after"];
}

/** The same for the stage that takes a bad version back. */
export function rollbackPoints(): readonly string[] {
  return [...boundaries(rollback.name), `journal:${rollback.name}:after`];
}
