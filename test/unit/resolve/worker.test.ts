import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Change } from "../../../src/domain/change.ts";
import { EvidenceError, UpstreamError } from "../../../src/domain/errors.ts";
import type { Subsystem } from "../../../src/domain/subsystem.ts";
import { createBell } from "../../../src/kit/bell.ts";
import { systemClock } from "../../../src/kit/clock.ts";
import { silentLog } from "../../../src/kit/log.ts";
import { createFeed } from "../../../src/resolve/feed.ts";
import type { Upstream } from "../../../src/resolve/upstream.ts";
import { createResolveWorker } from "../../../src/resolve/worker.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { PLATFORM, tableForge } from "../../support/release-table.ts";
import { commit, subsystem } from "../../support/subsystem.ts";
import { until } from "../../support/wait.ts";

/** The refs of a repository that is only a table: the real one is in the contract and e2e tests. */
function tableUpstream(refs: Record<string, string>): Upstream {
  return {
    candidate: async (s, offer) => {
      const ref = offer.kind === "tag" ? `refs/tags/${offer.tag}` : `refs/heads/${s.branch}`;
      const sha = refs[ref];
      if (sha === undefined) throw new UpstreamError("version-not-found", `ref ${ref} is missing`, { retryable: true });
      return { version: offer.kind === "tag" ? offer.tag : sha, ref, commit: sha, ...(offer.kind === "branch" ? { forced: offer.forced } : {}) };
    },
    versions: async () => [],
    named: async () => Promise.reject(new EvidenceError("internal", "not used here")),
  };
}

interface Bench {
  readonly store: Store;
  readonly refs: Record<string, string>;
  /** Stores the changes as one batch, lets resolve settle or put back all of them, and returns `state reason` of each. */
  resolve(...changes: Change[]): Promise<string[]>;
}

function bench(subsystems: readonly Subsystem[], refs: Record<string, string>): Bench {
  const store = openStore(":memory:", () => Date.now());
  after(() => store.close());
  for (const s of subsystems) store.versions.setCurrent({ subsystem: s.name, version: "v1.0.0", digest: `sha256:${s.name}`, commit: commit("1") });
  let sent = 0;
  return {
    store,
    refs,
    async resolve(...changes) {
      const accepted = store.inbox.accept(
        changes.map((change) => ({ receiver: "github", externalId: `d${++sent}`, event: "push", key: "default", bodySha256: `b${sent}`, body: Buffer.from("{}"), change, state: "received" as const })),
      );
      const ids = accepted.map((a) => a.delivery.id);
      const stop = new AbortController();
      const worker = createResolveWorker({ store, clock: systemClock, log: silentLog(), upstream: tableUpstream(refs), feed: createFeed({ forge: tableForge([]), platform: PLATFORM }), subsystems: () => subsystems, looked: async () => undefined, adopt: async () => undefined, bell: createBell(systemClock), queued: createBell(systemClock) });
      const running = worker.run(stop.signal);
      await until(() => ids.every((id) => store.inbox.get(id)?.state !== "received" || store.inbox.get(id)?.reason !== undefined), { what: "every delivery to be judged", everyMs: 5 });
      stop.abort();
      await running;
      return ids.map((id) => `${store.inbox.get(id)?.state} ${store.inbox.get(id)?.reason?.replace(/:.*/, "") ?? ""}`.trim());
    },
  };
}

const tag = (name: string, sha: string): Change => ({ kind: "tag", repository: "acme/api", tag: name, commit: commit(sha) });
const runs = (store: Store) => store.runs.list({ limit: 20 }).map((r) => `${r.subsystem} ${r.toVersion.slice(0, 7)} ${r.status}`).sort();

test("a patch that arrives together with a major version runs, and the major one waits", async () => {
  const b = bench([subsystem()], { "refs/tags/v1.9.1": commit("2"), "refs/tags/v2.0.0": commit("3") });
  assert.deepEqual(await b.resolve(tag("v1.9.1", "2"), tag("v2.0.0", "3")), ["done", "done"]);
  assert.deepEqual(runs(b.store), ["api v1.9.1 queued", "api v2.0.0 held"]);
});

