/** Task, called so that its environment and its exit codes cannot surprise us (facts: Task's own source, errors/errors.go). */

import { type ErrorCode, SlipstreamError, StateError, WorkError } from "../domain/errors.ts";
import { childEnv, type Exec, type ExecResult } from "./exec.ts";

export interface TaskRequest {
  /** Folder of the root Taskfile. */
  readonly root: string;
  /** File name of the root Taskfile. */
  readonly taskfile: string;
  readonly task: string;
  /** Passed both as `NAME=value` and as environment: nested `task` calls see only the latter (defect D5). */
  readonly vars: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly failCode: ErrorCode;
  readonly runId: string;
  readonly onLine: (line: string) => void;
}

export interface Task {
  /** @throws StateError task-missing, tool-missing; WorkError with `failCode`; SlipstreamError taskfile-broken, timed-out, cancelled */
  run(request: TaskRequest, signal: AbortSignal): Promise<void>;
}

export function createTask(deps: { exec: Exec; program: string; env: Readonly<Record<string, string | undefined>> }): Task {
  return {
    async run(request, signal) {
      const vars = Object.entries(request.vars).map(([name, value]) => `${name}=${value}`);
      const result = await deps.exec(
        {
          argv: [deps.program, "-d", request.root, "-t", `${request.root}/${request.taskfile}`, "--color=false", request.task, ...vars],
          cwd: request.root,
          env: childEnv(deps.env, { ...request.vars, NO_COLOR: "1", TASK_COLOR: "0", TASK_OFFLINE: "1", [RUN_MARK]: request.runId }),
          timeoutMs: request.timeoutMs,
          onLine: request.onLine,
          lowPriority: true,
        },
        signal,
      );
      check(request, result);
    },
  };
}

/** Marks every child of a run, so that what a crash left behind can be found and ended. */
export const RUN_MARK = "SLIPSTREAM_RUN";

/** The end of a child as an error: timeouts, cancels and bad exits alike. */
export function checkExit(what: string, result: ExecResult, failCode: ErrorCode): void {
  if (result.cancelled) throw new StateError("cancelled", `${what} is cancelled, expected it to run to its end`);
  if (result.timedOut) throw new StateError("timed-out", `${what} is still running after its time, expected it to end; raise its timeout in slipstream.yaml if it needs longer`);
  if (result.exitCode !== 0) throw new WorkError(failCode, `${what} is ${result.exitCode === null ? `ended by ${result.signal}` : `exit code ${result.exitCode}`}, expected 0${lastLine(result)}`);
}

function check(request: TaskRequest, result: ExecResult): void {
  const code = result.exitCode;
  if (!result.cancelled && !result.timedOut && code !== null) {
    if (code === 200) throw new StateError("task-missing", `task ${request.task} is missing, expected it in ${request.root}/${request.taskfile}; set build in slipstream.yaml`);
    if (code >= 100 && code < 120) throw new SlipstreamError("taskfile-broken", `Taskfile ${request.taskfile} is unreadable for Task (exit code ${code})${lastLine(result)}`);
  }
  checkExit(`task ${request.task}`, result, request.failCode);
}

/** The program's own last words: errors come last, and what Task says about itself tells nothing. */
function lastLine(result: ExecResult): string {
  const line = `${result.stdout}\n${result.stderr}`.split("\n").filter((l) => l.trim() !== "" && !/^task: (\[|Failed to run task)/.test(l)).at(-1);
  return line === undefined ? "" : `; last line: ${line.slice(0, 300)}`;
}
