/** Defects D1 to D23: what is wrong with Taskfiles and process-compose files that were written before incremental updates, and how it shows. */

export type DefectId = "D1" | "D2" | "D3" | "D4" | "D5" | "D6" | "D7" | "D8" | "D9" | "D10" | "D11" | "D12" | "D13" | "D14" | "D15" | "D16" | "D17" | "D18" | "D19" | "D20" | "D21" | "D22" | "D23";

/** What is wrong in general, one line each. D21 is a fault of an earlier program, which no workspace file shows. */
export const DEFECT_TITLES: Readonly<Record<DefectId, string>> = {
  D1: "bin:build never builds again",
  D2: "bin:download never downloads again",
  D3: "a forced build clones once more and fails",
  D4: "src:update stays where it is",
  D5: "variables are lost on the way to another task",
  D6: "a clone is shallow, or counts as whole when it was interrupted",
  D7: "a running program is written over",
  D8: "the start of a service may build",
  D9: ".version says nothing that could be checked",
  D10: "bin:verify passes or fails for the wrong reason",
  D11: "the address of a download is none that GitHub has",
  D12: "a download takes an error page for a program",
  D13: "a reload may leave a service down",
  D14: "a health probe is fragile",
  D15: "what runs is never compared with what is installed",
  D16: "subsystems are taken for processes",
  D17: "a folder decides between building and downloading",
  D18: "a value from outside becomes shell text",
  D19: "a package holds less, or other things, than its name says",
  D20: "a reload forgets what depends on the service",
  D21: "an earlier webhook program takes unsigned deliveries",
  D22: "shell text is broken",
  D23: "the same fact is written down twice, and differs",
};

/** One place where a defect shows. */
export interface Defect {
  readonly id: DefectId;
  readonly subsystem?: string;
  /** Relative to the workspace where it lies in it. */
  readonly file: string;
  /** Counts from 1. */
  readonly line: number;
  readonly message: string;
  readonly mend: string;
  /** The mend as a unified diff; missing where only words can tell it. */
  readonly diff?: string;
  /** `doctor --fix` applies it. */
  readonly safe: boolean;
  /** Why a person has to apply the diff. */
  readonly whyNotSafe?: string;
}

/** What `doctor --fix` did with one file. */
export interface FixedFile {
  readonly file: string;
  readonly ids: readonly DefectId[];
  readonly diff: string;
  /** Where the text from before is kept; missing in a dry run, and where nothing was written. */
  readonly backup?: string;
  /** Why it was not written. */
  readonly refused?: string;
}

export interface FixReport {
  /** Nothing was written; `files` is what would be. */
  readonly dryRun: boolean;
  readonly files: readonly FixedFile[];
  /** What is left for a person. */
  readonly left: readonly Defect[];
}
