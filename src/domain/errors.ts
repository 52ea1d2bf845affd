/** Every way slipstream can fail. The class says what kind of wrong it is, `code` is public and stable, `retryable` decides whether a retry may help. */

export type ErrorCode =
  | "config-invalid"
  | "usage"
  | "unknown-subsystem"
  | "unknown-run"
  | "not-held"
  | "workspace-locked"
  | "address-in-use"
  | "database-newer"
  | "database-unusable"
  | "daemon-unreachable"
  | "signature-refused"
  | "digest-mismatch"
  | "artifact-invalid"
  | "build-changed-nothing"
  | "commit-mismatch"
  | "version-not-found"
  | "upstream-unreachable"
  | "upstream-too-large"
  | "rate-limited"
  | "forge-refused"
  | "assets-missing"
  | "digest-unknown"
  | "download-failed"
  | "disk-full"
  | "tool-missing"
  | "task-missing"
  | "taskfile-broken"
  | "build-failed"
  | "test-failed"
  | "verify-failed"
  | "policy-refused"
  | "no-previous-version"
  | "supervisor-unreachable"
  | "supervisor-refused"
  | "process-unknown"
  | "unsafe-process-config"
  | "dependency-not-ready"
  | "stop-timed-out"
  | "unhealthy"
  | "rollback-failed"
  | "timed-out"
  | "cancelled"
  | "interrupted"
  | "internal";

/** The base of all errors slipstream throws on purpose. `message` follows "<thing> is <actual>, expected <wanted>" and holds no secret. */
export class SlipstreamError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** When a retry makes sense at the earliest, in ms since the epoch; only where the other side said so. */
  readonly retryAt?: number;
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryable?: boolean; retryAt?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
    if (options.retryAt !== undefined) this.retryAt = options.retryAt;
  }
}

/** A configuration or a command line cannot be used as it stands; a person has to change it. */
export class ConfigError extends SlipstreamError {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super("config-invalid", problems.map(formatProblem).join("\n"));
    this.problems = problems;
  }
}
/** The caller asked for something that does not exist or does not apply. */
export class UsageError extends SlipstreamError {}
/** The evidence is wrong: bytes, signatures, digests or commits do not say what was claimed. */
export class EvidenceError extends SlipstreamError {}
/** The evidence is fine and policy says no. */
export class PolicyError extends SlipstreamError {}
/** A repository or forge did not answer, or not with what was asked. */
export class UpstreamError extends SlipstreamError {}
/** The work itself failed: a build, a test or a configured check ended badly. */
export class WorkError extends SlipstreamError {}
/** Process Compose is away, refused, or is configured so that acting would be unsafe. */
export class SupervisorError extends SlipstreamError {}
/** The new program did not get healthy in time. */
export class HealthError extends SlipstreamError {}
/** slipstream's own state or machine is the trouble: lock, database, a missing tool, an interrupted run. */
export class StateError extends SlipstreamError {}

/** The same words for an unknown name everywhere, with the names there are. */
export function unknownSubsystem(name: string, known: readonly string[]): UsageError {
  return new UsageError("unknown-subsystem", `subsystem ${JSON.stringify(name)} is unknown, expected one of: ${known.join(", ") || "none is configured"}`);
}

/** One thing that is wrong in a file a person wrote. `line` counts from 1. */
export interface Problem {
  readonly file: string;
  readonly line?: number;
  readonly message: string;
}

/** `file:line: message`, the form editors jump to. */
export function formatProblem(p: Problem): string {
  return p.line === undefined ? `${p.file}: ${p.message}` : `${p.file}:${p.line}: ${p.message}`;
}

/** The one-line text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The public code of anything thrown; what is not ours is `internal`. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof SlipstreamError ? error.code : "internal";
}
