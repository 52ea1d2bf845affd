/** `update --changed` and `update --ci`: several subsystems one after the other, where a failure of one never stops the others. */

import type { App, CheckEntry } from "../domain/app.ts";
import type { OperatorRequest } from "../domain/change.ts";
import { messageOf, UsageError, unknownSubsystem } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import { createJob, type Job, reportJob } from "./ci.ts";
import { type Context, EXIT, type GlobalOptions } from "./context.ts";
import { type Followed, follow } from "./follow.ts";
import { oneLine, type Printer, safe, short } from "./io.ts";
import { isForPerson, summary, waitsFor } from "./summary.ts";

export type ChangedOptions = GlobalOptions & { readonly changed?: boolean; readonly all?: boolean; readonly version?: string; readonly reload?: boolean; readonly wait?: boolean };

/** What became of one subsystem. */
export interface Changed {
  readonly subsystem: string;
  /** held: a person has to say yes. waiting: goes on by itself, where something is left running that can. */
  readonly outcome: "updated" | "unchanged" | "held" | "waiting" | "failed" | "requested";
  readonly from: string | null;
  readonly to: string | null;
  /** Why it was not updated. */
  readonly reason?: string;
  readonly run?: Run;
}

interface Target {
  readonly name: string;
  /** What the look found; missing where there was none. */
  readonly seen?: CheckEntry;
}

/** Updates those that moved (with `--changed`), or those named, and returns the exit code. @throws UsageError unknown-subsystem */
export async function updateSeveral(context: Context, app: App, o: ChangedOptions, name?: string): Promise<number> {
  const job: Job = o.ci === true ? createJob(context.print, context.ci) : { print: context.print, group: () => () => undefined, log: () => undefined, annotate: () => undefined };
  const targets = o.changed === true ? await looked(app, name) : await named(app, name);
  const results: Changed[] = [];
  for (const target of targets) {
    const close = target.seen === undefined || moved(target.seen) ? job.group(titleOf(target)) : () => undefined;
    const { result, followed } = await updateOne(context, app, o, { job, target });
    if (o.ci === true && result.run !== undefined) job.log(await app.logs(result.run.id), result.outcome === "failed");
    close();
    results.push(result);
    tell(o, job, { result, followed });
  }
  if (o.json === true) job.print.json(results);
  else job.print.line(closing(results));
  if (o.ci === true) await reportJob(context, results);
  return exitOf(results);
}

/** Those a look finds; what is not managed is none of them. */
export async function looked(app: App, name: string | undefined): Promise<readonly Target[]> {
  const entries = await app.check(name === undefined ? [] : [name]);
  return Object.values(entries).filter((seen) => seen.reason !== "not-managed").map((seen) => ({ name: seen.name, seen }));
}

async function named(app: App, name: string | undefined): Promise<readonly Target[]> {
  const { subsystems } = await app.status();
  if (name === undefined) return subsystems.filter((s) => s.managed).map((s) => ({ name: s.name }));
  if (!subsystems.some((s) => s.name === name)) throw unknownSubsystem(name, subsystems.map((s) => s.name));
  return [{ name }];
}

/** Whether a look found an update. */
export function moved(seen: CheckEntry): boolean {
  return seen.update_available;
}

function titleOf({ name, seen }: Target): string {
  return seen === undefined ? name : `${name} ${short(seen.current ?? "nothing")} → ${short(seen.latest ?? "nothing")}`;
}

interface Done {
  readonly result: Changed;
  readonly followed?: Followed | undefined;
}

async function updateOne(context: Context, app: App, o: ChangedOptions, { job, target }: { readonly job: Job; readonly target: Target }): Promise<Done> {
  const { name, seen } = target;
  const base = { subsystem: name, from: seen?.current ?? null, to: seen?.latest ?? null };
  if (seen !== undefined && !moved(seen)) {
    // Nobody knows whether one moved that could not be looked at: that must not pass for "nothing to do".
    const why = seen.error ?? seen.reason;
    return { result: { ...base, outcome: seen.error === undefined ? "unchanged" : "failed", ...(why === undefined ? {} : { reason: why }) } };
  }
  const request: OperatorRequest = { verb: "update", subsystem: name, actor: context.actor, ...(o.version === undefined ? {} : { version: o.version }), ...(o.reload === false ? { reload: false } : {}) };
  try {
    const delivery = await app.request(request);
    if (o.wait === false) return { result: { ...base, outcome: "requested" }, followed: { delivery, exitCode: EXIT.done } };
    const followed = await follow(app, delivery, job.print);
    if (o.reload === false) noteReload(job.print, followed);
    return { result: { ...base, ...outcomeOf(followed, o.ci === true) }, followed };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return { result: { ...base, outcome: "failed", reason: messageOf(error) } };
  }
}

