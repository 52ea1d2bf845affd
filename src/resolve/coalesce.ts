/** Coalescing: of several offers that arrived together, the newest stands for all. Pure. */

import { isPrerelease } from "../domain/decide.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import { compareVersions, parseVersion } from "../domain/version.ts";
import type { RefOffer } from "./match.ts";

/** Index of the newest of several offers in order of arrival. Tags by version; what has no order, and branches, by arrival. */
export function newestOffer(subsystem: Subsystem, offers: readonly RefOffer[]): number {
  let best = 0;
  for (let i = 1; i < offers.length; i++) {
    if (!isOlder(subsystem, offers[i] as RefOffer, offers[best] as RefOffer)) best = i;
  }
  return best;
}

function isOlder(subsystem: Subsystem, a: RefOffer, b: RefOffer): boolean {
  if (a.kind !== "tag" || b.kind !== "tag") return false;
  const x = parseVersion(a.tag, subsystem);
  const y = parseVersion(b.tag, subsystem);
  if (x === null || y === null) return x === null && y !== null;
  const [early, other] = [a, b].map(({ tag }) => isPrerelease(subsystem, { version: tag })) as [boolean, boolean];
  if (early !== other) return early;
  return compareVersions(x, y) < 0;
}
