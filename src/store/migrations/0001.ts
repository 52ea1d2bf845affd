/** The first schema. Times are ms since the epoch; JSON columns hold objects. */
export const MIGRATION_0001 = `
CREATE TABLE deliveries (
  id TEXT PRIMARY KEY,
  receiver TEXT NOT NULL,
  external_id TEXT NOT NULL,
  event TEXT NOT NULL,
  hint TEXT,
  key_name TEXT NOT NULL,
  body_sha256 TEXT NOT NULL,
  body BLOB,
  change TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('received','done','ignored','failed')),
  reason TEXT,
  run_id TEXT,
  received_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX deliveries_external ON deliveries (receiver, external_id);
CREATE INDEX deliveries_body ON deliveries (body_sha256);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE state = 'received';
CREATE INDEX deliveries_age ON deliveries (received_at);

CREATE TABLE verdicts (
  delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  subsystem TEXT NOT NULL,
  reason TEXT,
  run_id TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, subsystem)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdicts_subsystem ON verdicts (subsystem, at);
CREATE INDEX verdicts_run ON verdicts (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('update','rollback','reload')),
  subsystem TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('queued','held','running','succeeded','failed','stale','skipped','cancelled','rolled_back')),
  hold_reason TEXT,
  rule TEXT,
  hold_until INTEGER,
  "trigger" TEXT NOT NULL,
  actor TEXT,
  from_version TEXT,
  to_version TEXT NOT NULL,
  commit_sha TEXT,
  ref TEXT,
  code TEXT,
  message TEXT,
  failed_stage TEXT,
  context TEXT NOT NULL DEFAULT '{}',
  recoveries INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  heartbeat_at INTEGER
) STRICT;
CREATE UNIQUE INDEX runs_one_running ON runs (subsystem) WHERE status = 'running';
CREATE UNIQUE INDEX runs_one_queued ON runs (subsystem) WHERE status = 'queued';
CREATE UNIQUE INDEX runs_one_held ON runs (subsystem) WHERE status = 'held';
CREATE INDEX runs_subsystem ON runs (subsystem, created_at);
CREATE INDEX runs_age ON runs (created_at);

CREATE TABLE stages (
  run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('running','done')),
  outcome TEXT CHECK (outcome IN ('success','failure','error','cancelled')),
  message TEXT,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
  run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  truncated INTEGER NOT NULL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  run_id TEXT,
  subsystem TEXT,
  delivery_id TEXT,
  stage TEXT,
  message TEXT,
  duration_ms INTEGER,
  data TEXT
) STRICT;
CREATE INDEX events_run ON events (run_id, id) WHERE run_id IS NOT NULL;

CREATE TABLE versions (
  subsystem TEXT NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  commit_sha TEXT,
  state TEXT NOT NULL CHECK (state IN ('current','previous','quarantined')),
  path TEXT,
  reason TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (subsystem, version, digest)
) STRICT;
CREATE UNIQUE INDEX versions_one_current ON versions (subsystem) WHERE state = 'current';

CREATE TABLE pulse (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at INTEGER NOT NULL
) STRICT;

CREATE TABLE approvals (
  run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  verdict TEXT NOT NULL CHECK (verdict IN ('approved','rejected')),
  bound_to TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (run_id)
) STRICT;
`;
