/** Holds docs/compatibility.md to its data, and the data to the tests that it names. */

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, test } from "node:test";
import { NAMED_TESTS, PAGE, TABLES, withTables } from "../../tools/compatibility.ts";
import { COMPATIBILITY_DEFECTS } from "../support/compatibility-defects.ts";
import { REASONS } from "../support/compatibility-versions.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

interface TestFile {
  /** Names that stand there as they are. */
  readonly plain: ReadonlySet<string>;
  /** Names with `${…}` in them, as patterns; what stood there has to be a text of the file or of the data it imports. */
  readonly made: readonly RegExp[];
  /** A test is called like a variable: the whole name has to be such a text. */
  readonly variable: boolean;
  readonly texts: string;
}

/** The names in one test file, and what names made in loops may be made of. */
function namesIn(source: string, imported: string): TestFile {
  const calls = [...source.matchAll(/^\s*(?:for \(.*\) )?(?:it|test)\((?:"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\\n]|\\.)*)`|([a-z]\w*)),/gm)];
  const templates = calls.flatMap(([, , template]) => (template === undefined ? [] : [template]));
  return {
    plain: new Set(calls.flatMap(([, plain]) => (plain === undefined ? [] : [JSON.parse(`"${plain}"`) as string]))),
    made: templates.map((t) => new RegExp(`^${t.split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/).map(escaped).join("(.*)")}$`)),
    variable: calls.some(([, , , name]) => name !== undefined),
    texts: `${source}\n${imported}`,
  };
}

/** What a value may look like where a table has it: quoted, as a key, or as a number; an empty one stands for a part that is left out. */
function isValue(part: string, texts: string): boolean {
  return part === "" || [`"${part}"`, `\`${part}\``, `'${part}'`].some((quoted) => texts.includes(quoted)) || new RegExp(`(?<![\\w"'\`])${escaped(part)}(?:: |[,\\]])`).test(texts);
}

function has(file: TestFile, name: string): boolean {
  if (file.plain.has(name) || (file.variable && isValue(name, file.texts))) return true;
  return file.made.some((pattern) => pattern.exec(name)?.slice(1).every((part) => isValue(part, file.texts)) === true);
}

/** The files that `npm test` runs (test/run.ts). */
function testFiles(): readonly TestFile[] {
  const files = globSync(["test/unit/**/*.test.ts", "test/architecture.test.ts", "test/{e2e,contract,integration}/**/*.test.ts"], { cwd: root });
  return files.map((file) => {
    const source = read(file);
    const beside = [...source.matchAll(/from "(\.[^"]*\/support\/[^"]+)"/g)].map(([, path = ""]) => join(dirname(file), path));
    return namesIn(source, beside.map(read).join("\n"));
  });
}

describe("the page on compatibility", () => {
  test("has the tables that its data makes", () => {
    const page = readFileSync(PAGE, "utf8");
    assert.equal(withTables(page), page, "run: node tools/compatibility.ts");
  });

  test("is not taken for right when a table differs, is missing or is unknown", () => {
    const page = readFileSync(PAGE, "utf8");
    assert.notEqual(withTables(page.replace("| D7 |", "| D77 |")), page.replace("| D7 |", "| D77 |"));
    assert.throws(() => withTables(page.replace("<!-- table: tools -->", "")), /table tools is not there once/);
    assert.throws(() => withTables(`${page}<!-- table: colours -->\n<!-- end -->`), /table colours .*is unknown/);
  });

  test("names only tests that exist and are run", () => {
    const files = testFiles();
    assert.ok(files.length > 80, `${files.length} files`);
    assert.deepEqual([...new Set(NAMED_TESTS)].filter((name) => !files.some((file) => has(file, name))), []);
  });

  test("finds names that loops make, by their table alone", () => {
    const file = namesIn('for (const [what] of [["a wrong key", 1]]) {\n  test(`${what} is refused`, () => {});\n  it("is plain", () => {});\n}', "");
    assert.deepEqual(["a wrong key is refused", "another key is refused", "is plain", "is"].map((name) => has(file, name)), [true, false, true, false]);
    const loop = namesIn("for (const { test } of WAYS) {\n  it(test, () => {});\n}", 'test: "is proved"');
    assert.deepEqual(["is proved", "is not proved"].map((name) => has(loop, name)), [true, false]);
  });

  test("has every defect, and every reason why a delivery leads to nothing", () => {
    const ids = COMPATIBILITY_DEFECTS.map((d) => d.id);
    assert.deepEqual(ids, Array.from({ length: 23 }, (_, i) => `D${i + 1}`));
    const reasons = [...(/export type IgnoreReason =([^;]+);/.exec(read("src/domain/change.ts"))?.[1] ?? "").matchAll(/"([^"]+)"/g)].map((m) => m[1]);
    assert.deepEqual(Object.keys(REASONS), reasons);
    assert.ok(reasons.length > 20);
  });

  test("says of every row but those of what is not supported which test it is held to", () => {
    const tables = Object.entries(TABLES).filter(([name]) => name !== "defects");
    assert.deepEqual(tables.flatMap(([name, { rows }]) => rows.filter((row) => row.at(-1) === "–" && !row.includes("not supported")).map((row) => `${name}: ${row[0]}`)), []);
  });
});
