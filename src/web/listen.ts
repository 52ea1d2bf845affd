/** Taking a port or a unix socket path. */

import { lstatSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { StateError } from "../domain/errors.ts";

/** Port 0 takes a free one. A socket gets mode 0600. */
export type Listen = { readonly host: string; readonly port: number } | { readonly socket: string };

/** Resolves once the server listens. @throws StateError address-in-use */
export async function bind(server: Server, listen: Listen): Promise<void> {
  if ("socket" in listen) await clearStale(listen.socket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", resolve);
  if ("socket" in listen) {
    const umask = process.umask(0o177);
    try {
      // libuv binds inside this call, so the file never exists with a wider mode.
      server.listen({ path: listen.socket });
    } finally {
      process.umask(umask);
    }
  } else {
    server.listen({ host: listen.host, port: listen.port });
  }
  try {
    await promise;
  } catch (error) {
    throw cannotListen(listen, error as NodeJS.ErrnoException);
  } finally {
    server.off("error", reject);
  }
}

function cannotListen(listen: Listen, error: NodeJS.ErrnoException): StateError {
  if ("socket" in listen) return new StateError("address-in-use", `socket ${listen.socket} cannot be opened (${error.code}), expected a free path in a writable folder`, { cause: error });
  const why = error.code === "EADDRINUSE" ? "already in use" : `not available (${error.code})`;
  return new StateError("address-in-use", `port ${listen.port} on ${listen.host} is ${why}, expected a free one; stop the other program or choose another port with --port`, { cause: error });
}

/** Removes a socket file nobody answers on: the leftover of a killed process. */
async function clearStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new StateError("address-in-use", `path ${path} is not a socket, expected a free path; move that file away`);
  if (await answers(path)) throw new StateError("address-in-use", `socket ${path} is in use by another process, expected a free path; stop the other slipstream`);
  rmSync(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"));
  });
}
