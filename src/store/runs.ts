/** Runs: every status change goes through the table of legal transitions and is one SQL statement. */

import { SlipstreamError } from "../domain/errors.ts";
import type { Artifact } from "../domain/release.ts";
import { canMove, type HoldReason, type Run, type RunContext, type RunKind, type RunStatus } from "../domain/run.ts";
import { newId } from "../kit/id.ts";
import { type Db, int, present, type Row, text } from "./open.ts";

export interface NewRun {
  readonly kind: RunKind;
  readonly subsystem: string;
  readonly status: "queued" | "held";
  readonly holdReason?: HoldReason;
  readonly rule?: string;
  readonly holdUntil?: number;
  readonly trigger: "delivery" | "operator";
  readonly actor?: string;
  readonly fromVersion?: string;
  readonly toVersion: string;
  readonly commit?: string;
  readonly artifact?: Artifact;
  readonly lookAt?: number;
  /** What it waits for, for people. */
  readonly message?: string;
  readonly ref?: string;
  readonly upstream?: string;
  readonly noReload?: boolean;
}

/** Why a run waits, and until when. */
export interface Hold {
  readonly reason: HoldReason;
  readonly rule?: string;
  /** When it is given up, and when it is looked at again before that, in ms since the epoch. */
  readonly until: number;
  readonly lookAt?: number;
}

export interface RunPatch {
  /** What it replaces, as it turned out. */
  readonly fromVersion?: string;
  readonly code?: string;
  readonly message?: string;
  readonly failedStage?: string;
}

export interface RunStore {
  create(run: NewRun): Run;
  get(id: string): Run | undefined;
  /** @throws SlipstreamError internal when the run is not in a status that may lead to `to`. */
  move(id: string, to: RunStatus, patch?: RunPatch): Run;
  /** The oldest queued run whose subsystem has none running and is not among the busy ones. */
  nextQueued(busy?: readonly string[]): Run | undefined;
  /** A run that has to wait after all; without a new rule it keeps its own. @throws SlipstreamError internal when it is neither queued nor running */
  hold(id: string, hold: Hold): Run;
  /** The run that waits for this reason. */
  held(subsystem: string, reason: HoldReason): Run | undefined;
  /** A run that waited for the assets of its release has them: it is queued, or waits for a person. @throws SlipstreamError internal when it is not held */
  complete(id: string, found: { readonly artifact: Artifact; readonly rule: string; readonly hold?: Hold }): Run;
  /** Held runs to be looked at again, and when the next one is due. */
  dueLooks(reason: HoldReason, at: number): readonly Run[];
  nextLook(reason: HoldReason): number | undefined;
  /** `missing`: what the last look found it to wait for. */
  lookAgain(id: string, at: number, missing?: string): void;
  /** The same artifact at another address of its forge. */
  readdress(id: string, artifact: Artifact): void;
  /** A clean stop is no crash: the next start goes on without counting it. */
  rest(id: string): void;
  saveContext(id: string, context: RunContext): void;
  beat(id: string): void;
  countRecovery(id: string): void;
  byStatus(status: RunStatus): readonly Run[];
  of(subsystem: string, status: RunStatus): Run | undefined;
  list(filter: { subsystem?: string; limit: number }): readonly Run[];
  /** Held runs whose deadline has passed, and with it the last look. */
  overdue(at: number): readonly Run[];
  /** Ended runs older than `before`, oldest first. */
  old(before: number, limit: number): readonly Run[];
  remove(id: string): void;
}

/** What every ordering of runs falls back to: newest first. */
const NEWEST = "ORDER BY created_at DESC, id DESC";

export function createRuns(db: Db, now: () => number): RunStore {
  return { ...making(db, now), ...moving(db, now), ...noting(db, now), ...reading(db) };
}

function one(db: Db, sql: string, params: Row): Run | undefined {
  const row = db.get(sql, params);
  return row === undefined ? undefined : toRun(row);
}
const find = (db: Db, id: string): Run | undefined => one(db, "SELECT * FROM runs WHERE id = :id", { id });

