/** Finds programs that are there already, and proves that they work by asking them for their version. */

import { constants } from "node:fs";
import { access, open } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { childEnv, exec } from "../src/adapters/exec.ts";
import { atLeast, type Tool } from "./pins.ts";

const ANSWER_WITHIN_MS = 30_000;
/** ELF, then Mach-O: 32 and 64 bit in both byte orders, and universal. */
const NATIVE = new Set(["7f454c46", "feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe"]);

/** True for a machine-code program. The `task` of the npm package is a script that reports success when its build was killed. */
export async function isNative(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    await using handle = await open(file);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && NATIVE.has(buffer.toString("hex"));
  } catch {
    return false;
  }
}

/** The version a program reports as `v1.2.3`, or undefined when it does not run or reports none. */
export async function versionOf(tool: Tool, file: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string | undefined> {
  if (!(await isNative(file))) return undefined;
  const found = /(?:^|[\s:])v?(\d+\.\d+\.\d+)/m.exec(await answer(file, tool.versionArgs, env, signal))?.[1];
  return found === undefined ? undefined : `v${found}`;
}

/** The first program on PATH that is native, new enough, and the tool itself. */
export async function onPath(tool: Tool, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<{ path: string; version: string } | undefined> {
  for (const dir of (env["PATH"] ?? "").split(delimiter)) {
    if (!isAbsolute(dir)) continue;
    const path = join(dir, tool.name);
    const version = await versionOf(tool, path, env, signal);
    if (version === undefined || !atLeast(version, tool.minimum)) continue;
    if (tool.knownBy.test(await answer(path, ["--help"], env, signal))) return { path, version };
  }
  return undefined;
}

/** What it prints when it ends well, else nothing. */
async function answer(file: string, args: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const result = await exec({ argv: [file, ...args], cwd: "/", env: childEnv(env), timeoutMs: ANSWER_WITHIN_MS }, signal).catch(() => undefined);
  return result?.exitCode === 0 ? `${result.stdout}\n${result.stderr}` : "";
}
