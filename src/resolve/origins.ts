/**
 * Several upstreams of one subsystem (V107, V108). Each is asked by itself; what they answer is then put into one order.
 *
 * prefer newest: every upstream's versions count, the newest first; of the same version the one of the higher upstream, and what cannot be ordered follows the priority.
 * prefer order: the first upstream that has any version decides alone.
 *
 * An upstream that does not answer is left out, and what those below it have counts only as far as it is surely newer than what is installed, and no version that is
 * already on its way from elsewhere: nothing that the silent one may have itself, in the same version or without an order, is taken from another place meanwhile. Where none answers, the first one's error is thrown.
 * Commits have no order, so with strategy commits only the first upstream is asked.
 */

import { type Candidate, isPrerelease, isSameVersion, isSurelyNewer, releasedAs, type SourceCandidate } from "../domain/decide.ts";
import { codeOf, SlipstreamError, UpstreamError } from "../domain/errors.ts";
import { unnamedIdentity } from "../domain/release.ts";
import type { HoldReason } from "../domain/run.ts";
import { type Origin, originsOf, type Subsystem, tracksCommits } from "../domain/subsystem.ts";
import { isTracked } from "../domain/tags.ts";
import { compareVersions, parseVersion, type Version } from "../domain/version.ts";
import { deadline } from "../kit/clock.ts";
import type { Store } from "../store/store.ts";
import type { Feed, Listed } from "./feed.ts";
import type { Upstream } from "./upstream.ts";

/** What one upstream answered. */
export interface Answer<T> {
  readonly origin: Origin;
  readonly items: readonly T[];
  /** It did not answer; `items` is empty. */
  readonly error?: SlipstreamError;
}

export interface Silent {
  /** Clone URL. */
  readonly upstream: string;
  readonly error: SlipstreamError;
}

/** What the upstreams have between them. */
export interface Across<T> {
  readonly answers: readonly Answer<T>[];
  /** What may be chosen from. */
  readonly items: readonly T[];
  readonly silent: readonly Silent[];
}

/** The subsystem as if an origin were its only one. */
export function only(s: Subsystem, origin: Origin): Subsystem {
  const { release: _, forge: __, ...rest } = s;
  const { upstream, branch, repositories, release, forge } = origin;
  return { ...rest, upstream, branch, repositories, others: [], ...(release === undefined ? {} : { release }), ...(forge === undefined ? {} : { forge }) };
}

/** `Candidate.upstream` for an origin. */
export function nameOf(s: Subsystem, origin: Origin): { readonly upstream?: string } {
  return origin.upstream === s.upstream ? {} : { upstream: origin.upstream };
}

/** A candidate that says which origin it is from. */
export function from<C extends Candidate>(s: Subsystem, origin: Origin, candidate: C): C {
  const { upstream } = nameOf(s, origin);
  const { artifact } = candidate;
  if (upstream === undefined) return candidate;
  if (artifact === undefined || artifact.digest !== undefined) return { ...candidate, upstream };
  return { ...candidate, upstream, artifact: { ...artifact, identity: unnamedIdentity(artifact.assetId, upstream) } };
}

/** Whether more than one upstream is asked for versions. */
export function hasSeveral(s: Subsystem): boolean {
  return s.others.length > 0 && !tracksCommits(s);
}

/** What is installed, and what is about to be. */
export interface Standing {
  readonly current?: string;
  readonly runs: readonly { readonly version: string; readonly upstream: string }[];
}

export function standingOf(store: Store, s: Subsystem): Standing {
  const current = store.versions.current(s.name);
  const active = [store.runs.of(s.name, "running"), store.runs.of(s.name, "queued"), ...HOLDS.map((reason) => store.runs.held(s.name, reason))];
  const runs = active.flatMap((r) => (r?.kind === "update" ? [{ version: r.toVersion, upstream: r.upstream ?? s.upstream }] : []));
  return { runs, ...(current === undefined ? {} : { current: releasedAs(current) }) };
}

