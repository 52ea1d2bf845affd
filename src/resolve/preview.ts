/** What an update would do, without doing it: the check verb, the dry run, and the latest version for `why`. */

import type { App, CheckEntry, UpdatePreview, WhyView } from "../domain/app.ts";
import { type Candidate, releasedAs } from "../domain/decide.ts";
import { messageOf, unknownSubsystem } from "../domain/errors.ts";
import type { Look } from "../domain/manifest.ts";
import type { Subsystem } from "../domain/subsystem.ts";
import type { Choice } from "./choose.ts";
import { decisionOn } from "./enqueue.ts";
import { type Lookup, lookFor, namedFor, newestFor } from "./newest.ts";
import type { Silent } from "./origins.ts";

export interface PreviewDeps extends Lookup {
  readonly subsystems: () => readonly Subsystem[];
  readonly stages: (subsystem: Subsystem) => readonly string[];
  /** Told what a check found. */
  readonly looked: (found: ReadonlyMap<string, Look>) => Promise<void>;
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
    if (found === undefined) throw unknownSubsystem(name, deps.subsystems().map((s) => s.name));
    return found;
  };
  return {
    async check(names) {
      const wanted = names.length === 0 ? deps.subsystems() : names.map(find);
      const looks = new Map<string, Look>();
      const entries = await Promise.all(wanted.map((s) => checkOne(deps, s, looks)));
      await deps.looked(looks);
      return Object.fromEntries(entries.map((e) => [e.name, e]));
    },
    preview: async (name, version) => previewOne(deps, find(name), version),
    async latest(name) {
      try {
        const { choice, doubt, silent } = await lookFor(deps, find(name), AbortSignal.timeout(GLANCE_WITHIN_MS));
        const newest = doubt === undefined || choice?.decision.verdict !== "ignore" ? choice?.candidate : undefined;
        return { ...(newest === undefined ? {} : { latest: { version: newest.version, ...originOf(newest), ...(newest.commit === undefined ? {} : { commit: newest.commit }) } }), ...(newest === undefined && doubt !== undefined ? { latestError: doubt.message } : {}), ...withoutThose(silent) };
      } catch (error) {
        return { latestError: messageOf(error) };
      }
    },
  };
}

async function checkOne(deps: PreviewDeps, s: Subsystem, looks: Map<string, Look>): Promise<CheckEntry> {
  const current = shownCurrent(deps, s);
  try {
    const { choice, doubt, silent } = await lookFor(deps, s, AbortSignal.timeout(LOOK_WITHIN_MS));
    const base = { name: s.name, current, latest: choice?.candidate.version ?? null, ...originOf(choice?.candidate), ...withoutThose(silent), ...(doubt === undefined ? {} : { error: doubt.message }) };
    if (choice === undefined) return { ...base, update_available: false };
    const { candidate, decision } = choice;
    looks.set(s.name, { version: candidate.version, updateAvailable: decision.verdict !== "ignore", ...originOf(candidate), ...(candidate.commit === undefined ? {} : { commit: candidate.commit }) });
    if (decision.verdict !== "ignore") return { ...base, update_available: true };
    return { ...base, update_available: false, reason: decision.reason };
  } catch (error) {
    return { name: s.name, current, latest: null, update_available: false, error: messageOf(error) };
  }
}

async function previewOne(deps: PreviewDeps, s: Subsystem, version: string | undefined): Promise<UpdatePreview> {
  const signal = AbortSignal.timeout(LOOK_WITHIN_MS);
  const choice = version === undefined ? await newestFor(deps, s, signal) : await named(deps, s, version, signal);
  const from = deps.store.versions.current(s.name)?.version ?? null;
  const base = { subsystem: s.name, from, to: choice?.candidate.version ?? null, ...originOf(choice?.candidate), commit: choice?.candidate.commit ?? null, asset: choice?.candidate.artifact?.name ?? null, stages: deps.stages(s), restarts: s.process, ...releaseOf(choice) };
  if (choice === undefined) return { ...base, verdict: "nothing", reason: "no version upstream", stages: [] };
  const d = choice.decision;
  if (d.verdict === "ignore") return { ...base, verdict: "nothing", reason: d.reason, stages: [], restarts: null };
  return d.verdict === "hold" ? { ...base, verdict: "approval", reason: d.rule } : { ...base, verdict: "update", reason: d.rule };
}

/** As the latest one is named, so that the two can be compared. */
function shownCurrent({ store }: PreviewDeps, s: Subsystem): string | null {
  const current = store.versions.current(s.name);
  return current === undefined ? null : s.mode === "release" ? releasedAs(current) : current.version;
}

function originOf(candidate: Candidate | undefined): { readonly upstream?: string } {
  return candidate?.upstream === undefined ? {} : { upstream: candidate.upstream };
}

function withoutThose(silent: readonly Silent[]): { readonly silent?: readonly string[] } {
  return silent.length === 0 ? {} : { silent: silent.map((s) => `${s.upstream}: ${s.error.message}`) };
}

function releaseOf(choice: Choice | undefined): Pick<UpdatePreview, "releaseId" | "prerelease"> {
  const { artifact, prerelease } = choice?.candidate ?? {};
  return { ...(artifact === undefined ? {} : { releaseId: artifact.releaseId }), ...(prerelease === undefined ? {} : { prerelease }) };
}

async function named(deps: PreviewDeps, s: Subsystem, version: string, signal: AbortSignal): Promise<Choice> {
  const candidate = await namedFor(deps, s, version, signal);
  return { candidate, decision: decisionOn(deps.store, s, candidate) };
}
