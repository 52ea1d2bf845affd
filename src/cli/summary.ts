/** What a followed request came to, in words: the same for every verb that waits for a run. */

import type { Run } from "../domain/run.ts";
import { iso } from "../kit/clock.ts";
import type { Followed } from "./follow.ts";
import { type Printer, safe, short } from "./io.ts";

/** `name`: of whom, where several were asked about. */
export function summary(print: Printer, r: Followed, name?: string): string {
  if (r.run === undefined) {
    const of = name === undefined ? "" : `${name}: `;
    if (r.delivery.state === "received") return `${of}request ${r.delivery.id} is stored`;
    return `${of}${r.delivery.state === "failed" ? print.paint("red", "failed") : "nothing to do"}: ${safe(r.delivery.reason ?? "")}`;
  }
  const { run } = r;
  const step = `${run.subsystem} ${short(safe(run.fromVersion ?? "nothing"))} → ${short(safe(run.toVersion))}`;
  switch (run.status) {
    case "succeeded":
      if (run.kind === "reload") return `${print.paint("green", "succeeded")}: ${run.subsystem} reloaded, ${short(safe(run.toVersion))}`;
      return `${print.paint("green", "succeeded")}: ${run.fromVersion === undefined ? `${run.subsystem} ${short(safe(run.toVersion))} (first install)` : step}${run.context.health?.digestProved === true ? ", running digest proved" : ""}`;
    case "held":
      return `${print.paint("yellow", waitsFor(run))}: ${step}${isForPerson(run) ? ` (${run.rule}, ${exactly(run)})\n  slipstream approve ${run.id}` : ""}`;
    case "skipped":
      return `skipped: ${step} (${safe(run.code ?? "")})`;
    default:
      return `${print.paint("red", run.status.replace("_", " "))}: ${step}: ${run.code}: ${safe(run.message ?? "")}${lastWords(run)}`;
  }
}

/** Whether a held run goes on only when a person says so; the others are looked at again by themselves. */
export function isForPerson(run: Run): boolean {
  return run.holdReason === undefined || run.holdReason === "approval";
}

/** What a held run waits for. */
export function waitsFor(run: Run): string {
  const until = (at: number | undefined) => (at === undefined ? "" : ` until ${iso(at)}`);
  switch (run.holdReason) {
    case "assets":
      return `waiting for the assets of ${short(safe(run.toVersion))}${until(run.holdUntil)}`;
    case "rate-limit":
      return `waiting for the forge's rate limit${until(run.lookAt ?? run.holdUntil)}`;
    default:
      return "waiting for approval";
  }
}

/** What an approval would be bound to. */
function exactly(run: Run): string {
  return run.artifact === undefined ? `commit ${run.commit}` : `asset ${safe(run.artifact.name)}, ${run.artifact.identity}`;
}

/** What the failed program said last, and where to read more. */
function lastWords(run: Run): string {
  const lines = (run.context.failure?.lastLines ?? []).slice(-3).map((l) => `\n  | ${safe(l)}`);
  return `${lines.join("")}\n  slipstream ${lines.length === 0 ? "logs" : "runs"} ${run.id}`;
}
