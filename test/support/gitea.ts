/** Gitea and Forgejo as senders: payloads in the shape they send (own data; docs.gitea.com and forgejo.org: webhooks), indented by two spaces, signed as bare hex. */

import { createHash, createHmac, randomUUID } from "node:crypto";
import type { Payload, Signed } from "./github.ts";

export type GiteaKind = "gitea" | "forgejo";

export interface GiteaDelivery extends Payload {
  /** The empty one is what is sent without a secret: headers with empty digests. */
  readonly secret: string;
  readonly kind?: GiteaKind;
  readonly deliveryId?: string;
  /** A hook of content type `application/x-www-form-urlencoded`: signed is the JSON text all the same. */
  readonly form?: boolean;
}

/** Headers and bytes as they would be sent, those for GitHub and Gogs among them. A new delivery id is made unless one is given. */
export function signGitea(d: GiteaDelivery): Signed {
  const json = JSON.stringify(d.body, null, 2);
  const body = Buffer.from(d.form === true ? new URLSearchParams({ payload: json }).toString() : json);
  const hmac = (hash: string) => (d.secret === "" ? "" : createHmac(hash, d.secret).update(json).digest("hex"));
  const id = d.deliveryId ?? randomUUID();
  const say = (name: string) => ({ [`x-${name}-delivery`]: id, [`x-${name}-event`]: d.event, [`x-${name}-event-type`]: d.event });
  const sign = (name: string) => ({ [`x-${name}-signature`]: hmac("sha256") });
  const headers = {
    "content-type": d.form === true ? "application/x-www-form-urlencoded" : "application/json",
    "user-agent": "Go-http-client/1.1",
    ...say("gitea"),
    ...sign("gitea"),
    ...(d.kind === "forgejo" ? { ...say("forgejo"), ...sign("forgejo") } : { "x-github-hook-installation-target-type": "repository" }),
    ...say("gogs"),
    ...sign("gogs"),
    ...say("github"),
    "x-hub-signature": `sha1=${hmac("sha1")}`,
    "x-hub-signature-256": `sha256=${hmac("sha256")}`,
  };
  return { headers, body };
}

/** A branch that was pushed. `commits`: how many it brought; a push that only moves a branch back brings none. */
export function giteaBranchPushed(repo: string, branch: string, before: string, after: string, options: { readonly commits?: number } = {}): Payload {
  return push(repo, { ref: `refs/heads/${branch}`, before, after, head: after, commits: options.commits ?? 1 });
}

/** A tag that was pushed: of an annotated one `after` is the tag object. */
export function giteaTagPushed(repo: string, tag: string, commit: string, options: { readonly annotated?: boolean } = {}): Payload {
  return push(repo, { ref: `refs/tags/${tag}`, before: ZERO, after: options.annotated === true ? sha(`tag object ${tag}`) : commit, head: commit, commits: 0 });
}

export function giteaRefDeleted(repo: string, ref: string, before: string): Payload {
  return push(repo, { ref, before, after: ZERO, head: null, commits: 0 });
}

/** The `create` event: a short name, and the tag object of an annotated tag. */
export function giteaCreated(repo: string, ref: string, object: string, refType: "tag" | "branch" = "tag"): Payload {
  return { event: "create", body: { sha: object, ref, ref_type: refType, repository: repositoryOf(repo), sender: USER } };
}

export function giteaDeleted(repo: string, ref: string, refType: "tag" | "branch" = "tag"): Payload {
  return { event: "delete", body: { ref, ref_type: refType, pusher_type: "user", repository: repositoryOf(repo), sender: USER } };
}

