/** What a receiver is: it proves who sent the bytes, and says what they mean. It need not be HTTP: it sees bytes and headers only. */

import type { Change } from "../../domain/change.ts";
import type { ForgeKind } from "../../domain/subsystem.ts";
import type { Secret } from "../../kit/secret.ts";
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
  /** Whose deliveries it takes; of several receivers on one path the headers choose by it. */
  readonly forge: ForgeKind;
  /** Exact paths; each also takes `/<subsystem>` behind it. */
  readonly paths: readonly string[];
  /** `owner/name` patterns in lower case that its keys may speak about; empty for all. */
  readonly repositories: readonly string[];
  /** Whether form bodies with the JSON in `payload` are accepted; the signature is always over the raw body. */
  readonly form: boolean;
  /** Checks the raw bytes against every active key, in constant time. */
  verify(raw: Uint8Array, headers: Headers): Verified;
  /** What the unsigned headers claim; undefined where missing or not well-formed. */
  claims(headers: Headers): Claims;
  /** What the signed body says happened. Never throws; everything that identifies comes from the body. */
  extract(event: string, body: JsonObject): Extracted;
}

export interface Claims {
  readonly event?: string;
  readonly id?: string;
}

/** What a receiver is made of, whichever forge it is for. */
export interface ReceiverSettings {
  readonly name: string;
  readonly path: string;
  readonly secrets: readonly Secret[];
  readonly repositories: readonly string[];
}

/** One header's value; a repeated one counts as missing. */
export function headerOf(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}
