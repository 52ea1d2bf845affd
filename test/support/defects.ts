/** For every defect that files can show: a small workspace that has it, how its mend reads, and near misses that are no defect. */

import type { DefectId } from "../../src/domain/defect.ts";

export type Files = Readonly<Record<string, string>>;

export interface DefectCase {
  readonly id: DefectId;
  /** Part of the message. */
  readonly says: RegExp;
  readonly files: Files;
  readonly file: string;
  /** A part of the line it is found at, which no line before it has. */
  readonly at: string;
  readonly safe: boolean;
  /** Lines of the diff with their sign, without their indentation; missing where only words tell the mend. */
  readonly diff?: readonly string[];
  /** The same written otherwise: no finding of this id. */
  readonly nearMisses: readonly Files[];
}

const ROOT = "version: '3'\nincludes:\n  api: ./api\n";
/** Indents a block; its first line tells how deep it stood. */
const indented = (text: string, by: string): string => text.trim().split("\n").map((l) => (l === "" ? l : by + l)).join("\n");

/** A workspace with one include, whose tasks these are. */
export const api = (tasks: string, more: { readonly root?: string; readonly vars?: string; readonly processes?: string } = {}): Files => ({
  "Taskfile.yml": `${ROOT}${more.root ?? ""}`,
  "api/Taskfile.yml": `version: '3'\n\nvars:\n  API_UPSTREAM_REPO: https://git.example/acme/api.git\n  API_VERSION: '{{.API_VERSION | default "v1.0.0"}}'\n  API_BIN_NAME: api-server\n  API_BIN: '{{.TASKFILE_DIR}}/.bin/{{.API_BIN_NAME}}'\n${more.vars ?? ""}\n# what it can do\ntasks:\n${indented(tasks, "  ")}\n`,
  ...(more.processes === undefined ? {} : { "process-compose.yaml": `version: "0.5"\n\nprocesses:\n${indented(more.processes, "  ")}\n` }),
});
const root = (tasks: string, more: { readonly vars?: string; readonly processes?: string } = {}): Files => api("config:version:\n  cmds: ['echo {{.API_VERSION}}']", { root: `${more.vars ?? ""}tasks:\n${indented(tasks, "  ")}\n`, ...(more.processes === undefined ? {} : { processes: more.processes }) });

const CLONE = "src:clone:\n  cmds:\n    - git clone --branch {{.API_VERSION}} {{.API_UPSTREAM_REPO}} .src # the pin\n  status:\n    - test -d .src\n";
const BUILD = "cd .src && go build -o {{.API_BIN}}.new . && mv -f {{.API_BIN}}.new {{.API_BIN}}";
const SERVICE = "api:\n  command: exec ./api/.bin/api-server # the server\n  shutdown:\n    timeout_seconds: 10\n";
const PROBE = "readiness_probe:\n  exec: { command: task api:health }\n  timeout_seconds: 5";
const nextTo = (process: string, lines: string): string => `${process}${indented(lines, "  ")}\n`;
const HEALTH = "run:\n  cmds: [./.bin/api-server]\nhealth:\n  cmds:\n    - curl -sf http://localhost:8222/healthz > /dev/null";

