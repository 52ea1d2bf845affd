/**
 * GitHub. The signature covers the body and nothing else: the event name, the delivery id and the URL are a stranger's claims.
 * So identity (repository, ref, commit, release) is read from the signed body, and the claimed event has to fit the body's shape.
 */

import { isZeroCommit } from "../../domain/change.ts";
import { iso } from "../../kit/clock.ts";
import { verifyHmacSha256 } from "../../kit/verify.ts";
import { checkSecrets, claimsOf, fromCreatedRef, fromPushedRef, fromRelease, mismatch, none, parsed, repositoryHas, repositoryOf } from "./extract.ts";
import { Create, Ping, Push, Release, shapeOf } from "./github-payload.ts";
import { type Extracted, headerOf, type JsonObject, type Receiver, type ReceiverSettings } from "./receiver.ts";

/** `published` for all, `released` for a prerelease that became final, `edited` for moved assets and `latest`; `updated` is Gitea's word for the last two (facts: release actions; V10x). */
const ACTIONS_USED: ReadonlySet<string> = new Set(["published", "released", "edited", "updated"]);
const CLAIMS = { event: ["x-github-event"], id: ["x-github-delivery"] } as const;

/** @throws ConfigError when there is no secret, or an empty one */
export function createGithubReceiver(given: Partial<ReceiverSettings> & Pick<ReceiverSettings, "secrets">): Receiver {
  checkSecrets(given.secrets);
  return {
    name: given.name ?? "github",
    forge: "github",
    paths: [given.path ?? "/webhook"],
    repositories: given.repositories ?? [],
    form: true,
    verify: (raw, headers) => verifyHmacSha256(raw, headerOf(headers, "x-hub-signature-256"), given.secrets),
    claims: (headers) => claimsOf(headers, CLAIMS),
    extract,
  };
}

function extract(event: string, body: JsonObject): Extracted {
  const shape = shapeOf(body);
  const known = ["push", "create", "delete", "release", "ping"].includes(event);
  // Gitea signs for GitHub's header as well: what it signed is its own, under whichever headers it is sent again.
  if (shape !== (known ? event : "other") || repositoryHas(body, "original_url")) return mismatch(event);
  switch (shape) {
    case "push":
      return parsed(Push.safeParse(body), fromPush);
    case "create":
      return parsed(Create.safeParse(body), (c) => fromCreatedRef(c.repository.full_name, c.ref, c.ref_type));
    case "release":
      return parsed(Release.safeParse(body), (r) => fromRelease({ ...r, repository: r.repository.full_name }, ACTIONS_USED));
    case "ping":
      return parsed(Ping.safeParse(body), (ping) => none("ping", ping.repository?.full_name));
    case "delete":
      return none("ref-deleted", repositoryOf(body));
    case "other":
      return none("event-not-used", repositoryOf(body));
  }
}

function fromPush({ ref, after, deleted, forced, head_commit: head, repository: { full_name: repository, pushed_at } }: Push): Extracted {
  const at = pushedAt(pushed_at);
  return fromPushedRef({ ref, repository, gone: deleted || isZeroCommit(after) }, {
    branch: (branch) => ({ kind: "branch", repository, branch, commit: after, forced, ...at }),
    // `after` of an annotated tag is the tag object; only head_commit names the commit.
    tag: (tag) => ({ kind: "tag", repository, tag, ...(head ? { commit: head.id } : {}), ...at }),
  });
}

/** Seconds since the epoch in push payloads (ISO text in all others). */
function pushedAt(value: unknown): { at?: string } {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 1e11 ? { at: iso(value * 1000) } : {};
}
