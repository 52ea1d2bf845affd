import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluate, type Value } from "../../../src/config/template.ts";

const set: Record<string, Value> = {
  NAME: { known: true, text: "nats", defaulted: false },
  EMPTY: { known: true, text: "", defaulted: false },
  DYNAMIC: { known: false, why: "sh:" },
};
const lookup = { variable: (name: string) => set[name], env: (name: string) => ({ HOME: "/home/me" })[name] };
const text = (template: string) => {
  const value = evaluate(template, lookup);
  return value.known ? value.text : `? ${value.why}`;
};

describe("the part of Task's templates that is understood", () => {
  for (const [template, wanted] of [
    ["plain v1", "plain v1"],
    ["{{.NAME}}", "nats"],
    ["{{ .MISSING }}", ""],
    ['{{.MISSING | default "main"}}', "main"],
    ['{{.NAME | default "main"}}', "nats"],
    ['{{.EMPTY | default "main"}}', "main"],
    ['{{default "main" .MISSING}}', "main"],
    ["{{.MISSING | default .NAME}}", "nats"],
    ['{{.MISSING | default .EMPTY | default "last"}}', "last"],
    ["{{.MISSING | default `raw`}}", "raw"],
    ["{{.MISSING | default 3}}", "3"],
    ['{{env "HOME"}}/x', "/home/me/x"],
    ['{{.MISSING | default (env "HOME")}}', "/home/me"],
    ["https://github.com/{{.NAME}}-io/{{.NAME}}.git", "https://github.com/nats-io/nats.git"],
    ["a {{- .NAME -}} b", "anatsb"],
    ['{{.MISSING | default "a\\"b"}}', 'a"b'],
  ] as const) {
    it(`reads ${template} as ${JSON.stringify(wanted)}`, () => assert.equal(text(template), wanted));
  }

  it("grows neither without end nor deeper than the stack", () => {
    const big: Record<string, Value> = {};
    const values = { variable: (name: string) => big[name], env: () => undefined };
    big["V0"] = { known: true, text: "0123456789", defaulted: false };
    for (let i = 1; i <= 40; i++) big[`V${i}`] = evaluate(`{{.V${i - 1}}}{{.V${i - 1}}}`, values);
    assert.deepEqual([big["V5"]?.known, big["V40"]?.known], [true, false]);
    assert.equal(evaluate(`{{${"(".repeat(5_000)}.V0${")".repeat(5_000)}}}`, values).known, false);
    assert.equal(evaluate("{{((.V0))}}", values).known, true);
    assert.deepEqual(["{{", "a {{ b", "{{.V0}} {{", "}}", "{{-}}"].map((text) => evaluate(text, values)).map((v) => (v.known ? v.text : "?")), ["{{", "a {{ b", "0123456789 {{", "}}", "?"]);
  });

  for (const template of ["{{.NAME | upper}}", "{{if .NAME}}", "{{OS}}", '{{printf "%s" .NAME}}', "{{.NAME.Field}}", '{{default "a"}}', '{{"a" | .NAME}}', "{{.NAME .EMPTY}}"]) {
    it(`says that ${template} is not understood`, () => assert.equal(text(template), `? ${template}`));
  }

  it("does not hide a variable that is not understood behind a default", () => assert.equal(text('{{.DYNAMIC | default "main"}}'), "? sh:"));

  it("knows a fallback from what somebody set", () => {
    assert.deepEqual(evaluate('{{.MISSING | default "main"}}', lookup), { known: true, text: "main", defaulted: true });
    assert.deepEqual(evaluate('{{.NAME | default "main"}}', lookup), { known: true, text: "nats", defaulted: false });
  });
});
