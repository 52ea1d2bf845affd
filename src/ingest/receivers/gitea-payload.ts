/** The few fields of Gitea's and Forgejo's payloads that slipstream uses (docs.gitea.com and forgejo.org: webhooks). Unknown keys are allowed everywhere. */

import * as z from "zod";
import { Commit, FullName, Id, Text } from "./extract.ts";

const Repository = z.object({ full_name: FullName });

export const Push = z.object({
  ref: Text,
  before: Commit,
  after: Commit,
  /** Capped: Forgejo lists 15 unless told otherwise. */
  commits: z.array(z.unknown()).nullish(),
  total_commits: z.int().nonnegative().nullish(),
  repository: Repository,
});
export type Push = z.infer<typeof Push>;

/** `sha` is not read: of an annotated tag it is the tag object. */
export const Create = z.object({ ref: Text, ref_type: z.enum(["tag", "branch"]), repository: Repository });

export const Release = z.object({
  action: z.string().max(64),
  release: z.object({ id: Id, tag_name: Text, draft: z.boolean(), prerelease: z.boolean(), published_at: z.iso.datetime({ offset: true }).nullish() }),
  repository: Repository,
});

export type Shape = "push" | "create" | "delete" | "release" | "other";

/** Which event a body is of, by its shape alone: the event header is not signed, a captured body could be replayed under another name. */
export function shapeOf(body: Readonly<Record<string, unknown>>): Shape {
  const has = (key: string) => Object.hasOwn(body, key);
  if (has("release")) return "release";
  if (has("ref") && has("before") && has("after")) return "push";
  if (has("ref") && has("ref_type")) return has("sha") ? "create" : "delete";
  return "other";
}
