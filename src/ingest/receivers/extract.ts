/** What the receivers share: reading claims out of headers, and turning checked payloads into changes. */

import * as z from "zod";
import { type Change, COMMIT, type IgnoreReason, isSafeRef } from "../../domain/change.ts";
import { ConfigError } from "../../domain/errors.ts";
import type { Secret } from "../../kit/secret.ts";
import { type Claims, type Extracted, type Headers, headerOf, type JsonObject } from "./receiver.ts";

const EVENT = /^[a-z][a-z0-9_]{0,63}$/;
/** GUIDs, and whatever relays make of them. */
const DELIVERY_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/;
/** What git itself forbids in a ref (git-check-ref-format): no forge signs such a name. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const ILLEGAL_REF = /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$|(^|\/)\.|\.lock(\/|$)|^$/;
const ODD_REF = "ref name is legal but not one slipstream hands to git";

/** Forges cap both names at about 40 and 100 characters; forks of their APIs allow more. */
export const FullName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/)
  .transform((name) => name.toLowerCase());
export const Commit = z.string().regex(COMMIT);
export const Text = z.string().max(1024);
/** Delivery and release ids pass 2^53, so they may arrive as digits in text (see `parseJson`). */
export const Id = z.union([z.int().positive().transform(String), z.string().regex(/^[0-9]{1,20}$/)]);
const AnyRepository = z.object({ repository: z.object({ full_name: FullName }) });

/** What a release event says that both forges say alike. */
export interface ReleaseSaid {
  readonly repository: string;
  readonly action: string;
  readonly release: { readonly id: string; readonly tag_name: string; readonly draft: boolean; readonly prerelease: boolean; readonly published_at?: string | null | undefined };
}

/** @throws ConfigError when there is no secret, or an empty one: without it anybody could start a rebuild. */
export function checkSecrets(secrets: readonly Secret[]): void {
  if (secrets.length > 0 && secrets.every((s) => s.reveal() !== "")) return;
  throw new ConfigError([{ file: "webhook secret", message: "is missing or empty, expected at least one; set WEBHOOK_SECRET in .slipstream/secrets.env" }]);
}

/** The claim that all of some headers that are there make; none where they contradict each other or are not well-formed. */
export function claimsOf(headers: Headers, names: { readonly event: readonly string[]; readonly id: readonly string[] }): Claims {
  const event = agreed(headers, names.event);
  const id = agreed(headers, names.id);
  return { ...(event !== undefined && EVENT.test(event) ? { event } : {}), ...(id !== undefined && DELIVERY_ID.test(id) ? { id } : {}) };
}

function agreed(headers: Headers, names: readonly string[]): string | undefined {
  const said = names.filter((name) => headers[name] !== undefined).map((name) => headerOf(headers, name));
  return said.every((value) => value === said[0]) ? said[0] : undefined;
}

type Result<T> = { success: true; data: T } | { success: false; error: { issues: readonly { path: readonly PropertyKey[] }[] } };

/** Names only the field that is wrong; its value stays out of answers and logs. */
export function parsed<T>(result: Result<T>, next: (data: T) => Extracted): Extracted {
  if (result.success) return next(result.data);
  return invalid(result.error.issues[0]?.path.map(String).join(".") ?? "body");
}

export function invalid(field: string): Extracted {
  return { ok: false, code: "payload-invalid", message: `the field ${field} of the payload is not as its forge documents it` };
}

export function mismatch(event: string): Extracted {
  return { ok: false, code: "event-mismatch", message: `the body is not one of the event ${event}` };
}

function used(change: Change): Extracted {
  return { ok: true, change };
}

export function none(reason: IgnoreReason, repository?: string, note?: string): Extracted {
  return { ok: true, change: { kind: "none", reason, ...(repository === undefined ? {} : { repository }) }, ...(note === undefined ? {} : { note }) };
}

export function repositoryOf(body: JsonObject): string | undefined {
  return AnyRepository.safeParse(body).data?.repository.full_name;
}

/** Whether the repository of a body has a field: some only one forge sends. */
export function repositoryHas(body: JsonObject, field: string): boolean {
  const { repository } = body;
  return typeof repository === "object" && repository !== null && Object.hasOwn(repository, field);
}

/** What a full ref that was pushed names; `gone`: it was deleted. */
export function fromPushedRef(pushed: { readonly ref: string; readonly repository: string; readonly gone: boolean }, next: { branch(name: string): Change; tag(name: string): Change }): Extracted {
  const { repository } = pushed;
  const ref = /^refs\/(heads|tags|[^/]+)\/(.+)$/.exec(pushed.ref);
  if (ref?.[1] === undefined || ref[2] === undefined || ILLEGAL_REF.test(pushed.ref)) return invalid("ref");
  if (pushed.gone) return none("ref-deleted", repository);
  if (ref[1] !== "heads" && ref[1] !== "tags") return none("event-not-used", repository, "ref is neither branch nor tag");
  if (!isSafeRef(ref[2])) return none("event-not-used", repository, ODD_REF);
  return used(ref[1] === "heads" ? next.branch(ref[2]) : next.tag(ref[2]));
}

/** A created ref by its short name. The commit is not taken from it: GitHub names none, and Gitea the tag object of an annotated tag. */
export function fromCreatedRef(repository: string, ref: string, type: "tag" | "branch"): Extracted {
  if (ILLEGAL_REF.test(ref)) return invalid("ref");
  if (type === "branch") return none("event-not-used", repository);
  if (!isSafeRef(ref)) return none("event-not-used", repository, ODD_REF);
  return used({ kind: "tag", repository, tag: ref });
}

/** A release under one of the actions after which its feed has to be read again. */
export function fromRelease({ repository, action, release }: ReleaseSaid, actions: ReadonlySet<string>): Extracted {
  if (!actions.has(action)) return none("action-not-used", repository);
  if (release.draft) return none("draft", repository);
  if (ILLEGAL_REF.test(release.tag_name)) return invalid("release.tag_name");
  if (!isSafeRef(release.tag_name)) return none("event-not-used", repository, ODD_REF);
  const at = release.published_at ? { at: release.published_at } : {};
  return used({ kind: "release", repository, tag: release.tag_name, releaseId: release.id, action, draft: false, prerelease: release.prerelease, ...at });
}