const builds: readonly DefectCase[] = [
  {
    ...{ id: "D1", says: /bin:build only asks whether \{\{\.API_BIN\}\} is there: a changed source is not built/, file: "api/Taskfile.yml", at: "- test -f", safe: true },
    files: api(`bin:build:\n  cmds:\n    - ${BUILD} # quick\n  # when it may be skipped\n  status:\n    - test -f {{.API_BIN}}\n  desc: Build it`),
    diff: ["-status:", "-- test -f {{.API_BIN}}"],
    nearMisses: [
      api(`bin:build:\n  cmds: ['${BUILD}']`),
      api(`bin:build:\n  sources: [.src/**/*.go]\n  generates: [.bin/api-server]\n  cmds: ['${BUILD}']\n  status: ['test -f {{.API_BIN}}']`),
      api(`bin:build:\n  cmds: ['${BUILD}']\n  status: ['test -f {{.API_BIN}}', 'grep -q {{.API_VERSION}} .bin/.version']`),
    ],
  },
  {
    ...{ id: "D1", says: /a changed source is not built/, file: "api/Taskfile.yml", at: "- test -f", safe: false },
    files: api(`bin:build:\n  cmds: ['${BUILD}']\n  status:\n    - test -f {{.API_BIN}}\nrun:\n  deps: [bin:build]\n  cmds: [./.bin/api-server]`),
    diff: ["-status:", "-- test -f {{.API_BIN}}"],
    nearMisses: [],
  },
  {
    ...{ id: "D2", says: /bin:download only asks whether \{\{\.API_BIN\}\} is there: a newer release is not downloaded/, file: "api/Taskfile.yml", at: "status: [", safe: true },
    files: api("bin:download:\n  cmds:\n    - task: fetch\n  status: ['[ -f {{.API_BIN}} ]']\nfetch: sh ./fetch.sh"),
    diff: ["-status: ['[ -f {{.API_BIN}} ]']"],
    nearMisses: [api("bin:download:\n  cmds: [sh ./fetch.sh]\n  status: ['test \"$(cat .bin/.version)\" = {{.API_VERSION}}']"), api("bin:fetch:\n  cmds: [sh ./fetch.sh]\n  status: ['test -f {{.API_BIN}}']")],
  },
  {
    ...{ id: "D3", says: /src:clone is a dependency of api:bin:build and clones into \.src: with --force/, file: "api/Taskfile.yml", at: "git clone", safe: true },
    files: api(`${CLONE}bin:build:\n  deps: [src:clone]\n  cmds: ['${BUILD}']`),
    diff: ["-- git clone --branch {{.API_VERSION}} {{.API_UPSTREAM_REPO}} .src # the pin", "+- test -d .src/.git || git clone --branch {{.API_VERSION}} {{.API_UPSTREAM_REPO}} .src # the pin"],
    nearMisses: [api(CLONE), api(`src:clone:\n  cmds: ['[ -d .src ] || git clone {{.API_UPSTREAM_REPO}} .src']\n  status: [test -d .src]\nbin:build:\n  deps: [src:clone]\n  cmds: ['${BUILD}']`)],
  },
  {
    ...{ id: "D4", says: /checks out v1\.0\.0, the version that is written down here unless API_VERSION=… is given/, file: "api/Taskfile.yml", at: "checkout", safe: false },
    files: api("src:update:\n  dir: .src\n  cmds:\n    - git fetch --tags\n    - git checkout {{.API_VERSION}}"),
    diff: ["-- git fetch --tags", "-- git checkout {{.API_VERSION}}", "+- git fetch origin {{.API_VERSION}}", "+- git checkout --detach FETCH_HEAD"],
    nearMisses: [api("src:update:\n  cmds:\n    - git -C .src fetch origin {{.API_VERSION}}\n    - git -C .src checkout --detach FETCH_HEAD"), api("src:update:\n  cmds: [git -C .src checkout {{.API_VERSION}}, git -C .src pull --ff-only]")],
  },
  {
    ...{ id: "D4", says: /fetches and checks out main, which leaves the local branch where it was/, file: "api/Taskfile.yml", at: "checkout", safe: false },
    files: api("src:update:\n  cmds:\n    - git -C .src fetch --tags origin\n    - git -C .src checkout {{.API_BRANCH}}", { vars: "  API_BRANCH: main\n" }),
    diff: ["-- git -C .src fetch --tags origin", "-- git -C .src checkout {{.API_BRANCH}}", "+- git -C .src fetch origin {{.API_BRANCH}}", "+- git -C .src checkout --detach FETCH_HEAD"],
    nearMisses: [],
  },
  {
    ...{ id: "D6", says: /clones with --depth, so it has one branch.*interrupted counts as done because \.src is there/, file: "api/Taskfile.yml", at: "git clone", safe: false },
    files: api("src:clone:\n  cmds:\n    - git clone --depth 1 {{.API_UPSTREAM_REPO}} .src\n  status:\n    - test -d .src"),
    diff: ["-- git clone --depth 1 {{.API_UPSTREAM_REPO}} .src", "+- git clone --filter=blob:none {{.API_UPSTREAM_REPO}} .src", "-- test -d .src", "+- git -C .src rev-parse -q --verify HEAD"],
    nearMisses: [api(CLONE), api("src:clone:\n  cmds: [sh ./clone.sh --depth 1]\n  status: [test -d .src]")],
  },
  {
    ...{ id: "D6", says: /clones with --depth/, file: "api/Taskfile.yml", at: "test -d .src/.git ||", safe: false },
    files: api("src:clone:\n  cmds:\n    - test -d .src/.git || git clone --depth 1 {{.API_UPSTREAM_REPO}} .src\n  status:\n    - test -d .src\nbin:build:\n  deps: [src:clone]\n  cmds: ['cd .src && go build -o {{.API_BIN}}.new . && mv -f {{.API_BIN}}.new {{.API_BIN}}']"),
    diff: ["-- test -d .src/.git || git clone --depth 1 {{.API_UPSTREAM_REPO}} .src", "+- test -d .src/.git || git clone --filter=blob:none {{.API_UPSTREAM_REPO}} .src", "-- test -d .src", "+- git -C .src rev-parse -q --verify HEAD"],
    nearMisses: [],
  },
  {
    ...{ id: "D7", says: /writes \{\{\.API_BIN\}\} with cp, straight to its place: a program that runs makes it fail/, file: "api/Taskfile.yml", at: "- cp", safe: true },
    files: api("bin:build:\n  cmds:\n    - cd .src && go build -o api .\n    - cp .src/api {{.API_BIN}}\n    - chmod +x {{.API_BIN}}"),
    diff: ["-- cp .src/api {{.API_BIN}}", "+- cp .src/api {{.API_BIN}}.new && mv -f {{.API_BIN}}.new {{.API_BIN}}"],
    nearMisses: [api("bin:build:\n  cmds: ['cp .src/api {{.API_BIN}}.tmp', 'mv {{.API_BIN}}.tmp {{.API_BIN}}']"), api("bin:build:\n  cmds: [cd .src && go build -o api ., cp .src/api.conf .bin/]"), api(`bin:build:\n  cmds: ['${BUILD}']`)],
  },
  {
    ...{ id: "D7", says: /with go build -o, straight to its place: it removes the old program first/, file: "api/Taskfile.yml", at: "go build", safe: true },
    files: api("bin:build:\n  cmds:\n    - |\n      # in the source\n      cd .src && go build -trimpath -o ../.bin/{{.API_BIN_NAME}} ./cmd\n      echo built"),
    diff: ["-cd .src && go build -trimpath -o ../.bin/{{.API_BIN_NAME}} ./cmd", "+cd .src && go build -trimpath -o ../.bin/{{.API_BIN_NAME}}.new ./cmd && mv -f ../.bin/{{.API_BIN_NAME}}.new ../.bin/{{.API_BIN_NAME}}"],
    nearMisses: [api('bin:build:\n  cmds: [\'go build -o "$OUT" .\']')],
  },
  {
    ...{ id: "D8", says: /api:run comes to api:bin:build through api:ensure/, file: "api/Taskfile.yml", at: "deps: [config, ensure]", safe: false },
    files: api(`bin:build:\n  cmds: ['${BUILD}']\nensure:\n  cmds:\n    - task: bin:build\n  status: ['test -f {{.API_BIN}}']\nconfig: echo\nrun:\n  deps: [config, ensure]\n  cmds: [./.bin/api-server]`),
    diff: ["-deps: [config, ensure]", "+deps: [config]"],
    nearMisses: [api("run:\n  deps: [config]\n  cmds: [exec ./.bin/api-server]\nconfig: mkdir -p .data")],
  },
];

