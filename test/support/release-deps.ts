import { createDownload } from "../../src/adapters/download.ts";
import { systemClock } from "../../src/kit/clock.ts";
import { silentLog } from "../../src/kit/log.ts";
import type { RunDeps } from "../../src/run/deps.ts";
import { createManifest } from "../../src/run/manifest.ts";
import { createProgress } from "../../src/run/progress.ts";
import type { Store } from "../../src/store/store.ts";
import { PLATFORM, tableForge } from "./release-table.ts";

/** What the engine needs for release mode. */
export function releaseDeps(store: Store, workspace: string): Pick<RunDeps, "forge" | "download" | "platform" | "progress" | "manifest"> {
  return { forge: tableForge([]), download: createDownload({ clock: systemClock }), platform: PLATFORM, progress: createProgress(), manifest: createManifest({ store, clock: systemClock, log: silentLog(), workspace, subsystems: () => [] }) };
}