test("a quarantined version hides nothing that arrives with it", async () => {
  const b = bench([subsystem()], { "refs/tags/v1.0.1": commit("2"), "refs/tags/v1.0.2": commit("3") });
  b.store.versions.quarantine({ subsystem: "api", version: "v1.0.2", digest: "sha256:x", commit: commit("3"), reason: "unhealthy" });
  assert.deepEqual(await b.resolve(tag("v1.0.1", "2"), tag("v1.0.2", "3")), ["done", "ignored quarantined"]);
  assert.deepEqual(runs(b.store), ["api v1.0.1 queued"]);
});

test("an invented version ends alone; the real one beside it goes", async () => {
  const b = bench([subsystem()], { "refs/tags/v1.0.1": commit("2") });
  assert.deepEqual(await b.resolve(tag("v1.0.1", "2"), tag("v99.0.0", "9")), ["done", "received version-not-found"]);
  assert.deepEqual(runs(b.store), ["api v1.0.1 queued"]);
});

test("a tag that is at another commit than the delivery says is not built", async () => {
  const b = bench([subsystem()], { "refs/tags/v1.0.1": commit("2") });
  assert.deepEqual(await b.resolve(tag("v1.0.1", "5")), ["received commit-mismatch"]);
  assert.deepEqual(runs(b.store), []);
});

test("a batch with a forced push is held whole, whichever of its pushes the refs show", async () => {
  const edge = subsystem({ strategy: "commits" });
  const push = (sha: string, forced: boolean): Change => ({ kind: "branch", repository: "acme/api", branch: "main", commit: commit(sha), forced });
  const b = bench([edge], { "refs/heads/main": commit("7") });
  await b.resolve(push("6", true), push("7", false));
  assert.deepEqual(runs(b.store), ["api 7777777 held"]);
});

test("of a shared repository, a subsystem that has to wait holds up no other, and nothing is built twice", async () => {
  const both = [subsystem(), subsystem({ name: "web", process: "web" })];
  const b = bench(both, { "refs/tags/v1.0.1": commit("2") });
  const rollback = b.store.runs.create({ kind: "rollback", subsystem: "web", status: "queued", trigger: "operator", actor: "cli:me", toVersion: "v0.9.0" });
  assert.deepEqual(await b.resolve(tag("v1.0.1", "2")), ["received policy-refused"]);
  assert.deepEqual(runs(b.store), ["api v1.0.1 queued", "web v0.9.0 queued"]);
  b.store.runs.move(rollback.id, "cancelled");
  assert.deepEqual(await b.resolve({ kind: "tag", repository: "acme/api", tag: "v1.0.1", commit: commit("2") }), ["done"]);
  assert.deepEqual(runs(b.store), ["api v1.0.1 queued", "web v0.9.0 cancelled", "web v1.0.1 queued"]);
});

test("a moving tag is followed under policy rewritten, and news of where it was before leads to where it is", async () => {
  const nightly = subsystem({ tags: ["nightly"], policy: { rewritten: "auto" } });
  const b = bench([nightly], { "refs/tags/nightly": commit("1") });
  b.store.versions.setCurrent({ subsystem: "api", version: "nightly", digest: "sha256:n", commit: commit("1") });
  assert.deepEqual(await b.resolve(tag("nightly", "1"), tag("v1.0.1", "2")), ["ignored already-current", "ignored tag-not-tracked"]);
  b.refs["refs/tags/nightly"] = commit("3");
  assert.deepEqual(await b.resolve(tag("nightly", "2")), ["done"]);
  const [run] = b.store.runs.list({ limit: 1 });
  assert.deepEqual([run?.toVersion, run?.commit, run?.rule, run?.status], ["nightly", commit("3"), "rewritten", "queued"]);
});
