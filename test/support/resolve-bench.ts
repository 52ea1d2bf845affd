/** The resolve worker over a real store and a forge that is only a table, with a clock that tests move. */

import { after } from "node:test";
import type { Change, OperatorRequest } from "../../src/domain/change.ts";
import type { Release } from "../../src/domain/release.ts";
import type { Subsystem } from "../../src/domain/subsystem.ts";
import { expireHolds } from "../../src/janitor/janitor.ts";
import { createBell } from "../../src/kit/bell.ts";
import type { Clock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import { createFeed, type Feed } from "../../src/resolve/feed.ts";
import type { Upstream } from "../../src/resolve/upstream.ts";
import { createResolveWorker } from "../../src/resolve/worker.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { PLATFORM, type TableForge, tableForge } from "./release-table.ts";
import { releaseFeed, subsystem } from "./subsystem.ts";
import { until } from "./wait.ts";

export const api = subsystem({ mode: "release", release: releaseFeed() });
export const web = subsystem({ name: "web", binary: "web", process: "web", mode: "release", release: releaseFeed() });
export const API = "api-server-linux-amd64.tar.gz";
export const WEB = "web-linux-amd64.tar.gz";
export const noUpstream = new Proxy({}, { get: () => () => Promise.reject(new Error("release mode never asks git")) }) as Upstream;

export interface ResolveBench {
  readonly store: Store;
  readonly forge: TableForge;
  readonly feed: Feed;
  readonly clock: { at: number };
  /** Delivers release events for these tags as one batch and returns `state code` of each once judged. */
  deliver(...tags: string[]): Promise<string[]>;
  /** Sends an operator's request and returns `state reason` once judged. */
  ask(request: OperatorRequest): Promise<string>;
  /** Lets the worker look until the condition holds. */
  turn(done: () => boolean): Promise<void>;
  /** The janitor's look at deadlines. */
  expire(): void;
  /** Takes the queued run to where the forge's limit stopped its download for an hour. Returns its id. */
  limit(): string;
}

export function resolveBench(releases: Release[], subsystems: readonly Subsystem[] = [api], texts: Readonly<Record<string, string>> = {}): ResolveBench {
  const time = { at: 1_800_000_000_000 };
  const clock: Clock = { now: () => time.at, monotonic: () => performance.now(), sleep: (_ms, signal) => new Promise((r) => (signal?.aborted === true ? r() : setTimeout(r, 2))) };
  const store = openStore(":memory:", () => time.at);
  after(() => store.close());
  const forge = tableForge(releases, texts);
  const feed = createFeed({ forge, platform: PLATFORM });
  let sent = 0;
  const turn = async (done: () => boolean) => {
    const stop = new AbortController();
    const running = createResolveWorker({ store, clock, log: silentLog(), upstream: noUpstream, feed, subsystems: () => subsystems, looked: async () => undefined, adopt: async () => undefined, bell: createBell(clock), queued: createBell(clock) }).run(stop.signal);
    try {
      await until(done, { what: "resolve to be done", everyMs: 5 });
    } finally {
      stop.abort();
      await running;
    }
  };
  const judged = async (items: readonly { readonly receiver: string; readonly event: string; readonly change: Change }[]) => {
    const accepted = store.inbox.accept(items.map((item) => ({ ...item, externalId: `d${++sent}`, bodySha256: `b${sent}`, key: "default", body: Buffer.from("{}"), state: "received" as const })));
    const find = () => accepted.map((a) => store.inbox.get(a.delivery.id));
    await turn(() => find().every((d) => d?.state !== "received" || d.reason !== undefined));
    return find();
  };
  const released = (tag: string): Change => ({ kind: "release", repository: "acme/api", tag, releaseId: releases.find((r) => r.tag === tag)?.id ?? "404", action: "published", draft: false, prerelease: false });
  return {
    ...{ store, forge, feed, clock: time, turn },
    deliver: async (...tags) => (await judged(tags.map((tag) => ({ receiver: "github", event: "release", change: released(tag) })))).map((d) => `${d?.state} ${d?.reason?.replace(/:.*/, "") ?? ""}`.trim()),
    ask: async (request) => {
      const [d] = await judged([{ receiver: "operator", event: request.verb, change: { kind: "request", request } }]);
      return `${d?.state} ${d?.reason ?? ""}`.trim();
    },
    expire: () => expireHolds({ store, clock, log: silentLog(), ended: createBell(clock), removeLogs: async () => undefined }),
    limit: () => {
      const run = store.runs.of("api", "queued");
      if (run === undefined) throw new Error("nothing is queued");
      store.runs.move(run.id, "running");
      store.runs.hold(run.id, { reason: "rate-limit", until: time.at + 90_000_000, lookAt: time.at + 3_600_000 });
      return run.id;
    },
  };
}

/** Every run as `subsystem version status`, with what it waits for. */
export const runs = (store: Store) => store.runs.list({ limit: 20 }).map((r) => `${r.subsystem} ${r.toVersion} ${r.status}${r.status === "held" ? ` ${r.holdReason}` : ""}`).sort();
/** Makes a release the current version of `api`; its artifact's digest is made of one hex digit. */
export const install = (store: Store, tag: string, digit: string, fields: object = {}) => store.versions.setCurrent({ subsystem: "api", version: tag, tag, artifact: `sha256:${digit.repeat(64)}`, digest: `sha256:bin${digit}`, ...fields });
