/** Follows a request through its delivery and its run to the end. */

import type { App, RunView } from "../domain/app.ts";
import type { Delivery } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import { isTerminal, type Run } from "../domain/run.ts";
import { systemClock } from "../kit/clock.ts";
import { EXIT } from "./context.ts";
import { type Printer, safe, took } from "./io.ts";
import { createMeter, type Meter, progressLine } from "./progress.ts";
import { isForPerson } from "./summary.ts";

export interface Followed {
  readonly delivery: Delivery;
  readonly run?: Run;
  readonly exitCode: number;
}

const LOOK_EVERY_MS = 100;
const WAIT_MS = 1_000;
/** Between two looks at a stage that says how far it is. */
const REFRESH_MS = 250;
const BAR_WIDTH = 20;

/** Waits for the verdict and then for the run's end; on a terminal it prints a line per finished stage to stderr. */
export async function follow(app: App, delivery: Delivery, print: Printer): Promise<Followed> {
  let settled = delivery;
  print.progress("deciding …");
  while (settled.state === "received") {
    await systemClock.sleep(LOOK_EVERY_MS);
    settled = await app.delivery(delivery.id);
  }
  print.progress("");
  if (settled.runId === undefined) return { delivery: settled, exitCode: settled.state === "failed" ? EXIT.failed : EXIT.done };
  const run = await followRun(app, settled.runId, print);
  return { delivery: settled, run, exitCode: exitCodeOf(run) };
}

async function followRun(app: App, runId: string, print: Printer): Promise<Run> {
  let cursor = 0;
  let stage: { name: string; since: number } | undefined;
  const meter = createMeter();
  for (;;) {
    const run = await app.run(runId);
    if (isTerminal(run.status) || run.status === "held") {
      for (const event of await app.events({ after: cursor, runId })) report(event, print);
      print.progress("");
      return run;
    }
    const waitMs = print.live && run.progress !== undefined ? REFRESH_MS : WAIT_MS;
    if (run.progress !== undefined) print.progress(`  … ${moved(run.progress, meter)}`);
    else if (stage !== undefined) print.progress(`  … ${stage.name} ${took(systemClock.monotonic() - stage.since)}`);
    for (const event of await app.events({ after: cursor, runId, waitMs })) {
      cursor = event.id;
      if (event.type === "stage_started" && event.stage !== undefined) stage = { name: event.stage, since: systemClock.monotonic() };
      if (event.type === "stage_completed") stage = undefined;
      report(event, print);
    }
  }
}

function moved({ stage, done, total }: NonNullable<RunView["progress"]>, meter: Meter): string {
  return `${stage} ${progressLine(done, total, meter.add(systemClock.monotonic(), done), BAR_WIDTH)}`;
}

function report(event: Event, print: Printer): void {
  if (!print.live || event.type !== "stage_completed" || event.stage === undefined) return;
  const outcome = String(event.data?.outcome ?? "");
  const mark = outcome === "success" ? print.paint("green", "ok") : print.paint("red", outcome);
  print.note(`  ${event.stage.padEnd(14)} ${mark.padEnd(8)} ${took(event.durationMs ?? 0).padStart(8)}  ${safe(event.message ?? "")}`);
}

/** 0 done, nothing to do, or goes on by itself; 1 failed or rolled back; 3 waiting for approval. */
export function exitCodeOf(run: Run): number {
  if (run.status === "held") return isForPerson(run) ? EXIT.approval : EXIT.done;
  return run.status === "succeeded" || run.status === "skipped" ? EXIT.done : EXIT.failed;
}
