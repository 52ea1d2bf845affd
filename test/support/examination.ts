/** An examination in which all is well, for tests that spoil one thing of it. */

import type { Examination, SubsystemFact } from "../../src/domain/examination.ts";

export const NOW = Date.UTC(2026, 5, 1, 12);

export function subsystemFact(fields: Partial<SubsystemFact> = {}): SubsystemFact {
  return { name: "api", mode: "source", managed: true, process: "api", noProcess: false, binary: "/srv/ws/api/.bin/api-server", installed: true, executable: true, stamped: true, lastDelivery: NOW - 60_000, upstream: { ok: true }, ...fields };
}

export function examination(fields: Partial<Examination> = {}): Examination {
  return {
    now: NOW,
    node: { version: "24.21.0", path: "/usr/bin/node" },
    git: { program: "git", found: true, version: "2.43.0" },
    task: { program: "task", found: true, version: "3.53.1", known: true },
    workspace: "/srv/ws",
    config: { problems: [], warnings: [] },
    defects: [],
    supervisor: { state: "up", where: "/srv/ws/pc.sock", version: "v1.122.0", processes: ["api", "slipstream"] },
    secrets: {
      webhook: [{ name: "default", chars: 64 }],
      githubToken: false,
      file: { path: "/srv/ws/.slipstream/secrets.env", mode: 0o600, mine: true },
      folder: { path: "/srv/ws/.slipstream", mode: 0o700, mine: true },
      inherited: [],
    },
    receivers: [],
    state: { path: "/srv/ws/.slipstream", exists: true },
    disks: [{ path: "/srv/ws", freeBytes: 80e9, filesystem: "ext4" }],
    port: { host: "127.0.0.1", port: 8080, state: "own" },
    daemon: { state: "up", url: "http://127.0.0.1:8080", frontDoor: { accepted: 3, duplicates: 0, refused: {} } },
    subsystems: [subsystemFact()],
    ...fields,
  };
}
