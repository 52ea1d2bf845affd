/**
 * The files of a workspace of the plat-telemetry kind, recreated from a description of its defects (D1 to D23), not taken from it. Nothing is put right here:
 * a skip that should not skip, a pin that never moves and a probe that any process satisfies are what the tests on it are about. It speaks of its defects by their numbers.
 */

/** One included Taskfile. */
export interface PlatPlan {
  /** The include, its folder and its tasks. */
  readonly name: PlatName;
  readonly prefix: string;
  /** `owner/name` of its upstream. */
  readonly repository: string;
  /** The default of its version variable: a tag, or a branch. */
  readonly pin: string;
  /** Not the include's name for three of them (D16). */
  readonly binary: string;
  /** Its name under Process Compose; null where nothing runs it. */
  readonly process: string | null;
  /** `cp` writes into the running program (D7). */
  readonly places: "go-build" | "cp";
  /** What its build writes into `.version` (D9). */
  readonly stamp: "commit-first" | "version-first";
  /** Shell text of its probe; what a probe of the old process would also satisfy (D14). */
  readonly health: "http" | "pgrep" | "port";
  readonly needs: readonly string[];
}

export type PlatName = "nats" | "arc" | "telegraf" | "liftbridge" | "gh" | "docs" | "pc";

const plan = (name: PlatName, prefix: string, repository: string, more: Omit<PlatPlan, "name" | "prefix" | "repository" | "places" | "stamp" | "health" | "needs"> & Partial<PlatPlan>): PlatPlan => ({
  ...{ name, prefix, repository, places: "go-build", stamp: "commit-first", health: "http", needs: [] },
  ...more,
});

export const PLAT: Readonly<Record<PlatName, PlatPlan>> = {
  nats: plan("nats", "NATS", "nats-io/nats-server", { pin: "v2.10.24", binary: "nats-server", process: "nats" }),
  arc: plan("arc", "ARC", "basekick-labs/arc", { pin: "main", binary: "arc", process: "arc" }),
  telegraf: plan("telegraf", "TG", "basekick-labs/telegraf", { pin: "master", binary: "telegraf", process: "telegraf", places: "cp", health: "pgrep", needs: ["nats"] }),
  liftbridge: plan("liftbridge", "LB", "basekick-labs/liftbridge", { pin: "master", binary: "liftbridge", process: "liftbridge", health: "port", needs: ["nats"] }),
  gh: plan("gh", "GH", "cli/cli", { pin: "v2.62.0", binary: "gh", process: null }),
  docs: plan("docs", "DOCS", "gohugoio/hugo", { pin: "v0.139.0", binary: "hugo", process: "hugo", places: "cp", stamp: "version-first" }),
  pc: plan("pc", "PC", "f1bonacc1/process-compose", { pin: "v1.85.0", binary: "process-compose", process: null, stamp: "version-first" }),
};

export const PLAT_NAMES = Object.keys(PLAT) as PlatName[];

/** The repository whose releases a user's machine takes its programs from. */
export const DISTRIBUTION = "acme/plat-telemetry";

/** Where everything is. */
export interface PlatPlaces {
  readonly dir: string;
  readonly gitUrl: string;
  /** Of every include; those that run nothing have one too, as their files do. */
  readonly ports: Readonly<Record<PlatName, number>>;
}

