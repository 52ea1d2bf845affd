/**
 * The system's git. The upstream may be hostile: it chooses refs, objects and every byte on the wire, so git runs with a fixed argv,
 * without hooks, prompts and remote helpers, within limits of size and time. The user's own configuration (proxies, credential
 * helpers, url rewrites) is honoured. Objects are fetched into a bare cache, from which `dest` is filled without the network.
 */

import { codeOf, SlipstreamError } from "../domain/errors.ts";
import { systemClock } from "../kit/clock.ts";
import type { ExecResult } from "./exec.ts";
import type { CheckoutRequest, Git, GitDeps, RemoteRef } from "./git-port.ts";
import { bounded, checkRequest, exists, failures, isTag, maskUrls, type Remote, remoteOf, remove, staged, untilSeen, withinSize } from "./git-request.ts";

/** What the cache keeps reachable: the version fetched last. */
const WANTED = "refs/slipstream/wanted";
/** How far back a commit is looked for below a ref whose server hands out tips only; the last is git's "everything". */
const DEPTHS = [1, 100, 2_147_483_647];
const VERSION_TIMEOUT_MS = 10_000;

const HARDENED = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never", "advice.detachedHead=false", "init.defaultBranch=main", "submodule.recurse=false"];
/** Fetched packs stay whole, so that an interrupted fetch leaves no half commit; old ones are packed away in the foreground. */
const CACHE = ["fetch.unpackLimit=1", "gc.autoDetach=false", "maintenance.autoDetach=false", "gc.autoPackLimit=20", "gc.pruneExpire=now"];
const DEST = ["gc.auto=0", "maintenance.auto=false", "protocol.file.allow=always"];
const QUIET = { GIT_TERMINAL_PROMPT: "0", GIT_ASKPASS: "false", SSH_ASKPASS: "false", GCM_INTERACTIVE: "never", LC_ALL: "C" };

/** The server has no such ref or object. */
const NOT_THERE = /couldn't find remote ref|not our ref|no such remote ref/i;
/** The server may have the object but hands out tips only (git's and JGit's words). */
const TIPS_ONLY = /does not allow request for unadvertised object|want [0-9a-f]+ not valid/i;

interface Command {
  readonly args: readonly string[];
  readonly config?: readonly string[];
  readonly remote?: Remote;
  readonly onLine?: ((line: string) => void) | undefined;
}
type Run = (command: Command, signal: AbortSignal) => Promise<ExecResult>;

/** Major and minor version, undefined when git does not run. */
export async function systemGitVersion(deps: GitDeps, signal: AbortSignal): Promise<readonly [number, number] | undefined> {
  try {
    const result = await deps.exec({ argv: ["git", "--version"], cwd: "/", env: { ...deps.env, ...QUIET }, timeoutMs: VERSION_TIMEOUT_MS }, signal);
    const found = /^git version (\d+)\.(\d+)/.exec(result.stdout);
    return result.exitCode === 0 && found !== null ? [Number(found[1]), Number(found[2])] : undefined;
  } catch (error) {
    if (codeOf(error) === "tool-missing") return undefined;
    throw error;
  }
}

export function createSystemGit(deps: GitDeps): Git {
  const run = createRun(deps);
  return {
    engine: "system",
    async listRefs(url, signal) {
      const remote = remoteOf(url, deps.token);
      return bounded({ timeoutMs: deps.timeoutMs, what: `listing refs of ${remote.url}` }, signal, (inner) => listRefs(run, remote, deps.maxBytes, inner));
    },
    async checkout(request, signal) {
      const remote = remoteOf(request.url, deps.token);
      await checkRequest(request);
      const what = `checkout of ${request.ref} from ${remote.url}`;
      return bounded({ timeoutMs: deps.timeoutMs, what }, signal, (inner) => checkoutMending({ deps, run, request, remote }, inner));
    },
  };
}

