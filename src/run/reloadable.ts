/** Before anything is touched, and before a long build or download is worth its time: may this process be reloaded at all? */

import { digestIfAny } from "../adapters/files.ts";
import { codeOf } from "../domain/errors.ts";
import { requireSupervisor, type StageScope } from "./deps.ts";
import { liveBinary } from "./install.ts";

/** @throws SupervisorError unsafe-process-config, process-unknown; supervisor-unreachable, but not for a first install: there is no process of it to reload yet */
export async function assertReloadable(scope: StageScope, signal: AbortSignal): Promise<void> {
  const { run, subsystem, deps, line } = scope;
  if (subsystem.process === null || run.noReload === true) return;
  try {
    const supervisor = requireSupervisor(scope);
    const notes = new Set<string>();
    for (const name of await supervisor.processes(subsystem.process, signal)) {
      const plan = await supervisor.plan(name, signal);
      line(`process ${name} is pid ${plan.oldPid}, reload by ${plan.path}${plan.note === undefined ? "" : ` (${plan.note})`}`);
      if (plan.note !== undefined) notes.add(plan.note);
    }
    for (const note of notes) deps.log.warn({ subsystem: subsystem.name, note }, "process configuration noted");
  } catch (error) {
    if (codeOf(error) !== "supervisor-unreachable" || (await digestIfAny(liveBinary(subsystem))) !== undefined) throw error;
    line("Process Compose is away: the program is installed for the first time and not started");
  }
}
