/** The inbox: everything that comes from outside, exactly as received, with its verdict. */

import type { Change, IgnoreReason } from "../domain/change.ts";
import type { Delivery, DeliveryState } from "../domain/delivery.ts";
import { newId } from "../kit/id.ts";
import type { EventStore } from "./events.ts";
import { type Db, int, present, type Row, text } from "./open.ts";

export interface NewDelivery {
  readonly receiver: string;
  readonly externalId: string;
  readonly event: string;
  readonly hint?: string;
  readonly key: string;
  /** 64 hex characters over the raw body. */
  readonly bodySha256: string;
  readonly body: Uint8Array;
  readonly change: Change;
  readonly state: "received" | "ignored";
  readonly reason?: IgnoreReason;
  /** Of one that is ignored at once: whom it would have concerned, so that `why` can tell. */
  readonly subsystems?: readonly string[];
}

export interface Accepted {
  readonly delivery: Delivery;
  readonly outcome: "new" | "reopened" | "duplicate";
}

export interface Claimed {
  readonly delivery: Delivery;
  /** Settles only while this is still the row's number: a late worker cannot overwrite a newer one. */
  readonly fence: number;
}

export interface Settlement {
  readonly state: DeliveryState;
  readonly reason?: string;
  readonly runId?: string;
  readonly subsystems?: readonly { readonly name: string; readonly reason?: string; readonly runId?: string }[];
}

export interface InboxStore {
  /** Stores a batch in one transaction. A duplicate (same receiver and id, or same body, not failed) changes nothing; one that failed, or whose repository has been configured since, is opened again. */
  accept(items: readonly NewDelivery[]): readonly Accepted[];
  get(id: string): Delivery | undefined;
  /** Claims due deliveries, oldest first, for `leaseMs`. */
  claim(limit: number, leaseMs: number): readonly Claimed[];
  /** The verdict, per subsystem it concerns (none when it concerns none). Returns false when the claim was lost. */
  settle(claim: Claimed, verdict: Settlement): boolean;
  /** Puts a claimed delivery back for a later try; what it led to for some subsystems already stays. */
  retryAt(claim: Claimed, at: number, reason: string, subsystems: NonNullable<Settlement["subsystems"]>): boolean;
  /** The runs that earlier looks at a delivery have led to, by subsystem. */
  ledTo(id: string): ReadonlyMap<string, string>;
  /** Takes all claims back: only right after the workspace lock was taken, when nobody else can hold one. */
  releaseClaims(): void;
  /** When the next delivery that waits becomes due (retry or lost lease), in ms since the epoch. */
  nextDue(): number | undefined;
  /** Carries a run's end over to the deliveries that led to it. */
  runEnded(runId: string, state: "done" | "failed"): void;
  /** Newest first; reason and run are that subsystem's own. */
  forSubsystem(subsystem: string, limit: number): readonly Delivery[];
  /** Drops bodies and then whole rows that are older than given. Returns the number of rows deleted. */
  prune(bodiesBefore: number, rowsBefore: number, limit: number): number;
}

const COLUMNS = "id, receiver, external_id, event, hint, key_name, body_sha256, change, state, reason, run_id, received_at, attempts";

export function createInbox(db: Db, events: EventStore, now: () => number): InboxStore {
  return { ...accepting(db, events, now), ...claiming(db, events, now), ...reading(db), ...keeping(db) };
}

const toDelivery = (row: Row): Delivery => ({
  id: String(row.id),
  receiver: String(row.receiver),
  externalId: String(row.external_id),
  event: String(row.event),
  key: String(row.key_name),
  bodySha256: String(row.body_sha256),
  change: JSON.parse(String(row.change)) as Change,
  state: row.state as DeliveryState,
  receivedAt: Number(row.received_at),
  attempts: Number(row.attempts),
  ...present({ hint: text(row, "hint"), reason: text(row, "reason"), runId: text(row, "run_id") }),
});

function find(db: Db, id: string): Delivery | undefined {
  const row = db.get(`SELECT ${COLUMNS} FROM deliveries WHERE id = :id`, { id });
  return row === undefined ? undefined : toDelivery(row);
}

/** The row that stands for the same delivery already; one that failed only when there is no other. */
function findSame(db: Db, item: NewDelivery): Row | undefined {
  return (
    db.get(`SELECT ${COLUMNS} FROM deliveries WHERE receiver = :receiver AND external_id = :externalId ORDER BY state = 'failed' LIMIT 1`, { receiver: item.receiver, externalId: item.externalId }) ??
    db.get(`SELECT ${COLUMNS} FROM deliveries WHERE body_sha256 = :sha ORDER BY state = 'failed' LIMIT 1`, { sha: item.bodySha256 })
  );
}

