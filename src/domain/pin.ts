/** Pins: which versions a subsystem is kept to. Pure. */

import { type Subsystem, tracksCommits } from "./subsystem.ts";
import { versionText } from "./tags.ts";
import { compareVersions, parseVersion, type VersionScheme } from "./version.ts";

/** What a pin is judged by. */
export type Pinned = VersionScheme & Pick<Subsystem, "mode" | "strategy" | "pin">;

const SERIES = /^(.+)\.x$/i;
/** The numbers a series begins with. */
const NUMBERS = /^v?(\d{1,9}(?:\.\d{1,9}){0,2})$/;
/** `x` where a number would be. */
const PLACEHOLDER = /(?:^|\.)x(?:$|[.+-])/i;

/** Whether a version is one that the pin stands for; without a pin every version is. */
export function fitsPin(subsystem: Pinned, version: string): boolean {
  const { pin } = subsystem;
  if (pin === undefined) return true;
  // Seven characters are the least that git abbreviates a commit to.
  if (tracksCommits(subsystem)) return pin === version || (pin.length >= 7 && version.startsWith(pin));
  const series = seriesOf(pin, subsystem);
  if (series === undefined) return isPinnedExactly(subsystem, version);
  const numbers = parseVersion(version, subsystem)?.numbers;
  return numbers !== undefined && series.every((n, i) => n === (numbers[i] ?? 0));
}

/** Whether the pin names this one version, in whichever tag style. */
export function isPinnedExactly(subsystem: Pinned, version: string): boolean {
  const { pin } = subsystem;
  if (pin === undefined || pin === version) return pin === version;
  const [a, b] = [parseVersion(pin, subsystem), parseVersion(version, subsystem)];
  return a !== null && b !== null && compareVersions(a, b) === 0;
}

/** Those within the pin; all where none is, so that it can be said why nothing is installed. */
export function withinPin<T>(subsystem: Pinned, items: readonly T[], versionOf: (item: T) => string): readonly T[] {
  const within = items.filter((item) => fitsPin(subsystem, versionOf(item)));
  return within.length > 0 ? within : items;
}

/** Whether a pin says what it means: a version, or a series such as `2.x`; not `2.x.1`. */
export function isPin(pin: string, scheme: VersionScheme): boolean {
  return seriesOf(pin, scheme) !== undefined || !PLACEHOLDER.test(pin);
}

/** The numbers that every version of a series begins with; undefined when the pin is no series. */
function seriesOf(pin: string, scheme: VersionScheme): readonly number[] | undefined {
  const base = SERIES.exec(pin)?.[1];
  const text = base === undefined ? undefined : NUMBERS.exec(versionText(base, scheme))?.[1];
  if (text === undefined) return undefined;
  const [first = "", ...rest] = text.split(".");
  if (scheme.versions !== "date") return [first, ...rest].map(Number);
  // A year in two digits is one of this century, as in the versions themselves.
  return first.length === 4 || first.length === 2 ? [first.length === 2 ? `20${first}` : first, ...rest].map(Number) : undefined;
}