function making(db: Db, now: () => number): Pick<RunStore, "create" | "remove"> {
  return {
    create: (run) => {
      const at = now();
      const id = newId(at);
      db.run(
        `INSERT INTO runs (id, kind, subsystem, status, hold_reason, rule, hold_until, "trigger", actor, from_version, to_version, commit_sha, ref, upstream, no_reload, artifact, look_at, message, created_at)
         VALUES (:id, :kind, :subsystem, :status, :holdReason, :rule, :holdUntil, :trigger, :actor, :fromVersion, :toVersion, :commit, :ref, :upstream, :noReload, :artifact, :lookAt, :message, :at)`,
        {
          id,
          kind: run.kind,
          subsystem: run.subsystem,
          status: run.status,
          holdReason: run.holdReason ?? null,
          rule: run.rule ?? null,
          holdUntil: run.holdUntil ?? null,
          trigger: run.trigger,
          actor: run.actor ?? null,
          fromVersion: run.fromVersion ?? null,
          toVersion: run.toVersion,
          commit: run.commit ?? null,
          ref: run.ref ?? null,
          upstream: run.upstream ?? null,
          noReload: run.noReload === true ? 1 : 0,
          artifact: run.artifact === undefined ? null : JSON.stringify(run.artifact),
          lookAt: run.lookAt ?? null,
          message: run.message ?? null,
          at,
        },
      );
      return find(db, id) as Run;
    },
    remove: (id) => {
      db.run("DELETE FROM runs WHERE id = :id", { id });
    },
  };
}

function moving(db: Db, now: () => number): Pick<RunStore, "move" | "nextQueued" | "hold" | "complete"> {
  const move: RunStore["move"] = (id, to, patch = {}) =>
      db.tx(() => {
        const run = find(db, id);
        if (run === undefined || !canMove(run.status, to)) throw new SlipstreamError("internal", `run ${id} is ${run?.status ?? "missing"}, expected one that may become ${to}`);
        const ended = !["queued", "held", "running"].includes(to);
        db.run(
          `UPDATE runs SET status = :to, code = coalesce(:code, code), message = coalesce(:message, message), failed_stage = coalesce(:failedStage, failed_stage), from_version = coalesce(:fromVersion, from_version),
             started_at = CASE WHEN :to = 'running' THEN coalesce(started_at, :at) ELSE started_at END,
             heartbeat_at = CASE WHEN :to = 'running' THEN :at ELSE heartbeat_at END,
             ended_at = CASE WHEN :ended = 1 THEN :at ELSE NULL END WHERE id = :id`,
          { id, to, code: patch.code ?? null, message: patch.message ?? null, failedStage: patch.failedStage ?? null, fromVersion: patch.fromVersion ?? null, at: now(), ended: ended ? 1 : 0 },
        );
        return find(db, id) as Run;
      });
  const hold: RunStore["hold"] = (id, h) =>
    db.tx(() => {
      db.run("UPDATE runs SET hold_reason = :reason, rule = coalesce(:rule, rule), hold_until = :until, look_at = :lookAt WHERE id = :id", { id, reason: h.reason, rule: h.rule ?? null, until: h.until, lookAt: h.lookAt ?? null });
      return find(db, id)?.status === "held" ? (find(db, id) as Run) : move(id, "held");
    });
  return {
    move,
    hold,
    complete: (id, found) =>
      db.tx(() => {
        db.run("UPDATE runs SET artifact = :artifact, rule = :rule, message = NULL WHERE id = :id", { id, artifact: JSON.stringify(found.artifact), rule: found.rule });
        return found.hold === undefined ? move(id, "queued") : hold(id, found.hold);
      }),
    nextQueued: (busy = []) => one(db, "SELECT * FROM runs q WHERE q.status = 'queued' AND q.subsystem NOT IN (SELECT value FROM json_each(:busy)) AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.status = 'running' AND r.subsystem = q.subsystem) ORDER BY q.created_at, q.id LIMIT 1", { busy: JSON.stringify(busy) }),
  };
}

