/** The verbs that show: status, runs, logs, why, check. */

import { type Command, InvalidArgumentError } from "commander";
import type { FrontDoorCounts, RunView, StatusView, SubsystemStatus, WhyView } from "../domain/app.ts";
import type { Drift } from "../domain/drift.ts";
import { UsageError } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import { iso } from "../kit/clock.ts";
import { examples } from "./act.ts";
import { type Context, EXIT, type GlobalOptions, withApp } from "./context.ts";
import { ago, cell, safe, short, table, took } from "./io.ts";

export function addShows(program: Command, context: Context, exit: (code: number) => void): void {
  const { print } = context;
  program
    .command("status")
    .description("what is installed, what happened last, what waits")
    .addHelpText("after", examples("slipstream status", "slipstream status --json"))
    .action(async (_local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions>();
      const view = await withApp(context, o, "read", (app) => app.status());
      if (o.json === true) print.json(view);
      else showStatus(context, view);
    });
  program
    .command("runs [run]")
    .description("the latest runs, or one run with its stages")
    .option("--subsystem <name>", "only this subsystem's")
    .option("--limit <n>", "at most this many, up to 500", wholeNumber, 20)
    .addHelpText("after", examples("slipstream runs", "slipstream runs --subsystem nats --limit 5", "slipstream runs 0mb3k1x9c2f1… --json"))
    .action(async (id: string | undefined, _local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions & { subsystem?: string; limit: number }>();
      await withApp(context, o, "read", async (app) => {
        if (id !== undefined) return showRun(context, o, await app.run(id));
        if (o.subsystem !== undefined && !(await app.status()).subsystems.some((s) => s.name === o.subsystem)) throw new UsageError("unknown-subsystem", `subsystem ${JSON.stringify(o.subsystem)} is unknown; slipstream status lists what there is`);
        const runs = await app.runs({ limit: o.limit, ...(o.subsystem === undefined ? {} : { subsystem: o.subsystem }) });
        if (o.json === true) return print.json(runs);
        for (const row of table([["RUN", "KIND", "SUBSYSTEM", "FROM", "TO", "STATUS", "WHEN", "WHY"], ...runs.map((r) => runRow(context, r))])) print.line(row);
      });
    });
  program
    .command("logs <run>")
    .description("what the stages of a run printed")
    .addHelpText("after", examples("slipstream logs 0mb3k1x9c2f1…"))
    .action(async (id: string, _local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions>();
      const text = await withApp(context, o, "read", (app) => app.logs(id));
      if (o.json === true) print.json({ run: id, log: text });
      else if (text === "") print.note("no stage of this run has run");
      else for (const line of text.replace(/\n$/, "").split("\n")) print.line(safe(line));
    });
  addAnswers(program, context, exit);
}

/** The verbs that answer a question about versions. */
function addAnswers(program: Command, context: Context, exit: (code: number) => void): void {
  const { print } = context;
  program
    .command("why <subsystem>")
    .description("the decision trace: what came in, what was decided, what holds it")
    .addHelpText("after", examples("slipstream why nats", "slipstream why nats --json"))
    .action(async (name: string, _local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions>();
      const view = await withApp(context, o, "read", (app) => app.why(name));
      if (o.json === true) print.json(view);
      else showWhy(context, view);
    });
  program
    .command("check [subsystem]")
    .description("compare what is installed with the newest version upstream; installs nothing")
    .addHelpText("after", examples("slipstream check", "slipstream check nats --json"))
    .action(async (name: string | undefined, _local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions>();
      const found = await withApp(context, o, "read", (app) => app.check(name === undefined || name === "all" ? [] : [name]));
      if (o.json === true) print.json(found);
      else for (const row of table([["SUBSYSTEM", "CURRENT", "LATEST", "UPDATE"], ...Object.values(found).map((e) => [e.name, short(e.current ?? "-"), short(e.latest ?? ((e.silent ?? []).length > 0 ? "unknown" : "-")), e.error ?? `${e.update_available ? "available" : availability(e.reason)}${fromWhere(e.upstream)}`])])) print.line(row);
      if (o.json !== true) for (const e of Object.values(found)) for (const one of e.silent ?? []) print.note(`${e.name}: looked without ${safe(one)}`);
      exit(EXIT.done);
    });
}

function showStatus(context: Context, view: StatusView): void {
  const { print } = context;
  print.line(view.daemon.running ? `daemon: running, pid ${view.daemon.pid}, since ${ago(view.daemon.startedAt ?? 0, context.now())}` : "daemon: not running (start it with: slipstream watch)");
  print.line(`workspace: ${view.workspace}`);
  if (view.frontDoor !== undefined) print.line(`front door: ${frontDoor(view.frontDoor)} (since its start)`);
  for (const problem of view.problems) print.line(print.paint("yellow", `warning: ${safe(problem)}`));
  print.line();
  const rows = view.subsystems.map((s) => [s.name, s.mode, short(s.current?.version ?? "-"), s.current?.digest.slice(7, 19) ?? "-", s.process ?? "-", stateOf(context, s)]);
  for (const row of table([["SUBSYSTEM", "MODE", "VERSION", "DIGEST", "PROCESS", "STATE"], ...rows])) print.line(row);
}

function frontDoor(counts: FrontDoorCounts): string {
  const refused = Object.entries(counts.refused).map(([code, n]) => `${n} ${code}`);
  return `${counts.accepted} accepted, ${counts.duplicates} duplicates, refused: ${refused.join(", ") || "none"}`;
}

