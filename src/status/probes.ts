/** GET /health and GET /api/health (requirements §8). */

import { Hono } from "hono";
import type { Clock } from "../kit/clock.ts";
import type { Store } from "../store/store.ts";

/** One real write answers for this long, so that a flood of probes cannot wear the disk. */
const WRITE_CHECK_MS = 1_000;

/** `/health` is 200 while serving, so that a full disk does not make the supervisor kill the daemon; `/api/health` is 503 when the journal cannot be written. */
export function createProbes(deps: { store: Pick<Store, "writable">; clock: Clock; version: string }): Hono {
  let looked = Number.NEGATIVE_INFINITY;
  let writable = false;
  const journal = () => {
    if (deps.clock.monotonic() - looked > WRITE_CHECK_MS) {
      writable = deps.store.writable();
      looked = deps.clock.monotonic();
    }
    return writable ? "writable" : "unwritable";
  };
  return new Hono()
    .notFound((c) => c.json({ error: { code: "not-found", message: "nothing is here; slipstream serves POST on the webhooks' paths, GET /health and GET /api/health" } }, 404))
    .get("/health", (c) => c.json({ status: "ok", version: deps.version, journal: journal() }))
    .get("/api/health", (c) => {
      const state = journal();
      return c.json({ status: state === "writable" ? "ok" : "failing", version: deps.version, journal: state }, state === "writable" ? 200 : 503);
    });
}
