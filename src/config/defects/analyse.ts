/** Every defect of a workspace, with its mend as a diff. */

import type { Defect } from "../../domain/defect.ts";
import { short } from "../look.ts";
import { forcedClone, shallowClone, skippedForEver, startThatBuilds, writtenOver } from "./builds.ts";
import { fixedRelease, folderDecides, lostVariables, pastedValue, pinnedUpdate, subsystemAsProcess } from "./calls.ts";
import { blindComparison, forgottenDependants, hopefulReload, mislabelledPackage, wrongVerification } from "./checks.ts";
import { carelessDownload, unverifiableStamp, wrongAddress } from "./downloads.ts";
import { applyEdits, createProof, lineCounter, overlaps, type Proof, unifiedDiff } from "./edits.ts";
import type { Detector, Edit, Model, Sighting } from "./model.ts";
import { fragileProbe, unlimitedStop } from "./processes.ts";
import { type Overlay, type ReadInput, readModel } from "./read.ts";
import { brokenShell, repeatedDefault } from "./texts.ts";
import { untouchable } from "./touchable.ts";

const DETECTORS: readonly Detector[] = [skippedForEver, forcedClone, pinnedUpdate, lostVariables, fixedRelease, shallowClone, writtenOver, startThatBuilds, unverifiableStamp, wrongVerification, wrongAddress, carelessDownload, hopefulReload, unlimitedStop, fragileProbe, blindComparison, subsystemAsProcess, folderDecides, pastedValue, mislabelledPackage, forgottenDependants, brokenShell, repeatedDefault];

/** One mend may make way for another (D1 waits for D7); no more than these can follow each other. */
const MAX_ROUNDS = 5;

/** A text before and after all safe mends. */
export interface Mended {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  readonly ids: readonly Defect["id"][];
}

export interface Analysis {
  readonly found: readonly Defect[];
  readonly mended: readonly Mended[];
  /** What is still there after the safe mends. */
  readonly left: readonly Defect[];
}

/** Looks, and changes nothing. */
export async function analyse(input: ReadInput): Promise<Analysis> {
  const overlay = new Map<string, string>();
  const before = new Map<string, string>();
  const ids = new Map<string, Set<Defect["id"]>>();
  const done = new Set<string>();
  const first = await look(input, overlay);
  let last = first;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const rewritten = applySafe(last);
    if (rewritten.length === 0) break;
    for (const { path, text, after, sightings } of rewritten) {
      if (!before.has(path)) before.set(path, text);
      ids.set(path, new Set([...(ids.get(path) ?? []), ...sightings.map((s) => s.id)]));
      for (const s of sightings) done.add(nameOf(s));
      overlay.set(path, after);
    }
    last = await look(input, overlay);
  }
  const mended = [...before].map(([path, text]) => ({ path, before: text, after: overlay.get(path) ?? text, ids: [...(ids.get(path) ?? [])] }));
  return { found: first.map((s) => (done.has(nameOf(s.sighting)) ? asSafe(s.defect) : s.defect)), mended, left: last.map((s) => s.defect) };
}

/** The same sighting in a text that other mends have changed. */
function nameOf({ id, path, message }: Sighting): string {
  return `${id} ${path} ${message}`;
}

/** What waits for another safe mend is mended right behind it. */
function asSafe({ whyNotSafe: _, ...defect }: Defect): Defect {
  return { ...defect, safe: true };
}

/** As `doctor` shows them. */
export async function findDefects(input: ReadInput): Promise<readonly Defect[]> {
  return (await analyse(input)).found;
}

/** All defects of a model, by file and line. Pure but for the look at where the files lie. */
export function judgeModel(model: Model): readonly Sighting[] {
  return DETECTORS.flatMap((detect) => detect(model)).sort((a, b) => (a.path === b.path ? a.at - b.at || Number(a.id.slice(1)) - Number(b.id.slice(1)) : a.path < b.path ? -1 : 1));
}

interface Judged {
  readonly sighting: Sighting;
  readonly defect: Defect;
}

async function look(input: ReadInput, overlay: Overlay): Promise<readonly Judged[]> {
  const sightings = judgeModel(await readModel(input, overlay));
  const places = new Map<string, string | undefined>();
  for (const { path } of sightings) if (!places.has(path)) places.set(path, await untouchable(input.workspace, path));
  const proof = createProof();
  const lines = new Map<string, (at: number) => number>();
  let left = MAX_PROVED_CHARS;
  return sightings.map((sighting) => {
    const { text } = sighting;
    if (sighting.edits !== undefined) left -= text.length;
    if (!lines.has(text)) lines.set(text, lineCounter(text));
    return { sighting, defect: defectOf(input.workspace, sighting, { elsewhere: places.get(sighting.path), proof, line: (lines.get(text) as (at: number) => number)(sighting.at), ...(left < 0 ? { tooMany: true } : {}) }) };
  });
}

/** Each mend is proved by reading its whole file again: a file made of thousands of defects would take hours. */
const MAX_PROVED_CHARS = 4 * 1024 * 1024;

interface Judging {
  readonly elsewhere: string | undefined;
  readonly proof: Proof;
  readonly line: number;
  /** There are more mends than can be proved at once. */
  readonly tooMany?: boolean;
}

function defectOf(workspace: string, s: Sighting, { elsewhere, proof, line, tooMany }: Judging): Defect {
  const file = short(workspace, s.path);
  const after = tooMany === true || s.edits === undefined || s.edits.length === 0 || s.text.startsWith("\ufeff") ? undefined : applyEdits(s.text, s.edits);
  const holds = after !== undefined && after !== s.text && proof(s.text, after, s.within ?? []);
  const why = elsewhere ?? s.unsafe ?? (s.within === undefined ? "it is not looked at in full" : undefined);
  return {
    ...{ id: s.id, file, line, message: s.message, mend: s.mend, safe: holds && why === undefined },
    ...(s.subsystem === undefined ? {} : { subsystem: s.subsystem }),
    ...(holds ? { diff: unifiedDiff(file, s.text, after) } : {}),
    ...(tooMany === true && s.edits !== undefined ? { whyNotSafe: "there are too many to look at each; mend some, then look again" } : holds && why !== undefined ? { whyNotSafe: why } : {}),
  };
}

/** All safe edits that do not get into each other's way; those that do have their turn in the next round. */
function applySafe(judged: readonly Judged[]): readonly { readonly path: string; readonly text: string; readonly after: string; readonly sightings: readonly Sighting[] }[] {
  const byPath = Map.groupBy(judged.filter((j) => j.defect.safe), (j) => j.sighting.path);
  const proof = createProof();
  return [...byPath].flatMap(([path, all]) => {
    const taken: Edit[] = [];
    const sightings: Sighting[] = [];
    const text = all[0]?.sighting.text ?? "";
    for (const { sighting } of all) {
      const edits = sighting.edits ?? [];
      // Each mend was proved by itself; together they have to be YAML as well.
      const more = [...taken, ...edits];
      if (edits.some((e) => taken.some((other) => overlaps(e, other))) || !proof(text, applyEdits(text, more), [])) continue;
      taken.push(...edits);
      sightings.push(sighting);
    }
    return taken.length === 0 ? [] : [{ path, text, after: applyEdits(text, taken), sightings }];
  });
}

