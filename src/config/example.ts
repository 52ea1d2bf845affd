/** The example workspace of `slipstream init --example`: two small web servers, their upstreams, and the daemon beside them. */

import type { Entry } from "./proposal.ts";
import { SHIPPED_TASKFILES } from "./shipped-taskfiles.ts";

export interface TextFile {
  /** Relative to the folder it belongs to. */
  readonly path: string;
  readonly text: string;
}

/** What has to be made: files, and git repositories with one tagged commit per version. */
export interface ExamplePlan {
  readonly files: readonly TextFile[];
  readonly repositories: readonly { readonly path: string; readonly commits: readonly { readonly tag: string; readonly files: readonly TextFile[] }[] }[];
}

const DAEMON_PORT = 8080;
const PROGRAMS = [
  { name: "hello", port: 9001 },
  { name: "clock", port: 9002 },
] as const;
/** The Taskfile sets the first one up; the second is there to be found. */
const VERSIONS = ["v1.0.0", "v1.1.0"] as const;

export const EXAMPLE_PORTS: readonly number[] = [DAEMON_PORT, ...PROGRAMS.map((p) => p.port)];
export const EXAMPLE_ENTRIES: readonly Entry[] = [{ path: ["process_compose", "socket"], value: ".slipstream/pc.sock" }];
export const EXAMPLE_BUILD = `task ${PROGRAMS.map((p) => `${p.name}:bin:build`).join(" ")}`;
/** The subsystem to try first. */
export const EXAMPLE_FIRST = PROGRAMS[0].name;

export function examplePlan(): ExamplePlan {
  return {
    repositories: PROGRAMS.map(({ name }) => ({
      path: `.upstream/${name}`,
      commits: VERSIONS.map((tag) => ({ tag, files: [{ path: "go.mod", text: `module example.com/${name}\n\ngo 1.22\n` }, { path: "main.go", text: mainGo(name, tag) }] })),
    })),
    files: [
      ...Object.entries(SHIPPED_TASKFILES).map(([name, text]) => ({ path: `taskfiles/${name}`, text })),
      { path: "process-compose.yml", text: processCompose() },
      { path: "Taskfile.yml", text: taskfile() },
    ],
  };
}

function mainGo(name: string, version: string): string {
  return `package main

import (
	"fmt"
	"net/http"
	"os"
)

const version = "${version}"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "${name}", version) })
	fmt.Println(http.ListenAndServe(os.Args[1], nil))
	os.Exit(1)
}
`;
}

function taskfile(): string {
  const include = (name: string) => `  ${name}:
    taskfile: ./taskfiles/subsystem.yml
    dir: ./${name}
    vars:
      UPSTREAM_REPO: '{{.ROOT_DIR}}/.upstream/${name}'
      VERSION_STRATEGY: tags
      VERSION: '{{.VERSION | default "${VERSIONS[0]}"}}'
`;
  return `# Two programs, each from a repository of its own below .upstream. With yours: UPSTREAM_REPO: https://github.com/you/hello
version: '3'

includes:
  sync: { taskfile: ./taskfiles/sync.yml, flatten: true }
${PROGRAMS.map((p) => include(p.name)).join("")}`;
}

function processCompose(): string {
  const program = ({ name, port }: { name: string; port: number }) => `
  ${name}:
    command: exec ./.bin/${name} 127.0.0.1:${port}
    working_dir: ./${name}
    readiness_probe:
      http_get: { host: 127.0.0.1, port: ${port}, path: / }
      period_seconds: 2
    availability: { restart: on_failure }
    shutdown: { timeout_seconds: 10 }
`;
  return `# The daemon beside the programs. Each process runs its program directly, never through Task: a restart must not build.
version: "0.5"

processes:
  slipstream:
    command: exec slipstream watch --workspace .
    readiness_probe:
      http_get: { host: 127.0.0.1, port: ${DAEMON_PORT}, path: /health }
      initial_delay_seconds: 3
      period_seconds: 10
      timeout_seconds: 5
    availability: { restart: on_failure }
    shutdown: { timeout_seconds: 30 }
${PROGRAMS.map(program).join("")}`;
}
