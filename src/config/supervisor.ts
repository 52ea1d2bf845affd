/** Where Process Compose answers. */

import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Problem } from "../domain/errors.ts";
import type { ConfigFile } from "./schema.ts";

export type SupervisorAddress = { readonly socket: string } | { readonly host: string; readonly port: number };

interface SupervisorInput {
  readonly workspace: string;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file: ConfigFile;
}

const LOOPBACK = "127.0.0.1";

/** The first of: `slipstream.yaml`, `PC_SOCKET_PATH`, `PC_PORT_NUM` (with `PC_ADDRESS`), a socket that lies where it usually does; else null. */
export async function supervisorAddress(input: SupervisorInput, problems: Problem[]): Promise<SupervisorAddress | null> {
  const { workspace, stateDir, env } = input;
  const own = input.file.process_compose;
  if (own?.socket !== undefined) return { socket: resolve(workspace, own.socket) };
  if (own?.port !== undefined) return { host: own.host ?? LOOPBACK, port: own.port };
  if ((env.PC_SOCKET_PATH ?? "") !== "") return { socket: resolve(workspace, env.PC_SOCKET_PATH as string) };
  if ((env.PC_PORT_NUM ?? "") !== "") {
    const port = Number(env.PC_PORT_NUM);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) problems.push({ file: "environment", message: `PC_PORT_NUM is ${env.PC_PORT_NUM}, expected a port` });
    const host = env.PC_ADDRESS ?? "";
    return { host: host === "" || host === "localhost" || host === "0.0.0.0" ? LOOPBACK : host, port };
  }
  for (const socket of [join(stateDir, "pc.sock"), join(workspace, "pc", ".pc.sock"), join(workspace, ".pc.sock")]) {
    if ((await stat(socket).catch(() => null))?.isSocket() === true) return { socket };
  }
  return null;
}
