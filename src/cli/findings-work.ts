/** Judges what slipstream works with: its configuration, Process Compose, the daemon, the webhook and every subsystem. Pure. */

import { formatProblem } from "../domain/errors.ts";
import type { Examination, Finding, SubsystemFact, SupervisorFact } from "../domain/examination.ts";
import { isReplicaName } from "../domain/replica.ts";
import { fail, isOlder, ok, warn } from "./findings-machine.ts";
import { ago } from "./io.ts";

/** Process Compose by version: older than the first is not supported, older than the others lacks something. */
const OLDEST_SUPERVISOR = [1, 85] as const;
const LACKS: readonly (readonly [readonly number[], string])[] = [
  [[1, 94], "it knows no API token"],
  [[1, 100], "a process that runs alone cannot be reloaded"],
  [[1, 122], "a process with exit_on_end or restart: exit_on_failure cannot be reloaded, and health waits longer because an old Ready may still show"],
];
/** Warnings of the configuration about what is judged here in more detail. */
const JUDGED_HERE = /^WEBHOOK_SECRET\S* (?:has \d+ characters|comes from the environment)|secrets\.env has mode \d+|^receivers? \S+ (?:has no secret|and \S+ share a secret)|^process \S+ is watched by Process Compose/;

export function configFindings({ config, workspace }: Examination): readonly Finding[] {
  if (workspace === null) return config.problems.map((p) => fail("workspace", formatProblem(p), "run it in your workspace, or name that with --workspace; slipstream init sets one up"));
  const problems = config.problems.map((p) => fail("config", formatProblem(p), "correct it there; docs/configure.md describes every key"));
  const warnings = config.warnings.filter((text) => !JUDGED_HERE.test(text)).map((text) => warn("config", text, "see docs/configure.md"));
  return problems.length + warnings.length > 0 ? [...problems, ...warnings] : [ok("config", `configuration of ${workspace} is right`)];
}

export function supervisorFindings(e: Examination): readonly Finding[] {
  const { supervisor } = e;
  const needed = e.subsystems.some((s) => s.managed && s.process !== null);
  switch (supervisor.state) {
    case "none":
      if (!needed) return [ok("supervisor", "no address of Process Compose is known, and nothing here needs one")];
      return [fail("supervisor", "address of Process Compose is not known, expected a socket or a port: updates could not restart anything", "set process_compose.socket in slipstream.yaml to the path given to process-compose -U -u")];
    case "down":
      // Before the first start nothing is wrong yet: the daemon usually runs under it.
      return [(needed && e.daemon.state !== "down" ? fail : warn)("supervisor", supervisor.message, `start it on that address, for example: process-compose up -t=false -U -u ${supervisor.where}; or correct process_compose in slipstream.yaml`)];
    case "token-refused":
      return [fail("supervisor", `Process Compose at ${supervisor.where} refuses ${supervisor.tokenGiven ? "our token" : "us without a token"} (401), expected access`, "put the PC_API_TOKEN it was started with into .slipstream/secrets.env, or name its file: process_compose.token_file")];
    case "up":
      return [version(supervisor), ...processes(e, supervisor.processes)];
  }
}

function version({ version: v, where }: Extract<SupervisorFact, { state: "up" }>): Finding {
  const said = `Process Compose is ${v === "" ? "of unknown version" : v} at ${where}`;
  const newest = "install Process Compose v1.122.0 or newer (https://f1bonacc1.github.io/process-compose/installation/)";
  if (isOlder(v, OLDEST_SUPERVISOR) === true) return fail("supervisor", `${said}, expected ${OLDEST_SUPERVISOR.join(".")} or newer`, newest);
  const lacks = LACKS.flatMap(([since, what]) => (isOlder(v, since) === true ? [what] : []));
  return lacks.length === 0 ? ok("supervisor", said) : warn("supervisor", `${said}: ${lacks.join("; ")}`, newest);
}

function processes(e: Examination, known: readonly string[]): readonly Finding[] {
  const managed = e.subsystems.filter((s) => s.managed);
  const isOf = (name: string, process: string | null) => process !== null && (name === process || isReplicaName(name, process));
  const lost = managed.filter((s) => s.process !== null && !known.some((name) => isOf(name, s.process)));
  const free = known.filter((name) => !e.subsystems.some((s) => isOf(name, s.process)));
  const idle = managed.filter((s) => s.process === null && !s.noProcess);
  const found = [
    ...lost.map((s) => fail("processes", `process ${s.process} of ${s.name} is unknown to Process Compose, expected one of: ${known.join(", ") || "none runs"}`, `add it to the process-compose file and reload that, or set subsystems.${s.name}.process in slipstream.yaml`)),
    ...idle.map((s) => warn("processes", `${s.name} has no process: its program is swapped and nothing is restarted`, `set subsystems.${s.name}.process in slipstream.yaml to ${free.length === 0 ? "its process" : `one of: ${free.join(", ")}`}; or to false when nothing runs it`)),
  ];
  const matched = managed.filter((s) => s.process !== null).length;
  return found.length > 0 || matched === 0 ? found : [ok("processes", `Process Compose knows the processes of ${matched === 1 ? "the one subsystem that has" : `all ${matched} subsystems that have`} one`)];
}

