/** The plan of a reload as a table over versions, also those that are not at hand to run. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProcessInfo, ProcessState } from "../../../src/adapters/process-compose-api.ts";
import { atLeast, decidePlan } from "../../../src/adapters/process-compose-plan.ts";

const state = (fields: Partial<ProcessState> = {}): ProcessState => ({ name: "api", status: "Running", pid: 10, isRunning: true, ready: "Ready", restarts: 0, exitCode: 0, successExitCodes: [], ...fields });
const other = state({ name: "web", pid: 11 });

interface Shape {
  readonly restart?: number;
  readonly exitOnEnd?: boolean;
  readonly timeout?: number;
  readonly command?: string;
  readonly isDaemon?: boolean;
}

function info(shape: Shape = {}): ProcessInfo {
  const { restart = 0, exitOnEnd = false, timeout = 5, command = "", isDaemon = false } = shape;
  return {
    isDaemon,
    readyLogLine: "",
    restartPolicy: { restart, backoffSeconds: 1, exitOnEnd, exitOnSkipped: false },
    shutDownParams: { shutDownTimeout: timeout, shutDownCommand: command, parentOnly: false },
  } as ProcessInfo;
}

const plan = (version: string, shape: Shape = {}, others: readonly ProcessState[] = [state(), other], mine = state()): string => {
  try {
    return decidePlan({ state: mine, others, info: info(shape), version }).path;
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const VERSIONS = ["", "v1.85.0", "v1.100.0", "v1.120.0", "v1.122.0"];
const across = (shape: Shape, others?: readonly ProcessState[]) => VERSIONS.map((v) => plan(v, shape, others));

test("an ordinary process is stopped and started, on every version", () => {
  assert.deepEqual(across({}), Array(5).fill("stop-start"));
});

test("one whose end would end the project is restarted only where Process Compose guards that, 1.122.0 on", () => {
  for (const shape of [{ exitOnEnd: true }, { restart: 3 }]) assert.deepEqual(across(shape), [...Array(4).fill("unsafe-process-config"), "restart"]);
});

test("the only running process is restarted from 1.100.0 on", () => {
  assert.deepEqual(across({}, [state(), state({ name: "web", status: "Completed", isRunning: false })]), ["unsafe-process-config", "unsafe-process-config", "restart", "restart", "restart"]);
});

test("a restart that could overlap old and new is refused on every version", () => {
  for (const shape of [{ exitOnEnd: true, timeout: 0 }, { exitOnEnd: true, command: "kill it" }]) assert.deepEqual(across(shape), Array(5).fill("unsafe-process-config"));
});

test("what a person stopped or disabled is not started, and daemons are refused", () => {
  for (const status of ["Disabled", "Completed", "Skipped", "Scheduled", "Foreground"]) assert.equal(plan("v1.122.0", {}, [other], state({ status, isRunning: false })), "none", status);
  assert.equal(plan("v1.122.0", { isDaemon: true }), "unsafe-process-config");
});

test("a process that failed for want of its program is started once that is there, unless a person ended or disabled it", () => {
  const first = (mine: Partial<ProcessState>) => decidePlan({ state: state({ isRunning: false, ...mine }), others: [other], info: info(), version: "v1.120.0", first: true }).path;
  assert.equal(first({ status: "Completed", exitCode: 127 }), "stop-start");
  assert.equal(first({ status: "Completed", exitCode: 0 }), "none");
  assert.equal(first({ status: "Disabled", exitCode: 1 }), "none");
});

test("a version that is no number counts as the oldest", () => {
  assert.deepEqual(["v1.122.0", "1.122", "v2.0.0", "v1.99.9", "undefined", ""].map((v) => atLeast(v, [1, 122])), [true, true, true, false, false, false]);
});
