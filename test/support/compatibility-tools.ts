/** Which tools, systems and versions slipstream was tried with: docs/compatibility.md shows it. */

import { PROCESS_COMPOSE, PROCESS_COMPOSE_VERSIONS, TASK } from "../../tools/pins.ts";

export interface ToolWay {
  readonly tool: string;
  readonly which: string;
  readonly tried: "live" | "live with a stand-in" | "as tables of rules; untested live" | "untested live";
  /** What it means for a person. */
  readonly note: string;
  readonly test: readonly string[];
}

export const TOOL_WAYS: readonly ToolWay[] = [
  { tool: "Task", which: TASK.pinned, tried: "live", note: "older and newer ones are untested; not needed in release mode", test: ["are real programs of the pinned versions or newer"] },
  { tool: "Task", which: "another program named `task`", tried: "live", note: "told apart and passed over", test: ["are never a script named task, nor another program of that name"] },
  { tool: "Process Compose", which: `${PROCESS_COMPOSE_VERSIONS.oldest}, the oldest`, tried: "live", note: "every test of the supervisor runs on it", test: ["replaces the process and leaves its neighbours' pids as they were"] },
  { tool: "Process Compose", which: "v1.120.0", tried: "live", note: `stands in where ${PROCESS_COMPOSE.pinned} cannot be built; all numbers of these pages were measured with it`, test: ["replaces the process and leaves its neighbours' pids as they were"] },
  { tool: "Process Compose", which: `${PROCESS_COMPOSE.pinned}, the pinned one`, tried: "as tables of rules; untested live", note: "live where it can be built; what is new in it is held to what its source answers", test: ["one whose end would end the project is restarted only where Process Compose guards that, 1.122.0 on", "is read with several namespaces to a process, and its watch on the program is noted in the plan"] },
  { tool: "Process Compose", which: "between these", tried: "as tables of rules; untested live", note: "v1.94 brought tokens, v1.100 the restart of the only running process", test: ["an ordinary process is stopped and started, on every version", "the only running process is restarted from 1.100.0 on"] },
  { tool: "git", which: "2.39, on `PATH`", tried: "live", note: "2.31 or newer is taken", test: ["takes the system's git when it is there, else the built-in one"] },
  { tool: "git", which: "older than 2.31", tried: "live with a stand-in", note: "passed over; the built-in one is taken", test: ["takes the built-in one when the system's git is too old"] },
  { tool: "git", which: "none", tried: "live", note: "the built-in one: http and https only; ssh and folders need git", test: ["checks out exactly the commit asked for", "says that ssh and folders need git installed"] },
  { tool: "Node.js", which: "24.15 or newer, brought along by npm", tried: "live", note: "24.21", test: ["takes the pinned Node although Node 20 comes first on PATH"] },
  { tool: "Node.js", which: "20 or newer for npm only", tried: "live with a stand-in", note: "the launcher looks for 24.15 or newer and says what to install", test: ["says which Node it found and what to install when there is none new enough"] },
  { tool: "Go", which: "1.26", tried: "live", note: "builds Task and Process Compose; whatever your builds need is theirs", test: ["are built by one of two callers at once, while the other waits for the result"] },
  { tool: "Go", which: "none", tried: "live", note: "says what to install", test: ["say exactly what to install where Go is missing"] },
  { tool: "system", which: "Linux, x64, glibc", tried: "live", note: "everything on these pages", test: ["a native program is proved by what the kernel has mapped"] },
  { tool: "system", which: "Linux, arm64", tried: "untested live", note: "Node.js for it is brought along; names of assets are known", test: ["each usual name of an asset is found for its machine, and for no other"] },
  { tool: "system", which: "Linux, musl", tried: "as tables of rules; untested live", note: "names of assets only", test: ["a machine gets its own libc, before one that is not named, and never the other"] },
  { tool: "system", which: "macOS, others", tried: "as tables of rules; untested live", note: "names of assets only; the running digest cannot be proved without `/proc`", test: ["each usual name of an asset is found for its machine, and for no other"] },
  { tool: "CI", which: "GitHub Actions", tried: "untested live", note: "of the printed file the steps that update and pack are run in bash; not its actions, its installation, nor a runner", test: ["runs the steps of the printed CI file: what moved is updated and packed, typed text stays text"] },
  { tool: "CI", which: "Gitea and Forgejo Actions", tried: "untested live", note: "the printed file is held to their documents", test: ["says in words how the move of an upstream gets here"] },
  { tool: "shell", which: "bash", tried: "live", note: "completion", test: ["bash offers verbs, the options of a verb, the values an option may have, and paths"] },
  { tool: "shell", which: "zsh, fish", tried: "untested live", note: "completion; tried by the tests only where these shells are installed", test: ["comes from the program: verbs and aliases, options, choices, and what each place takes"] },
];
