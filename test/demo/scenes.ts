/** The scenes. Nothing in them decides an outcome: each asks the daemon what it did and checks that against what runs. */

import type { WhyView } from "../../src/domain/app.ts";
import type { Run } from "../../src/domain/run.ts";
import { type Payload, tagCreated, tagPushed } from "../support/github.ts";
import type { ReleaseWorkspace } from "../support/release-workspace.ts";
import { type Snapshot, takeSnapshot } from "../support/snapshot.ts";
import type { SubsystemName, Workspace } from "../support/workspace.ts";
import type { Sent } from "../support/workspace-io.ts";
import { acknowledged, answersAs, Claims, compareWith, followRun, part, provedNew, rounded, type SceneResult, seenOf as seenIn, short, type Show as ShowIn, verdictOn } from "./measure.ts";
import { releaseUpdate } from "./scene-release.ts";

type Show = ShowIn<Workspace>;

/** The two machines the scenes are played on. */
export interface Machines {
  /** Builds from source. */
  readonly builder: Show;
  /** Installs releases; made when the first scene wants it. */
  readonly user: () => Promise<ShowIn<ReleaseWorkspace>>;
}

export interface Scene {
  readonly name: string;
  readonly title: string;
  readonly subsystem: SubsystemName;
  play(on: Machines): Promise<SceneResult>;
}

const SUBSYSTEM: SubsystemName = "api";
const GOOD = "v1.1.0";
const BAD = "v1.2.0";
const FORGED = "v1.3.0";

/** In the order they have to be played: each starts where the one before ended. */
export function createScenes(): readonly Scene[] {
  const story: { push?: Sent; commit?: string } = {};
  return [
    { name: "source-update", title: `a new tag is pushed: ${SUBSYSTEM} is rebuilt and restarted, nothing else`, subsystem: SUBSYSTEM, play: (on) => sourceUpdate(on.builder, story) },
    { name: "bad-release-rolled-back", title: "the next release never becomes healthy: the previous one comes back", subsystem: SUBSYSTEM, play: (on) => badRelease(on.builder) },
    { name: "duplicate-ignored", title: "GitHub sends the same news again: nothing happens", subsystem: SUBSYSTEM, play: (on) => duplicate(on.builder, story) },
    { name: "forged-refused", title: "a stranger sends a delivery: refused, nothing is stored", subsystem: SUBSYSTEM, play: (on) => forged(on.builder) },
    { name: "release-update", title: `on a user's machine a release is published: ${SUBSYSTEM} is downloaded and restarted, nothing else`, subsystem: SUBSYSTEM, play: async (on) => releaseUpdate(await on.user()) },
  ];
}

interface Story {
  push?: Sent;
  commit?: string;
}

async function sourceUpdate(show: Show, story: Story): Promise<SceneResult> {
  const { ws, say } = show;
  const claims = new Claims();
  const before = await takeSnapshot(ws);
  const was = seenOf(ws, before);
  const { commit } = await ws.upstreams[SUBSYSTEM].release(GOOD);
  say(`${repository(ws)} has the tag ${GOOD} (${commit.slice(0, 7)}); delivering push and create`);
  const push = await ws.deliver(tagPushed(repository(ws), GOOD, commit));
  const create = await ws.deliver(tagCreated(repository(ws), GOOD));
  Object.assign(story, { push, commit });
  acknowledged(claims, push, 202);
  acknowledged(claims, create, 202);
  say(`acknowledged in ${rounded(push.ackMs)} ms; building`);
  const { run, healthyMs } = await followRun(show, SUBSYSTEM, { version: GOOD, answers: GOOD, otherPidThan: was.pid, since: push.at });
  const { after, restarted, untouched } = await compareWith(show, before, claims, ws.subsystems[SUBSYSTEM].process);
  const is = seenOf(ws, after);
  claims.same("the run's status", run.status, "succeeded");
  claims.hold(run.status === "succeeded", `the run says: ${run.message ?? "nothing"}`);
  claims.hold(healthyMs !== null, `${SUBSYSTEM} did not answer ${GOOD} on its port`);
  const proved = provedNew(claims, run, { was, is });
  say(`pid ${was.pid} → ${is.pid}, executable ${short(was.running)} → ${short(is.running)} (read from /proc/${is.pid}/exe)`);
  return { broken: claims.broken, record: { ...part(run), restarted, untouched, digest_proved: proved, ack_ms: rounded(push.ackMs), healthy_ms: rounded(healthyMs), scene: "source-update" } };
}

async function badRelease(show: Show): Promise<SceneResult> {
  const { ws, say } = show;
  const claims = new Claims();
  const before = await takeSnapshot(ws);
  const was = seenOf(ws, before);
  const { commit } = await ws.upstreams[SUBSYSTEM].release(BAD, "never-ready");
  say(`${repository(ws)} has the tag ${BAD}, whose program answers 500 to every health probe`);
  const push = await ws.deliver(tagPushed(repository(ws), BAD, commit));
  acknowledged(claims, push, 202);
  const { run, healthyMs } = await followRun(show, SUBSYSTEM, { version: BAD, answers: GOOD, otherPidThan: was.pid, since: push.at });
  const { after, restarted, untouched } = await compareWith(show, before, claims, ws.subsystems[SUBSYSTEM].process);
  const is = seenOf(ws, after);
  const why: WhyView = await ws.json(["why", SUBSYSTEM]);
  const rolledBack = run.stages.find((s) => s.name === "rollback");
  claims.same("the run's status", run.status, "rolled_back");
  claims.same("the rollback stage's outcome", rolledBack?.outcome, "success");
  claims.hold(healthyMs !== null, `${SUBSYSTEM} did not answer ${GOOD} again`);
  claims.same("the version the daemon calls current", why.current?.version, GOOD);
  claims.same("the quarantined versions", why.quarantined.map((q) => q.version), [BAD]);
  claims.hold(is.running === was.running && is.installed === was.running, `the executable runs with ${is.running} and is installed with ${is.installed}, expected ${was.running} for both`);
  claims.hold((run.context.failure?.lastLines.length ?? 0) > 0, "the failed program's last lines were not kept");
  say(`${BAD} failed (${run.code ?? "no code"}: ${run.message ?? ""})`);
  say(`${why.current?.version ?? "nothing"} is back with pid ${is.pid} and executable ${short(is.running)}; ${BAD} is quarantined`);
  const proved = rolledBack?.outcome === "success" && is.running === was.running && is.installed === was.running;
  return { broken: claims.broken, record: { ...part(run), restarted, untouched, digest_proved: proved, ack_ms: rounded(push.ackMs), healthy_ms: rounded(healthyMs), scene: "bad-release-rolled-back" } };
}

