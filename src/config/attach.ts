/** Joins subsystems with the processes that run them, and marks what slipstream must not touch. */

import { join } from "node:path";
import type { Problem } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { positionOf } from "./explain.ts";
import type { YamlFile } from "./files.ts";
import { matchProcess, type ProcessFile } from "./processes.ts";
import type { ConfigFile } from "./schema.ts";
import type { Draft } from "./subsystems.ts";

/** Binaries that supervise or are slipstream itself. */
const OURS = ["process-compose", "slipstream"];

export interface ProcessContext {
  readonly workspace: string;
  readonly file: ConfigFile;
  readonly yaml: YamlFile | null;
  readonly processes: ProcessFile | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly problems: Problem[];
  readonly warnings: string[];
}

/** Every draft with its process or null; two subsystems may not share a binary or a process. */
export function attachProcesses(drafts: readonly Draft[], context: ProcessContext): Subsystem[] {
  const subsystems = drafts.map((draft) => withProcess(draft, context));
  refuseSharing(subsystems, context.yaml?.path ?? join(context.workspace, "slipstream.yaml"), context.problems);
  return subsystems;
}

function withProcess(draft: Draft, context: ProcessContext): Subsystem {
  const process = processOf(draft, context);
  const itself = process !== null && process === context.env.PC_PROC_NAME;
  const why = itself ? `process ${process} runs slipstream itself` : OURS.includes(draft.binary) ? `${draft.binary} ${draft.binary === "slipstream" ? "is slipstream itself" : "supervises every process"}` : undefined;
  return { ...draft, process, ...(why === undefined ? {} : { notManaged: why }) };
}

function processOf(draft: Draft, context: ProcessContext): string | null {
  const { processes, workspace, yaml } = context;
  const wanted = context.file.subsystems?.[draft.name]?.process;
  if (wanted === false) return null;
  if (wanted !== undefined) {
    if (processes !== null && !processes.processes.some((p) => p.name === wanted)) {
      const at = yaml === null ? { file: workspace } : positionOf(yaml, ["subsystems", draft.name, "process"]);
      context.problems.push({ ...at, message: `process of ${draft.name} is ${wanted}, expected one that ${processes.path} has` });
    }
    return wanted;
  }
  const match = processes === null ? { kind: "none" as const } : matchProcess(workspace, draft, processes);
  if (match.kind === "several") context.warnings.push(`${match.names.join(" and ")} both run ${draft.name}, so none is reloaded; set subsystems.${draft.name}.process in slipstream.yaml`);
  return match.kind === "found" ? match.name : null;
}

function refuseSharing(subsystems: readonly Subsystem[], file: string, problems: Problem[]): void {
  const owner = new Map<string, string>();
  for (const s of subsystems) {
    for (const thing of [`binary ${join(s.dir, ".bin", s.binary)}`, ...(s.process === null ? [] : [`process ${s.process}`])]) {
      const other = owner.get(thing);
      if (other !== undefined) problems.push({ file, message: `${thing} belongs to ${other} and ${s.name}, expected one subsystem; set subsystems.${s.name}.${thing.startsWith("binary") ? "dir or .binary" : "process"} in slipstream.yaml` });
      owner.set(thing, s.name);
    }
  }
}