const HOLDS: readonly HoldReason[] = ["approval", "assets", "rate-limit"];

/** The versions of all upstreams in one order. @throws the first one's error when none answers */
export async function versionsAcross(upstream: Upstream, s: Subsystem, standing: Standing, signal: AbortSignal): Promise<Across<SourceCandidate>> {
  if (!hasSeveral(s)) return { answers: [], items: await upstream.versions(s, signal), silent: [] };
  const answers = await askAll(s, async (origin, within) => (await upstream.versions(only(s, origin), within)).map((c) => from(s, origin, c)), signal);
  return rankVersions(s, answers, standing);
}

/** The same for answers that are known; `counts`: whether an upstream can be said to have a version because of this. */
export function rankVersions(s: Subsystem, answers: readonly Answer<SourceCandidate>[], standing: Standing, counts: (c: SourceCandidate) => boolean = () => true): Across<SourceCandidate> {
  const across = rank(s, answers, { standing, versionOf: (c) => c.version, counts });
  return { ...across, items: inOrder(s, across.items) };
}

/** The releases of all upstreams, those of the higher one first; `ids` by clone URL are looked up besides. @throws the first one's error when none answers */
export async function releasesAcross(feed: Feed, s: Subsystem, look: { readonly standing: Standing; readonly ids?: ReadonlyMap<string, ReadonlySet<string>> }, signal: AbortSignal): Promise<Across<Listed>> {
  const list = async (origin: Origin, within: AbortSignal) => (await feed.list(only(s, origin), look.ids?.get(origin.upstream) ?? NONE, within)).map((l) => ({ ...l, ...nameOf(s, origin) }));
  if (!hasSeveral(s)) {
    const items = await list(s, signal);
    return { answers: [{ origin: s, items }], items, silent: [] };
  }
  return rank(s, await askAll(s, list, signal), { standing: look.standing, versionOf: (l) => l.release.tag, counts: (l) => mayHaveOurs(s, l) });
}

/** Whether a release is a version of this program: it has or may still get the asset, and is none of the prereleases and foreign tags that never count. */
function mayHaveOurs(s: Subsystem, { release, found, late }: Listed): boolean {
  const uploaded = found.kind === "none" && release.assets.length > 0 && release.assets.every((a) => a.complete);
  const over = uploaded || (late && (found.kind === "none" || found.kind === "incomplete"));
  return !over && isTracked(release.tag, s) && !isPrerelease(s, { version: release.tag, prerelease: release.prerelease });
}

const NONE: ReadonlySet<string> = new Set();
/** Versions of each upstream that are put into the common order; the lists are newest first. */
const EACH = 200;

/** The version a person named, from the first upstream that answers and has it. @throws UsageError version-not-found · the error of one that does not answer, where none has it */
export async function namedAcross(s: Subsystem, named: (view: Subsystem, within: AbortSignal) => Promise<Candidate>, signal: AbortSignal): Promise<Candidate> {
  if (!hasSeveral(s)) return named(s, signal);
  let missing: unknown;
  let silent: unknown;
  for (const origin of originsOf(s)) {
    try {
      return from(s, origin, await named(only(s, origin), deadline(ASK_WITHIN_MS, signal)));
    } catch (error) {
      if (codeOf(error) === "version-not-found") missing ??= error;
      else silent ??= inTime(origin, error);
    }
  }
  throw silent ?? missing;
}

/** Longest wait for one of several upstreams: one that hangs must not use up the time of the whole decision (20 s). */
const ASK_WITHIN_MS = 12_000;

async function askAll<T>(s: Subsystem, ask: (origin: Origin, signal: AbortSignal) => Promise<readonly T[]>, signal: AbortSignal): Promise<readonly Answer<T>[]> {
  const answers = await Promise.all(
    originsOf(s).map(async (origin): Promise<Answer<T>> => {
      try {
        return { origin, items: (await ask(origin, deadline(ASK_WITHIN_MS, signal))).slice(0, EACH) };
      } catch (error) {
        if (!(error instanceof SlipstreamError)) throw error;
        return { origin, items: [], error: inTime(origin, error) };
      }
    }),
  );
  const [first] = answers;
  if (first?.error !== undefined && answers.every((a) => a.error !== undefined)) throw first.error;
  return answers;
}

