/** The resolve worker over a real store, with two upstreams that are only tables: `acme/api` above `ours/api`. */

import { after } from "node:test";
import type { Git } from "../../src/adapters/git.ts";
import type { Change } from "../../src/domain/change.ts";
import { type ErrorCode, UpstreamError } from "../../src/domain/errors.ts";
import type { Release } from "../../src/domain/release.ts";
import type { Origin, Subsystem } from "../../src/domain/subsystem.ts";
import { expireHolds } from "../../src/janitor/janitor.ts";
import { createBell } from "../../src/kit/bell.ts";
import type { Clock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { createFeed } from "../../src/resolve/feed.ts";
import { createUpstream } from "../../src/resolve/upstream.ts";
import { createResolveWorker } from "../../src/resolve/worker.ts";
import { openStore } from "../../src/store/store.ts";
import { PLATFORM, tableForge } from "./release-table.ts";
import { commit, releaseFeed, subsystem } from "./subsystem.ts";
import { until } from "./wait.ts";

export const FORK = "https://gitea.example/ours/api";
export const lower: Origin = { upstream: FORK, branch: "main", repositories: ["ours/api"], forge: "gitea" };
export const several = (fields: Parameters<typeof subsystem>[0] = {}) => subsystem({ others: [lower], ...fields });
export const binaries = (fields: Parameters<typeof subsystem>[0] = {}) => several({ mode: "release", release: releaseFeed(), others: [{ ...lower, release: releaseFeed({ api: "https://gitea.example/api/v1", repository: "ours/api" }) }], ...fields });
export const ASSET = "api-server-linux-amd64.tar.gz";

/** One upstream that is only a table: tags with the hex digit of their commit, or releases. */
export interface Place {
  tags?: Record<string, string>;
  head?: string;
  releases?: Release[];
  down?: ErrorCode;
}

/** `configured.as` is the configuration, which a test may edit; `texts` is what small files hold, by asset id. */
export function upstreamsBench(s: Subsystem, above: Place, below: Place, texts: Readonly<Record<string, string>> = {}) {
  const configured = { as: s };
  const time = { at: 1_800_000_000_000 };
  const clock: Clock = { now: () => time.at, monotonic: () => performance.now(), sleep: (_ms, signal) => new Promise((r) => (signal?.aborted === true ? r() : setTimeout(r, 2))) };
  const store = openStore(":memory:", () => time.at);
  after(() => store.close());
  const looks = { count: 0 };
  const placeOf = (name: string): Place => {
    const place = name.includes("ours/") ? below : above;
    looks.count++;
    if (place.down !== undefined) throw new UpstreamError(place.down, `${name} is away`, { retryable: place.down !== "forge-refused" });
    return place;
  };
  const listRefs: Git["listRefs"] = async (url) => {
    const { tags = {}, head } = placeOf(url);
    return [...Object.entries(tags).map(([tag, digit]) => ({ name: `refs/tags/${tag}`, commit: commit(digit) })), ...(head === undefined ? [] : [{ name: "refs/heads/main", commit: commit(head) }])];
  };
  const forge = { ...tableForge([], texts), releases: async (feed: { repository: string }) => placeOf(feed.repository).releases ?? [], release: async (feed: { repository: string }, id: string) => tableForge(placeOf(feed.repository).releases ?? []).release(releaseFeed(), id, AbortSignal.timeout(1_000)) };
  const lookups = { store, upstream: createUpstream({ listRefs } as Git, forge), feed: createFeed({ forge, platform: PLATFORM, clock }) };
  let sent = 0;
  const turn = async (done: () => boolean) => {
    const stop = new AbortController();
    const running = createResolveWorker({ ...lookups, clock, log: silentLog(), subsystems: () => [configured.as], looked: async () => undefined, adopt: async () => undefined, bell: createBell(clock), queued: createBell(clock) }).run(stop.signal);
    try {
      await until(done, { what: "resolve to be done", everyMs: 5, timeoutMs: 5_000 });
    } finally {
      stop.abort();
      await running;
    }
  };
  return {
    ...{ store, looks, lookups, time, turn, configured },
    /** The janitor's look at deadlines. */
    expire: () => expireHolds({ store, clock, log: silentLog(), ended: createBell(clock), removeLogs: async () => undefined }),
    install: (version: string, fields: object = {}) => store.versions.setCurrent({ subsystem: "api", version, tag: version, digest: `sha256:${version}`, ...fields }),
    runs: () => store.runs.list({ limit: 20 }).map((r) => `${r.toVersion} ${r.status}${r.status === "held" ? ` ${r.holdReason}` : ""} from ${r.upstream === undefined ? "acme" : r.upstream.split("/")[3]}`).sort(),
    /** Delivers these as one batch; `state reason` of each once judged. */
    async deliver(...changes: Change[]) {
      const accepted = store.inbox.accept(changes.map((change) => ({ receiver: "github", event: change.kind, change, externalId: `d${++sent}`, bodySha256: `b${sent}`, key: "default", body: Buffer.from("{}"), state: "received" as const })));
      const find = () => accepted.map((a) => store.inbox.get(a.delivery.id));
      await turn(() => find().every((d) => d?.state !== "received" || d.reason !== undefined));
      return find().map((d) => `${d?.state} ${d?.reason?.replace(/:.*/, "") ?? ""}`.trim());
    },
    /** Another try for the latest delivery, which was put back. */
    async retry() {
      time.at = store.inbox.nextDue() ?? time.at;
      const last = () => store.inbox.forSubsystem("api", 1)[0];
      const before = last()?.reason;
      await turn(() => last()?.reason !== before || last()?.state !== "received");
      return `${last()?.state} ${last()?.reason?.replace(/:.*/, "") ?? ""}`.trim();
    },
  };
}

export const tag = (repository: string, name: string, digit?: string): Change => ({ kind: "tag", repository, tag: name, ...(digit === undefined ? {} : { commit: commit(digit) }) });
export const released = (repository: string, name: string, releaseId: string): Change => ({ kind: "release", repository, tag: name, releaseId, action: "published", draft: false, prerelease: false });
