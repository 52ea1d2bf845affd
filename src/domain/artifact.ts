/** Artifacts and what a swap writes down before it touches anything. */

/** `sha256:<64 hex>` */
export type Digest = `sha256:${string}`;

/** The intent of a swap, journalled first; recovery compares digests with it to know which side of the rename it is on. */
export interface SwapJournal {
  readonly target: string;
  readonly newDigest: string;
  /** Missing when nothing was installed before. */
  readonly oldDigest?: string;
  /** Folder below `.bin/.previous/` that keeps the old binary and its `.version`. */
  readonly previousDir?: string;
  readonly staged: string;
}

/** The content of a `.version` file (V62): the commit in short form, when it was made, and the SHA-256 in bare hex. */
export interface VersionStamp {
  readonly commit?: string;
  readonly timestamp?: string;
  readonly checksum?: string;
  readonly version?: string;
}

/** What a stamp may hold is shown to people and becomes part of a path. */
const PRINTABLE = /^[!-~]{1,255}$/;

/** Reads the three dialects there are: `key: value` lines, the same with `version:`, and one bare version line (defect D9). `latest` is no version: it is what was asked for, not what came. */
export function parseStamp(text: string): VersionStamp {
  const lines = text.split(/\r?\n/).map((l) => l.trim()).filter((l) => l !== "");
  const first = lines[0];
  if (first === undefined) return {};
  if (lines.length === 1 && !/^(commit|timestamp|checksum|version):/.test(first)) return PRINTABLE.test(first) && first !== "latest" ? { version: first } : {};
  const stamp: Record<string, string> = {};
  for (const line of lines) {
    const m = /^(commit|timestamp|checksum|version):\s*([!-~]{1,255})$/.exec(line);
    if (m?.[1] !== undefined && m[2] !== undefined) stamp[m[1]] = m[2];
  }
  return stamp;
}

/** Writes ours: the documented three lines, then the version. */
export function formatStamp(s: Required<VersionStamp>): string {
  return `commit: ${s.commit.slice(0, 7)}\ntimestamp: ${s.timestamp}\nchecksum: ${s.checksum}\nversion: ${s.version}\n`;
}

/** A version that is or was installed here. */
export interface InstalledVersion {
  readonly subsystem: string;
  readonly version: string;
  readonly commit?: string;
  /** The release it came from; what later releases are compared with. */
  readonly tag?: string;
  /** `Artifact.identity` of what it was unpacked from. */
  readonly artifact?: string;
  readonly digest: string;
  readonly state: "current" | "previous" | "quarantined";
  /** Where a previous binary is kept, below the subsystem's folder. */
  readonly path?: string;
  readonly at: number;
  readonly reason?: string;
}