const downloads: readonly DefectCase[] = [
  {
    ...{ id: "D9", says: /bin:download writes \.version without a checksum/, file: "api/Taskfile.yml", at: "echo", safe: false },
    files: api('bin:download:\n  cmds:\n    - sh ./fetch.sh\n    - echo "{{.RELEASE_VERSION}}" > .bin/.version'),
    nearMisses: [api("bin:download:\n  cmds: [sh ./fetch.sh, \"printf 'checksum: %s\\\\n' $(sha256sum {{.API_BIN}}) > .bin/.version\"]"), api("bin:download:\n  cmds: [sh ./fetch.sh]")],
  },
  {
    ...{ id: "D9", says: /\.version of api has no checksum, only latest/, file: "api/.bin/.version", at: "latest", safe: false },
    files: { ...api("run: ./.bin/api-server"), "api/.bin/.version": "latest\n" },
    nearMisses: [{ ...api("run: ./.bin/api-server"), "api/.bin/.version": "version: v1.0.0\ntimestamp: 2026-01-01T00:00:00Z\nchecksum: 00\n" }],
  },
  {
    ...{ id: "D11", says: /\{\{\.RELEASE_VERSION\}\} becomes releases\/download\/latest/, file: "api/Taskfile.yml", at: "API_URL", safe: false },
    files: api("run: ./.bin/api-server", { vars: "  API_URL: https://github.com/acme/api/releases/download/{{.RELEASE_VERSION}}\n", root: "vars:\n  RELEASE_VERSION: latest\n" }),
    diff: ["-API_URL: https://github.com/acme/api/releases/download/{{.RELEASE_VERSION}}", '+API_URL: https://github.com/acme/api/releases/{{if eq .RELEASE_VERSION "latest"}}latest/download{{else}}download/{{.RELEASE_VERSION}}{{end}}'],
    nearMisses: [api("run: ./.bin/api-server", { vars: "  API_URL: https://github.com/acme/api/releases/download/{{.API_VERSION}}\n" }), api("run: ./.bin/api-server", { vars: "  API_URL: https://github.com/acme/api/releases/latest/download\n" })],
  },
  {
    ...{ id: "D12", says: /calls curl without -f, so an error page is taken/, file: "api/Taskfile.yml", at: "curl", safe: true },
    files: api("bin:download:\n  cmds:\n    - curl -L {{.URL}} -o .bin/.new # big\n    - mv .bin/.new {{.API_BIN}}"),
    diff: ["-- curl -L {{.URL}} -o .bin/.new # big", "+- curl -f --retry 3 -L {{.URL}} -o .bin/.new # big"],
    nearMisses: [api("bin:download:\n  cmds: ['curl -fsSL --retry 3 -o .bin/.new {{.URL}}', mv .bin/.new .bin/api-server]"), api("health:\n  cmds: ['curl -s http://127.0.0.1:8222/']")],
  },
  {
    ...{ id: "D12", says: /unpacks what curl brings straight to its place, and compares it with no checksum/, file: "api/Taskfile.yml", at: "curl", safe: false },
    files: api("bin:download:\n  cmds:\n    - curl -fL {{.URL}} | tar xz -C .bin"),
    nearMisses: [api("bin:download:\n  cmds: ['curl -fL {{.URL}} -o a.tgz', sha256sum -c a.sum, tar xzf a.tgz]")],
  },
  {
    ...{ id: "D12", says: /asks Go for the platform/, file: "api/Taskfile.yml", at: "GOOS:", safe: true },
    files: api("bin:download:\n  vars:\n    GOOS:\n      sh: go env GOOS\n    # of this machine\n    GOARCH: { sh: go env GOARCH }\n  cmds: ['sh ./fetch.sh {{.GOOS}} {{.GOARCH}}']"),
    diff: ["-GOOS:", "-sh: go env GOOS", "+GOOS: '{{.GOOS | default OS}}'", "-GOARCH: { sh: go env GOARCH }", "+GOARCH: '{{.GOARCH | default ARCH}}'"],
    nearMisses: [api("bin:build:\n  vars: { GOOS: { sh: go env GOOS } }\n  cmds: ['sh ./build.sh {{.GOOS}}']")],
  },
];

