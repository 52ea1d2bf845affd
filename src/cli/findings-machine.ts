/** Judges what the machine offers: programs, secrets, disks and ports. Pure. */

import type { DiskFact, Examination, Finding, PortFact, SecretFacts, ToolFact } from "../domain/examination.ts";
import { iso } from "../kit/clock.ts";
import { bytes } from "./progress.ts";

/** The launcher's own minimum. */
const NODE = [24, 15] as const;
/** The first git that takes configuration from its environment; with an older one the built-in engine is used. */
const GIT = [2, 31] as const;
const TASK = [3, 53, 1] as const;
const MIN_SECRET_CHARS = 16;
const OTHERS = 0o077;
const GIB = 1024 ** 3;
const DISK_WARN_BYTES = GIB;
const DISK_FAIL_BYTES = 100 * 1024 ** 2;
/** Earlier than slipstream itself: such a clock refuses every certificate. */
const SANE_SINCE = Date.UTC(2025, 0, 1);
/** Filesystems of other machines: SQLite's locks and the durability of a rename are not to be relied on there. */
const REMOTE = /^(?:nfs|nfs4|cifs|smb3?|smbfs|9p|afs|fuse\.sshfs|davfs|ceph)$/;

export const ok = (check: string, message: string): Finding => ({ check, status: "ok", message });
export const warn = (check: string, message: string, mend: string): Finding => ({ check, status: "warn", message, mend });
export const fail = (check: string, message: string, mend: string): Finding => ({ check, status: "fail", message, mend });

/** Whether a version such as `v1.2.3` is older than some numbers; undefined when it is no version. */
export function isOlder(version: string | undefined, than: readonly number[]): boolean | undefined {
  const m = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version ?? "");
  if (m === null) return undefined;
  for (const [i, wanted] of than.entries()) {
    const have = Number(m[i + 1] ?? 0);
    if (have !== wanted) return have < wanted;
  }
  return false;
}

export function machineFindings(e: Examination): readonly Finding[] {
  return [node(e), clock(e.now), git(e.git), task(e)];
}

function node({ node: { version, path } }: Examination): Finding {
  const said = `Node.js is ${version} (${path})`;
  if (isOlder(version, NODE) === false) return ok("node", said);
  return fail("node", `${said}, expected ${NODE.join(".")} or newer`, "start it as bin/slipstream, which brings its own Node.js, or put a newer one first on PATH");
}

function clock(now: number): Finding {
  if (now >= SANE_SINCE) return ok("clock", `clock says ${iso(now)}`);
  return fail("clock", `clock says ${iso(now)}, expected a time after ${iso(SANE_SINCE)}: certificates are refused and every wait is wrong`, "set the clock, best by NTP: timedatectl set-ntp true");
}

function git(tool: ToolFact): Finding {
  const builtIn = "the built-in engine does its work";
  const mend = `nothing has to be done; git ${GIT.join(".")} or newer on PATH is faster and knows your credential helpers`;
  if (!tool.found) return warn("git", `git is not on PATH, so ${builtIn}`, mend);
  if (isOlder(tool.version, GIT) === false) return ok("git", `git is ${tool.version}`);
  return warn("git", `git is ${tool.version ?? "of unknown version"}, expected ${GIT.join(".")} or newer, so ${builtIn}`, mend);
}

function task({ task: tool, subsystems, config }: Examination): Finding {
  const builders = subsystems.filter((s) => s.managed && s.mode === "source").map((s) => s.name);
  const install = `install Task v${TASK.join(".")} (https://taskfile.dev/installation), or name it in slipstream.yaml: tools.task`;
  const isTask = tool.found && tool.known !== false;
  const needless = config.problems.length === 0 && builders.length === 0;
  if (isTask && isOlder(tool.version, TASK) === false) return ok("task", `Task is ${tool.version}`);
  const what = isTask ? `Task is ${tool.version ?? "of unknown version"}, expected ${TASK.join(".")} or newer` : tool.found ? `program ${tool.program} is not Task, expected the build tool of that name` : `program ${tool.program} is not runnable, expected Task`;
  if (builders.length > 0) return (isTask ? warn : fail)("task", `${what}: it builds ${builders.join(", ")}`, install);
  if (!needless) return warn("task", what, install);
  return ok("task", `Task is ${isTask ? (tool.version ?? "there") : "not there"}, and not needed: nothing is built from source here`);
}

export function secretFindings({ workspace, secrets: s }: Examination): readonly Finding[] {
  return workspace === null ? [] : [...webhookSecrets(s), ...secretFiles(s), ...leaks(s)];
}