export function daemonFindings(e: Examination): readonly Finding[] {
  const { daemon } = e;
  if (daemon.state === "unreadable") return [fail("daemon", `state of the workspace is not readable: ${daemon.message}`, "see docs/troubleshoot.md for its words; a daemon that is silent is started again")];
  if (daemon.state === "down") return e.workspace === null ? [] : [warn("daemon", "daemon is not running: no webhook is taken", "start it with: slipstream watch")];
  const refused = daemon.frontDoor?.refused["signature-refused"] ?? 0;
  const found = [ok("daemon", `daemon is running${daemon.url === undefined ? "" : ` at ${daemon.url}`}`)];
  if (refused > 0) found.push(warn("signatures", `${refused} ${refused === 1 ? "delivery was" : "deliveries were"} refused because of the signature since the daemon started`, "compare WEBHOOK_SECRET with the secret in the webhook's settings; slipstream takes the edit over by itself. A stranger's requests are counted here, too"));
  return found;
}

/** Whether news can arrive at all: nobody but the sender knows for sure, so this says what is known. */
export function webhookFindings(e: Examination): readonly Finding[] {
  const managed = e.subsystems.filter((s) => s.managed);
  if (managed.length === 0) return [];
  const { host } = e.port;
  const local = host === "localhost" || host === "[::1]" || host === "::1" || host.startsWith("127.");
  const way = local ? `slipstream listens on ${host}, which GitHub reaches only through a tunnel or a reverse proxy` : `slipstream listens on ${host}`;
  const last = Math.max(...managed.map((s) => s.lastDelivery ?? Number.NEGATIVE_INFINITY));
  if (last === Number.NEGATIVE_INFINITY) return [warn("webhook", `no webhook is among the latest deliveries; ${way}`, "docs/webhooks.md tells how to expose it and what to enter at GitHub; slipstream simulate <subsystem> tries everything behind that")];
  return [ok("webhook", `last webhook arrived ${ago(last, e.now)}; ${way}`)];
}

export function subsystemFindings(e: Examination): readonly Finding[] {
  const token = e.secrets.githubToken || !e.subsystems.some((s) => s.managed && s.mode === "release") ? [] : [ok("forge", "without GITHUB_TOKEN GitHub answers 60 requests an hour per address; that is enough for a few subsystems")];
  return [...e.subsystems.flatMap((s) => subsystem(s, e.secrets.githubToken)), ...token];
}

/** The forge's own words for it (adapters/forge/rate-limit); `why` gives only the text of an error. */
const RATE_LIMITED = /is rate-limited( by slipstream itself)?\b[^:]*? until (\d{4}-[\d:.TZ-]+)/;

function unread(s: SubsystemFact, message: string, hasToken: boolean): Finding {
  const check = `subsystem ${s.name}`;
  const [limited, byUs, until] = RATE_LIMITED.exec(message) ?? [];
  const wait = "wait until then; slipstream asks again by itself";
  if (limited !== undefined) return warn(check, `forge of ${s.name} is asked nothing more until ${until}: ${byUs === undefined ? "its rate limit is used up" : "slipstream has asked enough for now"}`, hasToken || byUs !== undefined ? wait : `${wait}. Or set GITHUB_TOKEN in .slipstream/secrets.env, which raises the limit; slipstream takes the edit over by itself`);
  return fail(check, `upstream of ${s.name} could not be read: ${message}`, `look at the network, at upstream or release of ${s.name} in slipstream.yaml, and at its credentials; then try: slipstream check ${s.name}`);
}

function subsystem(s: SubsystemFact, hasToken: boolean): readonly Finding[] {
  const check = `subsystem ${s.name}`;
  if (!s.managed) return [ok(check, `${s.name} is not managed by slipstream`)];
  const how = s.mode === "source" ? "built from source" : "downloaded from releases";
  const update = `slipstream update ${s.name}`;
  const found: Finding[] = [];
  if (!s.installed) found.push(warn(check, `${s.name} (${how}) is not installed yet: ${s.binary} is missing`, update));
  else if (!s.executable) found.push(fail(check, `${s.binary} is not executable, expected a program`, `chmod +x ${s.binary}`));
  else if (!s.stamped) found.push(warn(check, `${s.name} (${how}) has no .bin/.version: what is installed is not known`, `${update} writes it`));
  if (s.upstream?.ok === false) found.push(unread(s, s.upstream.message, hasToken));
  if (s.upstream?.ok === true) found.push(...(s.upstream.silent ?? []).map((one): Finding => ({ ...unread(s, one, hasToken), status: "warn" })));
  return found.length > 0 ? found : [ok(check, `${s.name} is installed, ${how}${s.upstream === undefined ? "" : ", and its upstream answers"}`)];
}
