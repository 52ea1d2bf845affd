import assert from "node:assert/strict";
import { after, test } from "node:test";
import { chooseNewest } from "../../../src/resolve/choose.ts";
import { openStore } from "../../../src/store/store.ts";
import { commit, subsystem } from "../../support/subsystem.ts";

const tag = (version: string, sha: string) => ({ version, ref: `refs/tags/${version}`, commit: commit(sha) });

test("a quarantined newest version does not hide a good one below it, and what is installed ends the search", () => {
  const store = openStore(":memory:", () => 1);
  after(() => store.close());
  store.versions.setCurrent({ subsystem: "api", version: "v1.0.0", digest: "sha256:1", commit: commit("1") });
  store.versions.quarantine({ subsystem: "api", version: "v1.0.3", digest: "sha256:3", commit: commit("3"), reason: "unhealthy" });
  const api = subsystem();
  const all = [tag("v1.0.3", "3"), tag("v1.0.2", "2"), tag("v1.0.0", "1"), tag("v0.9.0", "0")];
  assert.equal(chooseNewest(store, api, all)?.candidate.version, "v1.0.2");
  const only = chooseNewest(store, api, [tag("v1.0.3", "3"), tag("v1.0.0", "1")]);
  assert.deepEqual([only?.candidate.version, only?.decision], ["v1.0.3", { verdict: "ignore", reason: "quarantined" }]);
  assert.equal(chooseNewest(store, api, []), undefined);
});
