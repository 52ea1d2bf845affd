/** Several upstreams, updates that leave the process alone, and programs that were changed by hand. */
export const MIGRATION_0003 = `
ALTER TABLE runs ADD COLUMN upstream TEXT;
ALTER TABLE runs ADD COLUMN no_reload INTEGER NOT NULL DEFAULT 0;
CREATE TABLE drifts (
  subsystem TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  before TEXT,
  version TEXT,
  verified INTEGER NOT NULL,
  detail TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;
`;
