/** Where a subsystem's versions come from: one upstream, or several in order of priority (`upstreams:`, V107 and V108), in `slipstream.yaml` before the Taskfile's variables (V109). */

import type { Mode, Origin, ReleaseFeed, Strategy } from "../domain/subsystem.ts";
import { present } from "./layers.ts";
import { forgeOf, type KnownUpstream, releaseFeed, sourceFeed, upstreamOf } from "./release.ts";
import { isOnGitHub, repositoryName, upstreamProblem } from "./repository.ts";
import type { SubsystemFile } from "./schema.ts";
import { isRef, type Subject } from "./subject.ts";

/** What all upstreams of a subsystem have in common. */
export interface Common {
  readonly mode: Mode;
  readonly strategy: Strategy;
  /** What an entry follows that names no branch. */
  readonly branch: string;
}

/** The entries of `upstreams`, the first first; the subsystem itself where there are none. `upstream` and `upstreams` together are a problem. */
export function entriesOf(subject: Subject): readonly [Subject, ...Subject[]] {
  const { own, name } = subject;
  const [first, ...rest] = (own.upstreams ?? []).map((_, index) => subject.forEntry(index, entryKeys(own, index)));
  if (first === undefined) return [subject];
  if (own.upstream !== undefined) subject.problem(subject.at("upstream"), `upstream of ${name} is given beside upstreams, expected one of the two; make it the first entry of ${subject.key("upstreams")}`);
  return [first, ...rest];
}

/** An entry's keys; what it leaves out is what the subsystem says, but only where that can hold for another place: no repository of releases, and no forge or API where the entry names its own or is on github.com. */
function entryKeys(own: SubsystemFile, index: number): SubsystemFile {
  const { upstreams = [], repositories: _, release = {}, forge, ...rest } = own;
  const entry = upstreams[index] ?? {};
  const { repository, api, ...shared } = release;
  const elsewhere = entry.forge !== undefined || (entry.upstream !== undefined && isOnGitHub(entry.upstream));
  return {
    ...rest,
    ...{ upstream: entry.upstream, branch: entry.branch, repositories: entry.repositories, forge: entry.forge ?? (elsewhere ? undefined : forge) },
    release: { ...present(shared), ...(elsewhere ? {} : present({ api })), ...(index === 0 ? present({ repository }) : {}), ...present(entry.release) },
  };
}

/** The clone URL that `slipstream.yaml` gives, checked; null with a problem when it is wrong. */
export function toldUpstream(subject: Subject): KnownUpstream {
  const text = subject.own.upstream;
  const wrong = text === undefined ? null : upstreamProblem(text);
  if (wrong === null) return text;
  subject.problem(subject.at("upstream"), `the upstream of ${subject.name} ${wrong}`);
  return null;
}

/** One that goes behind the first; null with a problem where it lacks what the mode needs. */
export function lowerOrigin(entry: Subject, common: Common): Origin | null {
  const told = toldUpstream(entry);
  const feed = common.mode === "release" ? (releaseFeed(entry, told) ?? undefined) : undefined;
  const upstream = told ?? (told === undefined && feed !== undefined ? upstreamOf(feed) : null);
  if (upstream === null) {
    if (told === undefined && common.mode === "source") nothingToBuild(entry);
    return null;
  }
  if (common.mode === "release") return feed === undefined ? null : describeOrigin(entry, common, upstream, feed);
  return describeOrigin(entry, common, upstream, common.strategy === "releases" ? sourceFeed(entry, upstream) : undefined);
}

/** An entry that only names releases, of a subsystem that is built here. */
export function nothingToBuild(entry: Subject): void {
  entry.problem(entry.at(), `${entry.key()} names no upstream, expected the clone URL that ${entry.name} is built from; set ${entry.key("upstream")}, or mode: release`);
}

/** Everything that is known about one upstream. */
export function describeOrigin(subject: Subject, { mode, branch }: Common, upstream: string, feed: ReleaseFeed | undefined): Origin {
  const forge = forgeOf(subject, mode, upstream, feed);
  return {
    upstream,
    branch: subject.entry === undefined ? branch : branchOf(subject, branch),
    repositories: repositoriesOf(subject, mode === "release" && feed !== undefined ? feed.repository : repositoryName(upstream)),
    ...(feed === undefined ? {} : { release: feed }),
    ...(forge === undefined ? {} : { forge }),
  };
}

function branchOf(entry: Subject, usual: string): string {
  const branch = entry.own.branch ?? usual;
  if (entry.own.branch !== undefined && !isRef(branch)) entry.problem(entry.at("branch"), `branch of ${entry.name} is ${JSON.stringify(branch)}, expected a git ref; set ${entry.key("branch")} in slipstream.yaml`);
  return branch;
}

/** What deliveries may call it: its own name first, then its aliases; those beside `upstreams` are the first entry's. */
function repositoriesOf(subject: Subject, first: string | null): string[] {
  const names = new Set<string>(first === null ? [] : [first]);
  const { name, input, entry } = subject;
  const add = (given: readonly string[] | undefined, at: (index: number) => ReturnType<Subject["at"]>) => {
    for (const [index, text] of (given ?? []).entries()) {
      const repository = repositoryName(text);
      if (repository === null) subject.problem(at(index), `repositories of ${name} has an entry that is no owner/name`);
      else names.add(repository);
    }
  };
  add(subject.own.repositories, (index) => subject.at("repositories", index));
  if (entry === 0) add(input.file.subsystems?.[name]?.repositories, () => subject.at());
  return [...names];
}

/** No two upstreams of a subsystem may be the same, nor may one repository be of both: a delivery would be about either. The same name on two forges of different kinds is told apart by whose receiver proved it. */
export function refuseTwice(origins: readonly { readonly origin: Origin; readonly entry: Subject }[]): void {
  for (const [index, { origin, entry }] of origins.entries()) {
    for (const { origin: before } of origins.slice(0, index)) {
      const apart = origin.forge !== undefined && before.forge !== undefined && origin.forge !== before.forge;
      const both = origin.repositories.find((r) => before.repositories.includes(r));
      if (sameUrl(origin.upstream, before.upstream)) entry.problem(entry.at("upstream"), `${entry.key()} is the same upstream as one above it, expected each once`);
      else if (both !== undefined && !apart) entry.problem(entry.at(), `${entry.key()} is ${both}, which an upstream above it is as well, expected each repository in one entry; remove it from one, or set forge in both where their forges differ in kind`);
    }
  }
}

const sameUrl = (a: string, b: string): boolean => plain(a) === plain(b);
const plain = (url: string): string => url.replace(/\/+$/, "").replace(/\.git$/, "");
