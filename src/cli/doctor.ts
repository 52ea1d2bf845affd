/** `doctor`: looks at everything an update needs and says how to mend what is wrong. */

import type { Command } from "commander";
import type { Examination, Finding } from "../domain/examination.ts";
import { examples } from "./act.ts";
import { type Context, EXIT, type GlobalOptions } from "./context.ts";
import { machineFindings, placeFindings, secretFindings } from "./findings-machine.ts";
import { configFindings, daemonFindings, subsystemFindings, supervisorFindings, webhookFindings } from "./findings-work.ts";
import { oneLine } from "./io.ts";

export function addDoctor(program: Command, context: Context, exit: (code: number) => void): void {
  program
    .command("doctor")
    .description("examine machine, configuration, Process Compose and webhook, and say the mend for what is wrong")
    .addHelpText("after", examples("slipstream doctor", "slipstream doctor --json"))
    .action(async (_local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions>();
      context.print.progress("examining …");
      const findings = judge(await context.examine(o));
      context.print.progress("");
      const counts = countOf(findings);
      if (o.json === true) context.print.json({ findings, counts });
      else show(context, findings, counts);
      exit(counts.fail > 0 ? EXIT.failed : EXIT.done);
    });
}

/** Every finding, in the order in which things depend on each other. Pure. */
export function judge(e: Examination): readonly Finding[] {
  return [...machineFindings(e), ...configFindings(e), ...secretFindings(e), ...placeFindings(e), ...supervisorFindings(e), ...daemonFindings(e), ...webhookFindings(e), ...subsystemFindings(e)];
}

type Counts = Readonly<Record<Finding["status"], number>>;

function countOf(findings: readonly Finding[]): Counts {
  const of = (status: Finding["status"]) => findings.filter((f) => f.status === status).length;
  return { ok: of("ok"), warn: of("warn"), fail: of("fail") };
}

function show(context: Context, findings: readonly Finding[], counts: Counts): void {
  const { print } = context;
  const marks = { ok: print.paint("green", "ok  "), warn: print.paint("yellow", "warn"), fail: print.paint("red", "FAIL") };
  for (const f of findings) {
    print.line(`${marks[f.status]}  ${oneLine(f.message)}`);
    if (f.mend !== undefined) print.line(`      ${oneLine(f.mend)}`);
  }
  print.line(`\n${counts.ok} ok, ${counts.warn} to look at, ${counts.fail} wrong`);
}
