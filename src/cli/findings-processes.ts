/** Judges what the process-compose file says about the processes of subsystems and a person has to decide; what has a safe mend is a defect. Pure. */

import type { Examination, Finding, Place, ProcessFact } from "../domain/examination.ts";
import { fail, isOlder, ok, warn } from "./findings-machine.ts";

/** From this version on Process Compose restarts such a process without ending the project. */
const GUARDED = [1, 122] as const;

export function processFindings(e: Examination): readonly Finding[] {
  const facts = e.processes ?? [];
  const version = e.supervisor.state === "up" ? e.supervisor.version : undefined;
  const found = facts.flatMap((f) => [...watched(f), ...daemon(f), ...ends(f, version)]);
  return found.length > 0 || facts.length === 0 ? found : [ok("process file", `process-compose file lets ${facts.length === 1 ? "the process of its subsystem" : `all ${facts.length} processes of subsystems`} be reloaded safely`)];
}

const place = ({ file, line }: Place): string => (line === undefined ? file : `${file}:${line}`);

function watched({ process, subsystem, watched: places }: ProcessFact): readonly Finding[] {
  return places.map((at) => warn("process file", `process ${process} is watched by Process Compose (${place(at)}), expected only slipstream to restart it: the new program of ${subsystem} is started a second time, unverified and in the middle of the health check`, `take that path out of its watch, or leave the program out of it: exclude: ["**/.bin/**"]`));
}

function daemon({ process, daemon: at }: ProcessFact): readonly Finding[] {
  return at === undefined ? [] : [fail("process file", `process ${process} is a daemon (${place(at)}), expected one in the foreground: Process Compose does not know its pid, so its updates are refused`, "remove is_daemon and let its command run the program itself")];
}

function ends({ process, endsProject: e }: ProcessFact, version: string | undefined): readonly Finding[] {
  if (e === undefined) return [];
  const said = `process ${process} has ${e.setting} (${place(e.at)})`;
  if (e.setting.includes("exit_on_skipped")) return [warn("process file", `${said}: the whole project ends when a dependency fails while it is reloaded`, "remove it; slipstream waits for dependencies by itself")];
  if (isOlder(version, GUARDED) === true) return [fail("process file", `${said}, expected none with Process Compose ${version}: a reload would end the whole project, so it is refused`, "remove it, or install Process Compose v1.122.0 or newer")];
  return [warn("process file", `${said}: a new version that fails ends the whole project, slipstream's processes among it`, "use restart: on_failure in its place; slipstream rolls back what fails")];
}
