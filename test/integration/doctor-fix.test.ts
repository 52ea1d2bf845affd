/** `doctor` and `doctor --fix` on a workspace of the older kind, with real Task and Process Compose to tell whether its files still mean the same. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { analyse } from "../../src/config/defects/analyse.ts";
import { applyMends, fixDefects } from "../../src/config/defects/fix.ts";
import type { Defect, FixReport } from "../../src/domain/defect.ts";
import { COMPATIBILITY_DEFECTS } from "../support/compatibility-defects.ts";
import { configWorkspace } from "../support/config-workspace.ts";
import { api, type Files } from "../support/defects.ts";
import { ROOT } from "../support/launcher.ts";
import { PLAT, PLAT_NAMES, type PlatName, platGoWork, platProcessComposeYaml, platRootTaskfile, platSyncTaskfile, platTaskfile } from "../support/plat-telemetry-files.ts";
import { workspaceEnv } from "../support/workspace-io.ts";
import { ensureTools } from "../../tools/install.ts";

const NOW = Date.UTC(2026, 5, 1, 12);

/** The recreated workspace, with the two defects of its texts that do not show in its own tasks. */
function platFiles(): Files {
  const places = { dir: "/unused", gitUrl: "http://127.0.0.1:1", ports: Object.fromEntries(PLAT_NAMES.map((name, i) => [name, 9100 + i])) as Record<PlatName, number> };
  const more = "\n  # what should be there\n  manifest:\n    cmds:\n      - echo \"liftbridge {{.LB_VERSION | default \"v1.10.0\"}}\"\n\n  test:reload:\n    cmds:\n      - task reload PROC=\"nats\n";
  return {
    "Taskfile.yml": platRootTaskfile() + more,
    "sync/Taskfile.yml": platSyncTaskfile(),
    "process-compose.yaml": platProcessComposeYaml({ disabled: ["liftbridge"] }),
    "go.work": platGoWork(),
    ...Object.fromEntries(Object.values(PLAT).map((plan) => [`${plan.name}/Taskfile.yml`, `# ${plan.name}: made from its own repository\n${platTaskfile(places, plan)}`])),
    "telegraf/.bin/.version": "latest\n",
    "slipstream.yaml": `subsystems:\n${PLAT_NAMES.map((name) => `  ${name}: { mode: source }\n`).join("")}`,
  };
}

interface Ran {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}
const ran = (program: string, args: readonly string[], cwd: string): Promise<Ran> => new Promise((done) => execFile(program, args, { cwd, env: workspaceEnv(), maxBuffer: 1 << 26 }, (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr })));

/** Files below a folder with their text, `.slipstream` left out. */
async function textsOf(dir: string): Promise<Record<string, string>> {
  const all = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = all.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name)).filter((p) => !p.includes("/.slipstream/"));
  return Object.fromEntries(await Promise.all(files.sort().map(async (p) => [p.slice(dir.length + 1), await readFile(p, "utf8")] as const)));
}

