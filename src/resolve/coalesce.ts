/** Coalescing: of several offers that arrived together, the newest stands for all. Pure. */

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
  const x = parseVersion(a.tag, subsystem.name);
  const y = parseVersion(b.tag, subsystem.name);
  if (x === null || y === null) return x === null && y !== null;
  const prerelease = (v: { prerelease: readonly string[] }) => v.prerelease.length > 0 && subsystem.policy.prerelease === "ignore";
  if (prerelease(x) !== prerelease(y)) return prerelease(x);
  return compareVersions(x, y) < 0;
}
