/** Reads the text of one version, its prefixes gone: semver 2.0.0 with more or fewer numbers, or a date. */

import type { Version } from "./version.ts";

/** What may follow a number without a dash (`1.0rc1`, PEP 440). */
const ATTACHED = "((?:a|b|rc|alpha|beta)\\d{1,9})";
const SEMVER = new RegExp(`^v?(\\d{1,9})(?:\\.(\\d{1,9}))?(?:\\.(\\d{1,9}))?(?:\\.(\\d{1,9}))?(?:-([0-9A-Za-z.-]{1,64})|${ATTACHED})?(?:\\+[0-9A-Za-z.-]{1,64})?$`);

/** `2024-05-12…` and `20240512…`: semver would take the one for a prerelease of 2024, the other for a number above every other version. */
const DATE_TEXT = /^v?(?:19|20)\d{2}(?:-\d{1,2}(?:$|[-.T])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:$|[-.+]))/;

const YEAR = "((?:19|20)\\d{2})";
const AFTER = `(?:[-.](\\d{1,9}))?(?:-([A-Za-z][0-9A-Za-z.-]{0,63})|${ATTACHED})?(?:\\+[0-9A-Za-z.-]{1,64})?$`;
/** `2024.05.12`, `24.04`, `2024`; the last number may be a count instead of a day, which orders just as well. */
const DOTTED = new RegExp(`^(?:${YEAR}|(\\d{2})(?=\\.))(?:\\.(\\d{1,4}))?(?:\\.(\\d{1,9}))?(?:\\.(\\d{1,9}))?${AFTER}`);
const DASHED = new RegExp(`^${YEAR}-(\\d{1,2})(?:-(\\d{1,2}))?(?:T(\\d{2})[-:]?(\\d{2})(?:[-:]?(\\d{2}))?Z?)?${AFTER}`);
const COMPACT = new RegExp(`^${YEAR}(\\d{2})(\\d{2})(?:T?(\\d{2})(\\d{2})(\\d{2})?Z?)?${AFTER}`);
const PREFIX = /^(?:v|RELEASE\.)(?=\d)/;

/** The version a text stands for, or null. Under `semver` a date in one piece or with dashes is none: only `date` can order it. */
export function readVersion(text: string, versions: "semver" | "date" = "semver"): Version | null {
  return versions === "date" ? readDate(text.replace(PREFIX, "")) : DATE_TEXT.test(text) ? null : readSemver(text);
}

function readSemver(text: string): Version | null {
  const m = SEMVER.exec(text);
  if (m === null) return null;
  return { numbers: [m[1], m[2], m[3], m[4]].filter((n) => n !== undefined).map(Number), prerelease: (m[5] ?? m[6])?.split(".") ?? [] };
}

/** Year, month, day, hour, minute, second and up to two counts, so that every style orders against every other. */
function readDate(text: string): Version | null {
  const dotted = DOTTED.exec(text);
  if (dotted !== null) {
    const [, long, short, month, day, count, more, word, attached] = dotted;
    return dated([long ?? `20${short}`, month, day, "0", "0", "0", ...(count === undefined ? [more] : [count, more])], word ?? attached);
  }
  const m = DASHED.exec(text) ?? COMPACT.exec(text);
  if (m === null || !isDay(m[2], m[3])) return null;
  return dated(m.slice(1, 8), m[8] ?? m[9]);
}

function isDay(month: string | undefined, day: string | undefined): boolean {
  const inside = (text: string | undefined, most: number) => text === undefined || (Number(text) >= 1 && Number(text) <= most);
  return inside(month, 12) && inside(day, 31);
}

function dated(parts: readonly (string | undefined)[], suffix: string | undefined): Version {
  return { numbers: parts.map((p) => Number(p ?? 0)), prerelease: suffix?.split(".") ?? [] };
}