const calls: readonly DefectCase[] = [
  {
    ...{ id: "D5", says: /update starts api:src:update and api:bin:build as a new Task/, file: "Taskfile.yml", at: "- task api:src:update", safe: true },
    files: { ...api("src:update: sh ./update.sh\nbin:build: sh ./build.sh"), "Taskfile.yml": `${ROOT}tasks:\n  update:\n    cmds:\n      - task api:src:update # first\n      - task api:bin:build\n` },
    diff: ["-- task api:src:update # first", "-- task api:bin:build", "+- task: api:src:update # first", "+- task: api:bin:build"],
    nearMisses: [root("update:\n  cmds: [{ task: 'api:config:version' }, task --list, task api:config:version]"), root("update:\n  cmds: ['task api:src:update API_VERSION={{.API_VERSION}}', 'echo \"then: task api:bin:build\"']")],
  },
  {
    ...{ id: "D5", says: /RELEASE_VERSION is fixed to latest/, file: "Taskfile.yml", at: "RELEASE_VERSION", safe: false },
    files: root("list: echo", { vars: "vars:\n  RELEASE_VERSION: latest # the newest\n" }),
    diff: ["-RELEASE_VERSION: latest # the newest", "+RELEASE_VERSION: '{{.RELEASE_VERSION | default \"latest\"}}' # the newest"],
    nearMisses: [root("list: echo", { vars: "vars:\n  RELEASE_VERSION: '{{.RELEASE_VERSION | default \"latest\"}}'\n" })],
  },
  {
    ...{ id: "D16", says: /no process is called api/, file: "Taskfile.yml", at: "task reload", safe: false },
    files: root("update:\n  cmds:\n    - task reload PROC={{.SUBSYSTEM}}", { processes: "server:\n  command: exec ./api/.bin/api-server\n  shutdown: { timeout_seconds: 9 }" }),
    nearMisses: [root("update:\n  cmds:\n    - task reload PROC={{.SUBSYSTEM}}", { processes: SERVICE }), root("update:\n  cmds: [task reload PROC=server]", { processes: "server: { command: sleep 1 }" })],
  },
  {
    ...{ id: "D17", says: /builds where \.src is there and downloads where it is not/, file: "Taskfile.yml", at: "if [ -d", safe: false },
    files: root("update:\n  cmds:\n    - |\n      if [ -d api/.src ]; then make -C api bin:build\n      else make -C api bin:download; fi"),
    nearMisses: [root("update:\n  cmds: ['if [ -d api/.src ]; then git -C api/.src fetch; fi']")],
  },
  {
    ...{ id: "D18", says: /show pastes PROC into shell text/, file: "Taskfile.yml", at: "echo {{.PROC", safe: false },
    files: root("show:\n  cmds:\n    - echo {{.PROC}}"),
    diff: ["-- echo {{.PROC}}", "+- echo {{q .PROC}}"],
    nearMisses: [root("show:\n  cmds: ['echo {{q .PROC}}', 'echo {{.NAME}}']")],
  },
];