describe("doctor --fix", { timeout: 240_000 }, () => {
  let tools: Awaited<ReturnType<typeof ensureTools>>;
  let dir: string;
  const doctor = (...args: string[]) => ran(join(ROOT, "bin/slipstream"), ["doctor", "--workspace", dir, ...args], dir);

  before(async () => {
    tools = await ensureTools();
    dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-fix-")));
    for (const [path, text] of Object.entries(platFiles())) {
      await mkdir(dirname(join(dir, path)), { recursive: true });
      await writeFile(join(dir, path), text);
    }
  });
  after(() => rm(dir, { recursive: true, force: true }));

  test("doctor finds every defect that files can show, by file and line, and changes nothing", async () => {
    const before = await textsOf(dir);
    const { defects } = JSON.parse((await doctor("--json")).stdout) as { defects: Defect[] };
    const ids = [...new Set(defects.map((d) => d.id))].sort();
    assert.deepEqual(ids, COMPATIBILITY_DEFECTS.filter((d) => d.seenBy === "doctor").map((d) => d.id).sort());
    const at = (id: string, file: string) => defects.filter((d) => d.id === id && d.file === file).map((d) => before[file]?.split("\n")[d.line - 1]?.trim());
    assert.deepEqual(at("D1", "nats/Taskfile.yml"), ["- test -f {{.NATS_BIN}}"]);
    assert.deepEqual(at("D7", "telegraf/Taskfile.yml"), ["- cp .src/telegraf {{.TG_BIN}}"]);
    assert.deepEqual(at("D8", "docs/Taskfile.yml"), ["deps: [ensure]"]);
    assert.deepEqual(at("D9", "telegraf/.bin/.version"), ["latest"]);
    assert.deepEqual(at("D13", "process-compose.yaml"), ["nats:", "arc:", "telegraf:", "liftbridge:", "hugo:"]);
    assert.deepEqual(at("D13", "Taskfile.yml"), ["- process-compose process stop {{.PROC}} -U -u pc/.pc.sock"]);
    assert.deepEqual(at("D22", "Taskfile.yml"), ['- task reload PROC="nats']);
    for (const id of ["D1", "D2", "D3", "D4", "D6", "D7", "D11"]) assert.equal(new Set(defects.filter((d) => d.id === id && d.subsystem !== "sync").map((d) => d.subsystem)).size, PLAT_NAMES.length, id);
    assert.deepEqual(await textsOf(dir), before);
  });

  test("doctor tells each kind in one line and each mend once, however many subsystems have it", async () => {
    const { stdout } = await doctor();
    assert.match(stdout, /\nDefects of Taskfiles and the process-compose file: \d+ in 11 files\n/);
    assert.equal(stdout.match(/^ {2}D1 {3}bin:build never builds again +8x +--fix +.*nats.*and 2 more$/gm)?.length, 1, stdout);
    assert.equal(stdout.match(/^ +-\s+- test -f \{\{\.\w+_BIN\}\}$/gm)?.length, 2, "once for D1, once for D2");
    assert.match(stdout, /\n {4}\d\d {2}D8 {2}arc:run comes to arc:bin:build through arc:ensure/);
    assert.equal(stdout.includes("\u001b"), false, "no colours in a pipe");
    assert.match(stdout, /\nchecks: \d+ ok, \d+ to look at, \d+ wrong; defects in files: \d+\n$/);
  });

  test("--fix applies the safe mends and keeps comments, tasks and processes; what was there is kept, and a second time changes nothing", async () => {
    const before = await textsOf(dir);
    await chmod(join(dir, "nats/Taskfile.yml"), 0o640);
    const list = async () => (JSON.parse((await ran(tools.task, ["--list-all", "--json", "--no-status"], dir)).stdout) as { tasks: { task: string; desc: string }[] }).tasks.map((t) => [t.task, t.desc]);
    const tasks = await list();
    const found = (JSON.parse((await doctor("--json")).stdout) as { defects: readonly { readonly id: string; readonly safe: boolean }[] }).defects;
    assert.ok(tasks.length > 60, String(tasks.length));

    const preview = await fixDefects({ workspace: dir, env: {}, dryRun: true, now: NOW });
    assert.deepEqual(await textsOf(dir), before);
    assert.deepEqual((await readdir(dir)).includes(".slipstream"), false);
    const { code, stdout } = await doctor("--fix", "--json");
    const report = JSON.parse(stdout) as FixReport;
    assert.deepEqual([code, report.dryRun, report.files.filter((f) => f.refused !== undefined)], [0, false, []]);
    assert.deepEqual(report.files.map((f) => f.diff), preview.files.map((f) => f.diff));

    const now = await textsOf(dir);
    assert.deepEqual(Object.keys(now), Object.keys(before), "no file comes or goes");
    const changed = Object.keys(now).filter((path) => now[path] !== before[path]);
    assert.deepEqual(changed, report.files.map((f) => f.file).sort());
    const comments = (text: string | undefined) => text?.match(/^\s*#.*$/gm);
    for (const path of changed) assert.deepEqual(comments(now[path]), comments(before[path]), path);
    for (const { file, backup } of report.files) assert.equal(await readFile(join(dir, backup as string), "utf8"), before[file]);
    assert.equal((await stat(join(dir, "nats/Taskfile.yml"))).mode & 0o777, 0o640);
    assert.deepEqual(await list(), tasks);
    assert.equal((await ran(tools.processCompose, ["--dry-run", "-f", "process-compose.yaml"], dir)).code, 0);
    assert.match(now["telegraf/Taskfile.yml"] ?? "", /- cp \.src\/telegraf \{\{\.TG_BIN\}\}\.new && mv -f \{\{\.TG_BIN\}\}\.new \{\{\.TG_BIN\}\}\n/);

    const again = await fixDefects({ workspace: dir, env: {}, dryRun: false, now: NOW });
    assert.deepEqual(again.files, []);
    assert.deepEqual(await textsOf(dir), now);
    assert.deepEqual(again.left, report.left);
    // What is left is what was there before and cannot be applied: no mend hides another defect.
    const byHand = (all: readonly { readonly id: string; readonly safe: boolean }[], id: string) => all.filter((d) => d.id === id && !d.safe).length;
    for (const id of ["D4", "D6", "D8", "D9", "D10", "D11", "D18", "D19"]) assert.equal(byHand(again.left, id), byHand(found, id), `by hand of ${id}`);
    assert.deepEqual(again.left.filter((d) => d.safe || ["D1", "D3", "D7"].includes(d.id)), []);
  });

  test("a build that was mended builds again, and renames the program into its place", async (t) => {
    const { dir: ws } = await configWorkspace(t, { ...api("bin:build:\n  cmds:\n    - mkdir -p api/.bin\n    - cp program {{.API_BIN}} # in its place\n  status:\n    - test -f {{.API_BIN}}"), program: "#!/bin/sh\nexec sleep 300\n" });
    await chmod(join(ws, "program"), 0o755);
    const build = () => ran(tools.task, ["api:bin:build"], ws);
    const installed = join(ws, "api/.bin/api-server");
    assert.equal((await build()).code, 0);
    const first = await stat(installed);
    await writeFile(join(ws, "program"), "#!/bin/sh\nexec sleep 301\n");
    assert.match((await build()).stderr, /up to date/);
    const { files } = await fixDefects({ workspace: ws, env: {}, dryRun: false, now: NOW });
    assert.deepEqual(files.map((f) => [f.ids, f.refused]), [[["D7", "D1"], undefined]]);
    assert.equal((await build()).code, 0);
    const second = await stat(installed);
    assert.notEqual(second.ino, first.ino, "renamed, not written over");
    assert.match(await readFile(installed, "utf8"), /301/);
    assert.equal(second.mode, first.mode);
  });

  const skipped = api("bin:build:\n  cmds: [sh b.sh]\n  status: [test -f .bin/a]");
  const path = "api/Taskfile.yml";
  /** What became of that one file, which holds the same as before. */
  async function refused(t: TestContext, spoil: (dir: string, file: string) => Promise<unknown>): Promise<string | undefined> {
    const { dir: ws } = await configWorkspace(t, skipped);
    const { mended } = await analyse({ workspace: ws, env: {} });
    assert.deepEqual(mended.map((m) => m.path), [join(ws, path)]);
    await spoil(ws, join(ws, path));
    const before = await readFile(join(ws, path));
    const [file] = await applyMends(mended, { workspace: ws, stateDir: join(ws, ".slipstream"), backups: join(ws, ".slipstream/backups/now"), dryRun: false, now: NOW });
    assert.deepEqual(await readFile(join(ws, path)), before);
    assert.deepEqual((await readdir(join(ws, "api"))).filter((n) => n !== "Taskfile.yml"), [], "nothing half-written stays");
    return file?.refused;
  }

  test("a file that was changed meanwhile, is read-only, or has become a link out of the workspace stays as it is", async (t) => {
    assert.match((await refused(t, (_, file) => writeFile(file, `${skipped[path]}# more\n`))) ?? "", /it was changed meanwhile; run doctor --fix again/);
    assert.match((await refused(t, (_, file) => chmod(file, 0o444))) ?? "", /it is read-only \(mode 444\)/);
    const outside = await configWorkspace(t, { "Taskfile.yml": skipped[path] as string });
    const link = async (_: string, file: string) => {
      await rm(file);
      await symlink(join(outside.dir, "Taskfile.yml"), file);
    };
    assert.match((await refused(t, link)) ?? "", /it lies outside of the workspace/);
    assert.match((await refused(t, async (ws) => symlink(tmpdir(), join(ws, ".slipstream")))) ?? "", /symbolic link/);
  });

  test("a link inside the workspace is followed and stays a link, and text that is not UTF-8 is not written back", async (t) => {
    const { dir: ws } = await configWorkspace(t, { "Taskfile.yml": skipped["Taskfile.yml"] as string, "shared/api.yml": skipped[path] as string });
    await mkdir(join(ws, "api"));
    await symlink("../shared/api.yml", join(ws, path));
    const { files } = await fixDefects({ workspace: ws, env: {}, dryRun: false, now: NOW });
    assert.deepEqual(files.map((f) => [f.file, f.refused]), [[path, undefined]]);
    assert.equal(await realpath(join(ws, path)), join(ws, "shared/api.yml"));
    assert.equal((await readFile(join(ws, "shared/api.yml"), "utf8")).includes("status"), false);
    await writeFile(join(ws, "shared/api.yml"), Buffer.concat([Buffer.from("# caf\xe9\n", "latin1"), Buffer.from(skipped[path] as string)]));
    const [latin] = (await fixDefects({ workspace: ws, env: {}, dryRun: false, now: NOW + 1 })).files;
    assert.match(latin?.refused ?? "", /it is not UTF-8/);
  });

  test("a folder that is not there has nothing to mend, and says so", async () => {
    await assert.rejects(fixDefects({ workspace: join(dir, "nowhere"), env: {}, dryRun: false, now: NOW }), /nowhere: is no folder that can be read, expected the workspace/);
  });
});
