/** GitHub as a sender: payloads in the shape GitHub sends (own data), signed by GitHub's own library, posted over HTTP. */

import { createHash, createHmac, randomUUID } from "node:crypto";
import { request } from "node:http";
import { Webhooks } from "@octokit/webhooks";

export interface Payload {
  readonly event: string;
  readonly body: Record<string, unknown>;
}
export interface Signed {
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  /** Parsed JSON, or the text where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it field by field
  readonly body: any;
}

/** Headers and bytes as GitHub would send them. An object is sent as compact JSON; `form` wraps it as a hook of content type `form` does. A new delivery id is made unless one is given. */
export async function signDelivery(d: { readonly secret: string; readonly event: string; readonly body: object | string | Buffer; readonly deliveryId?: string; readonly form?: boolean }): Promise<Signed> {
  const json = Buffer.isBuffer(d.body) ? d.body : Buffer.from(typeof d.body === "string" ? d.body : JSON.stringify(d.body));
  const body = d.form === true ? Buffer.from(new URLSearchParams({ payload: json.toString() }).toString()) : json;
  const signature = await signatureOf(d.secret, body);
  const headers = {
    accept: "*/*",
    "content-type": d.form === true ? "application/x-www-form-urlencoded" : "application/json",
    "user-agent": "GitHub-Hookshot/0a1b2c3",
    "x-github-delivery": d.deliveryId ?? randomUUID(),
    "x-github-event": d.event,
    "x-github-hook-id": "512345678",
    "x-github-hook-installation-target-id": "700000001",
    "x-github-hook-installation-target-type": "repository",
    "x-hub-signature": `sha1=${createHmac("sha1", d.secret).update(body).digest("hex")}`,
    "x-hub-signature-256": signature,
  };
  return { headers, body };
}

/** `sha256=<hex>`. GitHub's library signs text only, so other bytes are signed here. */
async function signatureOf(secret: string, body: Buffer): Promise<string> {
  const text = body.toString();
  if (text !== "" && Buffer.from(text).equals(body)) return await new Webhooks({ secret }).sign(text);
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

/** Posts one delivery and waits for the whole answer. `http://` URLs only. */
export function deliver(url: string, signed: Signed): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method: "POST", headers: { ...signed.headers, "content-length": signed.body.length } }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: parse(Buffer.concat(chunks).toString()) }));
    });
    req.on("error", reject);
    req.end(signed.body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A tag that was pushed: lightweight, or annotated, where `after` is the tag object and only `head_commit` names the commit. Two calls give two different bodies, as two pushes would. */
export function tagPushed(repo: string, tag: string, commit: string, options: { readonly annotated?: boolean; readonly moved?: string } = {}): Payload {
  const after = options.annotated === true ? sha(`tag object ${tag} of ${commit}`) : commit;
  const moved = options.moved !== undefined;
  return push(repo, { ref: `refs/tags/${tag}`, before: options.moved ?? ZERO, after, created: !moved, deleted: false, forced: moved, base_ref: "refs/heads/main", commits: [], head_commit: commitOf(commit) });
}

/** A branch that was pushed. */
export function branchPushed(repo: string, branch: string, before: string, after: string, options: { readonly forced?: boolean } = {}): Payload {
  const head = commitOf(after);
  return push(repo, { ref: `refs/heads/${branch}`, before, after, created: /^0+$/.test(before), deleted: false, forced: options.forced ?? false, base_ref: null, commits: [head], head_commit: head });
}

/** A branch or tag that was deleted by a push; `ref` is full. */
export function refDeleted(repo: string, ref: string, before: string): Payload {
  return push(repo, { ref, before, after: ZERO, created: false, deleted: true, forced: false, base_ref: null, commits: [], head_commit: null });
}

/** The `create` event of a tag or a branch: a short name and no commit. */
export function tagCreated(repo: string, tag: string, refType: "tag" | "branch" = "tag"): Payload {
  return { event: "create", body: { ref: tag, ref_type: refType, master_branch: "main", description: "A small service", pusher_type: "user", repository: repositoryOf(repo, isoOf(next())), sender: USER } };
}

/** A release event; `published`, stable and public unless told otherwise. `release` takes the place of the made-up one: what a forge has. */
export function releasePublished(repo: string, tag: string, options: { readonly action?: string; readonly draft?: boolean; readonly prerelease?: boolean; readonly id?: number; readonly release?: Readonly<Record<string, unknown>> } = {}): Payload {
  const n = next();
  const draft = options.draft ?? false;
  const api = `https://api.github.com/repos/${repo}/releases/${options.id ?? n}`;
  const release = {
    url: api,
    assets_url: `${api}/assets`,
    upload_url: `https://uploads.github.com/repos/${repo}/releases/${options.id ?? n}/assets{?name,label}`,
    html_url: `https://github.com/${repo}/releases/tag/${tag}`,
    id: options.id ?? n,
    author: USER,
    node_id: "RE_kwDOKbMzAM4JdKGr",
    tag_name: tag,
    target_commitish: "main",
    name: tag,
    draft,
    immutable: false,
    prerelease: options.prerelease ?? false,
    created_at: isoOf(n - 60),
    updated_at: isoOf(n),
    published_at: draft ? null : isoOf(n),
    assets: [],
    tarball_url: `https://api.github.com/repos/${repo}/tarball/${tag}`,
    zipball_url: `https://api.github.com/repos/${repo}/zipball/${tag}`,
    body: "Größere Änderungen 🚀 — see the changelog.",
  };
  return { event: "release", body: { action: options.action ?? "published", release: options.release ?? release, repository: repositoryOf(repo, isoOf(n)), sender: USER } };
}

/** What GitHub sends when a hook is made. */
export function ping(repo: string): Payload {
  const hook = { type: "Repository", id: 512345678, name: "web", active: true, events: ["create", "push", "release"], config: { content_type: "json", insecure_ssl: "0", secret: "********", url: "https://example.com/webhook" } };
  return { event: "ping", body: { zen: `Keep it logically awesome. (${next()})`, hook_id: 512345678, hook, repository: repositoryOf(repo, isoOf(next())), sender: USER } };
}

/** An event slipstream has no use for. */
export function issueOpened(repo: string): Payload {
  return { event: "issues", body: { action: "opened", issue: { id: next(), number: 7, title: "A question", state: "open", user: USER }, repository: repositoryOf(repo, isoOf(next())), sender: USER } };
}

const ZERO = "0".repeat(40);
const USER = { login: "octo-maker", id: 900001, node_id: "MDQ6VXNlcjkwMDAwMQ==", type: "User", site_admin: false, html_url: "https://github.com/octo-maker" };
let seconds = 1_760_000_000;
/** Seconds since the epoch, later at each call. */
function next(): number {
  seconds += 1;
  return seconds;
}
function isoOf(at: number): string {
  return new Date(at * 1000).toISOString().replace(".000Z", "Z");
}
function sha(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}

function push(repo: string, fields: Record<string, unknown> & { before: string; after: string }): Payload {
  const at = next();
  const compare = `https://github.com/${repo}/compare/${fields.before.slice(0, 12)}...${fields.after.slice(0, 12)}`;
  return { event: "push", body: { ...fields, compare, pusher: { name: USER.login, email: "octo-maker@example.com" }, repository: { ...repositoryOf(repo, at), created_at: 1_600_000_000 }, sender: USER } };
}

function commitOf(id: string): Record<string, unknown> {
  const person = { name: "Octo Maker", email: "octo-maker@example.com", username: USER.login };
  return { id, tree_id: sha(`tree of ${id}`), distinct: true, message: "Fix the café’s naïve greeting 👋", timestamp: "2025-10-09T10:53:20+02:00", url: `https://github.com/commit/${id}`, author: person, committer: person, added: [], removed: [], modified: ["main.go"] };
}

/** `pushed_at` is a number in push payloads and ISO text in all others. */
function repositoryOf(repo: string, pushedAt: number | string): Record<string, unknown> {
  const [owner = "", name = ""] = repo.split("/");
  const api = `https://api.github.com/repos/${repo}`;
  return {
    id: 700000001,
    node_id: "R_kgDOKbMzAA",
    name,
    full_name: repo,
    private: false,
    owner: { ...USER, login: owner },
    html_url: `https://github.com/${repo}`,
    description: "A small service",
    fork: false,
    url: api,
    tags_url: `${api}/tags`,
    releases_url: `${api}/releases{/id}`,
    created_at: "2020-09-13T12:26:40Z",
    updated_at: "2025-10-09T08:53:20Z",
    pushed_at: pushedAt,
    git_url: `git://github.com/${repo}.git`,
    ssh_url: `git@github.com:${repo}.git`,
    clone_url: `https://github.com/${repo}.git`,
    size: 1024,
    stargazers_count: 3,
    language: "Go",
    archived: false,
    disabled: false,
    topics: ["service"],
    visibility: "public",
    default_branch: "main",
  };
}
