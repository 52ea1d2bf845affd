/** What both git engines share: which requests are refused, how credentials travel, what errors say, and the limits of time and size. */

import { lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { COMMIT, isSafeRef } from "../domain/change.ts";
import { EvidenceError, SlipstreamError, StateError, UpstreamError, UsageError } from "../domain/errors.ts";
import { backoffMs } from "../kit/backoff.ts";
import { type Clock, deadline } from "../kit/clock.ts";
import { newId } from "../kit/id.ts";
import type { CheckoutRequest, GitDeps } from "./git-port.ts";

/** A url git may be handed. Its credentials are taken out and become a header, so that no argv, file or message holds them. */
export interface Remote {
  readonly url: string;
  /** The header is for urls below `scope` only. */
  readonly auth?: { readonly scope: string; readonly header: string };
}

/** `user@host:path`, ssh's short form. */
const SCP_LIKE = /^(?:[\w.-]+@)?\w[\w.-]*:(?!\/\/|:|-)\S+$/;

/** @throws UsageError usage for options in disguise, remote helpers (`ext::…`), unknown schemes and white space. */
export function remoteOf(url: string, token?: GitDeps["token"]): Remote {
  const refuse = () => new UsageError("usage", `upstream url is ${JSON.stringify(maskUrls(url))}, expected https, http, ssh, git or file`);
  if (url.startsWith("-") || /[\s\p{Cc}]/u.test(url) || url.includes("::")) throw refuse();
  if (isAbsolute(url) || (!url.includes("://") && SCP_LIKE.test(url))) return { url };
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^(https?|ssh|git|file):$/.test(parsed.protocol)) throw refuse();
  if (!parsed.protocol.startsWith("http")) {
    if (parsed.password !== "" || parsed.host.startsWith("-")) throw refuse();
    return { url };
  }
  if (/%(?![0-9a-f]{2})/i.test(parsed.username + parsed.password)) throw refuse();
  const login = loginOf(parsed, token);
  const scope = `${parsed.protocol}//${parsed.host}/`;
  parsed.username = "";
  parsed.password = "";
  if (login === undefined) return { url: parsed.href };
  return { url: parsed.href, auth: { scope, header: `Basic ${Buffer.from(login).toString("base64")}` } };
}