/** Runs in `/`, so that no repository around the caller lends its configuration. */
function createRun(deps: GitDeps): Run {
  return async ({ args, config = [], remote, onLine }, signal) => {
    signal.throwIfAborted();
    const settings = [...HARDENED, ...config].flatMap((setting) => ["-c", setting]);
    const header = remote?.auth === undefined ? {} : { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: `http.${remote.auth.scope}.extraHeader`, GIT_CONFIG_VALUE_0: `Authorization: ${remote.auth.header}` };
    const env = { ...deps.env, ...QUIET, ...header };
    const result = await deps.exec({ argv: ["git", ...settings, ...args], cwd: "/", env, timeoutMs: deps.timeoutMs, ...(onLine === undefined ? {} : { onLine }) }, signal);
    signal.throwIfAborted();
    return result;
  };
}

async function listRefs(run: Run, remote: Remote, maxBytes: number, signal: AbortSignal): Promise<readonly RemoteRef[]> {
  const refs = new Map<string, string>();
  const over = new AbortController();
  let bytes = 0;
  const onLine = (line: string) => {
    bytes += line.length;
    if (bytes > maxBytes) over.abort();
    const found = /^([0-9a-f]{40,64})\t(refs\/(?:heads|tags)\/.+?)(?:\^\{\})?$/.exec(line);
    // The peeled line of an annotated tag follows the line of the tag itself and replaces it.
    if (found !== null && !over.signal.aborted) refs.set(found[2] as string, found[1] as string);
  };
  try {
    const result = await run({ args: ["ls-remote", "--quiet", "--heads", "--tags", "--", remote.url], remote, onLine }, AbortSignal.any([signal, over.signal]));
    if (result.exitCode !== 0) throw failures.unreachable(remote.url, lastLine(result));
  } catch (cause) {
    throw over.signal.aborted ? failures.tooLarge(remote.url, maxBytes) : cause;
  }
  return [...refs].map(([name, commit]) => ({ name, commit }));
}

interface Job {
  readonly deps: GitDeps;
  readonly run: Run;
  readonly request: CheckoutRequest;
  readonly remote: Remote;
}

/** A cache that turns out damaged, locked by a killed git, or grown too large is dropped, and the checkout is tried once more without it. */
async function checkoutMending(job: Job, signal: AbortSignal): Promise<{ readonly commit: string }> {
  const { cacheDir, onLine } = job.request;
  const cached = await exists(cacheDir);
  try {
    return await checkout(job, signal);
  } catch (error) {
    if (signal.aborted || !cached || !(await blamesCache(job, error, signal))) throw error;
    onLine?.("the object cache is unusable; fetching without it");
    await remove(cacheDir);
    return checkout(job, signal);
  }
}

