/** Who let a held run go, bound to the exact commit or artifact it was decided about. */

import type { Db } from "./open.ts";

export interface Approval {
  readonly runId: string;
  readonly verdict: "approved" | "rejected";
  /** The full commit (source mode) or the artifact's identity (release mode). */
  readonly boundTo: string;
  readonly decidedBy: string;
  readonly at: number;
}

export interface ApprovalStore {
  record(a: Omit<Approval, "at">): void;
  of(runId: string): Approval | undefined;
  /** Whether a person's last word about exactly that commit or artifact of a subsystem was no. */
  isRejected(subsystem: string, identity: string): boolean;
}

export function createApprovals(db: Db, now: () => number): ApprovalStore {
  return {
    record: (a) => {
      db.run("INSERT INTO approvals (run_id, verdict, bound_to, decided_by, at) VALUES (:runId, :verdict, :boundTo, :decidedBy, :at) ON CONFLICT (run_id) DO UPDATE SET verdict = excluded.verdict, bound_to = excluded.bound_to, decided_by = excluded.decided_by, at = excluded.at", { runId: a.runId, verdict: a.verdict, boundTo: a.boundTo, decidedBy: a.decidedBy, at: now() });
    },
    isRejected: (subsystem, identity) =>
      db.get("SELECT a.verdict FROM approvals a JOIN runs r ON r.id = a.run_id WHERE r.subsystem = :subsystem AND a.bound_to = :identity ORDER BY a.at DESC, r.id DESC LIMIT 1", { subsystem, identity })?.verdict === "rejected",
    of: (runId) => {
      const row = db.get("SELECT * FROM approvals WHERE run_id = :runId", { runId });
      return row === undefined ? undefined : { runId, verdict: row.verdict as Approval["verdict"], boundTo: String(row.bound_to), decidedBy: String(row.decided_by), at: Number(row.at) };
    },
  };
}