/** The root Taskfile: literals that neither a variable nor the environment overrides (D5), a fixed list of binaries (D10), a reload that hopes (D13). */
export function platRootTaskfile(): string {
  return `version: '3'

env:
  GOWORK: 'off'

vars:
  DIST: .dist
  RELEASE_REPO: ${DISTRIBUTION}
  RELEASE_VERSION: latest

includes:
${PLAT_NAMES.map((name) => `  ${name}:\n    taskfile: ./${name}/Taskfile.yml\n    dir: ./${name}`).join("\n")}
  sync:
    taskfile: ./sync/Taskfile.yml
    dir: ./sync

tasks:
  start:
    deps: [bin:verify]
    cmds:
      - process-compose up -t=false -U -u pc/.pc.sock

  bin:verify:
    cmds:
${["arc", "liftbridge", "nats", "pc", "telegraf"].map(verifyLine).join("\n")}

  bin:verify:running:
    cmds:
      - |
        pid=$(process-compose process list -o json -U -u pc/.pc.sock | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["pid"])')
        file=$(lsof -p "$pid" | grep /.bin/ | awk '{print $NF}' | head -1)
        if [ -n "$file" ]; then shasum -a 256 "$file"; fi

  sync:check:
    cmds:
      - go run ./sync check {{.SUBSYSTEM | default "all"}}

  sync:update:
    vars:
      SUBSYSTEM: '{{.SUBSYSTEM | default "nats"}}'
    cmds:
      - |
        if [ -d {{.SUBSYSTEM}}/.src ]; then
          task {{.SUBSYSTEM}}:src:update
          task {{.SUBSYSTEM}}:bin:build
        else
          task {{.SUBSYSTEM}}:bin:download
        fi
        task bin:verify
        task reload PROC={{.SUBSYSTEM}}

  reload:
    vars:
      PROC: '{{.PROC | default "nats"}}'
    cmds:
      - process-compose process stop {{.PROC}} -U -u pc/.pc.sock
      - sleep 2
      - process-compose process start {{.PROC}} -U -u pc/.pc.sock

  package:
    cmds:
      - mkdir -p {{.DIST}}
      - for: [${PLAT_NAMES.join(", ")}]
        cmd: task {{.ITEM}}:package
`;
}

/** Compares a program with what it says about itself; without shasum both sides are empty (D10). */
function verifyLine(name: string): string {
  const { binary } = PLAT[name as PlatName];
  return `      - |
        said=$(sed -n 's/^checksum: //p' ${name}/.bin/.version)
        is=$(shasum -a 256 ${name}/.bin/${binary} | cut -d' ' -f1)
        if [ "$said" = "$is" ]; then echo "${name}: verified"; else echo "${name}: checksum mismatch"; exit 1; fi`;
}

/** The Taskfile of one include: `status: test -f` (D1, D2, D6), a pinned src:update (D4), a pipe into tar (D11, D12), a run that may build (D8). */
export function platTaskfile(places: PlatPlaces, { name, prefix: p, repository, pin, binary, places: how, stamp, health, process }: PlatPlan): string {
  const bin = `{{.${p}_BIN}}`;
  const build = how === "cp" ? [`cd .src && go build -o ${binary} .`, `cp .src/${binary} ${bin}`] : [`cd .src && go build -o ../${bin} .`];
  const probe = { http: `curl -sf http://127.0.0.1:{{.${p}_PORT}}/healthz`, pgrep: `pgrep -f ${binary}`, port: `nc -z 127.0.0.1 {{.${p}_PORT}}` }[health];
  const service = `
  ensure:
    cmds:
      - task: bin:build
    status:
      - test -f ${bin}

  run:
    deps: [ensure]
    cmds:
      - ./${bin} -port {{.${p}_PORT}}

  health:
    cmds:
      - ${probe}
`;
  return `version: '3'

vars:
  ${p}_UPSTREAM_REPO: ${places.gitUrl}/${repository}.git
  ${p}_VERSION: '{{.${p}_VERSION | default "${pin}"}}'
  ${p}_BIN_NAME: ${binary}
  ${p}_BIN_DIR: .bin
  ${p}_BIN: '{{.${p}_BIN_DIR}}/{{.${p}_BIN_NAME}}'
  ${p}_PORT: '{{.${p}_PORT | default "${places.ports[name]}"}}'
  ${p}_RELEASE_URL: https://github.com/{{.RELEASE_REPO}}/releases/download/{{.RELEASE_VERSION}}

tasks:
  config:version:
    silent: true
    cmds:
      - echo {{.${p}_VERSION}}

  config:port:
    silent: true
    cmds:
      - echo {{.${p}_PORT}}

  src:clone:
    cmds:
      - git clone --depth 1 --branch {{.${p}_VERSION}} {{.${p}_UPSTREAM_REPO}} .src
    status:
      - test -d .src

  src:update:
    deps: [src:clone]
    cmds:
      - git -C .src fetch --tags origin
      - git -C .src checkout {{.${p}_VERSION}}

  bin:build:
    deps: [src:clone]
    cmds:
      - mkdir -p {{.${p}_BIN_DIR}}
${build.map((line) => `      - ${line}`).join("\n")}
      - |
${stampLines(stamp, p, bin)}
    status:
      - test -f ${bin}

  bin:download:
    cmds:
      - mkdir -p {{.${p}_BIN_DIR}}
      - curl -L {{.${p}_RELEASE_URL}}/${binary}-$(go env GOOS)-$(go env GOARCH).tar.gz | tar xz -C {{.${p}_BIN_DIR}}
      - echo {{.RELEASE_VERSION}} > {{.${p}_BIN_DIR}}/.version
    status:
      - test -f ${bin}
${process === null ? "" : service}
  package:
    cmds:
      - tar czf ../{{.DIST}}/${binary}-\${GOOS:-$(go env GOOS)}-\${GOARCH:-$(go env GOARCH)}.tar.gz -C {{.${p}_BIN_DIR}} ${binary}

  clean:
    cmds:
      - rm -rf {{.${p}_BIN_DIR}}

  clean:src:
    cmds:
      - rm -rf .src
`;
}

