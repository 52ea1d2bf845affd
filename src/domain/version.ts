/** Versions and their order. Tags follow semver 2.0.0 §11 with a leading `v`, a `<subsystem>-` prefix and one to four numbers allowed; commits have no order. */

export interface Version {
  readonly numbers: readonly number[];
  readonly prerelease: readonly string[];
}

/** What installing `next` over `current` would mean. */
export type VersionStep = "first" | "same" | "patch" | "minor" | "major" | "older" | "unparsable" | "commit" | "rewritten";

/** How a subsystem's tags are read; a whole `Subsystem` is one. */
export interface VersionScheme {
  readonly name: string;
  /** `Subsystem.tags` */
  readonly tags?: readonly string[];
  /** `Subsystem.versions` */
  readonly versions?: "semver" | "date";
}

const TAG = /^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?$/;

/** Parses a tag, or null when it is no version. `subsystem` allows tags such as `nats-v2.1.0` and `v2.1.0-nats`. */
export function parseVersion(tag: string, scheme?: string | VersionScheme): Version | null {
  const subsystem = typeof scheme === "object" ? scheme.name : scheme;
  let text = tag;
  if (subsystem !== undefined) {
    if (text.startsWith(`${subsystem}-`)) text = text.slice(subsystem.length + 1);
    else if (text.endsWith(`-${subsystem}`)) text = text.slice(0, -(subsystem.length + 1));
  }
  const m = TAG.exec(text);
  if (m === null) return null;
  const numbers = [m[1], m[2], m[3], m[4]].filter((n) => n !== undefined).map(Number);
  return { numbers, prerelease: m[5] === undefined ? [] : m[5].split(".") };
}

/** Negative when a is older than b, 0 when they tie, positive when newer (semver §11). */
export function compareVersions(a: Version, b: Version): number {
  for (let i = 0; i < Math.max(a.numbers.length, b.numbers.length); i++) {
    const d = (a.numbers[i] ?? 0) - (b.numbers[i] ?? 0);
    if (d !== 0) return d;
  }
  return comparePrerelease(a.prerelease, b.prerelease);
}

function comparePrerelease(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const x = a[i];
    const y = b[i];
    if (x === undefined) return -1;
    if (y === undefined) return 1;
    const nx = /^\d+$/.test(x);
    const ny = /^\d+$/.test(y);
    const d = nx && ny ? Number(x) - Number(y) : nx !== ny ? (nx ? -1 : 1) : x < y ? -1 : x > y ? 1 : 0;
    if (d !== 0) return d;
  }
  return 0;
}

/** The size of the step from one tag to another. */
export function stepBetween(current: string | undefined, next: string, subsystem: string): VersionStep {
  if (current === undefined) return "first";
  const b = parseVersion(next, subsystem);
  const a = parseVersion(current, subsystem);
  if (a === null || b === null) return "unparsable";
  const order = compareVersions(b, a);
  if (order < 0) return "older";
  if (order === 0) return "same";
  if ((a.numbers[0] ?? 0) !== (b.numbers[0] ?? 0)) return "major";
  return (a.numbers[1] ?? 0) !== (b.numbers[1] ?? 0) ? "minor" : "patch";
}

/** The tags that are versions, newest first. */
export function newestFirst(tags: readonly string[], subsystem: string, allowPrerelease: boolean): readonly string[] {
  const found: { tag: string; version: Version }[] = [];
  for (const tag of tags) {
    const version = parseVersion(tag, subsystem);
    if (version !== null && (allowPrerelease || version.prerelease.length === 0)) found.push({ tag, version });
  }
  return found.sort((a, b) => compareVersions(b.version, a.version)).map((f) => f.tag);
}