/** A release event; `published`, stable and public unless told otherwise. `release` takes the place of the made-up one: what a forge has. */
export function giteaReleased(repo: string, tag: string, options: { readonly action?: string; readonly draft?: boolean; readonly prerelease?: boolean; readonly kind?: GiteaKind; readonly release?: Readonly<Record<string, unknown>> } = {}): Payload {
  const n = next();
  const web = `https://git.example.com/${repo}`;
  const asset = { id: n + 1, name: `${tag}-linux-amd64.tar.gz`, size: 4096, download_count: 0, created_at: isoOf(n), uuid: randomUUID(), browser_download_url: `${web}/releases/download/${tag}/${tag}-linux-amd64.tar.gz`, ...(options.kind === "forgejo" ? { type: "attachment" } : {}) };
  const release = {
    ...{ id: n, tag_name: tag, target_commitish: "main", name: tag, body: "Größere Änderungen 🚀", url: `https://git.example.com/api/v1/repos/${repo}/releases/${n}`, html_url: `${web}/releases/tag/${tag}` },
    ...{ tarball_url: `${web}/archive/${tag}.tar.gz`, zipball_url: `${web}/archive/${tag}.zip`, ...(options.kind === "forgejo" ? { hide_archive_links: false } : {}), upload_url: `https://git.example.com/api/v1/repos/${repo}/releases/${n}/assets` },
    ...{ draft: options.draft ?? false, prerelease: options.prerelease ?? false, created_at: isoOf(n - 60), published_at: isoOf(n), author: USER, assets: [asset] },
  };
  return { event: "release", body: { action: options.action ?? "published", release: options.release ?? release, repository: repositoryOf(repo), sender: USER } };
}

/** An event slipstream has no use for. */
export function giteaIssueOpened(repo: string): Payload {
  return { event: "issues", body: { action: "opened", number: 7, issue: { id: next(), number: 7, title: "A question", state: "open", user: USER }, repository: repositoryOf(repo), sender: USER, commit_id: "" } };
}

const ZERO = "0".repeat(40);
const USER = { id: 2, login: "tea-maker", login_name: "", source_id: 0, full_name: "Tea Maker", email: "tea-maker@noreply.git.example.com", avatar_url: "https://git.example.com/avatars/2", html_url: "https://git.example.com/tea-maker", username: "tea-maker" };
let seconds = 1_760_000_000;
/** Seconds since the epoch, later at each call. */
function next(): number {
  seconds += 2;
  return seconds;
}
function isoOf(at: number): string {
  return new Date(at * 1000).toISOString().replace(".000Z", "Z");
}
function sha(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}

function push(repo: string, of: { ref: string; before: string; after: string; head: string | null; commits: number }): Payload {
  const head = of.head === null ? null : commitOf(repo, of.head);
  const commits = head === null ? [] : Array.from({ length: of.commits }, () => head);
  const compare = `https://git.example.com/${repo}/compare/${of.before}...${of.after}?${next()}`;
  return { event: "push", body: { ref: of.ref, before: of.before, after: of.after, compare_url: compare, commits, total_commits: of.commits, head_commit: head, repository: repositoryOf(repo), pusher: USER, sender: USER } };
}

function commitOf(repo: string, id: string): Record<string, unknown> {
  const person = { name: "Tea Maker", email: "tea-maker@example.com", username: "tea-maker" };
  return { id, message: "Fix the café’s naïve greeting 👋\n", url: `https://git.example.com/${repo}/commit/${id}`, author: person, committer: person, verification: null, timestamp: "2025-10-09T10:53:20+02:00", added: [], removed: [], modified: ["main.go"] };
}

function repositoryOf(repo: string): Record<string, unknown> {
  const [owner = "", name = ""] = repo.split("/");
  const web = `https://git.example.com/${repo}`;
  return {
    ...{ id: 11, owner: { ...USER, login: owner, username: owner }, name, full_name: repo, description: "A small service", empty: false, private: false, fork: false, template: false, parent: null, mirror: false, size: 1024, language: "Go" },
    ...{ languages_url: `https://git.example.com/api/v1/repos/${repo}/languages`, html_url: web, url: `https://git.example.com/api/v1/repos/${repo}`, ssh_url: `git@git.example.com:${repo}.git`, clone_url: `${web}.git`, original_url: "", website: "" },
    ...{ stars_count: 3, forks_count: 0, watchers_count: 1, open_issues_count: 0, open_pr_counter: 0, release_counter: 4, default_branch: "main", archived: false, created_at: "2020-09-13T12:26:40Z", updated_at: "2025-10-09T08:53:20Z", archived_at: "1970-01-01T00:00:00Z" },
    ...{ permissions: { admin: true, push: true, pull: true }, has_issues: true, has_wiki: false, has_releases: true, has_packages: true, internal: false, object_format_name: "sha1", topics: [], licenses: [] },
  };
}
