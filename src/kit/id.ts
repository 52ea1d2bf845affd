/** Opaque ids: time-ordered, so that rows sort by age, with 80 random bits. At most 64 characters, `[a-z0-9]` only. */

import { randomBytes } from "node:crypto";

export function newId(now: number): string {
  return now.toString(36).padStart(9, "0") + randomBytes(10).toString("hex");
}