async function duplicate(show: Show, story: Story): Promise<SceneResult> {
  const { ws, say } = show;
  const { push, commit } = story;
  if (push === undefined || commit === undefined) throw new Error("there is no earlier delivery to repeat");
  const claims = new Claims();
  const before = await takeSnapshot(ws);
  const runs: readonly Run[] = await ws.json(["runs"]);
  const current = ((await ws.json(["why", SUBSYSTEM])) as WhyView).current?.version ?? null;
  const again = await ws.redeliver(push.signed);
  const healthy = await answersAs(show, SUBSYSTEM, current ?? "nothing", seenOf(ws, before).pid);
  const healthyMs = performance.now() - again.at;
  acknowledged(claims, again, 200);
  claims.hold(healthy, `${SUBSYSTEM} does not answer as before`);
  claims.same("the repeated delivery's name", again.answer.body.delivery, push.answer.body.delivery);
  say(`the same delivery again: ${again.answer.status} in ${rounded(again.ackMs)} ms`);
  const other = await ws.deliver(tagPushed(repository(ws), GOOD, commit));
  acknowledged(claims, other, 202);
  const verdict = await verdictOn(show, SUBSYSTEM, other.id);
  say(`the same tag under another delivery id: ${other.answer.status}, then ${verdict.state} (${verdict.reason ?? "no reason"})`);
  claims.same("the verdict's reason", verdict.reason, "already-current");
  const after = await nothingChanged(show, claims, before, runs);
  return { broken: claims.broken, record: { scene: "duplicate-ignored", subsystem: SUBSYSTEM, from: current, to: GOOD, outcome: verdict.reason ?? verdict.state, ...after, ack_ms: rounded(again.ackMs), healthy_ms: rounded(healthyMs) } };
}

async function forged(show: Show): Promise<SceneResult> {
  const { ws, say } = show;
  const claims = new Claims();
  const before = await takeSnapshot(ws);
  const runs: readonly Run[] = await ws.json(["runs"]);
  const why: WhyView = await ws.json(["why", SUBSYSTEM]);
  const { commit } = await ws.upstreams[SUBSYSTEM].release(FORGED);
  say(`${repository(ws)} has the tag ${FORGED}, so a delivery that was believed would install it`);
  const payload: Payload = tagPushed(repository(ws), FORGED, commit);
  const wrong = await ws.deliver(payload, { secret: `not ${ws.webhookSecret}` });
  const unsigned = await ws.deliver(payload, { secret: null });
  const healthy = await answersAs(show, SUBSYSTEM, why.current?.version ?? "nothing", seenOf(ws, before).pid);
  const healthyMs = performance.now() - wrong.at;
  acknowledged(claims, wrong, 401);
  acknowledged(claims, unsigned, 401);
  say(`signed with another secret: ${wrong.answer.status} in ${rounded(wrong.ackMs)} ms; not signed: ${unsigned.answer.status} in ${rounded(unsigned.ackMs)} ms`);
  const then: WhyView = await ws.json(["why", SUBSYSTEM]);
  claims.same("the stored deliveries", then.deliveries.map((d) => d.id), why.deliveries.map((d) => d.id));
  claims.same("the current version", then.current, why.current);
  claims.hold(healthy, `${SUBSYSTEM} does not answer as before`);
  const after = await nothingChanged(show, claims, before, runs);
  const outcome = String(wrong.answer.body.error?.code ?? wrong.answer.status);
  claims.same("the code of the refusal without a signature", unsigned.answer.body.error?.code, wrong.answer.body.error?.code);
  return { broken: claims.broken, record: { scene: "forged-refused", subsystem: SUBSYSTEM, from: why.current?.version ?? null, to: FORGED, outcome, ...after, ack_ms: rounded(wrong.ackMs), healthy_ms: rounded(healthyMs) } };
}

/** No process restarted, no run was made, and the running executable is still the installed one. */
async function nothingChanged(show: Show, claims: Claims, before: Snapshot, runs: readonly Run[]): Promise<{ restarted: readonly string[]; untouched: readonly string[]; digest_proved: boolean }> {
  const { after, restarted, untouched } = await compareWith(show, before, claims, null);
  const now: readonly Run[] = await show.ws.json(["runs"]);
  claims.same("the runs", now.map((r) => r.id), runs.map((r) => r.id));
  const [was, is] = [seenOf(show.ws, before), seenOf(show.ws, after)];
  const proved = is.running === was.running && is.running === is.installed;
  claims.hold(proved, `the running executable has ${is.running}, the installed one ${is.installed}, expected ${was.running} for both`);
  return { restarted, untouched, digest_proved: proved };
}

const repository = (ws: Workspace) => ws.subsystems[SUBSYSTEM].repository;

const seenOf = (ws: Workspace, snapshot: Snapshot) => seenIn(ws, SUBSYSTEM, snapshot);
