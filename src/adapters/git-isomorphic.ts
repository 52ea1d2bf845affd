/** The built-in engine for machines without git: isomorphic-git over http(s), one worker thread per call, ended on cancel. It knows no ssh, no files, no proxies. */

import { SlipstreamError, StateError } from "../domain/errors.ts";
import { systemClock } from "../kit/clock.ts";
import { startThread } from "../kit/worker.ts";
import type { CheckoutRequest, Git, GitDeps, RemoteRef } from "./git-port.ts";
import { bounded, checkRequest, failures, type Remote, remoteOf, staged, untilSeen, withinSize } from "./git-request.ts";

export interface ListJob {
  readonly kind: "list";
  readonly remote: Remote;
}
export interface CheckoutJob {
  readonly kind: "checkout";
  readonly remote: Remote;
  readonly ref: string;
  readonly commit?: string;
  readonly dir: string;
}
export type GitJob = (ListJob | CheckoutJob) & { readonly maxBytes: number };

/** What the worker thread says; the first that is not a line ends it. */
export type GitReply =
  | { readonly kind: "line"; readonly line: string }
  | { readonly kind: "refs"; readonly refs: readonly RemoteRef[] }
  | { readonly kind: "commit"; readonly commit: string }
  | { readonly kind: "failed"; readonly why: "not-found" | "unreachable" | "invalid" | "too-large" | "disk"; readonly detail: string }
  | { readonly kind: "failed"; readonly why: "mismatch"; readonly actual: string };

/** The one place that looks beside its own file: the worker is `.ts` in a checkout and `.js` once built. */
const WORKER = new URL(`./git-worker${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url);
const HEAP_MB = 512;
/** How much the whole process may grow while the built-in engine unpacks. */
const GROWTH_BYTES = 1536 * 1024 * 1024;
const WATCH_EVERY_MS = 100;
/** isomorphic-git holds a pack in memory, about eight times its size at worst (measured: 100 MB of pack, 762 MB resident). */
const MAX_PACK_BYTES = 128 * 1024 * 1024;
const ADVICE = "; the built-in git holds it in memory, install git for larger ones";

export function createIsomorphicGit(deps: GitDeps): Git {
  const clock = deps.clock ?? systemClock;
  const maxBytes = Math.min(deps.maxBytes, MAX_PACK_BYTES);
  return {
    engine: "isomorphic",
    async listRefs(url, signal) {
      const remote = httpOnly(remoteOf(url, deps.token));
      const reply = await bounded({ timeoutMs: deps.timeoutMs, what: `listing refs of ${remote.url}` }, signal, (inner) => runInThread({ kind: "list", remote, maxBytes }, undefined, inner));
      if (reply.kind === "refs") return reply.refs;
      throw failureOf(reply, { remote, maxBytes, ref: "HEAD" });
    },
    async checkout(request, signal) {
      const remote = httpOnly(remoteOf(request.url, deps.token));
      await checkRequest(request);
      const { ref, commit, onLine } = request;
      const attempt = (inner: AbortSignal) =>
        staged(request.dest, clock, (dir) =>
          withinSize({ dirs: [dir], maxBytes: deps.maxBytes, url: remote.url, clock }, inner, async (within) => {
            const job: GitJob = { kind: "checkout", remote, ref, dir, maxBytes, ...(commit === undefined ? {} : { commit }) };
            const reply = await runInThread(job, onLine, within);
            if (reply.kind === "commit") return { commit: reply.commit };
            throw failureOf(reply, { remote, maxBytes, ref, commit });
          }),
        );
      const what = `checkout of ${ref} from ${remote.url}`;
      return bounded({ timeoutMs: deps.timeoutMs, what }, signal, (inner) => untilSeen({ lagMs: deps.lagMs, clock }, inner, () => attempt(inner)));
    },
  };
}

function httpOnly(remote: Remote): Remote {
  if (/^https?:/.test(remote.url)) return remote;
  throw new StateError("tool-missing", `upstream ${remote.url} is not http(s), expected git on PATH for it; install git`);
}

function failureOf(reply: GitReply, about: { remote: Remote; maxBytes: number; ref: string; commit?: CheckoutRequest["commit"] }): SlipstreamError {
  const { remote, maxBytes, ref, commit } = about;
  if (reply.kind !== "failed") return new SlipstreamError("internal", `git thread said ${reply.kind}, expected another answer`);
  switch (reply.why) {
    case "mismatch":
      return failures.mismatch(ref, reply.actual, commit ?? "another");
    case "not-found":
      return failures.notFound(ref, commit, remote.url);
    case "unreachable":
      return failures.unreachable(remote.url, reply.detail);
    case "too-large":
      return failures.tooLarge(remote.url, maxBytes, ADVICE);
    case "disk":
      return failures.disk(reply.detail);
    case "invalid":
      return failures.invalid(`${ref} of ${remote.url}`, reply.detail);
  }
}

/** Runs one job in a thread of its own. The promise settles only after the thread is gone, so that nothing writes any more. */
function runInThread(job: GitJob, onLine: ((line: string) => void) | undefined, signal: AbortSignal): Promise<GitReply> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const worker = startThread(WORKER, job, HEAP_MB);
    let ended = false;
    const end = (settle: () => void) => {
      if (ended) return;
      ended = true;
      clearInterval(watch);
      signal.removeEventListener("abort", cancel);
      worker.terminate().then(settle, settle);
    };
    const cancel = () => end(() => reject(signal.reason));
    signal.addEventListener("abort", cancel, { once: true });
    // The thread's heap limit does not count buffers, and a small pack can unfold into gigabytes of them.
    const before = process.memoryUsage.rss();
    const watch = setInterval(() => {
      if (process.memoryUsage.rss() - before > GROWTH_BYTES) end(() => resolve({ kind: "failed", why: "too-large", detail: "unpacking it takes too much memory" }));
    }, WATCH_EVERY_MS);
    worker.on("message", (reply: GitReply) => {
      if (reply.kind === "line") onLine?.(reply.line);
      else end(() => resolve(reply));
    });
    worker.on("error", (error: NodeJS.ErrnoException) => end(() => resolve(crashReply(error))));
    worker.on("exit", () => end(() => resolve({ kind: "failed", why: "unreachable", detail: "the connection ended early" })));
  });
}

function crashReply(error: NodeJS.ErrnoException): GitReply {
  const why = error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "too-large" : "unreachable";
  return { kind: "failed", why, detail: error.message };
}
