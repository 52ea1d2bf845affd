/** What people see: progress, the table at the end, and what to do next. */

import { styleText } from "node:util";
import type { ReleaseWorkspace } from "../support/release-workspace.ts";
import type { RunningWorkspace, Workspace } from "../support/workspace.ts";
import type { SceneRecord, SceneResult } from "./measure.ts";

type Style = Parameters<typeof styleText>[0];

/** Colours only where the stream is a terminal that has them, and not with NO_COLOR. */
export function painter(stream: NodeJS.WriteStream): (style: Style, text: string) => string {
  return (style, text) => styleText(style, text, { stream, validateStream: true });
}

/** One line of `--json`, its keys in the documented order. */
export function jsonLine(r: SceneRecord): string {
  const { scene, subsystem, from, to, outcome, restarted, untouched, digest_proved, ack_ms, healthy_ms } = r;
  return JSON.stringify({ scene, subsystem, from, to, outcome, restarted, untouched, digest_proved, ack_ms, healthy_ms });
}

const HEADINGS = ["SCENE", "VERSIONS", "OUTCOME", "RESTARTED", "UNTOUCHED", "DIGEST", "ACK", "HEALTHY", ""] as const;

/** The closing table: what restarted, what did not, and how long it took. */
export function table(results: readonly SceneResult[], paint: ReturnType<typeof painter>): string {
  const rows = results.map(({ record: r, broken }) => [
    r.scene,
    `${r.from ?? "-"} → ${r.to ?? "-"}`,
    r.outcome,
    r.restarted.join(" ") || "nothing",
    r.untouched.join(" ") || "nothing",
    r.digest_proved ? "proved" : "not proved",
    r.ack_ms === null ? "-" : `${r.ack_ms} ms`,
    r.healthy_ms === null ? "-" : seconds(r.healthy_ms),
    broken.length === 0 ? "ok" : "FAILED",
  ]);
  const widths = HEADINGS.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) => cells.map((cell, i) => cell.padEnd(widths[i] ?? 0));
  const body = rows.map((row) => {
    const cells = line(row);
    const last = cells.length - 1;
    return [...cells.slice(0, last), paint(row[last] === "ok" ? "green" : "red", cells[last] ?? "")].join("  ").trimEnd();
  });
  return [paint("bold", line(HEADINGS).join("  ").trimEnd()), ...body].join("\n");
}

function seconds(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** What did not hold, scene by scene, and where to look. */
export function failures(results: readonly SceneResult[], machines: readonly RunningWorkspace[]): string {
  const lines = results.flatMap(({ record, broken }) => broken.map((b) => `  ${record.scene}: ${b}`));
  const places = machines.flatMap(({ dir }) => [`  ${dir}/pc.out        what the daemon and the programs printed`, `  ${dir}/pc.log        Process Compose's own log`, `  ${dir}/.slipstream/  the daemon's state and the logs of every stage`]);
  return ["What did not hold:", ...lines, "Where to look:", ...places].join("\n");
}

/** For `--keep`: where everything answers, how to look at it, and how to stop it. */
export function keptRunning({ builder, user }: { readonly builder?: Workspace; readonly user?: ReleaseWorkspace }): string {
  const lines = ["Everything is still running:"];
  const stops: string[] = [];
  for (const ws of [builder, user]) {
    if (ws === undefined) continue;
    const slipstream = (rest: string) => `  ${ws.places.launcher} ${rest} --workspace ${ws.dir}`;
    lines.push(
      ws === user ? "A user's machine (its forge ended with the demo, so nothing newer can come):" : "A machine that builds from source:",
      `  slipstream  ${ws.url}/health   (webhooks go to ${ws.url}/webhook)`,
      ...Object.values(ws.subsystems).map((s) => `  ${s.name.padEnd(10)}  http://127.0.0.1:${s.port}/version`),
      slipstream("status"),
      slipstream("why api"),
      `  ${ws.tools.processCompose} attach -u ${ws.places.socket}`,
    );
    if (ws === builder) lines.push("  Try it: commit and tag something in an upstream, then ask for it:", `  cd ${builder.upstreams.web.dir}`, slipstream("update web"));
    else lines.push("  Try it: go back to the release before, which is kept:", slipstream("rollback api"));
    stops.push(`  ${ws.tools.processCompose} down -u ${ws.places.socket}; rm -rf ${ws.dir}`);
  }
  return [...lines, "Stop it:", ...stops].join("\n");
}

export const HELP = `usage: npm run demo [-- --json] [-- --keep]

Shows slipstream at work, on real parts. In a temporary folder it makes a workspace of three small programs (api, worker, web),
each with a real upstream repository behind a real git server, builds them, and starts them under Process Compose
together with the slipstream daemon. For the last of its five scenes it makes a second workspace, as on a user's machine: no source,
the same programs out of releases of a forge, whose assets come from another host, again under Process Compose with a daemon:

  source-update            a tag is pushed: that program is rebuilt, swapped and restarted, and nothing else is
  bad-release-rolled-back  a release that never becomes healthy: the previous one comes back by itself
  duplicate-ignored        the same news twice: nothing happens
  forged-refused           a delivery with a wrong signature, and one with none: 401, nothing is stored
  release-update           a release is published: its one asset is downloaded, swapped in and restarted, and nothing else is

and ends with a table: what restarted, what did not, and the times from the webhook to its answer (ACK) and to the right program
answering on its own port (HEALTHY). DIGEST tells whether the sha256 of the running executable (/proc/<pid>/exe) is that of the
installed one. The forge is a small server of this repository that answers as GitHub does. Needs Go and git; Task and Process
Compose are built on the first run, which takes minutes.

  --json   one line of JSON per scene on stdout, progress on stderr (npm adds two lines of its own: npm run --silent demo -- --json)
  --keep   leave both workspaces running (the forge ends), and say where they answer and how to stop them
  --help   show this text

Exit code: 0 when all of it holds, 1 when something does not, 64 for a wrong command line, 130 after Ctrl-C.
`;
