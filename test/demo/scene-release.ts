/** The scene on a user's machine: no source there, the programs come out of releases. */

import type { SubsystemName } from "../support/workspace.ts";
import { assetName, programAsset } from "../support/release-programs.ts";
import type { ReleaseWorkspace } from "../support/release-workspace.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { acknowledged, Claims, compareWith, followRun, part, provedNew, rounded, type SceneResult, seenOf, short, type Show } from "./measure.ts";

const SUBSYSTEM: SubsystemName = "api";
const NEXT = "v1.1.0";

export async function releaseUpdate(show: Show<ReleaseWorkspace>): Promise<SceneResult> {
  const { ws, say } = show;
  const claims = new Claims();
  const { repository, process } = ws.subsystems[SUBSYSTEM];
  const before = await takeSnapshot(ws);
  const was = seenOf(ws, SUBSYSTEM, before);
  const downloads = () => Object.fromEntries((["api", "worker", "web"] as const).map((name) => [name, ws.forge.downloadsOf(assetName(name))]));
  const had = downloads();
  const asset = await programAsset(SUBSYSTEM, NEXT);
  const id = ws.publish(repository, NEXT, [asset]);
  say(`${repository}, where api and web are released, has ${NEXT} with a new ${asset.name} (${(asset.content.length / 1e6).toFixed(1)} MB); delivering release published`);
  const published = await ws.announce(id);
  acknowledged(claims, published, 202);
  say(`acknowledged in ${rounded(published.ackMs)} ms; downloading`);
  const { run, healthyMs } = await followRun(show, SUBSYSTEM, { version: NEXT, answers: NEXT, otherPidThan: was.pid, since: published.at });
  const { after, restarted, untouched } = await compareWith(show, before, claims, process);
  const is = seenOf(ws, SUBSYSTEM, after);
  claims.same("the run's status", run.status, "succeeded");
  claims.hold(run.status === "succeeded", `the run says: ${run.message ?? "nothing"}`);
  claims.same("the stages", run.stages.map((s) => s.name), ["download", "verify", "swap", "reload", "health"]);
  claims.hold(healthyMs !== null, `${SUBSYSTEM} did not answer ${NEXT} on its port`);
  claims.same("the downloads", downloads(), { ...had, [SUBSYSTEM]: (had[SUBSYSTEM] ?? 0) + 1 });
  const proved = provedNew(claims, run, { was, is });
  say(`downloads: ${Object.entries(downloads()).map(([name, n]) => `${name} ${n}`).join(", ")}`);
  say(`pid ${was.pid} → ${is.pid}, executable ${short(was.running)} → ${short(is.running)} (read from /proc/${is.pid}/exe)`);
  return { broken: claims.broken, record: { ...part(run), restarted, untouched, digest_proved: proved, ack_ms: rounded(published.ackMs), healthy_ms: rounded(healthyMs), scene: "release-update" } };
}