function loginOf(url: URL, token: GitDeps["token"]): string | undefined {
  if (url.username !== "" || url.password !== "") return `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  if (token === undefined || url.protocol !== "https:" || url.host !== token.host) return undefined;
  // GitHub takes any user name with a token; this one is its own habit (GitHub docs: authenticating as an app installation).
  return `x-access-token:${token.secret.reveal()}`;
}

/** Hides `user:password@` in any text. */
export function maskUrls(text: string): string {
  return text.replace(/:\/\/[^/\s]*@/g, "://***@");
}

/** @throws UsageError usage when the ref, the commit or a folder is nothing to hand to git. */
export async function checkRequest(request: CheckoutRequest): Promise<void> {
  if (!/^refs\/(heads|tags)\//.test(request.ref) || !isSafeRef(request.ref)) throw new UsageError("usage", `ref is ${JSON.stringify(request.ref)}, expected refs/heads/… or refs/tags/…`);
  if (request.commit !== undefined && !COMMIT.test(request.commit)) throw new UsageError("usage", `commit is ${JSON.stringify(request.commit)}, expected a full object id`);
  for (const path of [request.dest, request.cacheDir]) if (!isAbsolute(path)) throw new UsageError("usage", `folder is ${path}, expected an absolute path`);
  if (await exists(request.dest)) throw new UsageError("usage", `folder ${request.dest} is there already, expected a new one`);
}

export function isTag(ref: string): boolean {
  return ref.startsWith("refs/tags/");
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** The one wording of each way an upstream can fail, for both engines. */
export const failures = {
  notFound: (ref: string, commit: string | undefined, url: string) => new UpstreamError("version-not-found", `${ref}${commit === undefined ? "" : ` at commit ${commit}`} is not in ${url}, expected it there; it may have been moved or deleted`, { retryable: true }),
  mismatch: (ref: string, actual: string, wanted: string) => new EvidenceError("commit-mismatch", `${ref} is commit ${actual}, expected ${wanted}; the tag was moved upstream`),
  unreachable: (url: string, detail: string) => new UpstreamError("upstream-unreachable", `upstream ${url} is not readable (${maskUrls(detail)}), expected it to answer`, { retryable: true }),
  tooLarge: (url: string, maxBytes: number, advice = "") => new UpstreamError("upstream-too-large", `upstream ${url} is larger than ${maxBytes} bytes, expected less${advice}`),
  disk: (detail: string) => new StateError("internal", `disk does not take a checkout (${detail}), expected a writable folder with room`, { retryable: true }),
  invalid: (what: string, detail: string) => new EvidenceError("artifact-invalid", `${what} cannot be checked out (${maskUrls(detail)}), expected an ordinary commit`),
};

/** Runs `work` under the caller's signal and a deadline, and says which of the two ended it. */
export async function bounded<T>(limits: { timeoutMs: number; what: string }, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const inner = deadline(limits.timeoutMs, signal);
  try {
    inner.throwIfAborted();
    return await work(inner);
  } catch (cause) {
    if (signal.aborted) throw new StateError("cancelled", `${limits.what} was cancelled`, { cause });
    if (inner.aborted) throw new UpstreamError("timed-out", `${limits.what} took longer than ${limits.timeoutMs} ms, expected less`, { cause, retryable: true });
    throw cause;
  }
}

const LAG_MS = 10_000;
const LAG_BACKOFF = { baseMs: 250, maxMs: 4_000 };

/** Looks again while the upstream does not show the wanted version yet; its servers may lag behind its webhook by seconds. */
export async function untilSeen<T>(limits: { lagMs?: number | undefined; clock: Clock }, signal: AbortSignal, look: () => Promise<T>): Promise<T> {
  const { clock } = limits;
  const end = clock.monotonic() + (limits.lagMs ?? LAG_MS);
  for (let tries = 1; ; tries++) {
    try {
      return await look();
    } catch (error) {
      const waitMs = backoffMs(LAG_BACKOFF, tries);
      const lagging = error instanceof SlipstreamError && (error.code === "version-not-found" || error.code === "commit-mismatch");
      if (!lagging || signal.aborted || clock.monotonic() + waitMs > end) throw error;
      await clock.sleep(waitMs, signal);
    }
  }
}

/** Lets `work` fill a folder beside `dest` and renames it; a failure leaves nothing, a crash only a `.partial-` folder. */
export async function staged<T>(dest: string, clock: Clock, work: (dir: string) => Promise<T>): Promise<T> {
  const dir = `${dest}.partial-${newId(clock.now())}`;
  await mkdir(dirname(dest), { recursive: true });
  try {
    const result = await work(dir);
    await rename(dir, dest);
    return result;
  } catch (error) {
    await remove(dir);
    throw error;
  }
}

/** Deletes a folder, also one that a dying writer still fills. */
export async function remove(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

const SIZE_LOOK_MS = 1_000;

/** Stops `work` when one of the folders grows over the limit (looked at each second and at the end). @throws UpstreamError upstream-too-large */
export async function withinSize<T>(limits: { dirs: readonly string[]; maxBytes: number; url: string; clock: Clock }, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const done = new AbortController();
  const look = async () => {
    for (const dir of limits.dirs) if ((await sizeOf(dir, limits.maxBytes)) > limits.maxBytes) over.abort();
  };
  const watch = async () => {
    const stop = AbortSignal.any([done.signal, over.signal, signal]);
    while (!stop.aborted) {
      await limits.clock.sleep(SIZE_LOOK_MS, stop);
      if (!stop.aborted) await look();
    }
  };
  const watching = watch();
  try {
    const result = await work(AbortSignal.any([signal, over.signal]));
    await look();
    if (!over.signal.aborted) return result;
    throw failures.tooLarge(limits.url, limits.maxBytes);
  } catch (cause) {
    throw over.signal.aborted ? failures.tooLarge(limits.url, limits.maxBytes) : cause;
  } finally {
    done.abort();
    await watching;
  }
}

/** The bytes of all files below a folder, counted no further than past `enough`; what vanishes meanwhile counts nothing. */
async function sizeOf(dir: string, enough: number): Promise<number> {
  let bytes = 0;
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(dir, entry.name);
    bytes += entry.isDirectory() ? await sizeOf(path, enough - bytes) : await lstat(path).then((s) => s.size, () => 0);
    if (bytes > enough) break;
  }
  return bytes;
}
