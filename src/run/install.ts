/** The two renames that make a binary current, and the ones that take it back. Every step may be repeated after a crash: digests tell which side of a rename we are on. */

import { join } from "node:path";
import { digestIfAny, keepCopy, placeVerified, readSmall, removeTree, renameDurably, writeDurably } from "../adapters/files.ts";
import { formatStamp, type InstalledVersion, type SwapJournal } from "../domain/artifact.ts";
import { EvidenceError, StateError } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { iso } from "../kit/clock.ts";

export const liveBinary = (s: Subsystem): string => join(s.dir, ".bin", s.binary);
const liveStamp = (s: Subsystem): string => join(s.dir, ".bin", ".version");

/** Where the old version is kept: `.bin/.previous/<version>-<digest12>`. */
export function previousDirOf(s: Subsystem, version: string, digest: string): string {
  const safe = version.replace(/[^0-9A-Za-z._+-]/g, "_").slice(0, 80);
  return join(s.dir, ".bin", ".previous", `${safe}-${digest.slice("sha256:".length, "sha256:".length + 12)}`);
}

/** Writes the intent down in the shape recovery needs. */
export async function planSwap(s: Subsystem, runId: string, newDigest: string, current: InstalledVersion | undefined): Promise<SwapJournal> {
  const target = liveBinary(s);
  const oldDigest = await digestIfAny(target);
  const previousDir = oldDigest === undefined ? undefined : previousDirOf(s, current?.version ?? "unknown", oldDigest);
  return { target, newDigest, staged: join(s.dir, ".bin", `.slipstream-${runId}`), ...(oldDigest === undefined ? {} : { oldDigest }), ...(previousDir === undefined ? {} : { previousDir }) };
}

/** Brings `from` (checked against the journal's digest) live; keeps the old binary and its stamp first. @throws EvidenceError digest-mismatch when the live file is neither old nor new */
export async function install(s: Subsystem, journal: SwapJournal, from: string, stamp: { version: string; commit?: string; at: number }): Promise<void> {
  assertOurs(s, journal);
  const now = await digestIfAny(journal.target);
  if (now !== journal.newDigest) {
    if (now !== journal.oldDigest) throw new EvidenceError("digest-mismatch", `binary ${journal.target} is ${now ?? "missing"}, expected ${journal.oldDigest ?? "none"}; somebody changed it during the update`);
    await keepOld(s, journal);
    await placeVerified(from, journal.staged, journal.newDigest);
    await renameDurably(journal.staged, journal.target);
  }
  await writeDurably(liveStamp(s), formatStamp({ commit: stamp.commit ?? "unknown", timestamp: iso(stamp.at).replace(/\.\d+Z$/, "Z"), checksum: journal.newDigest.slice("sha256:".length), version: stamp.version }));
}

async function keepOld(s: Subsystem, journal: SwapJournal): Promise<void> {
  if (journal.oldDigest === undefined || journal.previousDir === undefined) return;
  await keepCopy(journal.target, join(journal.previousDir, s.binary), journal.oldDigest);
  const stamp = await readSmall(liveStamp(s));
  if (stamp !== undefined) await writeDurably(join(journal.previousDir, ".version"), stamp);
}

/** Takes a swap back: the previous binary and stamp live again. Nothing happens when the new one never became live. @throws StateError rollback-failed */
export async function restore(s: Subsystem, journal: SwapJournal): Promise<"restored" | "was-old" | "nothing-before"> {
  assertOurs(s, journal);
  await removeTree(journal.staged);
  const now = await digestIfAny(journal.target);
  if (journal.oldDigest === undefined || journal.previousDir === undefined) return "nothing-before";
  if (now === journal.oldDigest) {
    // A crash between the two renames leaves the old binary under the new stamp.
    await restoreStamp(s, journal.previousDir);
    return "was-old";
  }
  const kept = join(journal.previousDir, s.binary);
  if ((await digestIfAny(kept)) !== journal.oldDigest) throw new StateError("rollback-failed", `previous binary ${kept} is missing or changed, expected ${journal.oldDigest}`);
  await placeVerified(kept, journal.staged, journal.oldDigest);
  await renameDurably(journal.staged, journal.target);
  await restoreStamp(s, journal.previousDir);
  return "restored";
}

async function restoreStamp(s: Subsystem, previousDir: string): Promise<void> {
  const stamp = await readSmall(join(previousDir, ".version"));
  if (stamp !== undefined) await writeDurably(liveStamp(s), stamp);
}

/** A state folder that was copied or moved with its workspace must not reach back into the old one. @throws StateError interrupted */
function assertOurs(s: Subsystem, journal: SwapJournal): void {
  if (journal.target !== liveBinary(s)) throw new StateError("interrupted", `swap was begun for ${journal.target}, expected ${liveBinary(s)}; the workspace has moved since`);
}
