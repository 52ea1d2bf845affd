/** The verbs that want something done: update, rollback, reload, approve, reject. Each becomes a row in the inbox. */

import type { Command } from "commander";
import type { App, UpdatePreview } from "../domain/app.ts";
import type { OperatorRequest } from "../domain/change.ts";
import { UsageError } from "../domain/errors.ts";
import { type ChangedOptions, looked, moved, noteReload, updateSeveral } from "./changed.ts";
import { type Context, EXIT, type GlobalOptions, withApp } from "./context.ts";
import { type Followed, follow } from "./follow.ts";
import { safe, short } from "./io.ts";
import { summary } from "./summary.ts";

type UpdateOptions = ChangedOptions & { readonly dryRun?: boolean };

export function addActs(program: Command, context: Context, exit: (code: number) => void): void {
  program
    .command("update [subsystem]")
    .description("bring a subsystem to its newest version (or the one named) and follow the run to its end")
    .option("--version <version>", "exactly this version; an older or quarantined one is allowed when named")
    .option("--all", "every subsystem, one after the other")
    .option("--changed", "every subsystem whose upstream moved, one after the other, and no other; with a name only that one")
    .option("--no-reload", "install the new program and leave its process alone")
    .option("--ci", "for build machines: no daemon, no terminal; outputs and a summary for the job (GITHUB_OUTPUT, GITHUB_STEP_SUMMARY)")
    .option("--dry-run", "say what would be done, and do nothing")
    .option("--no-wait", "return as soon as the request is stored")
    .addHelpText("after", examples("slipstream update nats", "slipstream update nats --version v2.10.25", "slipstream update --all --dry-run --json", "slipstream update --changed --no-reload --ci --json"))
    .action(async (subsystem: string | undefined, _local: unknown, command: Command) => exit(await update(context, subsystem, command.optsWithGlobals<UpdateOptions>())));
  program
    .command("rollback <subsystem>")
    .description("put the previous version (or a kept one) back and quarantine the one it replaces")
    .option("--to <version>", "a version kept below .bin/.previous")
    .option("--no-wait", "return as soon as the request is stored")
    .addHelpText("after", examples("slipstream rollback nats", "slipstream rollback nats --to v2.10.24"))
    .action(async (subsystem: string, _local: unknown, command: Command) => {
      const o = command.optsWithGlobals<GlobalOptions & { to?: string; wait?: boolean }>();
      exit(await ask(context, o, { verb: "rollback", subsystem, actor: context.actor, ...(o.to === undefined ? {} : { to: o.to }) }));
    });
  program
    .command("reload <process>")
    .description("restart the process of a subsystem through Process Compose and wait until it is healthy")
    .option("--no-wait", "return as soon as the request is stored")
    .addHelpText("after", examples("slipstream reload nats"))
    .action(async (name: string, _local: unknown, command: Command) => exit(await reload(context, name, command.optsWithGlobals<GlobalOptions & { wait?: boolean }>())));
  for (const verb of ["approve", "reject"] as const) {
    program
      .command(`${verb} <run>`)
      .description(verb === "approve" ? "let a held run go; the approval counts for exactly the commit shown" : "end a held run without doing it")
      .option("--no-wait", "return as soon as the request is stored")
      .addHelpText("after", examples(`slipstream ${verb} 0mb3k1x9c2f1…`))
      .action(async (runId: string, _local: unknown, command: Command) => exit(await ask(context, command.optsWithGlobals<GlobalOptions & { wait?: boolean }>(), { verb, runId, actor: context.actor })));
  }
}

