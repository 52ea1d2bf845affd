/** Which processes a workspace left behind, so that a leak is seen and ended. */

import { readdir, readFile, readlink } from "node:fs/promises";
import { RUN_MARK } from "../../src/adapters/task.ts";

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/** Running programs whose executable lies below `dir`, and children of builds that work there. */
export async function leftoversOf(dir: string): Promise<Leftover[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => look(dir, pid).catch(() => null)));
  return found.filter((one) => one !== null);
}

async function look(dir: string, pid: string): Promise<Leftover | null> {
  const at = `/proc/${pid}`;
  const inside = async (link: string) => (await readlink(`${at}/${link}`)).startsWith(`${dir}/`);
  const ours = (await inside("exe")) || ((await inside("cwd")) && (await readFile(`${at}/environ`, "latin1")).includes(`${RUN_MARK}=`));
  if (!ours) return null;
  return { pid: Number(pid), command: (await readFile(`${at}/cmdline`, "utf8")).replaceAll("\0", " ").trim() };
}

/** Programs that a build started and that work below `dir`, with their priority (proc_pid_stat(5), field 19). */
export async function buildersOf(dir: string): Promise<{ readonly program: string; readonly nice: number }[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      if ((await look(dir, pid).catch(() => null)) === null) return null;
      const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      return { program: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")), nice: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]) };
    }),
  );
  return found.filter((one) => one !== null);
}
