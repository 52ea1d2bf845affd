import assert from "node:assert/strict";
import { test } from "node:test";
import { asset, release } from "../../support/release-table.ts";
import { API, install, resolveBench } from "../../support/resolve-bench.ts";

for (const [title, from, status] of [["a run", "v1.0.0", "queued"], ["one that waits for a person", "v0.9.0", "held"]] as const) {
  test(`an update that was asked for without a reload becomes ${title} that leaves the process alone, whoever lets it go`, async () => {
    const b = resolveBench([release("v1.1.0", [asset(API, "2")])]);
    install(b.store, from, "1");
    assert.match(await b.ask({ verb: "update", subsystem: "api", reload: false, actor: "cli:t" }), /^done/);
    const [run] = b.store.runs.list({ limit: 1 });
    assert.deepEqual([run?.status, run?.noReload], [status, true]);
    if (status === "held") await b.ask({ verb: "approve", runId: run?.id ?? "", actor: "cli:boss" });
    assert.deepEqual([b.store.runs.get(run?.id ?? "")?.status, b.store.runs.get(run?.id ?? "")?.noReload], ["queued", true]);
  });
}

test("an update that was asked for as usual reloads, and so does one that comes by itself", async () => {
  const b = resolveBench([release("v1.1.0", [asset(API, "2")]), release("v1.2.0", [asset(API, "3")])]);
  install(b.store, "v1.0.0", "1");
  await b.ask({ verb: "update", subsystem: "api", version: "v1.1.0", reload: true, actor: "cli:t" });
  await b.deliver("v1.2.0");
  assert.deepEqual(b.store.runs.list({ limit: 5 }).map((r) => r.noReload), b.store.runs.list({ limit: 5 }).map(() => undefined));
});