/** A help footer with examples. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((l) => `  ${l}`).join("\n")}`;
}

async function update(context: Context, subsystem: string | undefined, o: UpdateOptions): Promise<number> {
  assertFits(subsystem, o);
  return withApp(context, o, o.dryRun === true ? "read" : "act", async (app) => {
    if (o.dryRun !== true && (o.changed === true || o.ci === true)) return updateSeveral(context, app, o, subsystem);
    if (o.dryRun === true && o.changed === true) {
      const names = (await looked(app, subsystem)).flatMap(({ name, seen }) => (seen !== undefined && moved(seen) ? [name] : []));
      return showPreviews(context, o, await Promise.all(names.map((n) => app.preview(n))));
    }
    const names = subsystem === undefined ? (await app.status()).subsystems.filter((s) => s.managed).map((s) => s.name) : [subsystem];
    if (o.dryRun === true) return showPreviews(context, o, await Promise.all(names.map((n) => app.preview(n, o.version))));
    const results: Followed[] = [];
    for (const name of names) {
      const request: OperatorRequest = { verb: "update", subsystem: name, actor: context.actor, ...(o.version === undefined ? {} : { version: o.version }), ...(o.reload === false ? { reload: false } : {}) };
      const followed = await send(context, app, request, o.wait !== false);
      if (o.reload === false) noteReload(context.print, followed);
      results.push(followed);
    }
    return show(context, o, results, subsystem === undefined ? names : []);
  });
}

/** @throws UsageError usage */
function assertFits(subsystem: string | undefined, o: UpdateOptions): void {
  const wrong = (message: string) => new UsageError("usage", message);
  if (o.all === true && (subsystem !== undefined || o.changed === true)) throw wrong(`--all is given with ${subsystem === undefined ? "--changed" : "the name of a subsystem"}, expected one of the two`);
  if (subsystem === undefined && o.all !== true && o.changed !== true) throw wrong("update needs the name of a subsystem, --all or --changed; slipstream status lists the names");
  if (o.version !== undefined && (subsystem === undefined || o.changed === true)) throw wrong(`--version is given with ${o.changed === true ? "--changed" : "--all"}, expected it with one subsystem`);
  if (o.ci === true && o.wait === false) throw wrong("--no-wait is given with --ci, expected one of the two: on a build machine nothing is left that would do the work");
}

function showPreviews(context: Context, o: UpdateOptions, previews: readonly UpdatePreview[]): number {
  const { print } = context;
  if (o.json === true) print.json(previews.length === 1 && o.changed !== true ? previews[0] : previews);
  else if (previews.length === 0) print.line("nothing moved");
  else {
    for (const p of previews) {
      const step = `${p.subsystem}: ${short(safe(p.from ?? "nothing"))} → ${short(p.to ?? "nothing")}${p.upstream === undefined ? "" : ` from ${safe(p.upstream)}`}`;
      if (p.verdict === "nothing") print.line(`${step}: nothing to do (${p.reason})`);
      else print.line(`${step} (${p.reason}${p.verdict === "approval" ? "; would wait for approval" : ""}): ${p.stages.join(" → ")}${p.restarts === null ? "" : `; restarts ${p.restarts}`}`);
    }
  }
  return EXIT.done;
}

async function reload(context: Context, name: string, o: GlobalOptions & { wait?: boolean }): Promise<number> {
  return withApp(context, o, "act", async (app) => {
    const { subsystems } = await app.status();
    const found = subsystems.find((s) => s.process === name) ?? subsystems.find((s) => s.name === name);
    if (found === undefined || found.process === null) throw new UsageError("unknown-subsystem", `process ${JSON.stringify(name)} belongs to no subsystem, expected one of: ${subsystems.flatMap((s) => s.process ?? []).join(", ") || "none"}`);
    return show(context, o, [await send(context, app, { verb: "reload", subsystem: found.name, actor: context.actor }, o.wait !== false)]);
  });
}

async function ask(context: Context, o: GlobalOptions & { wait?: boolean }, request: OperatorRequest): Promise<number> {
  return withApp(context, o, "act", async (app) => show(context, o, [await send(context, app, request, o.wait !== false)]));
}

async function send(context: Context, app: App, request: OperatorRequest, wait: boolean): Promise<Followed> {
  const delivery = await app.request(request);
  if (!wait) return { delivery, exitCode: EXIT.done };
  const rejecting = request.verb === "reject";
  const followed = await follow(app, delivery, context.print);
  return rejecting && followed.run?.code === "rejected" ? { ...followed, exitCode: EXIT.done } : followed;
}

/** `names`: of whom each result is, where several were asked about. */
function show(context: Context, o: GlobalOptions, results: readonly Followed[], names: readonly string[] = []): number {
  const { print } = context;
  if (o.json === true) {
    const values = results.map((r) => r.run ?? r.delivery);
    print.json(values.length === 1 ? values[0] : values);
  } else for (const [i, r] of results.entries()) print.line(summary(print, r, names[i]));
  return results.reduce((worst, r) => (worst === EXIT.failed || r.exitCode === EXIT.failed ? EXIT.failed : Math.max(worst, r.exitCode)), 0);
}
