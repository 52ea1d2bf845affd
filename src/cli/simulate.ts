/** `simulate`: a test delivery, signed as its forge signs it, over HTTP through the front door of the running daemon, followed to the end of its run. */

import { type Command, Option } from "commander";
import type { App } from "../domain/app.ts";
import { EvidenceError, StateError, UpstreamError, unknownSubsystem } from "../domain/errors.ts";
import type { Delivery } from "../domain/delivery.ts";
import { isAbout, originsOf, type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import { stepBetween } from "../domain/version.ts";
import { newId } from "../kit/id.ts";
import { examples } from "./act.ts";
import { type Context, EXIT, type GlobalOptions, type Reply, withApp } from "./context.ts";
import { type Followed, follow } from "./follow.ts";
import { safe, short } from "./io.ts";
import { type Found, type SimulatedEvent, simulated, usualEvent } from "./payload.ts";
import { summary } from "./summary.ts";

type SimulateOptions = GlobalOptions & { readonly version?: string; readonly event?: SimulatedEvent; readonly wait?: boolean };

export function addSimulate(program: Command, context: Context, exit: (code: number) => void): void {
  program
    .command("simulate <subsystem>")
    .description("send the running daemon a signed test delivery about the newest version upstream, and follow its run")
    .option("--version <version>", "this version instead of the newest; it has to exist upstream")
    .addOption(new Option("--event <event>", "what the forge would send (default: what fits the subsystem)").choices(["release", "push"]))
    .option("--no-wait", "return as soon as the daemon has taken it")
    .addHelpText("after", examples("slipstream simulate nats", "slipstream simulate nats --version v2.10.25 --event push"))
    .action(async (name: string, _local: unknown, command: Command) => exit(await simulate(context, name, command.optsWithGlobals<SimulateOptions>())));
}

async function simulate(context: Context, name: string, o: SimulateOptions): Promise<number> {
  const { print } = context;
  const all = await context.subsystems(o);
  const subsystem = all.find((s) => s.name === name);
  if (subsystem === undefined) throw unknownSubsystem(name, all.map((s) => s.name));
  return withApp(context, o, "read", async (app) => {
    const daemon = reachable((await runningDaemon(app)).url);
    print.progress("asking upstream …");
    const found = await newest(app, subsystem, o.version);
    const delivery = simulated(subsystem, found, o.event ?? usualEvent(subsystem), { now: context.now(), id: newId(context.now()) });
    const foreseen = foresight(subsystem, found);
    if (foreseen !== undefined) print.note(foreseen);
    const reply = await context.deliver(o, daemon, delivery);
    const { url } = reply;
    const id = accepted(reply);
    if (o.json !== true) print.line(`sent ${delivery.what}${found.upstream === undefined ? "" : ` of ${reply.repository ?? delivery.repository}`} to ${url}: ${reply.status} in ${reply.ms} ms`);
    const shared = all.some((s) => s !== subsystem && originsOf(s).some((origin) => isAbout(origin, { ...delivery, repository: reply.repository ?? delivery.repository })));
    const asked = shared ? { ...app, delivery: (d: string) => ownVerdict(app, name, d) } : app;
    const taken = await asked.delivery(id);
    const followed = o.wait === false ? { delivery: taken, exitCode: EXIT.done } : await follow(asked, taken, print);
    if (o.json === true) print.json({ sent: { url, event: delivery.event, version: found.to, commit: found.commit, status: reply.status, ms: reply.ms }, ...told(followed) });
    else print.line(summary(print, followed));
    return followed.exitCode;
  });
}

function told({ delivery, run }: Followed): object {
  return { delivery, ...(run === undefined ? {} : { run }) };
}

/** Where one repository feeds several subsystems, the delivery as a whole may have ended otherwise than for the one that was asked about. */
async function ownVerdict(app: App, name: string, id: string): Promise<Delivery> {
  const whole = await app.delivery(id);
  if (whole.state === "received") return whole;
  return (await app.why(name)).deliveries.find((d) => d.id === id) ?? whole;
}

/** @throws StateError daemon-unreachable */
async function runningDaemon(app: App): Promise<{ readonly url: string }> {
  const { daemon, workspace } = await app.status();
  if (!daemon.running) throw new StateError("daemon-unreachable", `daemon of ${workspace} is not running, expected one that takes the delivery; start it with: slipstream watch`);
  if (daemon.url === undefined) throw new StateError("daemon-unreachable", `address of the daemon of ${workspace} is unknown, expected it in slipstream status --json; start the daemon again`);
  return { url: daemon.url };
}

/** The daemon as a program on this machine reaches it. */
export function reachable(daemon: string): string {
  const url = new URL(daemon);
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = "127.0.0.1";
  return url.origin;
}

async function newest(app: App, s: Subsystem, version: string | undefined): Promise<Found> {
  const found = await app.preview(s.name, version);
  if (found.to === null) throw new UpstreamError("version-not-found", `upstream ${s.upstream} has no version of ${s.name}, expected one to tell the daemon about; see slipstream check ${s.name}`);
  return found;
}

/** What will come of a delivery that leads to no run; undefined where one is to be expected. */
function foresight(s: Subsystem, found: Found): string | undefined {
  const version = short(safe(found.to ?? ""));
  if (found.verdict !== "nothing") {
    // A version that is asked for by name may be older; nothing older comes by itself.
    if (tracksCommits(s) || found.from === null || found.to === null || stepBetween(found.from, found.to, s) !== "older") return undefined;
    return `${version} is older than ${short(safe(found.from))}, which is installed, and an older version is not installed by itself, so the answer will be older-than-current; to go back: slipstream update ${s.name} --version ${version}`;
  }
  if (found.reason === "already-current") return `nothing newer is upstream: ${version} is installed and is sent once more, so the answer will be already-current`;
  return `${version} would not be installed, so the answer will be ${safe(found.reason ?? "")}`;
}

/** The id the daemon gave the delivery. @throws EvidenceError signature-refused · StateError daemon-unreachable */
function accepted(reply: Reply): string {
  const { url } = reply;
  const body = (typeof reply.body === "object" && reply.body !== null ? reply.body : {}) as { readonly delivery?: unknown; readonly error?: { readonly message?: unknown } };
  if (reply.status === 401) throw new EvidenceError("signature-refused", `delivery to ${url} is refused with 401, expected 202: the daemon has another webhook secret than this workspace has now; slipstream status says whether it took the edit over`);
  if ((reply.status === 200 || reply.status === 202) && typeof body.delivery === "string") return body.delivery;
  const why = typeof body.error?.message === "string" ? ` (${safe(body.error.message).slice(0, 300)})` : "";
  throw new StateError("daemon-unreachable", `answer of ${url} is ${reply.status}${why}, expected 202 from slipstream; see slipstream doctor`);
}
