import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { findDefects } from "../../../src/config/defects/analyse.ts";
import { applyEdits, createProof } from "../../../src/config/defects/edits.ts";
import { nestedTasks, openQuote } from "../../../src/config/defects/shell.ts";
import { examplePlan } from "../../../src/config/example.ts";
import { type Defect, DEFECT_TITLES } from "../../../src/domain/defect.ts";
import { COMPATIBILITY_DEFECTS } from "../../support/compatibility-defects.ts";
import { configWorkspace } from "../../support/config-workspace.ts";
import { api, DEFECT_CASES, type Files } from "../../support/defects.ts";
import { type Places, processComposeYaml, prefixedTaskfile, rootTaskfile, type SourcePlaces, SUBSYSTEMS } from "../../support/workspace-files.ts";
import { ROOT } from "../../support/launcher.ts";

async function defectsOf(t: TestContext, files: Files): Promise<readonly Defect[]> {
  const { dir } = await configWorkspace(t, files);
  return findDefects({ workspace: dir, env: {} });
}

/** The changed lines of a diff, their sign and no indentation. */
const changed = (diff: string | undefined): string[] => (diff ?? "").split("\n").filter((l) => /^[-+](?![-+]{2} )/.test(l)).map((l) => l[0] + l.slice(1).trim());
const lineOf = (text: string, part: string): number => text.split("\n").findIndex((l) => l.includes(part)) + 1;
const short = (all: readonly Defect[]): string[] => all.map((d) => `${d.id} ${d.file}:${d.line}`);

