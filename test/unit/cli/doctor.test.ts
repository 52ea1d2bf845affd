import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRateLimits } from "../../../src/adapters/forge/rate-limit.ts";
import { judge } from "../../../src/cli/doctor.ts";
import { isOlder } from "../../../src/cli/findings-machine.ts";
import { messageOf } from "../../../src/domain/errors.ts";
import type { Examination, Place, ProcessFact, ReceiverFact, SecretFacts } from "../../../src/domain/examination.ts";
import type { Clock } from "../../../src/kit/clock.ts";
import { examination, NOW, subsystemFact } from "../../support/examination.ts";

const secrets = (fields: Partial<SecretFacts>): Partial<Examination> => ({ secrets: { ...examination().secrets, ...fields } });
const upAt = (version: string, processes = ["api"]): Partial<Examination> => ({ supervisor: { state: "up", where: "/srv/ws/pc.sock", version, processes } });
const receiver = (fields: Partial<ReceiverFact> = {}): ReceiverFact => ({ name: "github", forge: "github", path: "/webhook", explicit: false, keys: ["default"], sharedWith: [], subsystems: ["api"], bound: ["api"], ...fields });
const port = (state: Examination["port"]["state"], code?: string): Partial<Examination> => ({ daemon: { state: "down" }, port: { host: "127.0.0.1", port: 8080, state, ...(code === undefined ? {} : { code }) } });
const { lastDelivery: _, ...neverNotified } = subsystemFact();
const limited = (message: string) => subsystemFact({ mode: "release", upstream: { ok: false, message } });
/** In the forge adapter's own words. */
const LIMITED = messageOf(createRateLimits({ clock: { now: () => NOW } as Clock, authenticated: false }).note({ origin: "https://api.github.com", api: "https://api.github.com", status: 429, headers: new Headers({ "retry-after": "600" }), text: "" }));
/** What is said beyond "ok". */
const troubles = (fields: Partial<Examination>) => judge(examination(fields)).filter((f) => f.status !== "ok");

const at = (line: number): Place => ({ file: "/srv/ws/pc.yaml", line });
const of = (fields: Partial<ProcessFact>): Partial<Examination> => ({ processes: [{ subsystem: "api", process: "api", watched: [], ...fields }] });

