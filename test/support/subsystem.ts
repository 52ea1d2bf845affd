/** A subsystem with defaults, for tests that need one in memory. */

import { DEFAULT_POLICY, type Policy } from "../../src/domain/policy.ts";
import type { ReleaseFeed, Subsystem } from "../../src/domain/subsystem.ts";

export function subsystem(fields: Partial<Omit<Subsystem, "policy">> & { policy?: Partial<Policy> } = {}): Subsystem {
  const { policy, ...rest } = fields;
  return {
    name: "api",
    dir: "/srv/ws/api",
    mode: "source",
    upstream: "https://github.com/acme/api",
    repositories: ["acme/api"],
    branch: "main",
    strategy: "tags",
    others: [],
    prefer: "newest",
    tags: [],
    versions: "semver",
    channel: [],
    drift: "show",
    binary: "api-server",
    process: "api",
    varPrefix: "",
    build: { task: "api:bin:build" },
    buildVars: {},
    timeouts: { source: 60_000, build: 60_000, test: 60_000 },
    health: { soakMs: 1_000, timeoutMs: 10_000, proof: "required" },
    keep: 3,
    ...rest,
    policy: { ...DEFAULT_POLICY, ...policy },
  };
}

export const commit = (digit: string): string => digit.repeat(40).slice(0, 40);

/** Where the releases of the subsystem are, with what the configuration fills in by itself. */
export function releaseFeed(fields: Partial<ReleaseFeed> = {}): ReleaseFeed {
  return { api: "https://api.github.com", repository: "acme/api", assetHosts: [], trust: "digest", assetWaitMs: 30 * 60_000, maxBytes: 1024 ** 3, maxUnpackedBytes: 4 * 1024 ** 3, ...fields };
}