/** A run that was under way before it was asked for without a reload goes on as it was begun. */
export function noteReload(print: Printer, { run }: Followed): void {
  if (run !== undefined && run.noReload !== true && run.status !== "skipped") print.note(`run ${run.id} was there before --no-reload was given: it reloads its process`);
}

function outcomeOf({ delivery, run }: Followed, ci: boolean): Pick<Changed, "outcome" | "reason" | "run"> & { from?: string; to?: string } {
  if (run === undefined) return { outcome: delivery.state === "failed" ? "failed" : "unchanged", ...(delivery.reason === undefined ? {} : { reason: delivery.reason }) };
  const at = { run, to: run.toVersion, ...(run.fromVersion === undefined ? {} : { from: run.fromVersion }) };
  const why = run.code === undefined ? {} : { reason: `${run.code}: ${run.message ?? ""}` };
  switch (run.status) {
    case "succeeded":
      return { ...at, outcome: "updated" };
    case "skipped":
      return { ...at, ...why, outcome: "unchanged" };
    case "held":
      if (isForPerson(run)) return { ...at, outcome: "held", reason: `approval (${run.rule})` };
      // Once the job has ended nothing is left that could go on.
      return { ...at, outcome: ci ? "failed" : "waiting", reason: waitsFor(run) };
    default:
      return { ...at, ...why, outcome: "failed" };
  }
}

/** One subsystem's ending, for people; one that has not moved is not worth a line. */
function tell(o: ChangedOptions, job: Job, { result, followed }: Done): void {
  const { subsystem, outcome, reason } = result;
  if (outcome === "failed") job.annotate("error", `${subsystem}: ${reason ?? "failed"}`);
  if (outcome === "held") job.annotate("warning", `${subsystem} ${result.to} waits for approval`);
  if (o.json === true || (followed === undefined && outcome === "unchanged")) return;
  const { print } = job;
  if (followed === undefined || followed.run === undefined) print.line(`${subsystem}: ${outcome === "failed" ? print.paint("red", "failed") : outcome}${reason === undefined ? "" : `: ${safe(reason)}`}`);
  else if (outcome === "held" && o.ci === true) print.line(`waiting for approval: ${subsystem} ${short(safe(result.from ?? "nothing"))} → ${short(safe(result.to ?? ""))} (${followed.run.rule}); a person lets it go by its name: slipstream update ${subsystem} --version ${oneLine(result.to ?? "")}`);
  else print.line(summary(print, followed));
}

function closing(results: readonly Changed[]): string {
  const said: [Changed["outcome"], string][] = [["updated", "updated"], ["requested", "requested"], ["waiting", "waiting"], ["held", "waiting for approval"], ["failed", "failed"]];
  const parts = said.flatMap(([outcome, word]) => {
    const names = results.filter((r) => r.outcome === outcome).map((r) => r.subsystem);
    return names.length === 0 ? [] : [`${word}: ${names.join(", ")}`];
  });
  const still = results.filter((r) => r.outcome === "unchanged").length;
  if (parts.length === 0) return `nothing moved: ${still === 1 ? "the one subsystem is" : `all ${still} subsystems are`} as new as may be installed`;
  return [...parts, ...(still === 0 ? [] : [`unchanged: ${still}`])].join("; ");
}

/** A failure says more than a wait. */
function exitOf(results: readonly Changed[]): number {
  if (results.some((r) => r.outcome === "failed")) return EXIT.failed;
  return results.some((r) => r.outcome === "held") ? EXIT.approval : EXIT.done;
}
