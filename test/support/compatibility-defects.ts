/** Defects D1 to D23 as data: whether `doctor` sees them, who mends them, and how slipstream works with a workspace that keeps them. */

import { DEFECT_TITLES, type DefectId } from "../../src/domain/defect.ts";

export interface CompatibilityDefect {
  readonly id: DefectId;
  readonly title: string;
  readonly seenBy: "doctor" | "not visible";
  /** safe: `doctor --fix` applies a mend of it, if not all of it. by hand: doctor prints a diff or words. */
  readonly fix: "safe" | "by hand" | "none needed: slipstream works around it";
  /** What slipstream does in a workspace that keeps it. */
  readonly workaround: string;
}

const NONE = "none needed: slipstream works around it";
const rows: readonly (readonly [DefectId, CompatibilityDefect["fix"], string])[] = [
  ["D1", "safe", "builds in a folder of its own with an empty .bin, and compares the digest before and after"],
  ["D2", "safe", "downloads by itself, never through bin:download"],
  ["D3", "safe", "forces no task: in its own build folder nothing counts as done"],
  ["D4", "by hand", "fetches the wanted version itself, into a checkout of its own"],
  ["D5", "safe", "hands versions to Task on the command line and in the environment, and calls bin:build directly"],
  ["D6", "by hand", "fetches exactly the commit it builds; the clone in .src is not used"],
  ["D7", "safe", "lets the build write elsewhere, and renames the verified program into its place"],
  ["D8", "by hand", "never takes the program away, so a start always finds one"],
  ["D9", "by hand", "reads every form of .version, and writes commit, timestamp, checksum and version after each update"],
  ["D10", "by hand", "verifies what it installs against the digest it built or downloaded, and nothing else"],
  ["D11", "by hand", "asks the forge for the release and its assets, by tag"],
  ["D12", "safe", "downloads with limits and retries, checks size and digest, and unpacks aside"],
  ["D13", "safe", "waits until the old process is gone before it starts the new one, and until that one is healthy"],
  ["D14", "safe", "also wants a new pid, and the digest of the running program"],
  ["D15", NONE, "compares the digest of what the kernel has mapped"],
  ["D16", NONE, "finds the process by its command, or takes the configured one"],
  ["D17", NONE, "takes the mode from the configuration, or from what is there when it is first seen"],
  ["D18", "by hand", "names come from the configuration only, and no value goes through a shell"],
  ["D19", "safe", "takes a package without .version, and knows the program by its digest"],
  ["D20", NONE, "waits until every dependency is ready before it restarts a process"],
  ["D21", NONE, "replaces that program: no delivery is taken without a signature"],
  ["D22", "by hand", "does not call those tasks"],
  ["D23", "by hand", "reads the version from the subsystem's own Taskfile"],
];

export const COMPATIBILITY_DEFECTS: readonly CompatibilityDefect[] = rows.map(([id, fix, workaround]) => ({ id, title: DEFECT_TITLES[id], seenBy: id === "D21" ? "not visible" : "doctor", fix, workaround }));