function stateOf(context: Context, s: SubsystemStatus): string {
  if (!s.managed) return `not managed: ${s.note ?? ""}`;
  if (s.activeRun !== undefined) return `${s.activeRun.kind} ${s.activeRun.status} → ${short(s.activeRun.toVersion)}`;
  const drift = s.drift === undefined ? [] : [`${changedByHand(s.drift, context.now())}${s.process === null ? "" : ` (slipstream reload ${s.process} restarts it)`}`];
  const held = s.heldRun === undefined ? [] : [`${waitingFor(s.heldRun.holdReason)} → ${short(s.heldRun.toVersion)}${s.heldRun.holdReason === "approval" ? ` (slipstream approve ${s.heldRun.id})` : ""}`];
  if (held.length + drift.length > 0) return [...held, ...drift].join("; ");
  if (s.lastRun === undefined) return "no run yet";
  const left = s.lastRun.noReload === true && s.lastRun.status === "succeeded" && s.process !== null ? `, process left alone (slipstream reload ${s.process} restarts it)` : "";
  return `${s.lastRun.kind} ${s.lastRun.status} → ${short(s.lastRun.toVersion)}, ${ago(s.lastRun.endedAt ?? s.lastRun.createdAt, context.now())}${left}`;
}

/** `version` stands in another column. */
function changedByHand(drift: Drift, now: number): string {
  return `changed by hand ${ago(drift.at, now)}, ${drift.verified ? "verified" : "not verified"}: ${drift.detail}`;
}

function waitingFor(reason: string | undefined): string {
  if (reason === "assets") return "waiting for the assets of the release";
  return reason === "rate-limit" ? "waiting for the forge's rate limit" : "waiting for approval";
}

function runRow(context: Context, r: Run): string[] {
  return [r.id, r.kind, r.subsystem, short(r.fromVersion ?? "-"), short(r.toVersion), r.status, ago(r.createdAt, context.now()), cell(reasonOf(r))];
}

function availability(reason: string | undefined): string {
  return reason === undefined || reason === "already-current" ? "no" : `no (${reason})`;
}

/** Why a run waits or did not succeed; success needs no reason. */
function reasonOf(r: Run): string {
  if (r.status === "held") return r.holdReason === "approval" ? `approval (${r.rule})` : `${r.holdReason}${r.message === undefined ? "" : `: ${r.message}`}`;
  return r.code === undefined ? "" : `${r.code}: ${r.message ?? ""}`;
}

/** Of several upstreams, one that is not the first. */
function fromWhere(upstream: string | undefined): string {
  return upstream === undefined ? "" : ` (from ${safe(upstream)})`;
}

/** A whole number from 1 on. */
function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("expected a whole number from 1 on");
  return Number(text);
}

function showRun(context: Context, o: GlobalOptions, run: RunView): void {
  const { print } = context;
  if (o.json === true) return print.json(run);
  print.line(`${run.kind} of ${run.subsystem}: ${safe(run.fromVersion ?? "nothing")} → ${safe(run.toVersion)}${fromWhere(run.upstream)}, ${run.status}${run.message === undefined ? "" : `: ${run.code === undefined ? "" : `${run.code}: `}${safe(run.message)}`}`);
  for (const row of table(run.stages.map((s) => ["", s.name, s.outcome ?? s.status, took((s.endedAt ?? context.now()) - s.startedAt), s.message ?? ""]))) print.line(row);
  for (const line of run.context.failure?.lastLines ?? []) print.line(`  | ${safe(line)}`);
}

function showWhy(context: Context, view: WhyView): void {
  const { print } = context;
  print.line(`${view.subsystem}: current ${safe(view.current?.version ?? "none")}${fromWhere(view.current?.upstream)}, latest ${view.latest === undefined ? (view.latestError === undefined ? ((view.silent ?? []).length > 0 ? "unknown" : "none") : `unknown (${safe(view.latestError)})`) : `${safe(view.latest.version)}${fromWhere(view.latest.upstream)}`}`);
  for (const one of view.silent ?? []) print.line(print.paint("yellow", `looked without ${safe(one)}`));
  if (view.drift !== undefined) print.line(print.paint("yellow", safe(changedByHand(view.drift, context.now()))));
  for (const g of view.gates) print.line(print.paint("yellow", g.reason === "approval" ? `held: approval (${g.rule}): slipstream approve ${g.runId}` : `held: ${waitingFor(g.reason)}, until ${iso(g.until ?? 0)} at most`));
  for (const q of view.quarantined) print.line(`quarantined: ${safe(q.version)}, ${ago(q.at, context.now())}: ${safe(q.reason ?? "")}`);
  print.line("\ndeliveries, newest first:");
  if (view.deliveries.length === 0) print.line("  none: no webhook and no request has named this subsystem yet");
  for (const row of table(view.deliveries.map((d) => ["", ago(d.receivedAt, context.now()), d.receiver, d.event, d.state === "received" ? "waiting" : d.state, cell(d.reason ?? ""), d.run === undefined ? "" : `run ${d.run.id} → ${short(d.run.toVersion)} ${d.run.status}`]))) print.line(row);
  print.line("\nruns, newest first:");
  for (const r of view.runs) {
    print.line(`  ${r.id} → ${short(r.toVersion)}${fromWhere(r.upstream)}: ${r.status}${r.failedStage === undefined ? "" : ` at ${r.failedStage}`}${r.message === undefined ? "" : `: ${safe(r.message)}`}`);
  }
}
