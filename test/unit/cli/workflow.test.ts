import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { runCli } from "../../../src/cli/program.ts";
import { workflowText } from "../../../src/cli/workflow.ts";
import type { Subsystem } from "../../../src/domain/subsystem.ts";
import { VERSION } from "../../../src/kit/program-version.ts";
import { TASK } from "../../../tools/pins.ts";
import { fakeContext, terminal } from "../../support/cli.ts";
import { releaseFeed, subsystem } from "../../support/subsystem.ts";

interface Step {
  readonly name?: string;
  readonly id?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly on: Readonly<Record<string, { readonly types?: readonly string[]; readonly branches?: readonly string[]; readonly paths?: readonly string[] }>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: { readonly update: { readonly steps: readonly Step[] } };
}

const layout = (...subsystems: Subsystem[]) => ({ workspace: "/srv/ws", rootTaskfile: "/srv/ws/Taskfile.yml", subsystems });
const nats = subsystem({ name: "nats", dir: "/srv/ws/nats", build: { task: "nats:bin:build" } });
const made = (text: string) => parse(text) as Workflow;
const steps = (w: Workflow) => w.jobs.update.steps;

for (const forge of ["github", "gitea"] as const) {
  describe(`the CI file for ${forge}`, () => {
    const text = workflowText(layout(nats, subsystem({ name: "web", dir: "/srv/ws/services/web", build: { argv: ["make"] } }), subsystem({ name: "slipstream", notManaged: "runs slipstream" })), forge, "trunk");
    const w = made(text);

    test("is never started by the clock: by hand, by a dispatch, and by a push of what matters to the branch", () => {
      assert.deepEqual(Object.keys(w.on), forge === "github" ? ["workflow_dispatch", "repository_dispatch", "push"] : ["workflow_dispatch", "push"]);
      assert.deepEqual(w.on["push"], { branches: ["trunk"], paths: ["slipstream.yaml", "Taskfile.yml", "taskfiles/**", "nats/**", "services/web/**"] });
      if (forge === "github") assert.deepEqual(w.on["repository_dispatch"], { types: ["slipstream"] });
    });

    test("may read the repository and no more, and leaves no token where builds could read it", () => {
      assert.deepEqual(w.permissions, { contents: "read" });
      assert.equal(steps(w)[0]?.with?.["persist-credentials"], false);
      assert.doesNotMatch(text, /secrets\.|github\.token/);
    });

    test("pins every action and every program to one version", () => {
      assert.deepEqual(steps(w).flatMap((s) => (s.uses !== undefined && !/^actions\/[a-z/-]+@v\d+\.\d+\.\d+$/.test(s.uses) ? [s.uses] : [])), []);
      assert.match(steps(w).find((s) => s.run?.startsWith("npm"))?.run ?? "", new RegExp(`^npm install --global .*@go-task/cli@${TASK.pinned.slice(1)} slipstreamd@${VERSION}$`));
    });

    test("puts nothing that somebody typed into a shell line", () => {
      for (const { run, env } of steps(w)) {
        assert.doesNotMatch(run ?? "", /\$\{\{/);
        for (const name of Object.keys(env ?? {})) assert.match(name, /^SLIPSTREAM_/, "Task reads its environment: VERSION would be a variable of every Taskfile");
      }
    });

    test("updates what moved, packs what changed, and remembers it only once the packages are uploaded", () => {
      const at = (id: string) => steps(w).findIndex((s) => s.id === id);
      assert.match(steps(w)[at("update")]?.run ?? "", /^ *slipstream update --changed --no-reload --ci --json$/m);
      assert.match(steps(w)[at("pack")]?.run ?? "", /if changed 'nats'; then task 'nats:package'; fi\nif changed 'web'; then echo 'web: say here how it is packed' >&2; exit 1; fi\n$/);
      assert.equal(steps(w)[at("upload")]?.with?.["path"], ".dist/\nservices/.dist/\n");
      const save = steps(w).at(-1);
      assert.match(`${save?.uses} ${save?.if}`, /cache\/save@.*steps\.upload\.outcome == 'success'/);
      assert.ok(at("update") < at("pack") && at("pack") < at("upload") && at("upload") < steps(w).length - 1);
    });

    test("says in words how the move of an upstream gets here", () => {
      assert.match(text.replaceAll("\n# ", " "), /DEV machine, whose slipstream daemon gets the upstream's webhooks/);
      assert.match(text, forge === "github" ? /gh api repos\/OWNER\/REPOSITORY\/dispatches -f event_type=slipstream/ : /workflows\/slipstream\.yml\/dispatches/);
    });
  });
}

describe("slipstream workflow", () => {
  test("gives the forge's token to slipstream alone, and only where it asks that forge", () => {
    const w = made(workflowText(layout({ ...nats, release: releaseFeed() }), "github", "main"));
    assert.deepEqual(steps(w).filter((s) => JSON.stringify(s).includes("github.token")).map((s) => s.id), ["update"]);
    assert.doesNotMatch(workflowText(layout({ ...nats, release: releaseFeed({ api: "https://git.example/api/v1" }) }), "github", "main"), /github\.token/);
    assert.doesNotMatch(workflowText(layout({ ...nats, release: releaseFeed() }), "gitea", "main"), /token \}\}/);
  });

  test("takes no name of the workspace for an expression, a pattern or a shell line", () => {
    const evil = "/srv/ws/a'; rm -rf ${{ secrets.X }} [!b]*\n# c";
    const w = made(workflowText(layout(subsystem({ name: "evil", dir: evil, build: { task: "x'; ${{ secrets.X }};:bin:build" } })), "github", "main"));
    assert.deepEqual(w.on["push"]?.paths?.at(-1), "a*rm*-rf*secrets.X*b*c/**");
    assert.doesNotMatch(JSON.stringify(w), /secrets\.X \}\}|rm -rf/);
    assert.match(steps(w).find((s) => s.id === "pack")?.run ?? "", /if changed 'evil'; then echo 'evil: say here/);
    assert.throws(() => workflowText(layout(nats), "github", "main]\n  schedule"), /expected the name of a branch/);
  });

  test("writes a file only where there is none, and says where", async () => {
    const created: string[] = [];
    const shown = terminal();
    const context = fakeContext(shown, { layout: async () => layout(nats), create: async (path, text) => void created.push(path, text) });
    assert.equal(await runCli(["workflow", "--out", "ci.yml", "--branch", "trunk"], "0", context), 0);
    assert.deepEqual([created[0], shown.out()], ["ci.yml", "written: ci.yml\n"]);
    assert.equal(created[1], workflowText(layout(nats), "github", "trunk"));
  });
});
