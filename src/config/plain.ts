/** Names that come from the disk: anybody may have chosen them, so only plain ones are written into a file, and the others are only mentioned. */

/** The file name of a program, never taken for an option or a folder. */
export const PROGRAM_NAME = /^\w[\w.+-]*$/;
const PLAIN = /^[\w.+][\w.+-]*$/;
/** Longer names are cut where they are mentioned. */
const MAX_MENTIONED_CHARS = 60;

/** Whether a name may stand in a file or a command as it is. */
export function isPlain(name: string): boolean {
  return PLAIN.test(name);
}

/** Text as one line of ASCII; everything else is escaped as in JSON. */
export function asciiLine(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A name as people may read it: itself, or quoted, escaped and cut where it is not plain. */
export function mention(name: string): string {
  if (isPlain(name)) return name;
  const cut = name.length > MAX_MENTIONED_CHARS ? `${name.slice(0, MAX_MENTIONED_CHARS)}…` : name;
  return asciiLine(JSON.stringify(cut));
}