/** What our own deadline cut off is the upstream's slowness. */
function inTime<E>(origin: Origin, error: E): E | UpstreamError {
  return codeOf(error) === "cancelled" ? new UpstreamError("timed-out", `upstream ${origin.upstream} is silent for ${ASK_WITHIN_MS / 1_000} s, expected an answer`, { cause: error, retryable: true }) : error;
}

/** The error of a silent upstream above, where that silence may be all that stands before a version; not where the same version is installed, which is not replaced then. */
export function silencedBy(s: Subsystem, { silent, standing }: { readonly silent: readonly Silent[]; readonly standing: Standing }, what: { readonly version: string; readonly upstream?: string }): SlipstreamError | undefined {
  const { current } = standing;
  if (current !== undefined && parseVersion(what.version, s) !== null && isSameVersion(s, current, what.version)) return undefined;
  const places = originsOf(s).map((o) => o.upstream);
  return silent.find(({ upstream, error }) => error.retryable && places.indexOf(upstream) < places.indexOf(what.upstream ?? s.upstream))?.error;
}

interface Reading<T> {
  readonly standing: Standing;
  readonly versionOf: (item: T) => string;
  /** Whether it is a version that the upstream can be said to have. */
  readonly counts: (item: T) => boolean;
}

/** What may be chosen from, in order of priority and each upstream's own order. */
function rank<T>(s: Subsystem, answers: readonly Answer<T>[], { standing, versionOf, counts }: Reading<T>): Across<T> {
  const firstSilent = answers.findIndex((a) => a.error !== undefined);
  const decides = s.prefer === "order" ? answers.findIndex((a) => a.items.some(counts)) : -1;
  // Below the one that decides, nobody was asked in earnest.
  const silent = answers.flatMap(({ origin, error }, index) => (error === undefined || (decides !== -1 && index > decides) ? [] : [{ upstream: origin.upstream, error }]));
  // Surely newer than what is installed, and not on its way from another upstream already.
  const isDefinite = (version: string, { upstream }: Origin) =>
    (standing.current === undefined ? parseVersion(version, s) !== null : isSurelyNewer(s, { version }, { version: standing.current })) && !standing.runs.some((r) => r.upstream !== upstream && keyOf(s, r.version) === keyOf(s, version));
  const items: T[] = [];
  const above = new Set<string>();
  for (const [index, answer] of answers.entries()) {
    if (decides !== -1 && index > decides) break;
    const below = firstSilent !== -1 && index > firstSilent;
    const mine = answer.items.filter((item) => !above.has(keyOf(s, versionOf(item))));
    items.push(...mine.filter((item) => !below || isDefinite(versionOf(item), answer.origin)));
    for (const item of mine) if (counts(item)) above.add(keyOf(s, versionOf(item)));
  }
  return { answers, items, silent };
}

/** The same for every spelling of one version. */
function keyOf(s: Subsystem, version: string): string {
  const parsed = parseVersion(version, s);
  return parsed === null ? version : `${parsed.numbers.join(".").replace(/(?:\.0)+$/, "")}-${parsed.prerelease.join(".")}`;
}

/** Newest first; what cannot be ordered stays behind what a higher upstream has. */
function inOrder(s: Subsystem, items: readonly SourceCandidate[]): readonly SourceCandidate[] {
  const sorted: { readonly candidate: SourceCandidate; readonly version: Version | null }[] = [];
  for (const candidate of items) {
    const version = parseVersion(candidate.version, s);
    const at = version === null ? -1 : sorted.findIndex((o) => o.version !== null && compareVersions(version, o.version) > 0);
    sorted.splice(at === -1 ? sorted.length : at, 0, { candidate, version });
  }
  return sorted.map((o) => o.candidate);
}