const checks: readonly DefectCase[] = [
  {
    ...{ id: "D10", says: /without shasum both sides of its comparison are empty/, file: "Taskfile.yml", at: "shasum", safe: false },
    files: root("bin:verify:\n  cmds:\n    - |\n      was=$(sed -n 's/checksum: //p' api/.bin/.version)\n      [ \"$was\" = \"$(shasum -a 256 api/.bin/api-server | cut -d' ' -f1)\" ]"),
    nearMisses: [root("bin:verify:\n  cmds: ['command -v shasum && sh verify.sh api/.bin/.version']"), root("bin:verify:\n  cmds: ['sha256sum -c api/.bin/.version']")],
  },
  {
    ...{ id: "D13", says: /stops, waits 2 s and starts.*without PROC it takes api/, file: "Taskfile.yml", at: "process stop", safe: false },
    files: root("reload:\n  vars:\n    PROC: '{{.PROC | default \"api\"}}'\n  cmds:\n    - process-compose process stop {{q .PROC}}\n    - sleep 2\n    - process-compose process start {{q .PROC}}"),
    nearMisses: [root("reload:\n  cmds: ['slipstream reload {{q .PROC}}']"), root("stop:\n  cmds: [process-compose process stop api]")],
  },
  {
    ...{ id: "D15", says: /asks lsof about the pid that Process Compose names/, file: "Taskfile.yml", at: "lsof", safe: false },
    files: root("check:\n  cmds:\n    - |\n      pid=$(process-compose process list -o json | jq .[0].pid)\n      lsof -p \"$pid\" | grep .bin"),
    nearMisses: [root("check:\n  cmds: ['lsof -i :8080']")],
  },
  {
    ...{ id: "D19", says: /package writes to \{\{\.DIST\}\}, which nothing makes/, file: "api/Taskfile.yml", at: "tar", safe: true },
    files: api("package:\n  cmds:\n    - tar -czf {{.DIST}}/api.tar.gz -C .bin api-server .version"),
    diff: ["-- tar -czf {{.DIST}}/api.tar.gz -C .bin api-server .version", "+- mkdir -p {{.DIST}} && tar -czf {{.DIST}}/api.tar.gz -C .bin api-server .version"],
    nearMisses: [api("package:\n  cmds: ['mkdir -p {{.DIST}}', 'tar -czf {{.DIST}}/api.tar.gz -C .bin api-server .version']"), api("backup:\n  cmds: ['tar -czf {{.DIST}}/data.tar.gz .data']")],
  },
  {
    ...{ id: "D19", says: /packs api-server without \.version.*GOOS or GOARCH only change its name/, file: "api/Taskfile.yml", at: "- tar", safe: false },
    files: api("package:\n  cmds:\n    - mkdir -p ../.dist\n    - tar -czvf ../.dist/api-{{.GOOS}}.tar.gz -C .bin api-server"),
    diff: ["-- tar -czvf ../.dist/api-{{.GOOS}}.tar.gz -C .bin api-server", "+- tar -czvf ../.dist/api-{{.GOOS}}.tar.gz -C .bin api-server .version"],
    nearMisses: [],
  },
  {
    ...{ id: "D20", says: /knows nothing of depends_on: web goes on/, file: "Taskfile.yml", at: "process restart", safe: false },
    files: root("reload:\n  cmds:\n    - process-compose process restart {{.PROC}}", { processes: `${SERVICE}web:\n  command: sleep 9\n  depends_on:\n    api: { condition: process_healthy }` }),
    nearMisses: [root("reload:\n  cmds: ['process-compose process restart {{.PROC}}']", { processes: SERVICE })],
  },
];

