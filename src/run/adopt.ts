/** Adoption: what is installed when slipstream first looks becomes the current version, told by digest and `.version`; what somebody changed by hand afterwards is drift. */

import { join } from "node:path";
import { digestIfAny, readSmall } from "../adapters/files.ts";
import type { InstalledVersion } from "../domain/artifact.ts";
import { type Drift, judgeStamp } from "../domain/drift.ts";
import { messageOf } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Log } from "../kit/log.ts";
import type { Store } from "../store/store.ts";
import { liveBinary } from "./install.ts";
import { touched } from "./reload-notes.ts";

export interface AdoptDeps {
  readonly store: Store;
  readonly log: Log;
  /** Told once about each program that was put there by hand, and again when its `.version` turns out to fit after all. */
  readonly drifted?: (subsystem: Subsystem, drift: Drift) => void;
}

/** What nothing names. */
const UNKNOWN = "unknown";
/** Who asks for the reload of a program that was put there by hand. */
export const DRIFT_ACTOR = "drift";
/** So many restarts in an hour are a person at work; more are a program that replaces itself, or a build that never stops. */
const RELOADS = 3;
const WITHIN_MS = 60 * 60_000;

/** Whether one more reload for drift is no loop. */
export function mayReloadAgain(store: Pick<Store, "runs">, subsystem: string, now: number): boolean {
  const latest = store.runs.list({ subsystem, limit: 100 }).filter((r) => r.kind === "reload" && r.actor === DRIFT_ACTOR && r.createdAt > now - WITHIN_MS);
  return latest.length < RELOADS;
}

/** Notes the installed version of a subsystem unless the store knows it already or a run is about to settle it. */
export function adopt(deps: AdoptDeps, subsystem: Subsystem): Promise<void> {
  return guarded(deps, subsystem, () => noteInstalled(deps, subsystem, () => deps.store.runs.of(subsystem.name, "running") !== undefined));
}

/** Right before a swap: what somebody put there since the run began is noted as that, so that it is known by its name where it has to come back. */
export function adoptBeforeSwap(deps: Pick<AdoptDeps, "store" | "log">, subsystem: Subsystem): Promise<void> {
  return guarded(deps, subsystem, () => noteInstalled(deps, subsystem, () => false));
}

/** After a run: nobody looked while it was under way, and one that reloaded nothing may have stood in the way of a reload that was asked for. */
export async function adoptAfterRun(deps: AdoptDeps, subsystem: Subsystem): Promise<void> {
  const { store, drifted } = deps;
  const { name } = subsystem;
  await guarded(deps, subsystem, async () => {
    const before = store.drifts.of(name);
    await adopt(deps, subsystem);
    const drift = store.drifts.of(name);
    if (drift === undefined || drift.digest !== before?.digest || drift.verified !== before.verified) return;
    if (!runsSince(store, drift).some((r) => r.kind === "reload" || touched(r.context).length > 0)) drifted?.(subsystem, drift);
  });
}

async function guarded({ log }: AdoptDeps, subsystem: Subsystem, look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (error) {
    // One program that cannot be read must not keep the others from being served.
    log.warn({ subsystem: subsystem.name, binary: liveBinary(subsystem), err: messageOf(error) }, "installed version cannot be read");
  }
}

/** Those that were under way after a drift was noticed; a swap may be what noticed it. */
function runsSince({ runs }: Pick<Store, "runs">, { subsystem, at }: Drift): readonly Run[] {
  return runs.list({ subsystem, limit: 100 }).filter((r) => r.startedAt !== undefined && (r.endedAt === undefined || r.endedAt > at));
}

async function noteInstalled(deps: AdoptDeps, subsystem: Subsystem, busy: () => boolean): Promise<void> {
  const { store } = deps;
  const { name } = subsystem;
  if (busy()) return;
  const known = store.versions.current(name);
  const drift = store.drifts.of(name);
  const digest = await digestIfAny(liveBinary(subsystem));
  // A drift that could not be verified is looked at again: hand-made builds write their `.version` after the program.
  if (digest === undefined || (known?.digest === digest && (drift === undefined || drift.verified))) return;
  const judged = judgeStamp(await readSmall(join(subsystem.dir, ".bin", ".version")), digest);
  // A run that began while we read settles the version itself.
  if (busy() || store.versions.current(name)?.digest !== known?.digest) return;
  if (known?.digest === digest && !judged.verified) return;
  store.tx(() => settle(deps, subsystem, { known, drift, digest, judged }));
}

interface Seen {
  readonly known: InstalledVersion | undefined;
  readonly drift: Drift | undefined;
  readonly digest: string;
  readonly judged: ReturnType<typeof judgeStamp>;
}

function settle({ store, log, drifted }: AdoptDeps, subsystem: Subsystem, { known, drift, digest, judged }: Seen): void {
  const { name } = subsystem;
  const { stamp, verified, detail } = judged;
  // A copy of a program we know is that one, whatever lies beside it.
  const kept = verified && stamp.version !== undefined ? undefined : store.versions.list(name, "previous").find((v) => v.digest === digest && v.version !== UNKNOWN);
  // What the Taskfile declares is what the workspace was set up with; it says nothing about what somebody put there since.
  const declared = known === undefined ? subsystem.declaredVersion : undefined;
  const version = kept?.version ?? stamp.version ?? declared ?? UNKNOWN;
  const commit = kept === undefined && stamp.commit !== undefined && /^[0-9a-f]{7,64}$/.test(stamp.commit) ? stamp.commit : undefined;
  store.versions.setCurrent({ subsystem: name, version, digest, ...(commit === undefined ? {} : { commit }) });
  if (known === undefined) return log.info({ subsystem: name, version, digest }, "installed version adopted");
  const restarted = drift !== undefined && runsSince(store, drift).some((r) => touched(r.context).length > 0);
  if (drift?.before === digest && !restarted) {
    store.drifts.clear(name);
    return log.info({ subsystem: name, version, digest }, "program changed by hand is back as it was");
  }
  // Once its process was restarted, what was there before the first change is not what runs.
  if (restarted && known.digest !== digest) store.drifts.clear(name);
  const noted = store.drifts.note({ subsystem: name, digest, verified, detail, before: known.digest, ...(stamp.version === undefined ? {} : { version: stamp.version }) });
  store.events.append({ type: "drift_found", subsystem: name, message: version, data: { digest, verified, detail } });
  log.warn({ subsystem: name, version, digest, before: known.version, verified, detail }, "program was changed by hand");
  drifted?.(subsystem, noted);
}
