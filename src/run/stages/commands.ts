/** Runs a configured command, a Task task or a fixed argv, inside the shadow workspace. */

import { childEnv } from "../../adapters/exec.ts";
import { checkExit, RUN_MARK } from "../../adapters/task.ts";
import type { ErrorCode } from "../../domain/errors.ts";
import type { Command } from "../../domain/subsystem.ts";
import type { StageScope } from "../deps.ts";
import { type Shadow, shadowTaskfile } from "../workspace.ts";

export interface CommandOptions {
  readonly shadow: Shadow;
  readonly vars: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly failCode: ErrorCode;
}

/** `{binary}`, `{src}` and `{dir}` in an argv stand for paths in the shadow. @throws WorkError with `failCode` and what adapters/task throws */
export async function runCommand(scope: StageScope, command: Command, options: CommandOptions, signal: AbortSignal): Promise<void> {
  const { deps, run, subsystem, line } = scope;
  const { shadow, vars, timeoutMs, failCode } = options;
  if ("task" in command) {
    await deps.task.run({ ...shadowTaskfile(shadow, deps), task: command.task, vars, timeoutMs, failCode, runId: run.id, onLine: line }, signal);
    return;
  }
  const places: Readonly<Record<string, string>> = { "{binary}": `${shadow.bin}/${subsystem.binary}`, "{src}": shadow.src, "{dir}": shadow.dir };
  const argv = command.argv.map((arg) => arg.replace(/\{(binary|src|dir)\}/g, (m) => places[m] ?? m)) as [string, ...string[]];
  const result = await deps.exec({ argv, cwd: shadow.dir, env: childEnv(deps.env, { ...vars, [RUN_MARK]: run.id }), timeoutMs, onLine: line, lowPriority: true }, signal);
  checkExit(`command ${argv[0]}`, result, failCode);
}

/** The variables that carry the version into Taskfiles, bare or prefixed (`NATS_VERSION`), over the configured ones. */
export function versionVars(scope: StageScope): Record<string, string> {
  const { subsystem, run } = scope;
  const name = subsystem.varPrefix === "" ? "VERSION" : `${subsystem.varPrefix}_VERSION`;
  return { ...subsystem.buildVars, [name]: run.toVersion };
}
