/**
 * Verification of what strangers send. An attacker may choose every byte of the request, replay it, and time the answer;
 * so the comparison is constant in time, runs over the raw bytes, tries every key, and refuses what is not exactly well-formed.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import type { Secret } from "./secret.ts";

export type Verified = { readonly ok: true; readonly key: string } | { readonly ok: false; readonly reason: "missing" | "malformed" | "mismatch" };

const SHA256_HEX = /^[0-9a-f]{64}$/;

/** Checks `sha256=<hex>` over the raw body against every active key (GitHub docs: validating webhook deliveries). */
export function verifyHmacSha256(raw: Uint8Array, header: string | undefined, keys: readonly Secret[]): Verified {
  if (header === undefined || header === "") return { ok: false, reason: "missing" };
  return header.startsWith("sha256=") ? verifyHexHmacSha256(raw, header.slice("sha256=".length), keys) : { ok: false, reason: "malformed" };
}

/** Checks the same HMAC written as 64 bare hex digits in lower case, as Gitea and Forgejo send it. */
export function verifyHexHmacSha256(raw: Uint8Array, hex: string | undefined, keys: readonly Secret[]): Verified {
  if (hex === undefined) return { ok: false, reason: "missing" };
  if (!SHA256_HEX.test(hex)) return { ok: false, reason: "malformed" };
  const given = Buffer.from(hex, "hex");
  let key: string | undefined;
  for (const secret of keys) {
    const expected = createHmac("sha256", secret.reveal()).update(raw).digest();
    if (timingSafeEqual(expected, given)) key ??= secret.name;
  }
  return key === undefined ? { ok: false, reason: "mismatch" } : { ok: true, key };
}

/** The header `X-Hub-Signature-256` that GitHub would send with these bytes. */
export function signHmacSha256(raw: Uint8Array, key: Secret): string {
  return `sha256=${createHmac("sha256", key.reveal()).update(raw).digest("hex")}`;
}
