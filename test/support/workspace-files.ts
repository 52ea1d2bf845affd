/** The files of a test workspace: three subsystems that differ in every way the mapping has to cope with. */

import { join } from "node:path";
import { stringify } from "yaml";

export type SubsystemName = "api" | "worker" | "web";

export interface SubsystemPlan {
  readonly name: SubsystemName;
  /** `owner/name` of its upstream. */
  readonly repository: string;
  /** A fork whose deliveries count as the upstream's. */
  readonly fork?: string;
  readonly binary: string;
  /** Its name under Process Compose. */
  readonly process: string;
  /** Brings its own Taskfile in the older style, with variables such as `WORKER_VERSION`. */
  readonly prefixed?: boolean;
}

/** `api` has another binary name, `worker` another process name and prefixed variables, `web` a fork. */
export const SUBSYSTEMS: Readonly<Record<SubsystemName, SubsystemPlan>> = {
  api: { name: "api", repository: "acme/api", binary: "api-server", process: "api" },
  worker: { name: "worker", repository: "acme/worker", binary: "worker", process: "jobs", prefixed: true },
  web: { name: "web", repository: "acme/web", fork: "octo-forks/web", binary: "web", process: "web" },
};

export const FIRST_VERSION = "v1.0.0";

/** Where everything of one workspace is. */
export interface Places {
  readonly dir: string;
  readonly socket: string;
  readonly ports: Readonly<Record<SubsystemName, number>>;
  readonly daemonPort: number;
  /** Absolute path of `bin/slipstream`. */
  readonly launcher: string;
  readonly task: string;
}

export interface SourcePlaces extends Places {
  /** Holds the upstreams, served below `gitUrl`. */
  readonly repositories: string;
  /** Base url of the upstreams' git server. */
  readonly gitUrl: string;
}

const upstreamUrl = (places: SourcePlaces, plan: SubsystemPlan) => `${places.gitUrl}/${plan.repository}.git`;

/** The root Taskfile: the shipped pattern once per subsystem, and one subsystem with a Taskfile of its own. */
export function rootTaskfile(places: SourcePlaces): string {
  const includes = Object.values(SUBSYSTEMS).map((plan) => [
    plan.name,
    plan.prefixed === true
      ? { taskfile: `./${plan.name}/Taskfile.yml`, dir: `./${plan.name}` }
      : {
          taskfile: "./taskfiles/subsystem.yml",
          dir: `./${plan.name}`,
          vars: { NAME: plan.name, UPSTREAM_REPO: upstreamUrl(places, plan), UPSTREAM_BRANCH: "main", VERSION_STRATEGY: "tags", VERSION: `{{.VERSION | default "${FIRST_VERSION}"}}`, BIN_NAME: plan.binary },
        },
  ]);
  return stringify({ version: "3", env: { GOWORK: "off", GOTOOLCHAIN: "local" }, includes: Object.fromEntries(includes) });
}

/** A Taskfile as people wrote them before: prefixed variables, and a build that calls itself up to date once its binary exists. */
export function prefixedTaskfile(places: SourcePlaces, plan: SubsystemPlan): string {
  const prefix = plan.name.toUpperCase();
  const binary = `.bin/{{.${prefix}_BIN_NAME}}`;
  return stringify({
    version: "3",
    vars: { [`${prefix}_UPSTREAM_REPO`]: upstreamUrl(places, plan), [`${prefix}_VERSION`]: `{{.${prefix}_VERSION | default "${FIRST_VERSION}"}}`, [`${prefix}_BIN_NAME`]: plan.binary },
    tasks: {
      "src:clone": { cmds: [`git clone {{.${prefix}_UPSTREAM_REPO}} .src`, `git -C .src checkout {{.${prefix}_VERSION}}`], status: ["test -d .src"] },
      "bin:build": {
        deps: ["src:clone"],
        cmds: [
          "mkdir -p .bin",
          `cd .src && go build -buildvcs=false -o ../${binary} .`,
          `printf 'commit: %s\\ntimestamp: %s\\nchecksum: %s\\nversion: %s\\n' "$(git -C .src rev-parse --short HEAD)" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(sha256sum ${binary} | cut -d' ' -f1)" "{{.${prefix}_VERSION}}" > .bin/.version`,
        ],
        status: [`test -f ${binary}`],
      },
    },
  });
}

export interface ProcessFileOptions {
  readonly daemon: boolean;
  /** Run the upstreams' git server as one of the processes. */
  readonly gitServer?: SourcePlaces;
  /** Programs that may be missing at first are started again and again. */
  readonly untilThere?: boolean;
}

/** The process file: each program with an http probe, and the daemon beside them when wanted. */
export function processComposeYaml(places: Places, options: ProcessFileOptions): string {
  const programs = Object.values(SUBSYSTEMS).map((plan) => [
    plan.process,
    {
      ...supervised(places, places.ports[plan.name], "/healthz"),
      ...(options.untilThere === true ? { availability: { restart: "always", backoff_seconds: 1 } } : {}),
      command: `exec ./${plan.name}/.bin/${plan.binary}`,
      environment: [`PORT=${places.ports[plan.name]}`],
    },
  ]);
  const daemon = { ...supervised(places, places.daemonPort, "/health"), command: `exec ${quoted(places.launcher)} watch --workspace ${quoted(places.dir)} --port ${places.daemonPort}` };
  return stringify({
    version: "0.5",
    is_tui_disabled: true,
    processes: { ...Object.fromEntries(programs), ...(options.daemon ? { slipstream: daemon } : {}), ...(options.gitServer === undefined ? {} : { "git-server": gitServer(options.gitServer) }) },
  });
}

function gitServer(places: SourcePlaces): Record<string, unknown> {
  const { port } = new URL(places.gitUrl);
  const program = [process.execPath, join(import.meta.dirname, "git-server-process.ts"), places.repositories];
  return { ...supervised(places, Number(port), `/${SUBSYSTEMS.api.repository}.git/HEAD`), command: `exec ${program.map(quoted).join(" ")} ${port}` };
}

function supervised(places: Places, port: number, path: string): Record<string, unknown> {
  return {
    working_dir: places.dir,
    readiness_probe: { http_get: { host: "127.0.0.1", port: String(port), path }, period_seconds: 1, timeout_seconds: 5, failure_threshold: 5 },
    availability: { restart: "on_failure", backoff_seconds: 1, max_restarts: 5 },
    shutdown: { timeout_seconds: 5 },
  };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`).replaceAll("$", "$$$$")}'`;
}

/** `slipstream.yaml`: only what cannot be discovered. */
export function slipstreamYaml(places: Places, options: { readonly soak: string; readonly more: Readonly<Record<string, unknown>> }): string {
  const { subsystems = {}, ...rest } = options.more as { subsystems?: Record<string, object> };
  const forks = Object.values(SUBSYSTEMS).flatMap((plan) => (plan.fork === undefined ? [] : [[plan.name, { repositories: [plan.fork] }] as const]));
  const merged = new Map<string, object>(forks);
  for (const [name, own] of Object.entries(subsystems)) merged.set(name, { ...merged.get(name), ...own });
  return stringify({
    process_compose: { socket: places.socket },
    tools: { task: places.task },
    defaults: { health: { soak: options.soak, timeout: "20s" } },
    subsystems: Object.fromEntries(merged),
    ...rest,
  });
}
