/** Whether a port can be listened on, and if not, who has it. */

import { request } from "node:http";
import { createServer } from "node:net";
import type { PortFact } from "../domain/examination.ts";
import { deadline } from "../kit/clock.ts";

const MAX_REPLY_BYTES = 64 * 1024;

/** Takes the port for a moment; where somebody has it, asks `GET /health` who that is. */
export async function lookAtPort(host: string, port: number, timeoutMs: number): Promise<PortFact> {
  if (port === 0) return { host, port, state: "any" };
  const code = await listenError(host, port);
  if (code === undefined) return { host, port, state: "free" };
  if (code !== "EADDRINUSE") return { host, port, state: "unusable", code };
  return { host, port, state: (await isSlipstream(reachable(host), port, timeoutMs)) ? "slipstream" : "other" };
}

function listenError(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.name));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** An address that means "all of them" is asked on the loopback one. */
function reachable(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
}

/** Whether slipstream's own health answer comes back. */
function isSlipstream(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const req = request({ host, port, path: "/health", agent: false, signal: deadline(timeoutMs) }, (res) => {
      let text = "";
      res.setEncoding("utf8");
      res.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > MAX_REPLY_BYTES) req.destroy(new Error("reply too large"));
      });
      res.on("error", () => resolve(false));
      res.on("end", () => resolve(res.statusCode === 200 && isHealth(text)));
    });
    req.on("error", () => resolve(false));
    req.end();
  });
}

function isHealth(text: string): boolean {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null && "status" in body && "version" in body && "journal" in body;
  } catch {
    return false; // another program's page
  }
}
