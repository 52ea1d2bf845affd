/** download: this subsystem's asset of the release and nothing else, checked against its digest on the way (V44). */

import { join } from "node:path";
import { writeDurably } from "../../adapters/files.ts";
import { EvidenceError, StateError } from "../../domain/errors.ts";
import type { Artifact } from "../../domain/release.ts";
import { originsOf, type ReleaseFeed } from "../../domain/subsystem.ts";
import type { StageDefinition, StageScope } from "../deps.ts";
import { originFor } from "../origin.ts";
import { assertReloadable } from "../reloadable.ts";
import { placeOf } from "../workspace.ts";

/** A slow line and a capped speed are no failure; a silent server is noticed much earlier. */
const DOWNLOAD_MS = 4 * 60 * 60_000;

export const download: StageDefinition = {
  name: "download",
  timeoutMs: (s) => Math.max(DOWNLOAD_MS, ...originsOf(s).map(({ release }) => (release?.bytesPerSecond === undefined ? 0 : (release.maxBytes / release.bytesPerSecond) * 2_000))),
  async run(scope, signal) {
    const { run, subsystem, deps, line } = scope;
    const { artifact } = run;
    const feed = originFor(scope).release;
    if (artifact === undefined || feed === undefined) throw new StateError("internal", `run ${run.id} has no artifact, expected the one resolve decided on`);
    await assertReloadable(scope, signal);
    if (artifact.digest === undefined) await assertUnchanged(scope, feed, signal);
    const place = placeOf(deps, subsystem);
    line(`fetching ${artifact.name} (${artifact.bytes} bytes, ${artifact.digest ?? "no digest stated"}) of release ${run.toVersion} from ${feed.repository}`);
    try {
      const got = await deps.download(
        {
          source: () => deps.forge.source(feed, { id: artifact.assetId, ...(artifact.url === undefined ? {} : { url: artifact.url }) }),
          ...{ name: artifact.name, bytes: artifact.bytes, dir: place.root, binary: subsystem.binary, aliases: aliasesOf(artifact.name) },
          ...{ maxBytes: feed.maxBytes, maxUnpackedBytes: feed.maxUnpackedBytes, onLine: line },
          onProgress: (done, total) => deps.progress.set(run.id, { stage: "download", done, total }),
          ...(artifact.digest === undefined ? {} : { digest: artifact.digest }),
          ...(feed.bytesPerSecond === undefined ? {} : { bytesPerSecond: feed.bytesPerSecond }),
        },
        signal,
      );
      if (got.stamp !== undefined) await writeDurably(join(place.bin, ".version"), got.stamp);
      return { context: { built: got.program }, message: `${artifact.name}, ${got.bytes} bytes, ${artifact.digest === undefined ? `trusted without a digest (${got.digest.slice(0, 19)})` : got.digest.slice(0, 19)}` };
    } finally {
      deps.progress.clear(run.id);
    }
  },
};

/** Nothing states a digest (trust none), so what was decided about, or approved, is this asset and no other of its name. @throws EvidenceError digest-mismatch */
async function assertUnchanged({ run, deps }: StageScope, feed: ReleaseFeed, signal: AbortSignal): Promise<void> {
  const { releaseId, assetId, name } = run.artifact as Artifact;
  const { assets } = await deps.forge.release(feed, releaseId, signal);
  if (assets.some((a) => a.id === assetId && a.name === name)) return;
  throw new EvidenceError("digest-mismatch", `asset ${name} of release ${run.toVersion} is another one now, expected asset ${assetId} that was decided about`);
}

/** The program may be called like the asset it came in. */
function aliasesOf(assetName: string): readonly string[] {
  return [assetName.replace(/\.(tar\.gz|tgz|gz)$/, "")];
}