const ADD_VERDICT_IF_NEW = "INSERT INTO verdicts (delivery_id, subsystem, reason, run_id, at) VALUES (:id, :name, :reason, :runId, :at) ON CONFLICT (delivery_id, subsystem) DO UPDATE SET";
/** A run it led to at an earlier look stays its run. */
const ADD_VERDICT = `${ADD_VERDICT_IF_NEW} reason = excluded.reason, run_id = coalesce(excluded.run_id, run_id), at = excluded.at`;

/** Larger bodies are not kept: what counts is in the change, and a day of giants must not fill the disk. */
const KEPT_BODY_BYTES = 256 * 1024;
const kept = (item: NewDelivery): Uint8Array | null => (item.state === "ignored" || item.body.byteLength > KEPT_BODY_BYTES ? null : item.body);

/** What another configuration or a later look may decide otherwise. */
const MAY_CHANGE: ReadonlySet<unknown> = new Set<IgnoreReason>(["repository-not-configured", "mode-differs", "strategy-differs", "branch-not-tracked", "tag-not-tracked", "other-subsystem", "lower-priority", "pinned", "prerelease", "policy-refused", "not-managed", "no-asset", "withdrawn"]);

/** One that failed; and one that was not wanted when it came, for a reason that may have gone since. */
function mayReopen(same: Row, item: NewDelivery): boolean {
  if (item.state !== "received") return false;
  return same.state === "failed" || (same.state === "ignored" && MAY_CHANGE.has(same.reason));
}

const OPENED = "state = 'received', reason = NULL, run_id = NULL, attempts = 0, next_at = 0, lease_until = 0, received_at = :at, change = :change, body = :body";

function accepting(db: Db, events: EventStore, now: () => number): Pick<InboxStore, "accept"> {
  const acceptOne = (item: NewDelivery): Accepted => {
    const same = findSame(db, item);
    if (same !== undefined && !mayReopen(same, item)) return { delivery: toDelivery(same), outcome: "duplicate" };
    const at = now();
    if (same !== undefined) {
      // What is proved now is told, not who sent the same bytes first.
      const proof = { receiver: item.receiver, externalId: item.externalId, event: item.event, key: item.key, sha: item.bodySha256 };
      db.run(`UPDATE deliveries SET receiver = :receiver, external_id = :externalId, event = :event, key_name = :key, body_sha256 = :sha, ${OPENED} WHERE id = :id`, { ...proof, id: String(same.id), at, change: JSON.stringify(item.change), body: kept(item) });
      db.run("DELETE FROM verdicts WHERE delivery_id = :id", { id: String(same.id) });
      return { delivery: find(db, String(same.id)) as Delivery, outcome: "reopened" };
    }
    const id = newId(at);
    db.run(
      `INSERT INTO deliveries (id, receiver, external_id, event, hint, key_name, body_sha256, body, change, state, reason, received_at)
       VALUES (:id, :receiver, :externalId, :event, :hint, :key, :sha, :body, :change, :state, :reason, :at)`,
      {
        id,
        receiver: item.receiver,
        externalId: item.externalId,
        event: item.event,
        hint: item.hint ?? null,
        key: item.key,
        sha: item.bodySha256,
        body: kept(item),
        change: JSON.stringify(item.change),
        state: item.state,
        reason: item.reason ?? null,
        at,
      },
    );
    for (const name of item.subsystems ?? []) db.run(ADD_VERDICT, { id, name, reason: item.reason ?? null, runId: null, at });
    events.append({ type: item.state === "ignored" ? "delivery_ignored" : "delivery_received", deliveryId: id, ...(item.reason === undefined ? {} : { message: item.reason }) });
    return { delivery: find(db, id) as Delivery, outcome: "new" };
  };

  return { accept: (items) => db.tx(() => items.map(acceptOne)) };
}

