/** How a scene is measured: everything is read from the daemon, from Process Compose, from /proc and from the programs themselves. */

import type { WhyView } from "../../src/domain/app.ts";
import type { Delivery } from "../../src/domain/delivery.ts";
import { isTerminal, type Run, type Stage } from "../../src/domain/run.ts";
import { compareSnapshots, type Seen, type Snapshot, takeSnapshot } from "../support/snapshot.ts";
import { until } from "../support/wait.ts";
import type { RunningWorkspace, SubsystemName } from "../support/workspace.ts";
import type { Sent } from "../support/workspace-io.ts";

/** One line of `--json`. */
export interface SceneRecord {
  readonly scene: string;
  readonly subsystem: string;
  readonly from: string | null;
  readonly to: string | null;
  /** In the daemon's own words. */
  readonly outcome: string;
  /** Names under Process Compose. */
  readonly restarted: readonly string[];
  readonly untouched: readonly string[];
  readonly digest_proved: boolean;
  /** From the start of the webhook's request to its answer. */
  readonly ack_ms: number | null;
  /** From there to the moment the right program answers on its own port, healthy. */
  readonly healthy_ms: number | null;
}

export interface SceneResult {
  readonly record: SceneRecord;
  /** What did not hold; empty when all does. */
  readonly broken: readonly string[];
}

export interface Show<W extends RunningWorkspace = RunningWorkspace> {
  readonly ws: W;
  /** One line about what happens. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The longest a run may take, builds on a slow machine included. */
const RUN_MS = 180_000;
/** The program answers before its run ends; this is for a lost race only. */
const GRACE_MS = 5_000;
const ASK_EVERY_MS = 25;
const LOOK_EVERY_MS = 500;

export type RunWithStages = Run & { readonly stages: readonly Stage[] };

/** Collects what does not hold, so that one scene can say all of it. */
export class Claims {
  readonly broken: string[] = [];
  hold(holds: boolean, otherwise: string): void {
    if (!holds) this.broken.push(otherwise);
  }
  same(what: string, actual: unknown, wanted: unknown): void {
    const [a, w] = [JSON.stringify(actual), JSON.stringify(wanted)];
    this.hold(a === w, `${what} is ${a}, expected ${w}`);
  }
}

/** Follows one update: when the wanted program answers, and how the daemon's run ended. */
export async function followRun(show: Show, subsystem: SubsystemName, wanted: { readonly version: string; readonly answers: string; readonly otherPidThan: number; readonly since: number }): Promise<{ run: RunWithStages; healthyMs: number | null }> {
  const { ws, signal } = show;
  const stop = new AbortController();
  const answers = async () => {
    const a = await ws.ask(subsystem);
    return a.version === wanted.answers && a.healthy && a.pid !== wanted.otherPidThan;
  };
  const healthy = until(answers, { what: `${subsystem} to answer ${wanted.answers}`, timeoutMs: RUN_MS, everyMs: ASK_EVERY_MS }, AbortSignal.any([signal, stop.signal])).then(
    () => performance.now() - wanted.since,
    () => null,
  );
  try {
    const run = await until(() => endedRun(ws, subsystem, wanted.version), { what: `the run of ${subsystem} to ${wanted.version} to end`, timeoutMs: RUN_MS, everyMs: LOOK_EVERY_MS }, signal);
    const late = setTimeout(() => stop.abort(), GRACE_MS);
    const healthyMs = await healthy;
    clearTimeout(late);
    return { run, healthyMs };
  } finally {
    stop.abort();
  }
}

async function endedRun(ws: RunningWorkspace, subsystem: SubsystemName, version: string): Promise<RunWithStages | null> {
  const runs: readonly Run[] = await ws.json(["runs", "--subsystem", subsystem]);
  const run = runs.find((r) => r.toVersion === version);
  return run !== undefined && isTerminal(run.status) ? ws.json(["runs", run.id]) : null;
}

/** The daemon's verdict about one delivery, once it has one. */
export async function verdictOn(show: Show, subsystem: SubsystemName, externalId: string): Promise<Delivery> {
  const look = async () => {
    const why: WhyView = await show.ws.json(["why", subsystem]);
    return why.deliveries.find((d) => d.externalId === externalId && d.state !== "received");
  };
  return until(look, { what: `the verdict on delivery ${externalId}`, timeoutMs: 30_000, everyMs: LOOK_EVERY_MS }, show.signal);
}

/** Whether the program answers this version, healthy, with this pid. */
export async function answersAs(show: Show, subsystem: SubsystemName, version: string, pid: number): Promise<boolean> {
  const answer = await show.ws.ask(subsystem).catch(() => null);
  return answer !== null && answer.version === version && answer.healthy && answer.pid === pid;
}

export interface Moments {
  readonly before: Snapshot;
  readonly after: Snapshot;
  readonly restarted: readonly string[];
  readonly untouched: readonly string[];
}

/** The moment after, compared with the one before; every process but `mayRestart` has to be untouched. */
export async function compareWith(show: Show, before: Snapshot, claims: Claims, mayRestart: string | null): Promise<Moments> {
  const after = await takeSnapshot(show.ws);
  const { restarted, untouched } = compareSnapshots(before, after);
  const others = [...before.keys()].filter((name) => name !== mayRestart);
  claims.same("what restarted", restarted, mayRestart === null ? [] : [mayRestart]);
  claims.same("what was left untouched", untouched, others);
  return { before, after, restarted, untouched };
}

/** GitHub gives up after this many ms (GitHub docs: best practices for using webhooks). */
const GITHUB_WAITS_MS = 10_000;

export function acknowledged(claims: Claims, sent: Sent, status: number): void {
  claims.same("the webhook's status", sent.answer.status, status);
  claims.hold(sent.ackMs < GITHUB_WAITS_MS, `the webhook answered after ${rounded(sent.ackMs)} ms, expected less than ${GITHUB_WAITS_MS}`);
}

/** Whether the program that the run installed is a new one, and the one that runs. */
export function provedNew(claims: Claims, run: Run, { was, is }: { readonly was: Seen; readonly is: Seen }): boolean {
  claims.hold(is.running === is.installed, `the running executable has ${is.running}, the installed one ${is.installed}`);
  claims.hold(is.running !== was.running, `the running executable has the digest it had before, ${is.running}`);
  claims.same("the digest the daemon verified", run.context.digest, is.running);
  claims.same("the daemon's own proof of the running digest", run.context.health?.digestProved, true);
  return is.running === is.installed && is.running !== was.running && run.context.digest === is.running && run.context.health?.digestProved === true;
}

/** A run's own part of a scene's record. */
export function part(run: Run): { subsystem: string; from: string | null; to: string; outcome: string } {
  return { subsystem: run.subsystem, from: run.fromVersion ?? null, to: run.toVersion, outcome: run.status };
}

/** @throws when it does not run */
export function seenOf(ws: RunningWorkspace, name: SubsystemName, snapshot: Snapshot): Seen {
  const seen = snapshot.get(ws.subsystems[name].process);
  if (seen === undefined || seen.pid === 0) throw new Error(`${name} is not running`);
  return seen;
}

export const short = (digest: string) => digest.slice(0, "sha256:".length + 12);
export const rounded = (ms: number | null) => (ms === null ? null : Math.round(ms));