function noting(db: Db, now: () => number): Pick<RunStore, "saveContext" | "beat" | "countRecovery" | "lookAgain" | "readdress" | "rest"> {
  return {
    lookAgain: (id, at, missing) => {
      db.run("UPDATE runs SET look_at = :at, message = coalesce(:missing, message) WHERE id = :id", { id, at: Math.round(at), missing: missing ?? null });
    },
    readdress: (id, artifact) => {
      db.run("UPDATE runs SET artifact = :artifact WHERE id = :id", { id, artifact: JSON.stringify(artifact) });
    },
    rest: (id) => {
      db.run("UPDATE runs SET heartbeat_at = NULL WHERE id = :id", { id });
    },
    saveContext: (id, context) => {
      db.run("UPDATE runs SET context = :context WHERE id = :id", { id, context: JSON.stringify(context) });
    },
    beat: (id) => {
      db.run("UPDATE runs SET heartbeat_at = :at WHERE id = :id", { id, at: now() });
    },
    countRecovery: (id) => {
      db.run("UPDATE runs SET recoveries = recoveries + 1 WHERE id = :id", { id });
    },
  };
}

function reading(db: Db): Pick<RunStore, "get" | "byStatus" | "of" | "held" | "dueLooks" | "nextLook" | "list" | "overdue" | "old"> {
  return {
    held: (subsystem, reason) => one(db, "SELECT * FROM runs WHERE subsystem = :subsystem AND status = 'held' AND hold_reason = :reason", { subsystem, reason }),
    dueLooks: (reason, at) => db.all("SELECT * FROM runs WHERE status = 'held' AND hold_reason = :reason AND look_at <= :at ORDER BY look_at", { reason, at }).map(toRun),
    nextLook: (reason) => int(db.get("SELECT min(look_at) AS at FROM runs WHERE status = 'held' AND hold_reason = :reason", { reason }) ?? {}, "at"),
    get: (id) => find(db, id),
    byStatus: (status) => db.all(`SELECT * FROM runs WHERE status = :status ${NEWEST}`, { status }).map(toRun),
    of: (subsystem, status) => one(db, `SELECT * FROM runs WHERE subsystem = :subsystem AND status = :status ${NEWEST} LIMIT 1`, { subsystem, status }),
    list: (filter) =>
      (filter.subsystem === undefined
        ? db.all(`SELECT * FROM runs ${NEWEST} LIMIT :limit`, { limit: filter.limit })
        : db.all(`SELECT * FROM runs WHERE subsystem = :subsystem ${NEWEST} LIMIT :limit`, { subsystem: filter.subsystem, limit: filter.limit })
      ).map(toRun),
    overdue: (at) => db.all("SELECT * FROM runs WHERE status = 'held' AND hold_until <= :at AND (hold_reason = 'approval' OR look_at IS NULL OR look_at > hold_until)", { at }).map(toRun),
    old: (before, limit) => db.all("SELECT * FROM runs WHERE created_at < :before AND status NOT IN ('queued','held','running') ORDER BY created_at LIMIT :limit", { before, limit }).map(toRun),
  };
}

function toRun(row: Row): Run {
  return {
    id: String(row.id),
    kind: row.kind as RunKind,
    subsystem: String(row.subsystem),
    status: row.status as RunStatus,
    trigger: row.trigger as Run["trigger"],
    toVersion: String(row.to_version),
    context: JSON.parse(String(row.context)) as RunContext,
    recoveries: Number(row.recoveries),
    createdAt: Number(row.created_at),
    ...present({
      holdReason: text(row, "hold_reason") as HoldReason | undefined,
      rule: text(row, "rule"),
      holdUntil: int(row, "hold_until"),
      lookAt: int(row, "look_at"),
      artifact: row.artifact === null || row.artifact === undefined ? undefined : (JSON.parse(String(row.artifact)) as Artifact),
      actor: text(row, "actor"),
      fromVersion: text(row, "from_version"),
      commit: text(row, "commit_sha"),
      ref: text(row, "ref"),
      upstream: text(row, "upstream"),
      noReload: row.no_reload === 1 ? true : undefined,
      code: text(row, "code"),
      message: text(row, "message"),
      failedStage: text(row, "failed_stage"),
      startedAt: int(row, "started_at"),
      endedAt: int(row, "ended_at"),
      heartbeatAt: int(row, "heartbeat_at"),
    }),
  };
}