describe("defects", () => {
  for (const c of DEFECT_CASES) {
    test(`${c.id} is found where it stands, with its mend: ${c.says.source}`, async (t) => {
      const found = (await defectsOf(t, c.files)).filter((d) => d.id === c.id && c.says.test(d.message));
      assert.equal(found.length, 1, JSON.stringify(await defectsOf(t, c.files), null, 1));
      const [d] = found as [Defect];
      assert.deepEqual([d.file, d.line], [c.file, lineOf(c.files[c.file] as string, c.at)]);
      assert.equal(d.safe, c.safe, d.whyNotSafe);
      assert.deepEqual(changed(d.diff), c.diff ?? []);
      assert.equal(d.diff !== undefined && !d.safe, d.whyNotSafe !== undefined, "what is left to a person says why");
    });
  }

  test("what is written otherwise is none: every near miss", async (t) => {
    for (const c of DEFECT_CASES) {
      for (const [i, files] of c.nearMisses.entries()) {
        const found = await defectsOf(t, files);
        assert.deepEqual(found.filter((d) => d.id === c.id), [], `${c.id}, near miss ${i}`);
      }
    }
  });

  test("healthy workspaces have none: this repository, the example, and the shipped taskfiles", async (t) => {
    assert.deepEqual(short(await findDefects({ workspace: ROOT, env: {} })), []);
    const { files } = examplePlan();
    assert.deepEqual(short(await defectsOf(t, Object.fromEntries(files.map((f) => [f.path, f.text])))), []);
  });

  test("of the workspace the other tests run on, only the include in the older style has some", async (t) => {
    const places: Places = { dir: "/srv/ws", socket: "/srv/ws/pc.sock", ports: { api: 1, worker: 2, web: 3 }, daemonPort: 4, launcher: "/usr/bin/slipstream", task: "task" };
    const source: SourcePlaces = { ...places, repositories: "/srv/git", gitUrl: "http://127.0.0.1:1" };
    const shipped = Object.fromEntries(examplePlan().files.filter((f) => f.path.startsWith("taskfiles/")).map((f) => [f.path, f.text]));
    const found = await defectsOf(t, { ...shipped, "Taskfile.yml": rootTaskfile(source), "worker/Taskfile.yml": prefixedTaskfile(source, SUBSYSTEMS.worker), "process-compose.yaml": processComposeYaml(places, { daemon: true }) });
    assert.deepEqual(found.map((d) => `${d.id} ${d.subsystem}`), ["D3 worker", "D7 worker", "D1 worker"]);
  });

  test("a mend that waits for another is applied with it: the skip goes when nothing is written over", async (t) => {
    const found = await defectsOf(t, api("bin:build:\n  cmds:\n    - cp .src/api {{.API_BIN}}\n  status:\n    - test -f {{.API_BIN}}"));
    assert.deepEqual(found.map((d) => [d.id, d.safe]), [["D7", true], ["D1", true]]);
    const blocked = await defectsOf(t, api("bin:build:\n  cmds:\n    - cp .src/api {{.API_BIN}} && echo ok\n  status:\n    - test -f {{.API_BIN}}"));
    assert.deepEqual(blocked.map((d) => [d.id, d.safe, /\(D7\)/.test(d.whyNotSafe ?? "")]), [["D7", false, false], ["D1", false, true]]);
  });

  test("a Taskfile in JSON, with CRLF, with anchors, or without tasks is read like any other", async (t) => {
    const json = { version: "3", vars: { API_UPSTREAM_REPO: "x" }, tasks: { "bin:build": { cmds: ["sh b.sh"], status: ["test -f .bin/api"] } } };
    const [inJson] = await defectsOf(t, { ...api(""), "api/Taskfile.yml": JSON.stringify(json) });
    assert.deepEqual(changed(inJson?.diff).map((l) => l.slice(1)).at(-1), JSON.stringify({ ...json, tasks: { "bin:build": { cmds: ["sh b.sh"] } } }));
    const crlf = (text: string) => text.replaceAll("\n", "\r\n");
    const files = api("run: ./.bin/api-server", { processes: "api:\n  command: task api:run" });
    const [stop] = await defectsOf(t, { ...files, "process-compose.yaml": crlf(files["process-compose.yaml"] as string) });
    assert.match(stop?.diff ?? "", /\+ {4}shutdown:\r\n\+ {6}timeout_seconds: 10\r\n/);
    const merged = "x-base: &base\n  shutdown: { timeout_seconds: 5 }\nprocesses:\n  api:\n    <<: *base\n    command: task api:run\n  web: *base\n";
    assert.deepEqual(await defectsOf(t, { ...files, "process-compose.yaml": merged }), []);
    assert.deepEqual(await defectsOf(t, { "Taskfile.yml": "version: '3'\nincludes:\n  gone: ./gone\n  api: ./api\n", "api/Taskfile.yml": "tasks: [\n" }), []);
  });

  test("processes that another file may say more about are not judged", async (t) => {
    const files = api("run: ./.bin/api-server", { processes: "api:\n  command: task api:run" });
    assert.deepEqual(short(await defectsOf(t, files)), ["D13 process-compose.yaml:4"]);
    assert.deepEqual(await defectsOf(t, { ...files, "process-compose.override.yaml": "processes: { api: { shutdown: { timeout_seconds: 3 } } }\n" }), []);
    const { dir } = await configWorkspace(t, files);
    assert.deepEqual(await findDefects({ workspace: dir, env: { PC_CONFIG_FILES: "process-compose.yaml,more.yaml" } }), []);
  });

  test("files of a submodule, of a source and of another folder are left to a person, with the diff", async (t) => {
    const broken = "version: '3'\nvars: { UPSTREAM_REPO: x }\ntasks:\n  bin:build:\n    cmds: [sh b.sh]\n    status: [test -f .bin/a]\n";
    const outside = await configWorkspace(t, { "Taskfile.yml": broken });
    const found = await defectsOf(t, { "Taskfile.yml": `version: '3'\nincludes:\n  a: ./vendor/a\n  b: ./b/.src\n  c: ${join(outside.dir, "Taskfile.yml")}\n`, "vendor/a/.git": "gitdir: ../../.git/modules/a\n", "vendor/a/Taskfile.yml": broken, "b/.src/Taskfile.yml": broken });
    assert.deepEqual(found.map((d) => [d.subsystem, d.safe, d.diff !== undefined]).sort(), [["a", false, true], ["b", false, true], ["c", false, true]]);
    assert.deepEqual(found.map((d) => d.whyNotSafe).sort(), ["it belongs to another repository (vendor/a)", "it lies in .src", "it lies outside of the workspace"]);
  });

  test("an edit that would change anything but its own task is no mend", () => {
    const before = "tasks:\n  a: { cmds: [x] }\n  b: { cmds: [y] }\n";
    const changing = (from: string, to: string) => createProof()(before, before.replace(from, to), ["tasks", "a"]);
    assert.deepEqual([changing("[x]", "[z]"), changing("[y]", "[z]"), changing("  b:", "  c:"), changing("[x]", "[x"), changing("tasks:\n  a: { cmds: [x] }\n", "tasks:\n")], [true, false, false, false, false]);
    assert.equal(applyEdits("abc", [{ start: 1, end: 1, text: "1" }, { start: 1, end: 1, text: "2" }, { start: 0, end: 1, text: "" }]), "12bc");
  });

  test("where a mend cannot be proved from the text, the place is told and no diff is offered", async (t) => {
    const build = (command: string) => api(`bin:build:\n  cmds:\n    - ${command}`);
    const doubtful: readonly (readonly [string, Files])[] = [
      ["a comment behind it", build("|\n      cp .src/api {{.API_BIN}} # done")],
      ["a line that goes on", build("|\n      go build -o {{.API_BIN}} \\\n        ./cmd")],
      ["more behind it", build("cp .src/api {{.API_BIN}}; echo done")],
      ["lines that YAML joins", build(">-\n      cd .src\n      && cp api {{.API_BIN}}\n      || true")],
      ["an option that means something else with a rename", build("cp -n .src/api {{.API_BIN}}")],
    ];
    for (const [why, files] of doubtful) assert.deepEqual((await defectsOf(t, files)).filter((d) => d.diff !== undefined), [], why);
    assert.deepEqual(await defectsOf(t, build("|\n      echo \"use\n      cp .src/api {{.API_BIN}}\n      \"")), [], "text in quotes is no command");
    const nested = (more: string, top = "") => ({ ...api("bin:build: sh ./build.sh"), "Taskfile.yml": `version: '3'\n${top}includes: { api: ./api }\ntasks:\n  all:\n${more}    cmds:\n      - task api:bin:build\n` });
    const diffs = async (files: Files) => (await defectsOf(t, files)).map((d) => d.diff !== undefined);
    assert.deepEqual([await diffs(nested("")), await diffs(nested("    dir: ./api\n")), await diffs(nested("    env: { A: b }\n")), await diffs(nested("", "run: once\n"))], [[true], [false], [false], [false]]);
  });

  test("a quote that is never closed is told from one that is", () => {
    const at = (text: string) => openQuote(text)?.at;
    assert.deepEqual(['a "b', "a 'b", 'a "$(b "c") d', "a `b", 'echo $(( 1 + (2) )) "a'].map(at), [2, 2, 2, 2, 20]);
    assert.deepEqual(["a \"b\" 'c'", 'a "$(b "c" \'d "\')"', "# it's", "a \\\" b", 'a "${x:-it\'s}"', "a $'it\\'s'", "a b#it's'", "cat <<EOF\nit's\nEOF", '{{if .A}}"{{end}}', 'x="$(case $1 in a) echo;; esac)"'].map(at), Array(10).fill(undefined));
    assert.deepEqual(nestedTasks('task a:b && X=1 task {{.S}}:c; exec task -s d\necho "then task e"\nif x; then task f; fi; task --list; mytask g'), ["a:b", "{{.S}}:c", "d", "f"]);
  });

  test("every defect has its title, its row in the table of compatibility, and a case here where files show it", () => {
    const ids = Object.keys(DEFECT_TITLES);
    assert.deepEqual(COMPATIBILITY_DEFECTS.map((d) => [d.id, d.title]), ids.map((id) => [id, DEFECT_TITLES[id as Defect["id"]]]));
    const cases = (id: string) => DEFECT_CASES.filter((c) => c.id === id);
    assert.deepEqual(COMPATIBILITY_DEFECTS.filter((d) => d.seenBy === "doctor").map((d) => d.id), ids.filter((id) => cases(id).length > 0));
    assert.deepEqual(COMPATIBILITY_DEFECTS.filter((d) => d.fix === "safe").map((d) => d.id), ids.filter((id) => cases(id).some((c) => c.safe)));
  });
});
