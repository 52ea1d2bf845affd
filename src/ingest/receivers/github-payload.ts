/** The few fields of GitHub's payloads that slipstream uses (GitHub docs: webhook events and payloads). Unknown keys are allowed everywhere. */

import * as z from "zod";
import { Commit, FullName, Id, Text } from "./extract.ts";

const Repository = z.object({ full_name: FullName, pushed_at: z.unknown().optional() });

export const Push = z.object({
  ref: Text,
  before: Commit,
  after: Commit,
  created: z.boolean(),
  deleted: z.boolean(),
  forced: z.boolean(),
  /** Null on delete; for an annotated tag the only place that names the commit. */
  head_commit: z.object({ id: Commit }).nullish(),
  repository: Repository,
});
export type Push = z.infer<typeof Push>;

export const Create = z.object({ ref: Text, ref_type: z.enum(["tag", "branch"]), master_branch: Text, repository: Repository });
export type Create = z.infer<typeof Create>;

export const Release = z.object({
  action: z.string().max(64),
  release: z.object({ id: Id, tag_name: Text, draft: z.boolean(), prerelease: z.boolean(), published_at: z.iso.datetime({ offset: true }).nullish() }),
  repository: Repository,
});
export type Release = z.infer<typeof Release>;

/** A ping of an organisation's hook has no repository. */
export const Ping = z.object({ zen: z.string(), repository: z.object({ full_name: FullName }).optional() });

export type Shape = "push" | "create" | "delete" | "release" | "ping" | "other";

/** Which event a body is of, by its shape alone: the event header is not signed, a captured body could be replayed under another name. */
export function shapeOf(body: Readonly<Record<string, unknown>>): Shape {
  const has = (key: string) => Object.hasOwn(body, key);
  if (has("zen") && has("hook_id")) return "ping";
  if (has("release")) return "release";
  if (has("ref") && has("before") && has("after")) return "push";
  if (has("ref") && has("ref_type")) return has("master_branch") ? "create" : "delete";
  return "other";
}
