/** The thread in which isomorphic-git runs: it blocks for hundreds of milliseconds and cannot be cancelled otherwise. Its only input is the job. */

import fs from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import * as git from "isomorphic-git";
import http from "isomorphic-git/http/node";
import type { CheckoutJob, GitJob, GitReply, ListJob } from "./git-isomorphic.ts";

/** How far back a commit is looked for below a ref whose server hands out tips only; the last is git's "everything". */
const DEPTHS = [1, 100, 2_147_483_647];

const job = workerData as GitJob;
const say = (reply: GitReply) => parentPort?.postMessage(reply);
const client = capped(job.maxBytes);
/** A fresh object per call: isomorphic-git writes `Git-Protocol` into the headers it is given, which would break the next call. */
const call = () => ({ http: client, url: job.remote.url, headers: job.remote.auth === undefined ? {} : { authorization: job.remote.auth.header } });

(job.kind === "list" ? list(job) : checkout(job)).then(say, (error: unknown) => say(replyOf(error)));

/** Counts what all responses bring together; over the limit the job has failed, whatever isomorphic-git makes of it. */
function capped(maxBytes: number): git.HttpClient {
  let left = maxBytes;
  async function* count(body: AsyncIterable<Uint8Array>) {
    for await (const chunk of body) {
      left -= chunk.byteLength;
      if (left < 0) {
        say({ kind: "failed", why: "too-large", detail: "" });
        throw new Error("too large");
      }
      yield chunk;
    }
  }
  return {
    async request(request) {
      const response = await http.request(request);
      return response.body === undefined ? response : { ...response, body: count(response.body as AsyncIterable<Uint8Array>) };
    },
  };
}

async function list(_: ListJob): Promise<GitReply> {
  const refs = await git.listServerRefs({ ...call(), prefix: "refs/", peelTags: true });
  const wanted = refs.filter((r) => /^refs\/(heads|tags)\//.test(r.ref) && !r.ref.endsWith("^{}"));
  return { kind: "refs", refs: wanted.map((r) => ({ name: r.ref, commit: r.peeled ?? r.oid })) };
}

async function checkout(job: CheckoutJob): Promise<GitReply> {
  const repo = { fs, dir: job.dir };
  await git.init({ ...repo, defaultBranch: "main" });
  await git.addRemote({ ...repo, remote: "origin", url: job.remote.url });
  say({ kind: "line", line: `fetching ${job.commit ?? job.ref} from ${job.remote.url}` });
  const commit = await fetchWanted(job);
  if (typeof commit !== "string") return commit;
  await git.checkout({ ...repo, ref: commit, force: true });
  const head = await git.resolveRef({ ...repo, ref: "HEAD" });
  return head === commit ? { kind: "commit", commit } : { kind: "failed", why: "mismatch", actual: head };
}

/** Brings the wanted commit into `dir`, and the tag beside it. */
async function fetchWanted(job: CheckoutJob): Promise<string | GitReply> {
  const isTag = job.ref.startsWith("refs/tags/");
  if (job.commit !== undefined && !isTag) {
    const found = (await fetchObject(job, job.commit, 1)) && (await hasCommit(job, job.commit));
    return found ? keep(job, job.commit, job.commit) : fetchBelow(job, job.commit);
  }
  const tip = await remoteTip(job);
  if (tip === undefined) return missing(job.ref);
  const commit = tip.peeled ?? tip.oid;
  if (job.commit !== undefined && commit !== job.commit) return { kind: "failed", why: "mismatch", actual: commit };
  if (!(await fetchObject(job, tip.oid, 1))) return missing(job.ref);
  if (!(await hasCommit(job, commit))) return { kind: "failed", why: "invalid", detail: "it does not point at a commit" };
  return keep(job, tip.oid, commit);
}

/** Writes the local name of what was fetched: the tag (annotated ones stay so), or the remote branch. */
async function keep(job: CheckoutJob, value: string, commit: string): Promise<string> {
  await git.writeRef({ fs, dir: job.dir, ref: job.ref.replace(/^refs\/heads\//, "refs/remotes/origin/"), value, force: true });
  return commit;
}

/** For servers that hand out tips only: fetches the ref, deeper each time, until the commit is there. A server that hands out any commit does not have it. */
async function fetchBelow(job: CheckoutJob, commit: string): Promise<string | GitReply> {
  const { capabilities } = await git.getRemoteInfo2({ ...call(), protocolVersion: 1 });
  if ("allow-reachable-sha1-in-want" in capabilities) return missing(commit);
  for (const depth of DEPTHS) {
    const tip = await remoteTip(job);
    if (tip === undefined || !(await fetchObject(job, tip.oid, depth))) break;
    if (await hasCommit(job, commit)) return keep(job, commit, commit);
  }
  return missing(commit);
}

async function remoteTip(job: CheckoutJob): Promise<git.ServerRef | undefined> {
  const refs = await git.listServerRefs({ ...call(), prefix: job.ref, peelTags: true });
  return refs.find((r) => r.ref === job.ref);
}

/** False when the server refused the object: it then answers with no pack, which isomorphic-git takes for success. */
async function fetchObject(job: CheckoutJob, oid: string, depth: number): Promise<boolean> {
  await git.fetch({ ...call(), fs, dir: job.dir, remote: "origin", ref: oid, singleBranch: true, tags: false, depth });
  return git.readObject({ fs, dir: job.dir, oid, format: "deflated" }).then(
    () => true,
    () => false,
  );
}

function hasCommit(job: CheckoutJob, oid: string): Promise<boolean> {
  return git.readCommit({ fs, dir: job.dir, oid }).then(
    (found) => found.oid === oid,
    () => false,
  );
}

function missing(detail: string): GitReply {
  return { kind: "failed", why: "not-found", detail };
}

/** Trouble with the tree itself; all else is trouble on the way. */
const INVALID = new Set(["UnsafeFilepathError", "MultipleGitError", "ObjectTypeError", "DecompressionError", "InternalError"]);
const DISK = new Set(["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS"]);

function replyOf(error: unknown): GitReply {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const detail = error instanceof Error ? error.message : String(error);
  return { kind: "failed", why: INVALID.has(code) ? "invalid" : DISK.has(code) ? "disk" : "unreachable", detail };
}
