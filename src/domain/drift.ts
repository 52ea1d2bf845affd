/** Drift: a program that somebody else put in the place of the one slipstream knows. */

import { parseStamp, type VersionStamp } from "./artifact.ts";

export interface Drift {
  readonly subsystem: string;
  /** Of what lies there now. */
  readonly digest: string;
  /** Of what slipstream had installed or seen there. */
  readonly before?: string;
  /** What its `.version` calls it, where that belongs to it. */
  readonly version?: string;
  /** Its `.version` states this digest. */
  readonly verified: boolean;
  /** In words: what was compared. */
  readonly detail: string;
  /** When it was noticed, in ms since the epoch. */
  readonly at: number;
}

/** What a `.version` says about a program. Only the dialects with a checksum can prove that they belong to it. */
export function judgeStamp(text: string | undefined, digest: string): { readonly stamp: VersionStamp; readonly verified: boolean; readonly detail: string } {
  if (text === undefined) return { stamp: {}, verified: false, detail: "there is no .version beside it" };
  const stamp = parseStamp(text);
  if (stamp.checksum === undefined) return { stamp, verified: false, detail: "its .version states no checksum" };
  if (`sha256:${stamp.checksum}` === digest) return { stamp, verified: true, detail: "its .version states its checksum" };
  return { stamp: {}, verified: false, detail: `its .version states sha256:${stamp.checksum.slice(0, 12)}…, which is another program's` };
}