async function blamesCache(job: Job, error: unknown, signal: AbortSignal): Promise<boolean> {
  const code = codeOf(error);
  if (code === "artifact-invalid" || code === "upstream-too-large") return true;
  if (code !== "upstream-unreachable" && code !== "version-not-found") return false;
  if (error instanceof SlipstreamError && /\.lock': File exists/.test(error.message)) return true;
  const check = await job.run({ args: [`--git-dir=${job.request.cacheDir}`, "fsck", "--connectivity-only", "--no-dangling", "--no-progress"] }, signal);
  return check.exitCode !== 0;
}

async function checkout(job: Job, signal: AbortSignal): Promise<{ readonly commit: string }> {
  const { deps, request, remote } = job;
  const clock = deps.clock ?? systemClock;
  return staged(request.dest, clock, (dir) =>
    withinSize({ dirs: [request.cacheDir, dir], maxBytes: deps.maxBytes, url: remote.url, clock }, signal, async (inner) => {
      await local(job, { args: ["init", "--quiet", "--bare", "--template=", "--", request.cacheDir] }, inner);
      request.onLine?.(`fetching ${request.commit ?? request.ref} from ${remote.url}`);
      const commit = await untilSeen({ lagMs: deps.lagMs, clock }, inner, () => fetchWanted(job, inner));
      await fill(job, { dir, commit }, inner);
      return { commit };
    }),
  );
}

/** Brings the wanted version into the cache, as `WANTED`. */
async function fetchWanted(job: Job, signal: AbortSignal): Promise<string> {
  const { ref, commit } = job.request;
  if (commit === undefined || isTag(ref)) {
    await fetchTip(job, 1, signal);
    const tip = await wantedCommit(job, WANTED, signal);
    if (tip === undefined) throw failures.invalid(ref, "it does not point at a commit");
    if (commit !== undefined && tip !== commit) throw failures.mismatch(ref, tip, commit);
    return tip;
  }
  const direct = await fetch(job, [`+${commit}:${WANTED}`, 1], signal);
  if (direct.exitCode === 0) return commit;
  if (!TIPS_ONLY.test(direct.stderr)) throw fetchFailure(job, direct);
  for (const depth of DEPTHS) {
    await fetchTip(job, depth, signal);
    if ((await wantedCommit(job, commit, signal)) === undefined) continue;
    await local(job, { args: [`--git-dir=${job.request.cacheDir}`, "update-ref", WANTED, commit] }, signal);
    return commit;
  }
  throw failures.notFound(ref, commit, job.remote.url);
}

async function fetchTip(job: Job, depth: number, signal: AbortSignal): Promise<void> {
  const result = await fetch(job, [`+${job.request.ref}:${WANTED}`, depth], signal);
  if (result.exitCode !== 0) throw fetchFailure(job, result);
}

function fetchFailure(job: Job, result: ExecResult): SlipstreamError {
  const { ref, commit } = job.request;
  return NOT_THERE.test(result.stderr) ? failures.notFound(ref, commit, job.remote.url) : failures.unreachable(job.remote.url, lastLine(result));
}

function fetch(job: Job, [refspec, depth]: readonly [string, number], signal: AbortSignal): Promise<ExecResult> {
  const args = [`--git-dir=${job.request.cacheDir}`, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", `--depth=${depth}`, "--", job.remote.url, refspec];
  return job.run({ args, config: CACHE, remote: job.remote, onLine: shown(job) }, signal);
}

/** The commit a name stands for in the cache, undefined when there is none. */
async function wantedCommit(job: Job, name: string, signal: AbortSignal): Promise<string | undefined> {
  const result = await job.run({ args: [`--git-dir=${job.request.cacheDir}`, "rev-parse", "--quiet", "--verify", `${name}^{commit}`] }, signal);
  return result.exitCode === 0 ? result.stdout.trim() : undefined;
}

/** Makes `dir` a repository of its own from the cache and checks the commit out. */
async function fill(job: Job, to: { readonly dir: string; readonly commit: string }, signal: AbortSignal): Promise<void> {
  const { ref, cacheDir } = job.request;
  const kept = isTag(ref) ? ref : ref.replace("refs/heads/", "refs/remotes/origin/");
  const inDir = (...args: string[]) => local(job, { args: ["-C", to.dir, ...args], config: DEST }, signal);
  await local(job, { args: ["init", "--quiet", "--template=", "--", to.dir] }, signal);
  await inDir("remote", "add", "origin", job.remote.url);
  await inDir("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--depth=1", "--", cacheDir, `+${WANTED}:${kept}`);
  await inDir("checkout", "--quiet", "--force", "--detach", to.commit);
  const head = (await inDir("rev-parse", "--verify", "HEAD")).stdout.trim();
  if (head !== to.commit) throw failures.mismatch("HEAD", head, to.commit);
}

/** A step without the network: when it fails, the objects are wrong or the disk is. */
async function local(job: Job, command: Command, signal: AbortSignal): Promise<ExecResult> {
  const result = await job.run({ ...command, onLine: shown(job) }, signal);
  if (result.exitCode === 0) return result;
  const line = lastLine(result);
  if (/no space left|disk quota|permission denied|read-only file system/i.test(result.stderr)) throw failures.disk(line);
  throw failures.invalid(`${job.request.ref} of ${job.remote.url}`, line);
}

function shown(job: Job): ((line: string) => void) | undefined {
  const { onLine } = job.request;
  return onLine === undefined ? undefined : (line) => onLine(maskUrls(line));
}

/** The last line in which git names a cause, else the last line of all. */
function lastLine(result: ExecResult): string {
  const lines = result.stderr.split("\n").filter((line) => line.trim() !== "");
  const cause = lines.findLast((line) => /^(fatal|error|ERROR|remote): /.test(line) && !/Could not read from remote repository/.test(line));
  return (cause ?? lines.at(-1) ?? `git ended with ${result.exitCode ?? result.signal}`).trim();
}
