/**
 * GitHub. The signature covers the body and nothing else: the event name, the delivery id and the URL are a stranger's claims.
 * So identity (repository, ref, commit, release) is read from the signed body, and the claimed event has to fit the body's shape.
 */

import { type Change, type IgnoreReason, isSafeRef, isZeroCommit } from "../../domain/change.ts";
import { ConfigError } from "../../domain/errors.ts";
import { iso } from "../../kit/clock.ts";
import type { Secret } from "../../kit/secret.ts";
import { verifyHmacSha256 } from "../../kit/verify.ts";
import { AnyRepository, Create, Ping, Push, Release, shapeOf } from "./github-payload.ts";
import { type Extracted, headerOf, type JsonObject, type Receiver } from "./receiver.ts";

const EVENT = /^[a-z][a-z0-9_]{0,63}$/;
/** GUIDs, and whatever relays make of them. */
const DELIVERY_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/;
/** `published` for all, `released` for a prerelease that became final, `edited` for moved assets and `latest`; `updated` is Gitea's word for the last two (facts: release actions; V10x). */
const ACTIONS_USED: ReadonlySet<string> = new Set(["published", "released", "edited", "updated"]);
/** What git itself forbids in a ref (git-check-ref-format): GitHub never signs such a name. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const ILLEGAL_REF = /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$|(^|\/)\.|\.lock(\/|$)|^$/;

/** @throws ConfigError when there is no secret, or an empty one: without it anybody could start a rebuild. */
export function createGithubReceiver(deps: { readonly secrets: readonly Secret[] }): Receiver {
  if (deps.secrets.length === 0 || deps.secrets.some((s) => s.reveal() === "")) {
    throw new ConfigError([{ file: "webhook secret", message: "is missing or empty, expected at least one; set WEBHOOK_SECRET in .slipstream/secrets.env" }]);
  }
  return {
    name: "github",
    paths: ["/webhook"],
    form: true,
    verify: (raw, headers) => verifyHmacSha256(raw, headerOf(headers, "x-hub-signature-256"), deps.secrets),
    claims: (headers) => {
      const event = headerOf(headers, "x-github-event");
      const id = headerOf(headers, "x-github-delivery");
      return { ...(event !== undefined && EVENT.test(event) ? { event } : {}), ...(id !== undefined && DELIVERY_ID.test(id) ? { id } : {}) };
    },
    extract,
  };
}

function extract(event: string, body: JsonObject): Extracted {
  const shape = shapeOf(body);
  const known = ["push", "create", "delete", "release", "ping"].includes(event);
  if (shape !== (known ? event : "other")) return { ok: false, code: "event-mismatch", message: `the body is not one of the event ${event}` };
  switch (shape) {
    case "push":
      return parsed(Push.safeParse(body), fromPush);
    case "create":
      return parsed(Create.safeParse(body), fromCreate);
    case "release":
      return parsed(Release.safeParse(body), fromRelease);
    case "ping":
      return parsed(Ping.safeParse(body), (ping) => none("ping", ping.repository?.full_name));
    case "delete":
      return none("ref-deleted", repositoryOf(body));
    case "other":
      return none("event-not-used", repositoryOf(body));
  }
}

type Result<T> = { success: true; data: T } | { success: false; error: { issues: readonly { path: readonly PropertyKey[] }[] } };

/** Names only the field that is wrong; its value stays out of answers and logs. */
function parsed<T>(result: Result<T>, next: (data: T) => Extracted): Extracted {
  if (result.success) return next(result.data);
  return invalid(result.error.issues[0]?.path.map(String).join(".") ?? "body");
}
function invalid(field: string): Extracted {
  return { ok: false, code: "payload-invalid", message: `the field ${field} of the payload is not as GitHub documents it` };
}
function used(change: Change): Extracted {
  return { ok: true, change };
}
function none(reason: IgnoreReason, repository?: string, note?: string): Extracted {
  return { ok: true, change: { kind: "none", reason, ...(repository === undefined ? {} : { repository }) }, ...(note === undefined ? {} : { note }) };
}
function repositoryOf(body: JsonObject): string | undefined {
  return AnyRepository.safeParse(body).data?.repository.full_name;
}

function fromPush(push: Push): Extracted {
  const repository = push.repository.full_name;
  const ref = /^refs\/(heads|tags|[^/]+)\/(.+)$/.exec(push.ref);
  if (ref?.[1] === undefined || ref[2] === undefined || ILLEGAL_REF.test(push.ref)) return invalid("ref");
  const name = ref[2];
  if (push.deleted || isZeroCommit(push.after)) return none("ref-deleted", repository);
  if (ref[1] !== "heads" && ref[1] !== "tags") return none("event-not-used", repository, "ref is neither branch nor tag");
  if (!isSafeRef(name)) return none("event-not-used", repository, ODD_REF);
  const at = pushedAt(push.repository.pushed_at);
  if (ref[1] === "heads") return used({ kind: "branch", repository, branch: name, commit: push.after, forced: push.forced, ...at });
  // `after` of an annotated tag is the tag object; only head_commit names the commit.
  return used({ kind: "tag", repository, tag: name, ...(push.head_commit ? { commit: push.head_commit.id } : {}), ...at });
}

function fromCreate(create: Create): Extracted {
  const repository = create.repository.full_name;
  if (ILLEGAL_REF.test(create.ref)) return invalid("ref");
  if (create.ref_type === "branch") return none("event-not-used", repository);
  if (!isSafeRef(create.ref)) return none("event-not-used", repository, ODD_REF);
  return used({ kind: "tag", repository, tag: create.ref });
}

function fromRelease({ action, release, repository: { full_name: repository } }: Release): Extracted {
  if (!ACTIONS_USED.has(action)) return none("action-not-used", repository);
  if (release.draft) return none("draft", repository);
  if (ILLEGAL_REF.test(release.tag_name)) return invalid("release.tag_name");
  if (!isSafeRef(release.tag_name)) return none("event-not-used", repository, ODD_REF);
  const at = release.published_at ? { at: release.published_at } : {};
  return used({ kind: "release", repository, tag: release.tag_name, releaseId: release.id, action, draft: false, prerelease: release.prerelease, ...at });
}

const ODD_REF = "ref name is legal but not one slipstream hands to git";

/** Seconds since the epoch in push payloads (ISO text in all others). */
function pushedAt(value: unknown): { at?: string } {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 1e11 ? { at: iso(value * 1000) } : {};
}