function claiming(db: Db, events: EventStore, now: () => number): Pick<InboxStore, "claim" | "settle" | "retryAt" | "releaseClaims"> {
  return {
    claim: (limit, leaseMs) => {
      const at = now();
      const rows = db.all(
        `UPDATE deliveries SET lease_until = :until, attempts = attempts + 1
         WHERE id IN (SELECT id FROM deliveries WHERE state = 'received' AND next_at <= :at AND lease_until <= :at ORDER BY received_at, id LIMIT :limit)
         RETURNING ${COLUMNS}`,
        { at, until: at + leaseMs, limit },
      );
      return rows
        .map(toDelivery)
        .sort((a, b) => a.receivedAt - b.receivedAt || (a.id < b.id ? -1 : 1))
        .map((delivery) => ({ delivery, fence: delivery.attempts }));
    },
    settle: (claim, v) =>
      db.tx(() => {
        const { id } = claim.delivery;
        const kept = db.run("UPDATE deliveries SET state = :state, reason = :reason, run_id = :runId, lease_until = 0, body = CASE WHEN :state = 'ignored' THEN NULL ELSE body END WHERE id = :id AND attempts = :fence AND state = 'received'", { id, fence: claim.fence, state: v.state, reason: v.reason ?? null, runId: v.runId ?? null });
        if (kept !== 1) return false;
        // Whom an earlier look still held it to be about.
        const named = JSON.stringify((v.subsystems ?? []).map((one) => one.name));
        if (v.state === "ignored") db.run("UPDATE verdicts SET reason = :reason, at = :at WHERE delivery_id = :id AND run_id IS NULL AND subsystem NOT IN (SELECT value FROM json_each(:named))", { id, reason: v.reason ?? null, at: now(), named });
        for (const s of v.subsystems ?? []) {
          db.run(ADD_VERDICT, { id, name: s.name, reason: s.reason ?? null, runId: s.runId ?? null, at: now() });
        }
        if (v.state === "ignored") events.append({ type: "delivery_ignored", deliveryId: id, ...(v.reason === undefined ? {} : { message: v.reason }) });
        return true;
      }),
    retryAt: (claim, at, reason, subsystems) =>
      db.tx(() => {
        const kept = db.run("UPDATE deliveries SET next_at = :at, lease_until = 0, reason = :reason WHERE id = :id AND attempts = :fence AND state = 'received'", { id: claim.delivery.id, fence: claim.fence, at, reason }) === 1;
        for (const s of kept ? subsystems : []) {
          // A verdict that led to a run stays.
          const sql = s.runId === undefined ? `${ADD_VERDICT_IF_NEW} reason = excluded.reason, at = excluded.at WHERE run_id IS NULL` : ADD_VERDICT;
          db.run(sql, { id: claim.delivery.id, name: s.name, reason: s.reason ?? null, runId: s.runId ?? null, at: now() });
        }
        return kept;
      }),
    releaseClaims: () => {
      db.run("UPDATE deliveries SET lease_until = 0 WHERE state = 'received'");
    },
  };
}

function reading(db: Db): Pick<InboxStore, "get" | "ledTo" | "nextDue" | "forSubsystem"> {
  return {
    ledTo: (id) => new Map(db.all("SELECT subsystem, run_id FROM verdicts WHERE delivery_id = :id AND run_id IS NOT NULL", { id }).map((row) => [String(row.subsystem), String(row.run_id)])),
    get: (id) => find(db, id),
    nextDue: () => int(db.get("SELECT min(max(next_at, lease_until)) AS due FROM deliveries WHERE state = 'received'") ?? {}, "due"),
    forSubsystem: (subsystem, limit) =>
      db
        .all(
          `SELECT d.id, d.receiver, d.external_id, d.event, d.hint, d.key_name, d.body_sha256, d.change, d.state, v.reason, v.run_id, d.received_at, d.attempts
           FROM verdicts v JOIN deliveries d ON d.id = v.delivery_id WHERE v.subsystem = :subsystem ORDER BY v.at DESC, d.id DESC LIMIT :limit`,
          { subsystem, limit },
        )
        .map(toDelivery),
  };
}

function keeping(db: Db): Pick<InboxStore, "runEnded" | "prune"> {
  return {
    runEnded: (runId, state) => {
      // Of a delivery about several subsystems, one that failed (its run, or the look at it) keeps it open for a redelivery.
      const failedBefore = "EXISTS (SELECT 1 FROM verdicts v WHERE v.delivery_id = deliveries.id AND v.run_id IS NULL AND v.reason LIKE '%: %')";
      const kept = "EXISTS (SELECT 1 FROM verdicts v JOIN runs r ON r.id = v.run_id WHERE v.delivery_id = deliveries.id AND r.id <> :runId AND (r.status = 'failed' OR (r.status = 'rolled_back' AND r.code NOT IN ('unhealthy','interrupted')) OR (r.status = 'skipped' AND r.code IN ('approval-timeout','assets-missing','rate-limited'))))";
      db.run(`UPDATE deliveries SET state = CASE WHEN :state = 'done' AND (${kept} OR (state = 'failed' AND ${failedBefore})) THEN 'failed' ELSE :state END WHERE state IN ('done','failed') AND id IN (SELECT delivery_id FROM verdicts WHERE run_id = :runId)`, { runId, state });
    },
    prune: (bodiesBefore, rowsBefore, limit) =>
      db.tx(() => {
        db.run("UPDATE deliveries SET body = NULL WHERE id IN (SELECT id FROM deliveries WHERE received_at < :before AND body IS NOT NULL AND state <> 'received' ORDER BY received_at LIMIT :limit)", { before: bodiesBefore, limit });
        return db.run("DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE received_at < :before AND state <> 'received' ORDER BY received_at LIMIT :limit)", { before: rowsBefore, limit });
      }),
  };
}
