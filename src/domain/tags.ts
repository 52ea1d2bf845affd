/** Which tags are versions of a subsystem, and which part of a tag is the version. Pure. */

import { fits } from "./pattern.ts";
import { readVersion } from "./reading.ts";
import type { VersionScheme } from "./version.ts";

const SLOT = "{version}";
/** What may stand between a subsystem's name and its version: `nats-v1.2.3`, Go's `nats/v1.2.3`, npm's `nats@1.2.3`. */
const SEPARATORS = ["-", "/", "@"] as const;

/** Whether a tag may be a version of this subsystem: no pattern excludes it, and one fits where there are any. `{version}` fits only what can be read as one. */
export function isTracked(tag: string, scheme: VersionScheme): boolean {
  const { tags = [] } = scheme;
  if (tags.some((p) => p.startsWith("!") && fits(tag, p.slice(1)))) return false;
  const wanted = tags.filter((p) => !p.startsWith("!"));
  return wanted.length === 0 || wanted.some((p) => (p.includes(SLOT) ? slotOf(tag, p, scheme) !== undefined : fits(tag, p)));
}

/** The part of a tag that is the version: what stands for `{version}`, else the tag without the subsystem's name. Also reads what is no tag, such as a stamp's version. */
export function versionText(tag: string, scheme?: string | VersionScheme): string {
  if (typeof scheme !== "object") return scheme === undefined ? tag : withoutName(tag, scheme);
  for (const pattern of slots(scheme)) {
    const part = slotOf(tag, pattern, scheme);
    if (part !== undefined) return part;
  }
  return withoutName(tag, scheme.name);
}

/** Whether a tag names the subsystem as tags do without any pattern. */
export function isNamedAfter(tag: string, name: string): boolean {
  return withoutName(tag, name) !== tag;
}

/** How many characters a pattern with `{version}` spells out that fits the tag, the most where several do; undefined where none fits. */
export function claimOn(tag: string, scheme: VersionScheme): number | undefined {
  const found = slots(scheme).filter((p) => slotOf(tag, p, scheme) !== undefined);
  return found.length === 0 ? undefined : Math.max(...found.map((p) => p.length - SLOT.length));
}

/** The tags that a pattern names letter by letter, such as `nightly`. */
export function namedTags(scheme: VersionScheme): readonly string[] {
  return (scheme.tags ?? []).filter((p) => !/[*{!]/.test(p));
}

/** The tags that a version may have which a person named, the likeliest first. */
export function spellings(version: string, scheme: VersionScheme): readonly string[] {
  const text = versionText(version, scheme);
  // A version may look like a tag of the pattern itself: `50` where `{version}0` makes 500 of it.
  const bares = [...new Set([text, version])].filter((t) => readVersion(t, scheme.versions) !== null).map((t) => t.replace(/^v(?=[0-9])/, ""));
  if (bares.length === 0) return [version];
  const filled = slots(scheme).flatMap((p) => bares.flatMap((bare) => [p.replace(SLOT, bare), ...(p.includes(`v${SLOT}`) ? [] : [p.replace(SLOT, `v${bare}`)])])).filter((t) => isTracked(t, scheme));
  if (filled.length > 0) return [...new Set([...filled, version])];
  const forms = [version, ...(version.startsWith("v") ? [] : [`v${version}`])];
  const { name } = scheme;
  return [...new Set([...forms, ...forms.flatMap((f) => [`${name}-${f}`, `${f}-${name}`]), ...forms.map((f) => `${name}/${f}`)])];
}

/** What stands for `{version}` in a tag, where the pattern fits. */
function slotOf(tag: string, pattern: string, { versions }: VersionScheme): string | undefined {
  const at = pattern.indexOf(SLOT);
  const [before, behind] = [pattern.slice(0, at), pattern.slice(at + SLOT.length)];
  if (!tag.startsWith(before) || !tag.endsWith(behind) || tag.length <= before.length + behind.length) return undefined;
  const part = tag.slice(before.length, tag.length - behind.length);
  return readVersion(part, versions) === null ? undefined : part;
}

function slots({ tags = [] }: VersionScheme): readonly string[] {
  return tags.filter((p) => p.includes(SLOT) && !p.startsWith("!"));
}

function withoutName(tag: string, name: string): string {
  if (SEPARATORS.some((s) => tag.startsWith(`${name}${s}`))) return tag.slice(name.length + 1);
  return tag.endsWith(`-${name}`) ? tag.slice(0, -(name.length + 1)) : tag;
}
