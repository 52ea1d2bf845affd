/** Webhook payloads in the shape of GitHub (GitHub docs: webhook events and payloads) or of Gitea and Forgejo (docs.gitea.com: webhooks), saying what is true upstream. Pure. */

import type { UpdatePreview } from "../domain/app.ts";
import { UsageError } from "../domain/errors.ts";
import { type ForgeKind, type Origin, originAt, type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import { iso } from "../kit/clock.ts";

export type SimulatedEvent = "release" | "push";

/** What is upstream, and what the forge calls it where it has releases. */
export type Found = UpdatePreview;

export interface Simulated {
  readonly event: SimulatedEvent;
  /** In whose shape; missing where the forge is not known, then it is GitHub's. */
  readonly forge?: ForgeKind;
  readonly body: object;
  /** `owner/name` it is about. */
  readonly repository: string;
  /** The same about the origin's other names, for a receiver that may not speak about the first. */
  readonly others: readonly Pick<Simulated, "event" | "forge" | "body" | "repository">[];
  /** `push of tag v1.2.3`, for people. */
  readonly what: string;
}

const ZERO = "0".repeat(40);
const FULL_COMMIT = /^[0-9a-f]{40}$/;
const SENDER = { login: "slipstream-simulate", type: "Bot" };

/** The event that the subsystem's upstream would send for a new version. */
export function usualEvent(s: Pick<Subsystem, "mode" | "strategy">): SimulatedEvent {
  return s.mode === "release" || s.strategy === "releases" ? "release" : "push";
}

/** A delivery about the version found; `id` makes its bytes unlike those of any other. @throws UsageError usage when that event cannot say it */
export function simulated(s: Subsystem, found: Found, event: SimulatedEvent, at: { readonly now: number; readonly id: string }): Simulated {
  const origin = originAt(s, found.upstream) ?? s;
  const [repository, ...names] = new Set([...(origin.release !== undefined && s.mode === "release" ? [origin.release.repository] : []), ...origin.repositories]);
  if (repository === undefined) throw new UsageError("usage", `subsystem ${s.name} has no repository that a webhook could name; set subsystems.${s.name}.repositories in slipstream.yaml`);
  const version = found.to as string;
  const { forge, branch } = origin;
  const about = { s, found, version, forge, branch };
  const body = event === "release" ? release(about) : push(about);
  const of = (name: string) => ({ event, repository: name, ...(forge === undefined ? {} : { forge }), body: { ...body.fields, repository: { ...repositoryOf(name, branch, event, at.now), ...MARKS[forge ?? "github"] }, sender: SENDER, simulated: { id: at.id, at: iso(at.now) } } });
  return { ...of(repository), others: names.map(of), what: body.what };
}

/** What each forge's repositories have and the other's have not. */
const MARKS = { github: { node_id: "" }, gitea: { original_url: "" } } as const;

interface About {
  readonly s: Subsystem;
  readonly found: Found;
  readonly version: string;
  readonly forge: ForgeKind | undefined;
  readonly branch: Origin["branch"];
}

interface Part {
  readonly what: string;
  readonly fields: object;
}

function push({ s, found, version, forge, branch }: About): Part {
  const { commit } = found;
  if (commit === null || commit === undefined || !FULL_COMMIT.test(commit)) throw new UsageError("usage", `commit of ${version} is not known, expected one for --event push; use --event release`);
  const tracked = tracksCommits(s);
  // What is installed is the one older commit that is known; without it the branch counts as new.
  const before = tracked && found.from !== null && FULL_COMMIT.test(found.from) ? found.from : ZERO;
  const ref = tracked ? `refs/heads/${branch}` : `refs/tags/${version}`;
  const head = { ref, before, after: commit, head_commit: { id: commit } };
  const told = forge === "gitea" ? { commits: tracked ? [{ id: commit }] : [], total_commits: tracked ? 1 : 0, compare_url: "" } : { commits: [], created: before === ZERO, deleted: false, forced: false, base_ref: tracked ? null : `refs/heads/${branch}` };
  return { what: tracked ? `push of branch ${branch}` : `push of tag ${version}`, fields: { ...head, ...told, pusher: forge === "gitea" ? SENDER : { name: SENDER.login } } };
}

function release({ s, found, version, branch }: About): Part {
  if (tracksCommits(s)) throw new UsageError("usage", `event release is given for ${s.name}, which follows the commits of ${branch}; expected --event push`);
  // Ids outgrow a double, so they go as text. No release has the id 0: the daemon then looks for its tag.
  const id = found.releaseId ?? "0";
  return { what: `release ${version}`, fields: { action: "published", release: { id, tag_name: version, name: version, draft: false, prerelease: found.prerelease ?? false, target_commitish: branch, published_at: null, assets: [] } } };
}

/** `pushed_at` is a number in push payloads and ISO text in all others. */
function repositoryOf(fullName: string, branch: string, event: SimulatedEvent, now: number): object {
  const [login = "", name = ""] = fullName.split("/");
  return { name, full_name: fullName, owner: { login }, default_branch: branch, pushed_at: event === "push" ? Math.floor(now / 1_000) : iso(now), updated_at: iso(now) };
}
