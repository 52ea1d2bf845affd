/** Webhook payloads in GitHub's shape (GitHub docs: webhook events and payloads), saying what is true upstream. Pure. */

import type { UpdatePreview } from "../domain/app.ts";
import { UsageError } from "../domain/errors.ts";
import { type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import { iso } from "../kit/clock.ts";

export type SimulatedEvent = "release" | "push";

/** What is upstream, and what the forge calls it where it has releases. */
export type Found = UpdatePreview;

export interface Simulated {
  readonly event: SimulatedEvent;
  readonly body: object;
  /** `owner/name` it is about. */
  readonly repository: string;
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
  const repository = s.release !== undefined && s.mode === "release" ? s.release.repository : s.repositories[0];
  if (repository === undefined) throw new UsageError("usage", `subsystem ${s.name} has no repository that a webhook could name; set subsystems.${s.name}.repositories in slipstream.yaml`);
  const version = found.to as string;
  const body = event === "release" ? release(s, found, version) : push(s, found, version);
  return { event, repository, what: body.what, body: { ...body.fields, repository: repositoryOf(repository, s.branch, event, at.now), sender: SENDER, simulated: { id: at.id, at: iso(at.now) } } };
}

interface Part {
  readonly what: string;
  readonly fields: object;
}

function push(s: Subsystem, found: Found, version: string): Part {
  const { commit } = found;
  if (commit === null || commit === undefined || !FULL_COMMIT.test(commit)) throw new UsageError("usage", `commit of ${version} is not known, expected one for --event push; use --event release`);
  const head = { head_commit: { id: commit }, commits: [], deleted: false, forced: false, pusher: { name: SENDER.login } };
  if (tracksCommits(s)) {
    // What is installed is the one older commit that is known; without it the branch counts as new.
    const before = found.from !== null && FULL_COMMIT.test(found.from) ? found.from : ZERO;
    return { what: `push of branch ${s.branch}`, fields: { ref: `refs/heads/${s.branch}`, before, after: commit, created: before === ZERO, base_ref: null, ...head } };
  }
  return { what: `push of tag ${version}`, fields: { ref: `refs/tags/${version}`, before: ZERO, after: commit, created: true, base_ref: `refs/heads/${s.branch}`, ...head } };
}

function release(s: Subsystem, found: Found, version: string): Part {
  if (tracksCommits(s)) throw new UsageError("usage", `event release is given for ${s.name}, which follows the commits of ${s.branch}; expected --event push`);
  // Ids outgrow a double, so they go as text. No release has the id 0: the daemon then looks for its tag.
  const id = found.releaseId ?? "0";
  return { what: `release ${version}`, fields: { action: "published", release: { id, tag_name: version, name: version, draft: false, prerelease: found.prerelease ?? false, target_commitish: s.branch, published_at: null, assets: [] } } };
}

/** `pushed_at` is a number in push payloads and ISO text in all others. */
function repositoryOf(fullName: string, branch: string, event: SimulatedEvent, now: number): object {
  const [login = "", name = ""] = fullName.split("/");
  return { name, full_name: fullName, owner: { login }, default_branch: branch, pushed_at: event === "push" ? Math.floor(now / 1_000) : iso(now), updated_at: iso(now) };
}
