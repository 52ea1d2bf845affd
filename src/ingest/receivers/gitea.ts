/**
 * Gitea and Forgejo, which speak one dialect. They sign the JSON text as it stands, indented by two spaces, and give every attempt a new delivery id.
 * As with GitHub nothing but the body is signed, so identity is read from the body alone, and the claimed event has to fit its shape.
 */

import { isZeroCommit } from "../../domain/change.ts";
import type { Secret } from "../../kit/secret.ts";
import { type Verified, verifyHexHmacSha256 } from "../../kit/verify.ts";
import { checkSecrets, claimsOf, fromCreatedRef, fromPushedRef, fromRelease, mismatch, none, parsed, repositoryHas, repositoryOf } from "./extract.ts";
import { Create, Push, Release, shapeOf } from "./gitea-payload.ts";
import { type Extracted, type Headers, headerOf, type JsonObject, type Receiver, type ReceiverSettings } from "./receiver.ts";

/** Publishing a draft whose tag is there already says `updated` (go-gitea: services/release). */
const ACTIONS_USED: ReadonlySet<string> = new Set(["published", "updated"]);
const CLAIMS = { event: ["x-forgejo-event", "x-gitea-event"], id: ["x-forgejo-delivery", "x-gitea-delivery"] } as const;
/** Forgejo sends both. */
const SIGNATURES = ["x-forgejo-signature", "x-gitea-signature"] as const;

/** @throws ConfigError when there is no secret, or an empty one */
export function createGiteaReceiver(given: Partial<ReceiverSettings> & Pick<ReceiverSettings, "secrets">): Receiver {
  checkSecrets(given.secrets);
  return {
    name: given.name ?? "gitea",
    forge: "gitea",
    paths: [given.path ?? "/webhook"],
    repositories: given.repositories ?? [],
    // What is signed is the JSON text, and a form body is not that.
    form: false,
    verify: (raw, headers) => verify(raw, headers, given.secrets),
    claims: (headers) => claimsOf(headers, CLAIMS),
    extract,
  };
}

/** Every signature that is there has to hold: an honest sender has no wrong one. */
function verify(raw: Uint8Array, headers: Headers, secrets: readonly Secret[]): Verified {
  const sent = SIGNATURES.filter((name) => headers[name] !== undefined);
  const verified = sent.map((name) => verifyHexHmacSha256(raw, headerOf(headers, name), secrets));
  return verified.find((v) => !v.ok) ?? verified[0] ?? { ok: false, reason: "missing" };
}

function extract(event: string, body: JsonObject): Extracted {
  const shape = shapeOf(body);
  const known = ["push", "create", "delete", "release"].includes(event);
  // A body that GitHub signed with the same secret fits this signature too; GitHub marks every repository with a node_id.
  if (shape !== (known ? event : "other") || repositoryHas(body, "node_id")) return mismatch(event);
  switch (shape) {
    case "push":
      return parsed(Push.safeParse(body), fromPush);
    case "create":
      return parsed(Create.safeParse(body), (c) => fromCreatedRef(c.repository.full_name, c.ref, c.ref_type));
    case "release":
      return parsed(Release.safeParse(body), (r) => fromRelease({ ...r, repository: r.repository.full_name }, ACTIONS_USED));
    case "delete":
      return none("ref-deleted", repositoryOf(body));
    case "other":
      return none("event-not-used", repositoryOf(body));
  }
}

function fromPush(push: Push): Extracted {
  const { ref, after, repository: { full_name: repository } } = push;
  return fromPushedRef({ ref, repository, gone: isZeroCommit(after) }, {
    branch: (branch) => ({ kind: "branch", repository, branch, commit: after, forced: wentBack(push) }),
    // Which object its payload names for an annotated tag is not documented; the repository is asked for the commit.
    tag: (tag) => ({ kind: "tag", repository, tag }),
  });
}

/** Gitea does not say that a push was forced; one that moved a branch and brought no commit cannot have been another. */
function wentBack({ before, after, commits, total_commits: total }: Push): boolean {
  return !isZeroCommit(before) && before !== after && (total ?? commits?.length ?? 1) === 0;
}
