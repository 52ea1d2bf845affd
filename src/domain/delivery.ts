/** A delivery: one inbound request exactly as received, with its verdict. */

import type { Change } from "./change.ts";

/** received → (claimed by resolve) → done | ignored | failed. */
export type DeliveryState = "received" | "done" | "ignored" | "failed";

export interface Delivery {
  /** Ours: opaque, at most 64 characters. */
  readonly id: string;
  /** Name of a configured receiver (`github`, `gitea`), or `operator`. */
  readonly receiver: string;
  /** The sender's id (`X-GitHub-Delivery`); not signed, so only a key for sameness. */
  readonly externalId: string;
  readonly event: string;
  /** The URL's suffix; a hint only. */
  readonly hint?: string;
  /** Name of the key that verified it. */
  readonly key: string;
  readonly bodySha256: string;
  readonly change: Change;
  readonly state: DeliveryState;
  readonly reason?: string;
  readonly runId?: string;
  /** ms since the epoch. */
  readonly receivedAt: number;
  readonly attempts: number;
}
