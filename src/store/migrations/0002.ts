/** Release mode: what a run downloads, when a held one is looked at again, and which release a version came from. */
export const MIGRATION_0002 = `
ALTER TABLE runs ADD COLUMN artifact TEXT;
ALTER TABLE runs ADD COLUMN look_at INTEGER;
ALTER TABLE versions ADD COLUMN tag TEXT;
ALTER TABLE versions ADD COLUMN artifact TEXT;
DROP INDEX runs_one_held;
CREATE UNIQUE INDEX runs_one_held ON runs (subsystem, hold_reason) WHERE status = 'held';
CREATE INDEX runs_look ON runs (look_at) WHERE status = 'held';
`;