/** Name of the case, what differs from a healthy machine, and for each trouble: its check and status, what it says, and what its mend says. */
const TABLE: readonly (readonly [string, Partial<Examination>, readonly (readonly [string, RegExp, RegExp])[]])[] = [
  ["an old Node.js", { node: { version: "22.4.0", path: "/usr/bin/node" } }, [["node fail", /Node\.js is 22\.4\.0 \(\/usr\/bin\/node\), expected 24\.15/, /bin\/slipstream/]]],
  ["a clock from before slipstream", { now: Date.UTC(2024, 1, 1) }, [["clock fail", /clock says 2024-02-01/, /timedatectl/]]],
  ["no git", { git: { program: "git", found: false } }, [["git warn", /not on PATH, so the built-in engine/, /nothing has to be done/]]],
  ["a git that is too old", { git: { program: "git", found: true, version: "2.30.2" } }, [["git warn", /git is 2\.30\.2, expected 2\.31/, /nothing has to be done/]]],
  ["no Task where something is built", { task: { program: "task", found: false } }, [["task fail", /task is not runnable.*it builds api/, /install Task v3\.53\.1/]]],
  ["an old Task where something is built", { task: { program: "task", found: true, version: "3.40.0", known: true } }, [["task warn", /Task is 3\.40\.0, expected 3\.53\.1/, /install Task/]]],
  ["Taskwarrior where something is built", { task: { program: "task", found: true, version: "3.53.2", known: false } }, [["task fail", /task is not Task/, /tools\.task/]]],
  ["no Task where nothing is built", { task: { program: "task", found: false }, subsystems: [subsystemFact({ mode: "release" })] }, []],
  ["a misspelt key", { config: { problems: [{ file: "/srv/ws/slipstream.yaml", line: 3, message: "key helth is unknown" }], warnings: [] }, subsystems: [] }, [["config fail", /slipstream\.yaml:3: key helth is unknown/, /docs\/configure\.md/]]],
  ["a warning of the configuration", { config: { problems: [], warnings: ["listens on 0.0.0.0, which other machines may reach"] } }, [["config warn", /listens on 0\.0\.0\.0/, /configure/]]],
  ["warnings that are judged here anyway", { config: { problems: [], warnings: ["WEBHOOK_SECRET has 4 characters, expected at least 16", "/srv/ws/.slipstream/secrets.env has mode 644, expected 600", "WEBHOOK_SECRET_2 comes from the environment, which …"] } }, []],
  ["no workspace", { workspace: null, config: { problems: [{ file: "/nowhere", message: "is no folder" }], warnings: [] }, subsystems: [], disks: [], daemon: { state: "down" } }, [["workspace fail", /\/nowhere: is no folder/, /--workspace/]]],
  ["no webhook secret", secrets({ webhook: [] }), [["secret fail", /webhook secret is missing/, /slipstream init makes one/]]],
  ["a short webhook secret", secrets({ webhook: [{ name: "old", chars: 8 }, { name: "new", chars: 64 }] }), [["secret warn", /secret old has 8 characters, expected at least 16/, /longer/]]],
  ["a forge in use whose receiver has no secret", { receivers: [receiver(), receiver({ name: "gitea", forge: "gitea", keys: [], bound: ["tea"] })] }, [["receivers warn", /receiver gitea has no secret, expected one: what comes from Gitea and Forgejo \(tea\) is refused/, /set WEBHOOK_SECRET_GITEA in \.slipstream\/secrets\.env/]]],
  ["a forge not in use whose receiver has no secret", { receivers: [receiver(), receiver({ name: "gitea", forge: "gitea", keys: [], bound: [] })] }, []],
  ["a receiver of slipstream.yaml without a secret", { receivers: [receiver({ explicit: true }), receiver({ name: "tea", forge: "gitea", keys: [], bound: [], explicit: true })] }, [["receivers warn", /receiver tea has no secret/, /WEBHOOK_SECRET_GITEA/]]],
  ["one secret for two forges that are both in use", { receivers: [receiver({ sharedWith: ["gitea"] }), receiver({ name: "gitea", forge: "gitea", bound: ["tea"], sharedWith: ["github"] })] }, [["receivers warn", /receivers gitea and github share a secret, expected one each/, /set WEBHOOK_SECRET_GITHUB and WEBHOOK_SECRET_GITEA/]]],
  ["one secret for two forges of which one is in use", { receivers: [receiver({ sharedWith: ["gitea"] }), receiver({ name: "gitea", forge: "gitea", bound: [], sharedWith: ["github"] })] }, []],
  ["a receiver of slipstream.yaml that no subsystem is for", { receivers: [receiver({ explicit: true }), receiver({ name: "tea", forge: "gitea", bound: [], subsystems: [], explicit: true })] }, [["receivers warn", /receiver tea is for Gitea and Forgejo, and no subsystem comes from there/, /remove receivers\.tea/]]],
  ["what the configuration says of receivers, which is judged here", { config: { problems: [], warnings: ["receivers gitea and github share a secret, expected one each: …", "receiver tea has no secret, expected one; set …"] } }, []],
  ["a secrets file that others read", secrets({ file: { path: "/s/secrets.env", mode: 0o644, mine: true } }), [["secrets-file fail", /mode 644, expected 600/, /chmod 600 \/s\/secrets\.env/]]],
  ["a state folder that others enter", secrets({ folder: { path: "/s", mode: 0o755, mine: true } }), [["secrets-file warn", /mode 755, expected 700/, /chmod 700 \/s/]]],
  ["a secrets file of somebody else", secrets({ file: { path: "/s/secrets.env", mode: 0o600, mine: false } }), [["secrets-file fail", /belongs to somebody else/, /chown/]]],
  ["a secret in .env", secrets({ dotenv: { path: "/srv/ws/.env", names: ["WEBHOOK_SECRET"] } }), [["dotenv warn", /\.env holds WEBHOOK_SECRET, which Process Compose hands to every process/, /secrets\.env/]]],
  ["a .env without secrets", secrets({ dotenv: { path: "/srv/ws/.env", names: [] } }), []],
  ["a secret that Process Compose passed on", secrets({ inherited: ["GITHUB_TOKEN"] }), [["environment warn", /GITHUB_TOKEN stands in the environment/, /secrets\.env/]]],
  ["a state folder nobody may write to", { state: { path: "/srv/ws/.slipstream", exists: true, error: "EACCES: permission denied" } }, [["state fail", /not usable \(EACCES/, /state_dir/]]],
  ["little disk", { disks: [{ path: "/srv/ws", freeBytes: 900e6 }] }, [["disk warn", /900\.0 MB free at \/srv\/ws/, /make room/]]],
  ["hardly any disk", { disks: [{ path: "/srv/ws", freeBytes: 90e6 }] }, [["disk fail", /90\.0 MB free/, /make room/]]],
  ["a network filesystem", { disks: [{ path: "/srv/ws", freeBytes: 80e9, filesystem: "nfs4" }] }, [["filesystem warn", /is on nfs4/, /local disk/]]],
  ["no address of Process Compose", { supervisor: { state: "none" } }, [["supervisor fail", /address of Process Compose is not known/, /process_compose\.socket/]]],
  ["no address of Process Compose, and nothing to restart", { supervisor: { state: "none" }, subsystems: [subsystemFact({ process: null, noProcess: true })] }, []],
  ["Process Compose is away", { supervisor: { state: "down", where: "/srv/ws/pc.sock", message: "Process Compose at /srv/ws/pc.sock is not answering (ENOENT)" } }, [["supervisor fail", /not answering \(ENOENT\)/, /process-compose up .*-u \/srv\/ws\/pc\.sock/]]],
  ["Process Compose and the daemon are not started yet", { supervisor: { state: "down", where: "/srv/ws/pc.sock", message: "Process Compose at /srv/ws/pc.sock is not answering (ENOENT)" }, daemon: { state: "down" } }, [["supervisor warn", /not answering/, /process-compose up/], ["daemon warn", /not running/, /slipstream watch/]]],
  ["Process Compose wants a token", { supervisor: { state: "token-refused", where: "/srv/ws/pc.sock", tokenGiven: false } }, [["supervisor fail", /refuses us without a token \(401\)/, /PC_API_TOKEN/]]],
  ["Process Compose wants another token", { supervisor: { state: "token-refused", where: "/srv/ws/pc.sock", tokenGiven: true } }, [["supervisor fail", /refuses our token/, /token_file/]]],
  ["a Process Compose before the oldest known", upAt("v1.76.1"), [["supervisor fail", /v1\.76\.1.*expected 1\.85/, /v1\.122\.0/]]],
  ["the oldest known Process Compose", upAt("v1.85.0"), [["supervisor warn", /no API token; a process that runs alone.*exit_on_end/, /v1\.122\.0/]]],
  ["the last Process Compose without guards", upAt("v1.120.0"), [["supervisor warn", /^(?!.*runs alone).*exit_on_end/, /v1\.122\.0/]]],
  ["a development build of Process Compose", upAt("undefined"), []],
  ["a process that Process Compose does not have", upAt("v1.122.0", ["web"]), [["processes fail", /process api of api is unknown to Process Compose, expected one of: web/, /subsystems\.api\.process/]]],
  ["replicas of a process", upAt("v1.122.0", ["api-0", "api-1", "api-2"]), []],
  ["a process that Process Compose watches itself", of({ watched: [at(12)] }), [["process file warn", /process api is watched by Process Compose \(\/srv\/ws\/pc\.yaml:12\)/, /exclude: \["\*\*\/\.bin/]]],
  ["a warning about that, which is judged here anyway", { ...of({ watched: [at(12)] }), config: { problems: [], warnings: ["process api is watched by Process Compose (/srv/ws/pc.yaml:12): …"] } }, [["process file warn", /pc\.yaml:12/, /watch/]]],
  ["a daemon", of({ daemon: at(3) }), [["process file fail", /process api is a daemon \(\S+:3\), expected one in the foreground/, /remove is_daemon/]]],
  ["a process whose end ends the project, under an old Process Compose", { ...upAt("v1.120.0"), ...of({ endsProject: { setting: "availability.exit_on_end: true", at: at(4) } }) }, [["supervisor warn", /v1\.120\.0/, /v1\.122/], ["process file fail", /exit_on_end: true \(\S+:4\).*a reload would end the whole project/, /remove it, or install/]]],
  ["a process whose failure ends the project", of({ endsProject: { setting: "availability.restart: exit_on_failure", at: at(4) } }), [["process file warn", /a new version that fails ends the whole project/, /on_failure/]]],
  ["a process that ends the project when it is skipped", of({ endsProject: { setting: "availability.exit_on_skipped: true", at: at(5) } }), [["process file warn", /exit_on_skipped: true \(\S+:5\)/, /remove it/]]],
  ["a process file in order", of({}), []],
  ["a subsystem without a process", { ...upAt("v1.122.0", ["api", "jobs"]), subsystems: [subsystemFact(), subsystemFact({ name: "worker", process: null })] }, [["processes warn", /worker has no process/, /one of: jobs; or to false/]]],
  ["a subsystem that nothing shall run", { subsystems: [subsystemFact(), subsystemFact({ name: "cli", process: null, noProcess: true })] }, []],
  ["a port of another program", port("other"), [["port fail", /port 8080 on 127\.0\.0\.1 is taken by another program/, /--port/], ["daemon warn", /not running/, /slipstream watch/]]],
  ["a port of another workspace", port("slipstream"), [["port fail", /slipstream of another workspace/, /--port/], ["daemon warn", /not running/, /watch/]]],
  ["a privileged port", port("unusable", "EACCES"), [["port fail", /not usable \(EACCES\)/, /from 1024 on/], ["daemon warn", /not running/, /watch/]]],
  ["a host that is not ours", port("unusable", "EADDRNOTAVAIL"), [["port fail", /EADDRNOTAVAIL/, /listen\.host/], ["daemon warn", /not running/, /watch/]]],
  ["a state that cannot be read", { daemon: { state: "unreadable", message: "database is newer" } }, [["daemon fail", /database is newer/, /troubleshoot/]]],
  ["signatures refused", { daemon: { state: "up", frontDoor: { accepted: 0, duplicates: 0, refused: { "signature-refused": 2, "too-large": 9 } } } }, [["signatures warn", /2 deliveries were refused/, /compare WEBHOOK_SECRET/]]],
  ["no webhook so far", { subsystems: [neverNotified] }, [["webhook warn", /no webhook is among the latest deliveries.*only through a tunnel/, /simulate/]]],
  ["a program that is not installed yet", { subsystems: [subsystemFact({ installed: false, executable: false, stamped: false })] }, [["subsystem api warn", /not installed yet/, /slipstream update api/]]],
  ["a program that is not executable", { subsystems: [subsystemFact({ executable: false })] }, [["subsystem api fail", /not executable/, /chmod \+x/]]],
  ["a program without a stamp", { subsystems: [subsystemFact({ stamped: false })] }, [["subsystem api warn", /no \.bin\/\.version/, /slipstream update api/]]],
  ["an upstream that does not answer", { subsystems: [subsystemFact({ mode: "release", upstream: { ok: false, message: "repository acme/api is not there" } })] }, [["subsystem api fail", /acme\/api is not there/, /slipstream check api/]]],
  ["a forge whose rate limit is used up", { subsystems: [limited(LIMITED)] }, [["subsystem api warn", /forge of api is asked nothing more until 2026-06-01T12:10:00\.000Z: its rate limit is used up/, /GITHUB_TOKEN/]]],
  ["a rate limit with a token", { ...secrets({ githubToken: true }), subsystems: [limited(LIMITED)] }, [["subsystem api warn", /until 2026-06-01T12:10/, /^wait until then; slipstream asks again by itself$/]]],
  ["what is not managed", { subsystems: [subsystemFact(), subsystemFact({ name: "pc", managed: false, installed: false, executable: false, stamped: false, process: null })] }, []],
];

describe("doctor", () => {
  test("finds nothing to mend on a healthy machine, and says what it looked at", () => {
    const findings = judge(examination());
    assert.deepEqual(findings.filter((f) => f.status !== "ok" || f.mend !== undefined), []);
    assert.deepEqual(findings.map((f) => f.check), ["node", "clock", "git", "task", "config", "secret", "secrets-file", "state", "disk", "port", "supervisor", "processes", "daemon", "webhook", "subsystem api"]);
  });

  for (const [what, fields, expected] of TABLE) {
    test(`${what}: ${expected.length === 0 ? "no trouble" : expected.map(([check]) => check).join(", ")}`, () => {
      const found = troubles(fields);
      assert.deepEqual(found.map((f) => `${f.check} ${f.status}`), expected.map(([check]) => check));
      for (const [i, [, said, mend]] of expected.entries()) {
        assert.match(found[i]?.message ?? "", said);
        assert.match(found[i]?.mend ?? "", mend);
      }
    });
  }

  test("says when the last webhook came, and that a loopback address needs a tunnel", () => {
    const said = judge(examination({ subsystems: [subsystemFact({ lastDelivery: NOW - 7_200_000 })] })).find((f) => f.check === "webhook");
    assert.match(said?.message ?? "", /arrived 2 h ago; slipstream listens on 127\.0\.0\.1, which GitHub reaches only through a tunnel/);
  });

  test("says without Task in release mode that it is not needed, not that something is wrong", () => {
    const said = (task: Examination["task"]) => judge(examination({ task, subsystems: [subsystemFact({ mode: "release" })] })).find((f) => f.check === "task")?.message;
    assert.equal(said({ program: "task", found: false }), "Task is not there, and not needed: nothing is built from source here");
    assert.equal(said({ program: "task", found: true, version: "3.40.0", known: true }), "Task is 3.40.0, and not needed: nothing is built from source here");
  });

  test("says what slipstream's own budget of requests is, apart from the forge's", () => {
    const own = judge(examination({ subsystems: [limited("API at https://api.github.com is rate-limited by slipstream itself (its requests of one minute are spent) until 2026-06-01T12:00:30.000Z, expected an answer: slipstream asks again then; a GITHUB_TOKEN raises the limit")] })).filter((f) => f.status !== "ok");
    assert.deepEqual(own, [{ check: "subsystem api", status: "warn", message: "forge of api is asked nothing more until 2026-06-01T12:00:30.000Z: slipstream has asked enough for now", mend: "wait until then; slipstream asks again by itself" }]);
  });

  test("compares versions number by number, and knows what is no version", () => {
    assert.deepEqual([isOlder("v1.9.0", [1, 10]), isOlder("1.10.0", [1, 10]), isOlder("2.0", [1, 10]), isOlder("3.53.0", [3, 53, 1]), isOlder("undefined", [1])], [true, false, false, true, undefined]);
  });
});
