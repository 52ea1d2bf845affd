/**
 * GitHub's release shape, as much of it as slipstream uses (GitHub docs: REST releases). Older servers and Gitea leave fields out: no `digest`, no `state`.
 * One odd entry never hides the others: it is left out.
 */

import * as z from "zod";
import type { Digest } from "../../domain/artifact.ts";
import { isSafeRef } from "../../domain/change.ts";
import type { Release, ReleaseAsset } from "../../domain/release.ts";

const MAX_URL_CHARS = 4096;
/** What is looked at; forges give 100 at a time, and the largest releases have a few hundred assets. */
const MOST = { releases: 100, assets: 1_000 } as const;

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
  assets: z.unknown().optional(),
});

/** The releases of a list that are well-formed. Undefined when it is no list at all. */
export function releasesOf(value: unknown): readonly Release[] | undefined {
  return Array.isArray(value) ? value.slice(0, MOST.releases).flatMap((entry) => releaseOf(entry) ?? []) : undefined;
}

/** One release, or undefined when it is malformed. */
export function releaseOf(value: unknown): Release | undefined {
  const read = ReleaseReply.safeParse(value);
  if (!read.success) return undefined;
  const r = read.data;
  const at = typeof r.published_at === "string" ? Date.parse(r.published_at) : Number.NaN;
  const listed = r.assets ?? [];
  if (!Array.isArray(listed)) return undefined;
  const assets = listed.slice(0, MOST.assets).flatMap((entry) => assetOf(entry) ?? []);
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

/** An integer, as far as one can tell without knowing whether it is within a string. */
const LARGE = /[:[,]\s*([1-9][0-9]{15,19})(?=\s*[,}\]])/g;

/** JSON whose integers beyond 2^53 come back as their digits in text. @throws SyntaxError */
export function parseLossless(text: string): unknown {
  // A reviver would be called for every value there is, and hold up everything else for seconds.
  const strings = createStrings(text);
  const parts: string[] = [];
  let done = 0;
  for (const m of text.matchAll(LARGE)) {
    const digits = m[1] as string;
    const end = m.index + m[0].length;
    const at = end - digits.length;
    if (Number.isSafeInteger(Number(digits)) || strings.within(at)) continue;
    parts.push(text.slice(done, at), '"', digits, '"');
    done = end;
  }
  return JSON.parse(done === 0 ? text : parts.join("") + text.slice(done));
}

/** Tells whether a place is within a string of a JSON text; asked in ascending order, so that the text is walked once. */
function createStrings(text: string): { within(at: number): boolean } {
  /** The next quote that opens a string, and behind the one that closes it. */
  let from = text.indexOf('"');
  let to = from < 0 ? Number.POSITIVE_INFINITY : endOf(text, from);
  return {
    within(at) {
      while (to <= at) {
        from = text.indexOf('"', to);
        to = from < 0 ? Number.POSITIVE_INFINITY : endOf(text, from);
      }
      return from >= 0 && from < at;
    },
  };
}

function endOf(text: string, open: number): number {
  for (let quote = text.indexOf('"', open + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1;
    while (text[before] === "\\") before--;
    if ((quote - before) % 2 === 1) return quote + 1;
  }
  return Number.POSITIVE_INFINITY;
}
