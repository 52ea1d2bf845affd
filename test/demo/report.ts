/** What people see: progress, the table at the end, and what to do next. */

import { styleText } from "node:util";
import type { Workspace } from "../support/workspace.ts";
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
export function failures(results: readonly SceneResult[], ws: Workspace): string {
  const lines = results.flatMap(({ record, broken }) => broken.map((b) => `  ${record.scene}: ${b}`));
  return ["What did not hold:", ...lines, "Where to look:", `  ${ws.dir}/pc.out        what the daemon and the programs printed`, `  ${ws.dir}/pc.log        Process Compose's own log`, `  ${ws.dir}/.slipstream/  the daemon's state and the logs of every stage`].join("\n");
}

/** For `--keep`: where everything answers, how to look at it, and how to stop it. */
export function keptRunning(ws: Workspace): string {
  const { places, tools, dir, subsystems } = ws;
  const slipstream = (rest: string) => `  ${places.launcher} ${rest} --workspace ${dir}`;
  return [
    "Everything is still running:",
    `  slipstream  ${ws.url}/health   (webhooks go to ${ws.url}/webhook)`,
    ...Object.values(subsystems).map((s) => `  ${s.name.padEnd(10)}  http://127.0.0.1:${s.port}/version`),
    "Look at it:",
    slipstream("status"),
    slipstream("why api"),
    `  ${tools.processCompose} attach -u ${places.socket}`,
    "Try it: commit and tag something in an upstream, then ask for it:",
    `  cd ${ws.upstreams.web.dir}`,
    slipstream("update web"),
    "Stop it:",
    `  ${tools.processCompose} down -u ${places.socket}; rm -rf ${dir}`,
  ].join("\n");
}

export const HELP = `usage: npm run demo [-- --json] [-- --keep]

Shows slipstream at work, on real parts. In a temporary folder it makes a workspace of three small programs (api, worker, web),
each with a real upstream repository behind a real git server, builds them, and starts them under Process Compose
together with the slipstream daemon. Then it plays four scenes:

  source-update            a tag is pushed: that program is rebuilt, swapped and restarted, and nothing else is
  bad-release-rolled-back  a release that never becomes healthy: the previous one comes back by itself
  duplicate-ignored        the same news twice: nothing happens
  forged-refused           a delivery with a wrong signature, and one with none: 401, nothing is stored

and ends with a table: what restarted, what did not, and the times from the webhook to its answer (ACK) and to the right program
answering on its own port (HEALTHY). DIGEST tells whether the sha256 of the running executable (/proc/<pid>/exe) is that of the
installed one. Needs Go and git; Task and Process Compose are built on the first run, which takes minutes.

  --json   one line of JSON per scene on stdout, progress on stderr (npm adds two lines of its own: npm run --silent demo -- --json)
  --keep   leave everything running, and say where it answers and how to stop it
  --help   show this text

Exit code: 0 when all of it holds, 1 when something does not, 64 for a wrong command line, 130 after Ctrl-C.
`;