function webhookSecrets({ webhook }: SecretFacts): readonly Finding[] {
  if (webhook.length === 0) return [fail("secret", "webhook secret is missing, expected one: slipstream watch refuses to start without it", "slipstream init makes one, and tells how to enter it in the webhook's settings")];
  const weak = webhook.filter((key) => key.chars < MIN_SECRET_CHARS);
  if (weak.length === 0) return [ok("secret", `${webhook.length === 1 ? "webhook secret is" : `${webhook.length} webhook secrets are`} there`)];
  return weak.map((key) => warn("secret", `webhook secret ${key.name} has ${key.chars} characters, expected at least ${MIN_SECRET_CHARS}: a shorter one is guessed from a single delivery`, "remove it where it is set; slipstream init then makes a longer one, for here and for the webhook's settings"));
}

function secretFiles({ file, folder }: SecretFacts): readonly Finding[] {
  const found: Finding[] = [];
  for (const [fact, wanted] of [[folder, 0o700] as const, [file, 0o600] as const]) {
    if (fact === undefined) continue;
    const { path, mode } = fact;
    if (!fact.mine) found.push(fail("secrets-file", `${path} belongs to somebody else, expected the user who runs slipstream`, `chown it, or run slipstream as its owner`));
    if ((mode & OTHERS) !== 0) found.push((wanted === 0o600 ? fail : warn)("secrets-file", `${path} has mode ${mode.toString(8)}, expected ${wanted.toString(8)}: other users of this machine may read it`, `chmod ${wanted.toString(8)} ${path}`));
  }
  if (found.length === 0 && file !== undefined) return [ok("secrets-file", `only its owner reads ${file.path}`)];
  return found;
}

/** Process Compose hands its environment, and the `.env` beside its file, to every process it starts. */
function leaks({ dotenv, inherited }: SecretFacts): readonly Finding[] {
  const found: Finding[] = [];
  const why = "which Process Compose hands to every process it starts";
  const mend = "move it to .slipstream/secrets.env (mode 600), and give the webhook a new one if other programs may have seen it";
  if (dotenv !== undefined && dotenv.names.length > 0) found.push(warn("dotenv", `${dotenv.path} holds ${dotenv.names.join(", ")}, ${why}`, mend));
  if (inherited.length > 0) found.push(warn("environment", `${inherited.join(", ")} stands in the environment, ${why}`, mend));
  return found;
}

export function placeFindings(e: Examination): readonly Finding[] {
  const state = e.state === undefined ? [] : [stateFolder(e.state)];
  return [...state, ...e.disks.flatMap(disk), port(e.port)];
}

function stateFolder({ path, exists, error }: NonNullable<Examination["state"]>): Finding {
  if (exists && error === undefined) return ok("state", `${path} is writable, and files there are synced and renamed`);
  return fail("state", `${path} is not usable (${error ?? "missing"}), expected a folder where files can be created, synced and renamed`, "give the user who runs slipstream the right to write there, or set state_dir in slipstream.yaml");
}

function disk({ path, freeBytes, filesystem }: DiskFact): readonly Finding[] {
  const found: Finding[] = [];
  const free = `${bytes(freeBytes)} free at ${path}`;
  const room = "make room; old builds below .slipstream/build and the caches of compilers are the first to go";
  if (freeBytes < DISK_FAIL_BYTES) found.push(fail("disk", `${free}, expected at least ${bytes(DISK_FAIL_BYTES)}`, room));
  else if (freeBytes < DISK_WARN_BYTES) found.push(warn("disk", `${free}, expected at least ${bytes(DISK_WARN_BYTES)}: a build may fill it`, room));
  else found.push(ok("disk", free));
  if (filesystem !== undefined && REMOTE.test(filesystem)) found.push(warn("filesystem", `${path} is on ${filesystem}, expected a disk of this machine: locks and renames are not dependable there`, "put the workspace, or at least state_dir, on a local disk"));
  return found;
}

function port({ host, port: number, state, code }: PortFact): Finding {
  const at = `port ${number} on ${host}`;
  switch (state) {
    case "any":
      return ok("port", "any free port is taken (port 0)");
    case "free":
      return ok("port", `${at} is free`);
    case "own":
      return ok("port", `${at} is this workspace's daemon`);
    case "slipstream":
      return fail("port", `${at} is taken by the slipstream of another workspace, expected it to be free`, "choose another with --port or listen.port in slipstream.yaml, or stop that one");
    case "other":
      return fail("port", `${at} is taken by another program, expected it to be free`, "choose another with --port or listen.port in slipstream.yaml; Process Compose takes 8080 unless it is started with -U");
    case "unusable":
      return fail("port", `${at} is not usable (${code}), expected one we may listen on`, code === "EACCES" ? "choose a port from 1024 on with --port or listen.port in slipstream.yaml" : "correct listen.host in slipstream.yaml: it has to be an address of this machine");
  }
}
