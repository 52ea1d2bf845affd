/** The event catalogue: immutable facts in one journal, in order. */

export type EventType =
  | "delivery_received"
  | "delivery_ignored"
  | "run_queued"
  | "run_held"
  | "build_started"
  | "stage_started"
  | "stage_completed"
  | "build_completed"
  | "build_failed"
  | "heartbeat"
  | "rolled_back"
  | "quarantined"
  | "approval_wanted"
  | "approved"
  | "rejected"
  | "drift_found"
  | "run_ended";

export interface Event {
  /** Monotone; the cursor of every stream. */
  readonly id: number;
  readonly type: EventType;
  readonly at: number;
  readonly runId?: string;
  readonly subsystem?: string;
  readonly deliveryId?: string;
  readonly stage?: string;
  readonly message?: string;
  readonly durationMs?: number;
  readonly data?: Readonly<Record<string, unknown>>;
}

export type NewEvent = Omit<Event, "id" | "at">;
