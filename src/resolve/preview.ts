/** What an update would do, without doing it: the check verb, the dry run, and the latest version for `why`. */

import type { App, CheckEntry, UpdatePreview, WhyView } from "../domain/app.ts";
import { messageOf, UsageError } from "../domain/errors.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Store } from "../store/store.ts";
import { decisionOn } from "./enqueue.ts";
import type { Upstream } from "./upstream.ts";

export interface PreviewDeps {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly subsystems: () => readonly Subsystem[];
  readonly stages: (subsystem: Subsystem) => readonly string[];
}

export interface Preview extends Pick<App, "check" | "preview"> {
  latest(subsystem: string): Promise<Pick<WhyView, "latest" | "latestError">>;
}

/** Longest look at one upstream. */
const LOOK_WITHIN_MS = 30_000;
/** `why` tells a story; it does not wait long for the last line of it. */
const GLANCE_WITHIN_MS = 8_000;

export function createPreview(deps: PreviewDeps): Preview {
  const find = (name: string): Subsystem => {
    const found = deps.subsystems().find((s) => s.name === name);
    if (found === undefined) throw new UsageError("unknown-subsystem", `subsystem ${JSON.stringify(name)} is unknown, expected one of: ${deps.subsystems().map((s) => s.name).join(", ") || "none is configured"}`);
    return found;
  };
  return {
    async check(names) {
      const wanted = names.length === 0 ? deps.subsystems() : names.map(find);
      const entries = await Promise.all(wanted.map((s) => checkOne(deps, s)));
      return Object.fromEntries(entries.map((e) => [e.name, e]));
    },
    preview: async (name, version) => previewOne(deps, find(name), version),
    async latest(name) {
      try {
        const newest = await deps.upstream.newest(find(name), AbortSignal.timeout(GLANCE_WITHIN_MS));
        return newest === null ? {} : { latest: { version: newest.version, commit: newest.commit } };
      } catch (error) {
        return { latestError: messageOf(error) };
      }
    },
  };
}

async function checkOne(deps: PreviewDeps, s: Subsystem): Promise<CheckEntry> {
  const current = deps.store.versions.current(s.name)?.version ?? null;
  try {
    const newest = await deps.upstream.newest(s, AbortSignal.timeout(LOOK_WITHIN_MS));
    const verdict = newest === null ? undefined : decisionOn(deps.store, s, newest).verdict;
    return { name: s.name, current, latest: newest?.version ?? null, update_available: verdict === "run" || verdict === "hold" };
  } catch (error) {
    return { name: s.name, current, latest: null, update_available: false, error: messageOf(error) };
  }
}

async function previewOne(deps: PreviewDeps, s: Subsystem, version: string | undefined): Promise<UpdatePreview> {
  const signal = AbortSignal.timeout(LOOK_WITHIN_MS);
  const candidate = version === undefined ? await deps.upstream.newest(s, signal) : await deps.upstream.named(s, version, signal);
  const from = deps.store.versions.current(s.name)?.version ?? null;
  const base = { subsystem: s.name, from, to: candidate?.version ?? null, commit: candidate?.commit ?? null, stages: deps.stages(s), restarts: s.process };
  if (candidate === null) return { ...base, verdict: "nothing", reason: "no version upstream", stages: [] };
  const d = decisionOn(deps.store, s, candidate);
  if (d.verdict === "ignore") return { ...base, verdict: "nothing", reason: d.reason, stages: [], restarts: null };
  return d.verdict === "hold" ? { ...base, verdict: "approval", reason: d.rule } : { ...base, verdict: "update", reason: d.rule };
}
