/** The front door as the daemon builds it: a real server on a free port in front of a real SQLite store. */

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { createReceive, type ReceiveDeps } from "../../src/ingest/receive.ts";
import type { Receiver } from "../../src/ingest/receivers/receiver.ts";
import { createReceivers } from "../../src/ingest/receivers/receivers.ts";
import { createRefused, type Refused } from "../../src/ingest/refused.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { createLog, type Log } from "../../src/kit/log.ts";
import { Secret } from "../../src/kit/secret.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { errorResponse, NOT_FOUND, refusalResponse } from "../../src/web/errors.ts";
import { LIMITS, type Limits } from "../../src/web/limits.ts";
import { createServer } from "../../src/web/server.ts";

export const SECRET = "the current webhook secret";
export const FORMER_SECRET = "the former webhook secret";
export const GITEA_SECRET = "the webhook secret of Gitea";
export const REPO = "Acme/One";

export interface FrontDoor {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  readonly store: Store;
  readonly refused: Refused;
  /** Everything the log wrote. */
  readonly lines: string[];
  /** Size of every transaction of the inbox, in order. */
  readonly batches: number[];
  readonly rings: () => number;
  /** Starts the stop; resolves when the server is down. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export interface FrontDoorOptions {
  readonly limits?: Partial<Limits>;
  /** Wraps the real inbox, to make it fail. */
  readonly inbox?: (real: ReceiveDeps["inbox"]) => ReceiveDeps["inbox"];
  /** GitHub's and Gitea's on one path, each with secrets of its own, unless told otherwise. */
  readonly receivers?: () => readonly Receiver[];
  /** Whom a repository belongs to; `acme/one` to one that takes any forge's word, unless told otherwise. */
  readonly concerns?: ReceiveDeps["concerns"];
}

/** Two on `/webhook`. */
export function bothReceivers(): readonly Receiver[] {
  const common = { path: "/webhook", repositories: [] };
  return createReceivers([
    { ...common, name: "github", forge: "github", secrets: [new Secret("current", SECRET), new Secret("former", FORMER_SECRET)] },
    { ...common, name: "gitea", forge: "gitea", secrets: [new Secret("gitea", GITEA_SECRET)] },
  ]);
}

/** Opens one; the repository `acme/one` is configured. */
export async function openFrontDoor(options: FrontDoorOptions = {}): Promise<FrontDoor> {
  const dir = mkdtempSync(join(tmpdir(), "front-door-"));
  const store = openStore(join(dir, "state.db"), () => systemClock.now());
  const lines: string[] = [];
  const log = createLog({ level: "debug", mask: (text) => text, destination: { write: (line: string) => lines.push(line) } });
  const refused = createRefused({ clock: systemClock, log });
  const limits = { ...LIMITS, graceMs: 500, ...options.limits };
  const batches: number[] = [];
  let rings = 0;
  const counted: ReceiveDeps["inbox"] = {
    accept: (items) => {
      batches.push(items.length);
      return store.inbox.accept(items);
    },
  };
  const raw = createReceive({
    inbox: options.inbox?.(counted) ?? counted,
    receivers: options.receivers ?? bothReceivers,
    clock: systemClock,
    log,
    bell: { ring: () => (rings += 1) },
    refused,
    concerns: options.concerns ?? ((repository) => (repository === "acme/one" ? ["one"] : [])),
    limits,
  });
  const server = createServer({ listen: { host: "127.0.0.1", port: 0 }, log, raw, fetch: app(log).fetch, limits });
  const stopping = new AbortController();
  const running = server.run(stopping.signal);
  const bound = await Promise.race([server.ready, running.then(() => server.ready)]);
  if ("socket" in bound) throw new Error("expected a port");
  const stop = async () => {
    stopping.abort();
    await running;
  };
  return {
    url: `http://127.0.0.1:${bound.port}`,
    port: bound.port,
    store,
    refused,
    lines,
    batches,
    rings: () => rings,
    stop,
    async close() {
      await stop();
      store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Stands where the status room's pages are. */
function app(log: Log): Hono {
  const hono = new Hono();
  hono.get("/health", (c) => c.text("OK"));
  hono.post("/api/echo", async (c) => c.json(await c.req.json()));
  hono.get("/api/broken", () => {
    throw new Error("internal words with /a/path");
  });
  hono.notFound(() => refusalResponse(NOT_FOUND));
  hono.onError((error) => errorResponse(error, log));
  return hono;
}

export interface RawConnection {
  send(text: string | Buffer): void;
  /** Waits until the text received so far satisfies `check`. */
  until(check: (text: string) => boolean): Promise<string>;
  /** Resolves with all that was received once the server closed the connection. */
  readonly closed: Promise<string>;
  destroy(): void;
}

/** A TCP connection on which a test sends whatever bytes it likes. */
export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let text = "";
  const looks = new Set<() => void>();
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  const look = () => {
    for (const l of looks) l();
  };
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    look();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    resolve(text);
    look();
  });
  return {
    send: (bytes) => socket.write(bytes),
    closed,
    destroy: () => socket.destroy(),
    until: (check) =>
      new Promise((done, fail) => {
        const l = () => {
          if (!check(text) && !socket.destroyed) return;
          looks.delete(l);
          if (check(text)) done(text);
          else fail(new Error(`connection closed after ${JSON.stringify(text)}`));
        };
        looks.add(l);
        l();
      }),
  };
}
