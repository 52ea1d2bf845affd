/**
 * `slipstream workflow`: a file for GitHub Actions, which Gitea and Forgejo Actions understand as well, that builds on the same rules (V8).
 * A runner replaces `${{ }}` everywhere, in shell lines too, before anything else reads them: what people may type goes through the environment,
 * and names of the workspace are either harmless by their characters or left out.
 */

import { dirname, relative } from "node:path";
import { type Command, Option } from "commander";
import { UsageError } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { VERSION } from "../kit/program-version.ts";
import { examples } from "./act.ts";
import type { Context, GlobalOptions } from "./context.ts";

type Forge = "github" | "gitea";
type WorkflowOptions = GlobalOptions & { readonly out?: string; readonly forge: Forge; readonly branch: string };

export interface Layout {
  readonly workspace: string;
  readonly rootTaskfile: string;
  readonly subsystems: readonly Subsystem[];
}

/** The version slipstream is tested with. */
const TASK_VERSION = "3.53.1";
/** Gitea's artifact store is no GitHub: from v4 on upload-artifact refuses it (actions/upload-artifact, "What's new"); its runners may be older, too. */
const ACTIONS: Readonly<Record<Forge, Readonly<Record<"checkout" | "cache" | "upload", string>>>> = {
  github: { checkout: "v6.0.2", cache: "v5.0.5", upload: "v7.0.1" },
  gitea: { checkout: "v4.2.2", cache: "v4.2.3", upload: "v3.1.3" },
};
const PLACES: Readonly<Record<Forge, string>> = { github: ".github/workflows/slipstream.yml", gitea: ".gitea/workflows/slipstream.yml (or .forgejo/workflows/)" };
const GITHUB_API = "https://api.github.com";

export function addWorkflow(program: Command, context: Context): void {
  program
    .command("workflow")
    .description("print a CI file that builds, tests and packs the subsystems that moved, and no other")
    .option("--out <file>", "write it to this file, which must not be there yet")
    .addOption(new Option("--forge <forge>", "whose Actions it is for").choices(["github", "gitea"]).default("github"))
    .option("--branch <name>", "the branch whose pushes count", "main")
    .addHelpText("after", examples("slipstream workflow", "slipstream workflow --out .github/workflows/slipstream.yml", "slipstream workflow --forge gitea --branch trunk"))
    .action(async (_local: unknown, command: Command) => {
      const o = command.optsWithGlobals<WorkflowOptions>();
      const text = workflowText(await context.layout({ ...o, ci: true }), o.forge, o.branch);
      if (o.out !== undefined) await context.create(o.out, text);
      if (o.json === true) context.print.json(o.out === undefined ? { text } : { file: o.out, text });
      else if (o.out === undefined) context.print.line(text.trimEnd());
      else context.print.line(`written: ${o.out}`);
    });
}

/** The file. @throws UsageError usage for a branch that is none */
export function workflowText(layout: Layout, forge: Forge, branch: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._/-]*$/.test(branch)) throw new UsageError("usage", `--branch is ${JSON.stringify(branch)}, expected the name of a branch`);
  const subsystems = layout.subsystems.filter((s) => s.notManaged === undefined);
  return [head(forge), triggers({ ...layout, subsystems }, forge, branch), rights(forge), "jobs:", "  update:", "    runs-on: ubuntu-latest", "    timeout-minutes: 120", "    steps:", setUp(forge), updateStep(subsystems, forge), packSteps(layout.workspace, subsystems, forge)].join("\n");
}

function head(forge: Forge): string {
  const lines = ["Builds, tests and packs the subsystems whose upstream moved, and no other.", `Printed by: slipstream workflow${forge === "gitea" ? " --forge gitea" : ""}; put it at ${PLACES[forge]} and change what you like.`, ""];
  lines.push("How the move of an upstream gets here: nothing polls, and nothing runs by the clock. Whoever hears of it starts this:", "a DEV machine, whose slipstream daemon gets the upstream's webhooks, or a workflow of the upstream or of your fork of it, with");
  if (forge === "github") lines.push("  gh api repos/OWNER/REPOSITORY/dispatches -f event_type=slipstream", "Whatever such a call carries is not looked at: slipstream asks the upstreams itself.");
  else lines.push('  POST /api/v1/repos/OWNER/REPOSITORY/actions/workflows/slipstream.yml/dispatches   {"ref": "BRANCH"}', "(Gitea and Forgejo have no repository_dispatch, which is the trigger for this on GitHub.)");
  return `${lines.map((l) => (l === "" ? "#" : `# ${l}`)).join("\n")}\nname: slipstream\n`;
}

function triggers({ workspace, rootTaskfile, subsystems }: Layout, forge: Forge, branch: string): string {
  const dirs = subsystems.map((s) => `${pathPattern(relative(workspace, s.dir))}/**`);
  const paths = [...new Set(["slipstream.yaml", pathPattern(relative(workspace, rootTaskfile)), "taskfiles/**", ...dirs])];
  return `on:
  # By hand. With a version it is built even where it would have to wait for approval, such as a major one.
  workflow_dispatch:
    inputs:
      subsystem:
        description: "Only this subsystem; empty for every one that moved"
        type: string
      version:
        description: "Exactly this version of it; empty for the newest"
        type: string
${forge === "github" ? "  repository_dispatch:\n    types: [slipstream]\n" : ""}  push:
    branches: [${JSON.stringify(branch)}]
    paths:
${paths.map((p) => `      - ${JSON.stringify(p)}`).join("\n")}
`;
}

