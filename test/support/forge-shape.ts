/** The shapes that forges give releases and assets: GitHub's of today, an older GitHub Enterprise Server's, and Gitea's. */

import { createHash } from "node:crypto";
import type { StoredAsset, StoredRelease } from "./forge.ts";

/** `old-ghes`: before digests and immutable releases. */
export type ForgeStyle = "github" | "gitea" | "old-ghes";

export interface ShapeOf {
  readonly style: ForgeStyle;
  readonly api: string;
  readonly web: string;
}

/** An integer of any length as JSON writes it. */
export function rawInteger(digits: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(digits);
}

const USER = { login: "octo-maker", id: 900001, node_id: "MDQ6VXNlcjkwMDAwMQ==", type: "User", site_admin: false, html_url: "https://github.com/octo-maker" };

function isoOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString().replace(".000Z", "Z");
}

export function releaseJson(shape: ShapeOf, r: StoredRelease): Record<string, unknown> {
  const url = `${shape.api}/repos/${r.repo}/releases/${r.id}`;
  const common = {
    url,
    html_url: `${shape.web}/${r.repo}/releases/tag/${r.tag}`,
    id: rawInteger(r.id),
    tag_name: r.tag,
    target_commitish: "main",
    name: r.tag,
    body: r.body ?? "Größere Änderungen 🚀 — see the changelog.",
    draft: r.draft ?? false,
    prerelease: r.prerelease ?? false,
    created_at: isoOf(r.createdAt),
    published_at: isoOf(r.publishedAt),
    author: USER,
    assets: r.assets.map((a) => assetJson(shape, r, a)),
    tarball_url: `${shape.api}/repos/${r.repo}/tarball/${r.tag}`,
    zipball_url: `${shape.api}/repos/${r.repo}/zipball/${r.tag}`,
  };
  if (shape.style === "gitea") return { ...common, upload_url: `${url}/assets`, ...r.odd };
  const github = { ...common, assets_url: `${url}/assets`, upload_url: `${shape.web}/api/uploads/repos/${r.repo}/releases/${r.id}/assets{?name,label}`, node_id: "RE_kwDOKbMzAM4JdKGr" };
  return shape.style === "old-ghes" ? { ...github, ...r.odd } : { ...github, immutable: false, updated_at: isoOf(r.updatedAt), ...r.odd };
}

export function assetJson(shape: ShapeOf, r: StoredRelease, a: StoredAsset): Record<string, unknown> {
  const common = { id: rawInteger(a.id), name: a.name, size: a.content.length, download_count: 0, created_at: isoOf(r.createdAt), browser_download_url: `${shape.web}/${r.repo}/releases/download/${r.tag}/${encodeURIComponent(a.name)}` };
  if (shape.style === "gitea") return { ...common, uuid: a.uuid, ...a.odd };
  const state = a.state ?? "uploaded";
  const github = { url: `${shape.api}/repos/${r.repo}/releases/assets/${a.id}`, node_id: "RA_kwDOKbMzAM4JdKGr", ...common, label: "", uploader: USER, content_type: "application/octet-stream", state, updated_at: isoOf(r.updatedAt) };
  if (shape.style === "old-ghes") return { ...github, ...a.odd };
  const digest = a.digest === "none" || state !== "uploaded" ? null : (a.digest ?? `sha256:${createHash("sha256").update(a.content).digest("hex")}`);
  return { ...github, digest, ...a.odd };
}