function stampLines(stamp: PlatPlan["stamp"], prefix: string, bin: string): string {
  const first = stamp === "commit-first" ? `echo "commit: $(git -C .src rev-parse --short HEAD)"` : `echo "version: {{.${prefix}_VERSION}}"`;
  const lines = ["{", `  ${first}`, `  echo "timestamp: $(date -u +%Y-%m-%dT%H:%M:%SZ)"`, `  echo "checksum: $(shasum -a 256 ${bin} | cut -d' ' -f1)"`, `} > {{.${prefix}_BIN_DIR}}/.version`];
  return lines.map((line) => `        ${line}`).join("\n");
}

/** The earlier updater's own Taskfile: it has a program and no upstream. */
export function platSyncTaskfile(): string {
  return `version: '3'

vars:
  SYNC_BIN_NAME: sync
  SYNC_PORT: '{{.SYNC_PORT | default "9090"}}'

tasks:
  bin:build:
    cmds:
      - go build -o .bin/{{.SYNC_BIN_NAME}} .
    status:
      - test -f .bin/{{.SYNC_BIN_NAME}}

  run:
    cmds:
      - ./.bin/{{.SYNC_BIN_NAME}} watch --port {{.SYNC_PORT}}

  health:
    cmds:
      - curl -sf http://127.0.0.1:{{.SYNC_PORT}}/health
`;
}

/** A workspace file that would pull the neighbours' sources into a build. */
export function platGoWork(): string {
  return `go 1.22\n\nuse (\n${["arc", "liftbridge", "nats", "telegraf"].map((name) => `\t./${name}/.src`).join("\n")}\n)\n`;
}

/** Every process and every probe through Task, with the default timeout of one second (but patient with a slow machine, which would end neighbours for it), and no process with a bounded stop (D13, D14). */
export function platProcessComposeYaml(options: { readonly disabled: readonly PlatName[] }): string {
  const entries = Object.values(PLAT).flatMap(({ name, process, needs }) => (process === null ? [] : [processEntry(name, process, { needs, disabled: options.disabled.includes(name) })]));
  return `version: '0.5'

is_tui_disabled: true

processes:
${entries.join("\n")}
  # sync:
  #   command: task sync:run
`;
}

function processEntry(name: string, process: string, { needs, disabled }: { readonly needs: readonly string[]; readonly disabled: boolean }): string {
  const depends = needs.length === 0 ? "" : `    depends_on:\n${needs.map((n) => `      ${n}:\n        condition: process_healthy\n`).join("")}`;
  return `  ${process}:
    command: task ${name}:run
${disabled ? "    disabled: true\n" : ""}${depends}    availability:
      restart: on_failure
    readiness_probe:
      exec:
        command: task ${name}:health
      period_seconds: 2
      failure_threshold: 10
`;
}
