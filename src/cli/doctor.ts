/** `doctor`: looks at everything an update needs and says how to mend what is wrong. */

import type { Command } from "commander";
import type { Defect } from "../domain/defect.ts";
import { UsageError } from "../domain/errors.ts";
import type { Examination, Finding } from "../domain/examination.ts";
import { examples } from "./act.ts";
import { type Context, EXIT, type GlobalOptions } from "./context.ts";
import { machineFindings, placeFindings, secretFindings } from "./findings-machine.ts";
import { processFindings } from "./findings-processes.ts";
import { configFindings, daemonFindings, subsystemFindings, supervisorFindings, webhookFindings } from "./findings-work.ts";
import { showDefects, showFix } from "./findings-defects.ts";
import { receiverFindings } from "./findings-receivers.ts";
import { oneLine } from "./io.ts";

export function addDoctor(program: Command, context: Context, exit: (code: number) => void): void {
  program
    .command("doctor")
    .description("examine machine, configuration, Process Compose and webhook, and say the mend for what is wrong")
    .option("--fix", "apply the safe mends to Taskfiles and the process-compose file; what was there is kept below .slipstream/backups")
    .option("--dry-run", "with --fix: show what would be changed, and change nothing")
    .addHelpText("after", examples("slipstream doctor", "slipstream doctor --json", "slipstream doctor --fix --dry-run", "slipstream doctor --fix"))
    .action(async (_local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions & { readonly fix?: boolean; readonly dryRun?: boolean }>();
      if (o.fix === true) return exit(await fix(context, o));
      if (o.dryRun === true) throw new UsageError("usage", "--dry-run is given without --fix, expected both: doctor alone changes nothing");
      context.print.progress("examining …");
      const examination = await context.examine(o);
      const findings = judge(examination);
      context.print.progress("");
      const counts = countOf(findings);
      if (o.json === true) context.print.json({ findings, counts, defects: examination.defects });
      else show(context, findings, { counts, defects: examination.defects });
      exit(counts.fail > 0 ? EXIT.failed : EXIT.done);
    });
}

/** Mends what is safe to mend, and nothing else. */
async function fix(context: Context, options: GlobalOptions & { readonly dryRun?: boolean }): Promise<number> {
  const report = await context.fix({ ...options, dryRun: options.dryRun === true });
  if (options.json === true) context.print.json(report);
  else showFix(context.print, report);
  return report.files.some((f) => f.refused !== undefined) ? EXIT.failed : EXIT.done;
}

/** Every finding, in the order in which things depend on each other. Pure. */
export function judge(e: Examination): readonly Finding[] {
  return [...machineFindings(e), ...configFindings(e), ...secretFindings(e), ...receiverFindings(e), ...placeFindings(e), ...supervisorFindings(e), ...processFindings(e), ...daemonFindings(e), ...webhookFindings(e), ...subsystemFindings(e)];
}

type Counts = Readonly<Record<Finding["status"], number>>;

function countOf(findings: readonly Finding[]): Counts {
  const of = (status: Finding["status"]) => findings.filter((f) => f.status === status).length;
  return { ok: of("ok"), warn: of("warn"), fail: of("fail") };
}

function show(context: Context, findings: readonly Finding[], { counts, defects }: { readonly counts: Counts; readonly defects: readonly Defect[] }): void {
  const { print } = context;
  const marks = { ok: print.paint("green", "ok  "), warn: print.paint("yellow", "warn"), fail: print.paint("red", "FAIL") };
  for (const f of findings) {
    print.line(`${marks[f.status]}  ${oneLine(f.message)}`);
    if (f.mend !== undefined) print.line(`      ${oneLine(f.mend)}`);
  }
  showDefects(print, defects);
  print.line(`\nchecks: ${counts.ok} ok, ${counts.warn} to look at, ${counts.fail} wrong${defects.length === 0 ? "" : `; defects in files: ${defects.length}`}`);
}
