/** What a receiver is: it proves who sent the bytes, and says what they mean. It need not be HTTP: it sees bytes and headers only. */

import type { Change } from "../../domain/change.ts";
import type { Verified } from "../../kit/verify.ts";

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Parsed JSON of an object. */
export type JsonObject = Readonly<Record<string, unknown>>;

export type Extracted =
  | { readonly ok: true; readonly change: Change; /** For the log: why a legal event is not used. */ readonly note?: string }
  | { readonly ok: false; readonly code: "event-mismatch" | "payload-invalid"; readonly message: string };

export interface Receiver {
  /** Stored with each delivery; part of the key of sameness. */
  readonly name: string;
  /** Exact paths; each also takes `/<subsystem>` behind it. */
  readonly paths: readonly string[];
  /** Whether form bodies with the JSON in `payload` are accepted; the signature is always over the raw body. */
  readonly form: boolean;
  /** Checks the raw bytes against every active key, in constant time. */
  verify(raw: Uint8Array, headers: Headers): Verified;
  /** What the unsigned headers claim; undefined where missing or not well-formed. */
  claims(headers: Headers): { readonly event?: string; readonly id?: string };
  /** What the signed body says happened. Never throws; everything that identifies comes from the body. */
  extract(event: string, body: JsonObject): Extracted;
}

/** One header's value; a repeated one counts as missing. */
export function headerOf(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}
