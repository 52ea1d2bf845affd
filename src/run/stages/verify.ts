/** verify: the built file is a program, differs from what runs, agrees with its own stamp, and passes the smoke command (V36, this subsystem only: V7x). */

import { join } from "node:path";
import { digestIfAny, digestOf, inspectFile, readSmall } from "../../adapters/files.ts";
import { parseStamp } from "../../domain/artifact.ts";
import { EvidenceError, WorkError } from "../../domain/errors.ts";
import type { StageDefinition } from "../deps.ts";
import { shadowOf } from "../workspace.ts";
import { runCommand, versionVars } from "./commands.ts";

const SMOKE_MS = 30_000;

export const verify: StageDefinition = {
  name: "verify",
  timeoutMs: () => 120_000,
  async run(scope, signal) {
    const { subsystem, deps, line } = scope;
    const shadow = shadowOf(deps, subsystem);
    const built = join(shadow.bin, subsystem.binary);
    const file = await inspectFile(built);
    if (file === undefined) throw new WorkError("artifact-invalid", `binary .bin/${subsystem.binary} is missing after the build, expected the build to write it; set subsystems.${subsystem.name}.binary if it has another name`);
    if (file.bytes === 0 || !file.executable) throw new WorkError("artifact-invalid", `binary .bin/${subsystem.binary} is ${file.bytes === 0 ? "empty" : "not executable"}, expected a program`);
    const digest = await digestOf(built);
    const live = await digestIfAny(join(subsystem.dir, ".bin", subsystem.binary));
    if (digest === live) throw new WorkError("build-changed-nothing", `binary of ${scope.run.toVersion} is ${digest.slice(0, 19)}…, expected another digest than the installed one has; the build made the same program again, so nothing was restarted`);
    const stamped = parseStamp((await readSmall(join(shadow.bin, ".version"))) ?? "").checksum;
    if (stamped !== undefined && `sha256:${stamped}` !== digest) throw new EvidenceError("digest-mismatch", `.version of the build says sha256:${stamped}, expected ${digest}; the stamp does not belong to this binary`);
    if (subsystem.smoke !== undefined) await runCommand(scope, subsystem.smoke, { shadow, vars: versionVars(scope), timeoutMs: SMOKE_MS, failCode: "verify-failed" }, signal);
    line(`${built}: ${file.bytes} bytes, ${digest}`);
    return { context: { built, digest }, message: digest.slice(0, 19) };
  },
};
