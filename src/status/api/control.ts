/** The App port over HTTP, for the CLI on this machine. Served on the control socket only (0600): whoever may connect is the operator. */

import { Hono } from "hono";
import type { App } from "../../domain/app.ts";
import type { OperatorRequest } from "../../domain/change.ts";
import { codeOf, messageOf, SlipstreamError, UsageError } from "../../domain/errors.ts";

const MAX_REQUEST_BYTES = 64 * 1024;

export function createControlApi(app: App): Hono {
  const api = new Hono();
  const number = (text: string | undefined): number | undefined => (text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined);
  api.onError((error, c) => c.json({ error: { code: codeOf(error), message: error instanceof SlipstreamError ? messageOf(error) : "internal error; see the daemon's log" } }, error instanceof UsageError ? 404 : 500));
  api.notFound((c) => c.json({ error: { code: "usage", message: `no such operation: ${c.req.method} ${c.req.path}` } }, 404));
  api.get("/v1/status", async (c) => c.json(await app.status()));
  api.get("/v1/runs", async (c) => {
    const subsystem = c.req.query("subsystem");
    const limit = number(c.req.query("limit"));
    return c.json(await app.runs({ ...(subsystem === undefined ? {} : { subsystem }), ...(limit === undefined ? {} : { limit }) }));
  });
  api.get("/v1/runs/:id", async (c) => c.json(await app.run(c.req.param("id"))));
  api.get("/v1/runs/:id/logs", async (c) => c.text(await app.logs(c.req.param("id"))));
  api.get("/v1/why/:subsystem", async (c) => c.json(await app.why(c.req.param("subsystem"))));
  api.get("/v1/check", async (c) => c.json(await app.check(c.req.queries("subsystem") ?? [])));
  api.get("/v1/preview/:subsystem", async (c) => c.json(await app.preview(c.req.param("subsystem"), c.req.query("version"))));
  api.get("/v1/deliveries/:id", async (c) => c.json(await app.delivery(c.req.param("id"))));
  api.get("/v1/events", async (c) => {
    const runId = c.req.query("run");
    const waitMs = number(c.req.query("wait_ms"));
    return c.json(await app.events({ after: number(c.req.query("after")) ?? 0, ...(runId === undefined ? {} : { runId }), ...(waitMs === undefined ? {} : { waitMs }) }));
  });
  api.post("/v1/requests", async (c) => {
    const text = await c.req.text();
    if (text.length > MAX_REQUEST_BYTES) throw new UsageError("usage", `request is ${text.length} characters, expected at most ${MAX_REQUEST_BYTES}`);
    return c.json(await app.request(parseRequest(text)), 202);
  });
  return api;
}

/** @throws UsageError usage */
function parseRequest(body: string): OperatorRequest {
  const bad = () => new UsageError("usage", "request is not understood, expected {verb, subsystem | runId, actor}");
  let r: Record<string, unknown>;
  try {
    r = JSON.parse(body) as Record<string, unknown>;
  } catch {
    throw bad();
  }
  if (typeof r !== "object" || r === null) throw bad();
  const text = (key: string): string => {
    const v = r[key];
    if (typeof v !== "string" || v === "" || v.length > 200) throw bad();
    return v;
  };
  const optional = (key: string) => (r[key] === undefined ? {} : { [key]: text(key) });
  // What is not understood must not pass for yes: it would restart a process that was to be left alone.
  if (r.reload !== undefined && typeof r.reload !== "boolean") throw bad();
  const reload = r.reload === undefined ? {} : { reload: r.reload };
  switch (r.verb) {
    case "update":
      return { verb: "update", subsystem: text("subsystem"), actor: text("actor"), ...optional("version"), ...reload };
    case "rollback":
      return { verb: "rollback", subsystem: text("subsystem"), actor: text("actor"), ...optional("to") };
    case "reload":
      return { verb: "reload", subsystem: text("subsystem"), actor: text("actor") };
    case "approve":
    case "reject":
      return { verb: r.verb, runId: text("runId"), actor: text("actor") };
    default:
      throw bad();
  }
}