function rights(forge: Forge): string {
  return `${forge === "gitea" ? "# Gitea takes no notice of the next two before 1.27 and 1.26; then give the job's token as few rights as you can.\n" : ""}permissions:
  contents: read

# One after the other: each starts from what the one before has built.
concurrency:
  group: slipstream
  cancel-in-progress: false
`;
}

const CACHED = (indent: string) => [".slipstream/git", ".version-manifest.json"].map((p) => `${indent}${p}`).join("\n");
const KEY = "slipstream-${{ runner.os }}-";

function setUp(forge: Forge): string {
  const { checkout, cache } = ACTIONS[forge];
  return `      - uses: actions/checkout@${checkout}
        with:
          # Builds run the code of others: the token must not lie where they can read it.
          persist-credentials: false

      # >>> Compilers and whatever else your builds need, for example:
      # - uses: actions/setup-go@v6.1.0
      #   with:
      #     go-version: "1.25"
      # <<<

      # Where the registry does not have slipstreamd yet, install it from a checkout or a tarball here.
      - name: Install Task and slipstream
        run: npm install --global --no-audit --no-fund @go-task/cli@${TASK_VERSION} slipstreamd@${VERSION}

      # Sources fetched before, and which versions were built. To build everything again, delete the caches and the file.
      # Without .version-manifest.json nothing counts as installed, so the newest version is built, a major one too (rule first-install).
      # Commit it if majors must wait for a person.
      - name: Fetch what the last job left
        uses: actions/cache/restore@${cache}
        with:
          path: |
${CACHED("            ")}
          key: ${KEY}\${{ github.run_id }}-\${{ github.run_attempt }}
          restore-keys: ${KEY}
`;
}

/** The names of the variables are not those of Taskfiles: Task reads its environment. */
function updateStep(subsystems: readonly Subsystem[], forge: Forge): string {
  // Only to the forge it is from: a token of this server must not go to github.com.
  const asks = forge === "github" && subsystems.some((s) => s.release?.api === GITHUB_API);
  const token = "          # For questions to the forge's API. On GitHub Enterprise Server remove this line.\n          GITHUB_TOKEN: ${{ github.token }}\n";
  const call = "slipstream update";
  const how = "--no-reload --ci --json";
  return `      # Ends with 1 if one failed, after trying all, and with 3 if one waits for approval; what was built goes on below all the same.
      - name: Update what moved
        id: update
        env:
          SLIPSTREAM_ONLY: \${{ inputs.subsystem }}
          SLIPSTREAM_EXACTLY: \${{ inputs.version }}
${asks ? token : ""}        shell: bash
        run: |
          if [ -n "$SLIPSTREAM_EXACTLY" ]; then
            ${call} ${how} --version="$SLIPSTREAM_EXACTLY" -- "$SLIPSTREAM_ONLY"
          elif [ -n "$SLIPSTREAM_ONLY" ]; then
            ${call} --changed ${how} -- "$SLIPSTREAM_ONLY"
          else
            ${call} --changed ${how}
          fi
`;
}

function packSteps(workspace: string, subsystems: readonly Subsystem[], forge: Forge): string {
  const { cache, upload } = ACTIONS[forge];
  // Gitea's own evaluation of conditions knows no cancelled().
  const go = forge === "gitea" ? "always()" : "!cancelled()";
  const dist = [...new Set(subsystems.map((s) => pathPattern(`${dirname(relative(workspace, s.dir))}/.dist/`.replace(/^\.\//, ""))))];
  return `      - name: Pack what changed
        id: pack
        if: \${{ ${go} && steps.update.outputs.any == 'true' }}
        env:
          SLIPSTREAM_CHANGED: \${{ steps.update.outputs.changed }}
        shell: bash
        run: |
          changed() { [[ "$SLIPSTREAM_CHANGED" == *"\\"$1\\""* ]]; }
${subsystems.map((s) => `          ${packLine(s)}`).join("\n")}

      - name: Upload the packages
        id: upload
        if: \${{ ${go} && steps.pack.outcome == 'success' }}
        uses: actions/upload-artifact@${upload}
        with:
          name: packages
          path: |
${dist.map((p) => `            ${p}`).join("\n")}
          include-hidden-files: true
          if-no-files-found: error

      # Only once the packages are safe: what is not remembered is built again.
      - name: Keep what is known now for the next job
        if: \${{ ${go} && (steps.upload.outcome == 'success' || steps.update.outputs.any == 'false') }}
        uses: actions/cache/save@${cache}
        with:
          path: |
${CACHED("            ")}
          key: ${KEY}\${{ github.run_id }}-\${{ github.run_attempt }}

      # .version-manifest.json says now what was built. If the repository is to remember that as well, commit it
      # in a job of its own, which runs no builds and has \`contents: write\`.
`;
}

/** A name of a task that neither a shell nor a runner reads anything into. */
const TASK_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:/+-]*$/;

function packLine(s: Subsystem): string {
  const task = "task" in s.build && s.build.task.endsWith("bin:build") ? s.build.task.replace(/bin:build$/, "package") : undefined;
  if (task === undefined || !TASK_NAME.test(task)) return `if changed '${s.name}'; then echo '${s.name}: say here how it is packed' >&2; exit 1; fi`;
  return `if changed '${s.name}'; then task '${task}'; fi`;
}

/** A path of the workspace as a pattern, where every character that might mean something else stands for any. */
function pathPattern(path: string): string {
  return path.replaceAll(/[^A-Za-z0-9_./-]+/g, "*");
}
