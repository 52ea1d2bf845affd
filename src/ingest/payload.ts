/** From verified raw bytes to a JSON object, refusing whatever is not exactly that. */

import type { Refusal } from "../web/errors.ts";
import type { JsonObject } from "./receivers/receiver.ts";

export type Payload = { readonly ok: true; readonly body: JsonObject } | { readonly ok: false; readonly refusal: Refusal };

export type MediaType = "json" | "form";

/** Decodes the bytes (a leading byte order mark is tolerated, RFC 8259 §8.1), unwraps a form's `payload`, and parses. */
export function decodePayload(raw: Uint8Array, media: MediaType): Payload {
  let text: string | undefined;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(raw);
    if (media === "form") text = unwrapForm(text);
  } catch {
    return no("not-utf8", "the body is not UTF-8");
  }
  if (text === undefined) return no("form-invalid", "the form does not have exactly one field payload");
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return no("not-json", "the body is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return no("not-an-object", "the body is JSON but not an object");
  return { ok: true, body: value as JsonObject };
}

function no(code: string, message: string): Payload {
  return { ok: false, refusal: { status: 400, code, message } };
}

/**
 * URLSearchParams would replace what is not UTF-8; this throws on it. The field comes first, as GitHub sends it: the content type is not signed,
 * so that a signed JSON body, whose texts may hold anybody's `&payload=…&`, could be sent again as a form.
 */
function unwrapForm(text: string): string | undefined {
  if (!text.startsWith("payload=")) return undefined;
  const fields = text.split("&").filter((pair) => pair.startsWith("payload="));
  return fields.length === 1 ? decodeURIComponent((fields[0] as string).slice("payload=".length).replaceAll("+", " ")) : undefined;
}

/** The reviver takes a second for three million numbers; no event with ids that matter is nearly this large. */
const LOSSLESS_CHARS = 1024 * 1024;

/** Integers above 2^53 come back as their digits in text: GitHub's ids are int64 and have passed it. The reviver is slow, so it runs only where such a number can be. */
function parseJson(text: string): unknown {
  if (text.length > LOSSLESS_CHARS || !/[0-9]{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    return context?.source !== undefined && /^-?[0-9]+$/.test(context.source) ? context.source : value;
  });
}
