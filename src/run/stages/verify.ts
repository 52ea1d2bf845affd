/** verify: the built or downloaded file is a program, differs from what runs, agrees with its own stamp, and passes the smoke command (V36, this subsystem only: V7x). */

import { join } from "node:path";
import { digestIfAny, digestOf, inspectFile, readSmall } from "../../adapters/files.ts";
import { programKind, programProblem } from "../../adapters/program.ts";
import { parseStamp, type VersionStamp } from "../../domain/artifact.ts";
import { EvidenceError, PolicyError, WorkError } from "../../domain/errors.ts";
import { verdictFor } from "../../domain/policy.ts";
import { parseVersion, stepBetween } from "../../domain/version.ts";
import type { StageDefinition, StageResult, StageScope } from "../deps.ts";
import { placeOf } from "../workspace.ts";
import { runCommand, versionVars } from "./commands.ts";

const SMOKE_MS = 30_000;

export const verify: StageDefinition = {
  name: "verify",
  timeoutMs: () => 120_000,
  async run(scope, signal) {
    const { subsystem, deps, line } = scope;
    const shadow = placeOf(deps, subsystem);
    const release = subsystem.mode === "release";
    const built = join(shadow.bin, subsystem.binary);
    const file = await inspectFile(built);
    if (file === undefined) throw new WorkError("artifact-invalid", `binary .bin/${subsystem.binary} is missing after the ${release ? "download" : "build"}, expected it there; set subsystems.${subsystem.name}.binary if it has another name`);
    // What an interpreter reads needs no permission to run; the install gives it one.
    const stuck = !file.executable && !["script", "text", "zip"].includes(await programKind(built));
    if (file.bytes === 0 || stuck) throw new WorkError("artifact-invalid", `binary .bin/${subsystem.binary} is ${file.bytes === 0 ? "empty" : "not executable"}, expected a program`);
    const digest = await digestOf(built);
    const live = await digestIfAny(join(subsystem.dir, ".bin", subsystem.binary));
    if (digest === live && release) return alreadyThere(scope, digest);
    if (digest === live) throw new WorkError("build-changed-nothing", `binary of ${scope.run.toVersion} is ${digest.slice(0, 19)}…, expected another digest than the installed one has; the build made the same program again, so nothing was restarted`);
    const bad = deps.store.versions.list(subsystem.name, "quarantined").find((v) => v.digest === digest);
    if (bad !== undefined && scope.run.rule !== "asked-for") return { message: `the program of ${bad.version}`, end: { code: "quarantined", message: `${scope.run.toVersion} has the program of ${bad.version}, which is quarantined (${bad.reason ?? "it failed here"}), so nothing was restarted` } };
    const wrong = release ? await programProblem(built, deps.platform) : null;
    if (wrong !== null) throw new EvidenceError("artifact-invalid", `binary ${subsystem.binary} of ${scope.run.toVersion} is ${wrong}`);
    const stamp = parseStamp((await readSmall(join(shadow.bin, ".version"))) ?? "");
    const stamped = stamp.checksum;
    if (stamped !== undefined && `sha256:${stamped}` !== digest) throw new EvidenceError("digest-mismatch", `.version of ${scope.run.toVersion} says sha256:${stamped}, expected ${digest}; the stamp does not belong to this binary`);
    if (subsystem.smoke !== undefined) await runCommand(scope, subsystem.smoke, { shadow, vars: versionVars(scope), timeoutMs: SMOKE_MS, failCode: "verify-failed" }, signal);
    line(`${built}: ${file.bytes} bytes, ${digest}`);
    return { context: { built, digest, ...(release ? namedBy(scope, stamp) : {}) }, message: digest.slice(0, 19) };
  },
};

/** The release has the very program that runs: nothing is restarted, and from now on that is known (V47). */
function alreadyThere({ run, subsystem, deps, line }: StageScope, digest: string): StageResult {
  line(`${run.toVersion} has the program that is installed already: ${digest}`);
  const origin = run.artifact === undefined ? undefined : { tag: run.toVersion, artifact: run.artifact.identity };
  return {
    message: "the installed program",
    ...(origin === undefined ? {} : { settle: () => deps.store.versions.noteOrigin(subsystem.name, origin) }),
    end: { code: "already-current", message: `release ${run.toVersion} has the program that is installed already, so nothing was restarted` },
  };
}

/** The archive's own stamp names the version and the commit (V10x). @throws PolicyError policy-refused when it names one that may not be installed by itself */
function namedBy({ run, subsystem, deps }: StageScope, stamp: VersionStamp): { version?: string; commit?: string } {
  const { version, commit } = stamp;
  const current = deps.store.versions.current(subsystem.name);
  const told = version !== undefined && parseVersion(version, subsystem) !== null && stepBetween(run.toVersion, version, subsystem) !== "same";
  if (told && current !== undefined && run.rule !== "asked-for" && deps.store.approvals.of(run.id)?.verdict !== "approved") {
    const step = stepBetween(current.version, version, subsystem);
    const { verdict, rule } = verdictFor(subsystem.policy, step);
    if (verdict !== "auto" && step !== "unparsable") {
      throw new PolicyError("policy-refused", `program in release ${run.toVersion} is version ${version} (${rule}), expected one that may replace ${current.version} by itself; to install it all the same: slipstream update ${subsystem.name} --version ${run.toVersion}`);
    }
  }
  return { ...(version === undefined ? {} : { version }), ...(commit === undefined || !/^[0-9a-f]{7,64}$/.test(commit) ? {} : { commit }) };
}
