/** Where the control socket is: in the state folder, or in a private short folder where that path would be too long for a socket address. */

import { createHash } from "node:crypto";
import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { StateError } from "../domain/errors.ts";

/** sun_path holds 108 bytes on Linux, 104 on macOS (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 100;

/** The same path for the same state folder, every time. @throws StateError internal when the private folder belongs to somebody else */
export function controlSocketPath(stateDir: string): string {
  const direct = join(stateDir, "control.sock");
  if (Buffer.byteLength(direct) <= MAX_SOCKET_PATH_BYTES) return direct;
  const { uid } = userInfo();
  const dir = join(tmpdir(), `slipstream-${uid}`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const s = lstatSync(dir);
  if (!s.isDirectory() || s.uid !== uid || (s.mode & 0o077) !== 0) throw new StateError("internal", `folder ${dir} belongs to somebody else or is open to others, expected a private one; remove it or shorten the path of the state folder`);
  return join(dir, `${createHash("sha256").update(stateDir).digest("hex").slice(0, 16)}.sock`);
}
