/** Adoption: what is installed when slipstream first looks (or after somebody changed it by hand) becomes the current version, told by digest and `.version`. */

import { join } from "node:path";
import { digestIfAny, readSmall } from "../adapters/files.ts";
import { parseStamp } from "../domain/artifact.ts";
import { messageOf } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Log } from "../kit/log.ts";
import type { Store } from "../store/store.ts";
import { liveBinary } from "./install.ts";

/** Notes the installed version of a subsystem unless the store knows it already or a run is about to settle it. */
export async function adopt(store: Store, subsystem: Subsystem, log: Log): Promise<void> {
  try {
    await noteInstalled(store, subsystem, log);
  } catch (error) {
    // One program that cannot be read must not keep the others from being served.
    log.warn({ subsystem: subsystem.name, binary: liveBinary(subsystem), err: messageOf(error) }, "installed version cannot be read");
  }
}

async function noteInstalled(store: Store, subsystem: Subsystem, log: Log): Promise<void> {
  const busy = () => store.runs.of(subsystem.name, "running") !== undefined;
  if (busy()) return;
  const known = store.versions.current(subsystem.name);
  const digest = await digestIfAny(liveBinary(subsystem));
  if (digest === undefined || known?.digest === digest) return;
  const stamp = parseStamp((await readSmall(join(subsystem.dir, ".bin", ".version"))) ?? "");
  // A run that began while we read settles the version itself.
  if (busy() || store.versions.current(subsystem.name)?.digest !== known?.digest) return;
  const fits = stamp.checksum === undefined || `sha256:${stamp.checksum}` === digest;
  const version = (fits ? stamp.version : undefined) ?? subsystem.declaredVersion ?? "unknown";
  const commit = fits ? stamp.commit : undefined;
  store.versions.setCurrent({ subsystem: subsystem.name, version, digest, ...(commit === undefined || !/^[0-9a-f]{7,64}$/.test(commit) ? {} : { commit }) });
  log.info({ subsystem: subsystem.name, version, digest, before: known?.version }, known === undefined ? "installed version adopted" : "installed version was changed from outside");
}