const processes: readonly DefectCase[] = [
  {
    ...{ id: "D13", says: /process api has no shutdown\.timeout_seconds/, file: "process-compose.yaml", at: "api:", safe: true },
    files: api("run: ./.bin/api-server", { processes: "# the server\napi:\n  command: task api:run # through Task\n  availability:\n    restart: always # for ever\n\n# not yet\nweb:\n  command: sleep 9" }),
    diff: ["+shutdown:", "+timeout_seconds: 10"],
    nearMisses: [api("run: ./.bin/api-server", { processes: SERVICE }), api("run: ./.bin/api-server", { processes: "once:\n  command: echo done" }), api("run: ./.bin/api-server", { processes: "api:\n  command: task api:run\n  shutdown: { command: ./stop.sh }" })],
  },
  {
    ...{ id: "D13", says: /process api has no shutdown\.timeout_seconds/, file: "process-compose.yaml", at: "api:", safe: true },
    files: api("run: ./.bin/api-server", { processes: "api: { command: exec ./api/.bin/api-server, shutdown: { signal: 2 } } # short" }),
    diff: ["-api: { command: exec ./api/.bin/api-server, shutdown: { signal: 2 } } # short", "+api: { command: exec ./api/.bin/api-server, shutdown: { signal: 2, timeout_seconds: 10 } } # short"],
    nearMisses: [],
  },
  {
    ...{ id: "D14", says: /runs Task and has 1 s for it/, file: "process-compose.yaml", at: "exec: {", safe: true },
    files: api(HEALTH, { processes: nextTo(SERVICE, "readiness_probe:\n  exec: { command: task api:health }\n  period_seconds: 5 # often") }),
    diff: ["+timeout_seconds: 5"],
    nearMisses: [api(HEALTH, { processes: nextTo(SERVICE, "readiness_probe:\n  http_get: { host: 127.0.0.1, port: 8222, path: /healthz }") }), api(HEALTH, { processes: nextTo(SERVICE, "readiness_probe:\n  exec: { command: curl -f http://127.0.0.1:8222/ }") })],
  },
  {
    ...{ id: "D14", says: /goes through Task \(api:health\)/, file: "process-compose.yaml", at: "exec: {", safe: false },
    files: api(HEALTH, { processes: nextTo(SERVICE, PROBE) }),
    diff: ["-exec: { command: task api:health }", "+http_get: { host: 127.0.0.1, port: 8222, path: /healthz }"],
    nearMisses: [],
  },
  {
    ...{ id: "D14", says: /api:health only asks whether a process of that name is there/, file: "api/Taskfile.yml", at: "pgrep", safe: false },
    files: api("run: ./.bin/api-server\nhealth:\n  cmds:\n    - pgrep -f api-server", { processes: nextTo("api:\n  command: task api:run\n  shutdown: { timeout_seconds: 9 }\n", PROBE) }),
    nearMisses: [api("health:\n  cmds: [pgrep -f api-server]")],
  },
];

