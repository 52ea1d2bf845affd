/** The daemon, with a store that ends the process with SIGKILL at one exact point: `node crash-daemon.ts <workspace> <port> <point>`. */

import { loadConfig, processEnv } from "../../src/config/load.ts";
import { createDaemon } from "../../src/daemon.ts";
import { createLog } from "../../src/kit/log.ts";
import type { Store } from "../../src/store/store.ts";
import { parsePoint } from "./crash-points.ts";

const [workspace, port, point] = process.argv.slice(2) as [string, string, string];
const { write, stage, side } = parsePoint(point);

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // SIGKILL is delivered before the next instruction of this thread matters; this keeps the compiler honest.
  for (;;) {
    // wait for the end
  }
}

/** Dies before the transaction of the chosen write commits, or right after it did. */
function deadly(store: Store): Store {
  let armed = false;
  const hit = (w: string, name: string) => {
    if (w !== write || name !== stage) return;
    if (side === "before") die();
    armed = true;
  };
  const names = new Map<string, string>();
  return {
    ...store,
    tx: (fn) => {
      const result = store.tx(fn);
      if (armed) die();
      return result;
    },
    stages: {
      ...store.stages,
      start: (runId, name) => {
        const seq = store.stages.start(runId, name);
        names.set(`${runId}/${seq}`, name);
        hit("start", name);
        return seq;
      },
      finish: (runId, seq, outcome, message) => {
        store.stages.finish(runId, seq, outcome, message);
        hit("finish", names.get(`${runId}/${seq}`) ?? "");
      },
    },
    runs: {
      ...store.runs,
      saveContext: (id, context) => {
        store.runs.saveContext(id, context);
        const open = store.stages.of(id).find((s) => s.status === "running");
        hit("journal", open?.name ?? "");
        if (armed && write === "journal") die();
      },
    },
  };
}

const config = await loadConfig({ workspace, env: processEnv(), flags: { port: Number(port) } });
const log = createLog({ level: "info", mask: (text) => text });
const daemon = await createDaemon({ config, log, listen: true, wrapStore: deadly });
await daemon.run(new AbortController().signal, () => process.stdout.write("listening\n"));
