import assert from "node:assert/strict";
import { test } from "node:test";
import type { OperatorRequest } from "../../../src/domain/change.ts";
import { createControlApi } from "../../../src/status/api/control.ts";
import { delivery, fakeApp } from "../../support/cli.ts";

test("that a process is to be left alone reaches the daemon over its socket, and what is not understood is refused, not taken for no", async () => {
  const requests: OperatorRequest[] = [];
  const api = createControlApi(fakeApp({ request: async (request) => (requests.push(request), delivery()) }));
  const ask = async (reload: unknown) => (await api.fetch(new Request("http://slipstream/v1/requests", { method: "POST", body: JSON.stringify({ verb: "update", subsystem: "api", actor: "cli:t", ...(reload === undefined ? {} : { reload }) }) }))).status;
  assert.ok((await ask(false)) < 300);
  assert.ok((await ask(undefined)) < 300);
  assert.ok((await ask("false")) >= 400);
  assert.deepEqual(requests, [{ verb: "update", subsystem: "api", actor: "cli:t", reload: false }, { verb: "update", subsystem: "api", actor: "cli:t" }]);
});