const texts: readonly DefectCase[] = [
  {
    ...{ id: "D22", says: /reload-all has a quote \("\) that is never closed/, file: "Taskfile.yml", at: 'PROC="api', safe: false },
    files: root('reload-all:\n  cmds:\n    - task reload PROC="api\n    - sleep 1'),
    diff: ['-- task reload PROC="api', '+- task reload PROC="api"'],
    nearMisses: [root("say:\n  cmds:\n    - |\n      # it's a comment\n      echo \"it's $(date \"+%Y\") ${x:-\"y\"}\" 'a \" b'\n      cat <<EOF\n      it's a text\n      EOF"), root("say:\n  cmds: ['{{if .A}}echo \"{{end}}']")],
  },
  {
    ...{ id: "D22", says: /has two quotes too few/, file: "Taskfile.yml", at: 'PROC="api', safe: false },
    files: root('reload-all:\n  cmds:\n    - task reload PROC="api & task reload PROC="web & wait'),
    diff: ['-- task reload PROC="api & task reload PROC="web & wait', '+- task reload PROC="api" & task reload PROC="web" & wait'],
    nearMisses: [root('reload-all:\n  cmds:\n    - task reload PROC="api" & task reload PROC="web" & wait'), root("say:\n  cmds:\n    - X=\"a & b\" sh -c 'echo'")],
  },
  {
    ...{ id: "D23", says: /API_VERSION is v0\.9\.0 by default, but api says v1\.0\.0/, file: "Taskfile.yml", at: "v0.9.0", safe: false },
    files: root('manifest:\n  cmds:\n    - echo {{.API_VERSION | default "v0.9.0"}}'),
    diff: ['-- echo {{.API_VERSION | default "v0.9.0"}}', '+- echo {{.API_VERSION | default "v1.0.0"}}'],
    nearMisses: [root('manifest:\n  cmds:\n    - echo {{.API_VERSION | default "v1.0.0"}}')],
  },
  {
    ...{ id: "D23", says: /go-version is 1\.23, but go\.work asks for 1\.25\.5/, file: ".github/workflows/ci.yml", at: "go-version", safe: false },
    files: { ...root("list: echo"), "go.work": "go 1.25.5\n", ".github/workflows/ci.yml": "jobs:\n  build:\n    steps:\n      - uses: actions/setup-go@v5\n        with:\n          go-version: '1.23' # for now\n" },
    diff: ["-go-version: '1.23' # for now", "+go-version: '1.25.5' # for now"],
    nearMisses: [{ ...root("list: echo"), "go.work": "go 1.25.5\n", ".github/workflows/ci.yml": "jobs:\n  build:\n    steps:\n      - with: { go-version-file: go.work }\n      - with:\n          go-version: '1.25'\n" }],
  },
];

export const DEFECT_CASES: readonly DefectCase[] = [...builds, ...downloads, ...calls, ...checks, ...processes, ...texts];
