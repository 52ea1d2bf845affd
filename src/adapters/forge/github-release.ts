/**
 * GitHub's release shape, as much of it as slipstream uses (GitHub docs: REST releases). Older servers and Gitea leave fields out: no `digest`, no `state`.
 * One odd entry never hides the others: it is left out.
 */

import * as z from "zod";
import type { Digest } from "../../domain/artifact.ts";
import { isSafeRef } from "../../domain/change.ts";
import type { Release, ReleaseAsset } from "../../domain/release.ts";

const MAX_URL_CHARS = 4096;

/** int64: digits in text where a double cannot hold them (see `parseLossless`). */
const Id = z.union([z.int().positive().transform(String), z.string().regex(/^[1-9][0-9]{0,19}$/)]);
/** Becomes part of paths, messages and checksum lookups. */
const AssetName = z.string().min(1).max(255).refine((name) => !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}/\\]/u.test(name) && name !== "." && name !== "..");
const isDigest = (text: unknown): text is Digest => typeof text === "string" && /^sha256:[0-9a-f]{64}$/.test(text);

const Asset = z.object({
  id: Id,
  name: AssetName,
  size: z.int().nonnegative(),
  state: z.string().nullish(),
  digest: z.unknown().optional(),
  browser_download_url: z.unknown().optional(),
});

const ReleaseReply = z.object({
  id: Id,
  tag_name: z.string().refine(isSafeRef),
  draft: z.boolean(),
  prerelease: z.boolean(),
  published_at: z.unknown().optional(),
  assets: z.array(z.unknown()).nullish(),
});

/** The releases of a list that are well-formed. Undefined when it is no list at all. */
export function releasesOf(value: unknown): readonly Release[] | undefined {
  return Array.isArray(value) ? value.flatMap((entry) => releaseOf(entry) ?? []) : undefined;
}

/** One release, or undefined when it is malformed. */
export function releaseOf(value: unknown): Release | undefined {
  const read = ReleaseReply.safeParse(value);
  if (!read.success) return undefined;
  const r = read.data;
  const at = typeof r.published_at === "string" ? Date.parse(r.published_at) : Number.NaN;
  const assets = (r.assets ?? []).flatMap((entry) => assetOf(entry) ?? []);
  return { id: r.id, tag: r.tag_name, draft: r.draft, prerelease: r.prerelease, ...(Number.isNaN(at) ? {} : { publishedAt: at }), assets };
}

function assetOf(value: unknown): ReleaseAsset | undefined {
  const read = Asset.safeParse(value);
  if (!read.success) return undefined;
  const a = read.data;
  const url = a.browser_download_url;
  return {
    id: a.id,
    name: a.name,
    bytes: a.size,
    complete: (a.state ?? "uploaded") === "uploaded",
    ...(isDigest(a.digest) ? { digest: a.digest } : {}),
    ...(typeof url === "string" && url.length <= MAX_URL_CHARS && URL.canParse(url) ? { url } : {}),
  };
}

/** JSON whose integers beyond 2^53 come back as their digits in text. @throws SyntaxError */
export function parseLossless(text: string): unknown {
  // The reviver is slow, so it runs only where such a number can be.
  if (!/[:[,]\s*[0-9]{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    return context?.source !== undefined && /^[0-9]+$/.test(context.source) ? context.source : value;
  });
}
