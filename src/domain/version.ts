/** Versions and their order. Tags follow semver 2.0.0 §11 with one to four numbers allowed, or are dates; commits have no order. */

import { readVersion } from "./reading.ts";
import { isTracked, namedTags, versionText } from "./tags.ts";

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

/** Parses a tag, or null when it is no version. A scheme or a subsystem's name allows its tag styles, such as `nats-v2.1.0` and `v2.1.0-nats`; a tag that is not tracked is read all the same (`isTracked`). */
export function parseVersion(tag: string, scheme?: string | VersionScheme): Version | null {
  return readVersion(versionText(tag, scheme), typeof scheme === "object" ? scheme.versions : undefined);
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
    const d = nx && ny ? compareDigits(x, y) : nx !== ny ? (nx ? -1 : 1) : compareWords(x, y);
    if (d !== 0) return d;
  }
  return 0;
}

/** By their runs of letters and of digits, so that rc10 comes after rc9, which semver's ASCII order would not do. */
function compareWords(a: string, b: string): number {
  const runs = (word: string): readonly string[] => word.match(/\d+|\D+/g) ?? [];
  const [x, y] = [runs(a), runs(b)];
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const [s, t] = [x[i] as string, y[i] as string];
    const d = /^\d/.test(s) && /^\d/.test(t) ? compareDigits(s, t) : s < t ? -1 : s > t ? 1 : 0;
    if (d !== 0) return d;
  }
  return x.length - y.length;
}

/** As numbers, which may be longer than a double can hold. */
function compareDigits(a: string, b: string): number {
  const [x, y] = [a, b].map((digits) => digits.replace(/^0+/, "")) as [string, string];
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}

/** The size of the step from one tag to another. Dates know no large steps: each newer one is a minor one. */
export function stepBetween(current: string | undefined, next: string, scheme: string | VersionScheme): VersionStep {
  if (current === undefined) return "first";
  const b = parseVersion(next, scheme);
  const a = parseVersion(current, scheme);
  if (a === null || b === null) return "unparsable";
  const order = compareVersions(b, a);
  if (order < 0) return "older";
  if (order === 0) return "same";
  if (typeof scheme === "object" && scheme.versions === "date") return "minor";
  if ((a.numbers[0] ?? 0) !== (b.numbers[0] ?? 0)) return "major";
  return (a.numbers[1] ?? 0) !== (b.numbers[1] ?? 0) ? "minor" : "patch";
}

/** The tags that are versions, newest first; then those that a pattern names letter by letter and that have no order, such as `nightly`. */
export function newestFirst(tags: readonly string[], scheme: VersionScheme): readonly string[] {
  const found: { tag: string; version: Version }[] = [];
  const moving = new Set(namedTags(scheme));
  const unordered: string[] = [];
  for (const tag of tags) {
    if (!isTracked(tag, scheme)) continue;
    const version = parseVersion(tag, scheme);
    if (version !== null) found.push({ tag, version });
    else if (moving.has(tag)) unordered.push(tag);
  }
  return [...found.sort((a, b) => compareVersions(b.version, a.version)).map((f) => f.tag), ...unordered];
}
