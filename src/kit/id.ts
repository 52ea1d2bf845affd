/** Opaque ids: they sort by the order in which this process made them, with 80 random bits. At most 64 characters, `[a-z0-9]` only. */

import { randomBytes } from "node:crypto";

let lastAt = 0;
let made = 0;

export function newId(now: number): string {
  if (now > lastAt) {
    lastAt = now;
    made = 0;
  }
  // Also within a millisecond, and while the clock goes back, a later id sorts behind an earlier one.
  return lastAt.toString(36).padStart(9, "0") + (made++).toString(36).padStart(5, "0") + randomBytes(10).toString("hex");
}
