import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodePayload } from "../../../src/ingest/payload.ts";

function codeOf(raw: string | Buffer, media: "json" | "form" = "json"): string {
  const payload = decodePayload(Buffer.from(raw as string), media);
  return payload.ok ? "ok" : payload.refusal.code;
}

describe("a body", () => {
  it("is an object of JSON, or it is refused with the reason", () => {
    for (const text of ["5", '"x"', "null", "[]", "true", "[{}]"]) assert.equal(codeOf(text), "not-an-object", text);
    for (const text of ["", "{", "{'a':1}", "undefined", "{}{}", "NaN"]) assert.equal(codeOf(text), "not-json", text);
    assert.equal(codeOf("{}"), "ok");
  });
  it("that is not UTF-8 is refused", () => {
    for (const bytes of [[0x7b, 0x22, 0xff, 0x22, 0x7d], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) assert.equal(codeOf(Buffer.from(bytes)), "not-utf8");
  });
  it("may start with a byte order mark", () => {
    assert.equal(codeOf(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from("{}")])), "ok");
  });
  it("keeps integers beyond 2^53 as their digits and all other numbers as numbers", () => {
    const payload = decodePayload(Buffer.from('{"id":9007199254740993,"n":[-9223372036854775808,7,1.5,1e300,0.1234567890123456789]}'), "json");
    assert.deepEqual(payload, { ok: true, body: { id: "9007199254740993", n: ["-9223372036854775808", 7, 1.5, 1e300, 0.12345678901234568] } });
  });
  it("nested a million deep does no harm", () => {
    for (const tail of ["", "1234567890123456789"]) assert.ok(["ok", "not-json"].includes(codeOf(`{"a":${"[".repeat(1e6)}${tail}${"]".repeat(1e6)}}`)));
  });
});

describe("a form", () => {
  const form = (value: string) => `payload=${encodeURIComponent(value)}`;
  it("holds the JSON in payload", () => {
    assert.deepEqual(decodePayload(Buffer.from(`${form('{"a":"é + 👋"}').replaceAll("%20", "+")}&x=1`), "form"), { ok: true, body: { a: "é + 👋" } });
  });
  it("with no payload, two payloads, or broken encoding is refused", () => {
    assert.equal(codeOf("a=1", "form"), "form-invalid");
    assert.equal(codeOf(`a=1&${form("{}")}`, "form"), "form-invalid", "what comes first is what a forge sends");
    assert.equal(codeOf("", "form"), "form-invalid");
    assert.equal(codeOf(`${form("{}")}&${form("{}")}`, "form"), "form-invalid");
    assert.equal(codeOf("payload=%7B%7", "form"), "not-utf8");
    assert.equal(codeOf("payload=%ff", "form"), "not-utf8");
    assert.equal(codeOf(form("[]"), "form"), "not-an-object");
  });
});
