/**
 * The front door. Everything here may come from a stranger: nothing is parsed before its signature holds, nothing is answered
 * with success before it is on disk, and no work is done in the request.
 */

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Change } from "../domain/change.ts";
import { fits } from "../domain/pattern.ts";
import { type ForgeKind, isSubsystemName } from "../domain/subsystem.ts";
import type { Clock } from "../kit/clock.ts";
import type { Log } from "../kit/log.ts";
import type { Accepted, NewDelivery } from "../store/inbox.ts";
import { readBody, retryAfter } from "../web/body.ts";
import { NOT_FOUND, type Refusal, refusalOf, sendJson, sendRefusal } from "../web/errors.ts";
import { createBudget, LIMITS, type Limits } from "../web/limits.ts";
import type { RawHandler } from "../web/server.ts";
import { createGroupCommit } from "./group-commit.ts";
import { decodePayload, type MediaType } from "./payload.ts";
import type { Headers, Receiver } from "./receivers/receiver.ts";
import { senderOf } from "./receivers/receivers.ts";
import type { Refused } from "./refused.ts";

export interface ReceiveDeps {
  readonly inbox: { accept(items: readonly NewDelivery[]): readonly Accepted[] };
  /** Asked once per request: the set may change between two. */
  readonly receivers: () => readonly Receiver[];
  readonly clock: Clock;
  readonly log: Log;
  /** Rung after the commit. */
  readonly bell: { ring(): void };
  readonly refused: Refused;
  /** Names of the subsystems that a repository (`owner/name` in lower case) on this receiver's forge belongs to; none for one nobody configured. */
  readonly concerns: (repository: string, receiver: Receiver) => readonly string[];
  readonly limits?: Limits;
}

interface Target {
  /** Missing where the headers claim a forge that nobody listens to on this path: then nothing is believed. */
  readonly receiver?: Receiver;
  /** As its headers claim. */
  readonly sender?: ForgeKind | "gogs";
  readonly path: string;
  /** What follows the receiver's path. */
  readonly suffix?: string;
}

type Understood = { readonly ok: true; readonly item: NewDelivery; readonly note?: string } | { readonly ok: false; readonly refusal: Refusal };

/** Takes every request below a receiver's path; leaves the others alone. */
export function createReceive(deps: ReceiveDeps): RawHandler {
  const limits = deps.limits ?? LIMITS;
  const budget = createBudget(limits.bufferedBytes);
  const commit = createGroupCommit(deps.clock, (items: readonly NewDelivery[]) => deps.inbox.accept(items));

  const refuse = (req: IncomingMessage, res: ServerResponse, target: Target, refusal: Refusal, bytes: number) => {
    const { event, id } = target.receiver?.claims(req.headers) ?? {};
    const remote = req.socket.remoteAddress;
    deps.refused.add({ status: refusal.status, code: refusal.code, path: target.path, bytes, ...(remote === undefined ? {} : { remote }), ...(event === undefined ? {} : { event }), ...(id === undefined ? {} : { externalId: id }) });
    sendRefusal(req, res, refusal, limits);
  };

  const receive = async (req: IncomingMessage, res: ServerResponse, target: Target, signal: AbortSignal) => {
    const started = deps.clock.monotonic();
    const media = checkRequest(req, target);
    if (typeof media === "object") return refuse(req, res, target, media, 0);
    if (req.headers.expect !== undefined && Number(req.headers["content-length"] ?? 0) <= limits.bodyBytes) res.writeContinue();
    const body = await readBody(req, limits, budget, signal);
    if (!body.ok) return refuse(req, res, target, body.refusal ?? GONE, body.bytesRead);
    try {
      const understood = understand(target, { headers: req.headers, raw: body.bytes, media }, deps.concerns);
      if (!understood.ok) return refuse(req, res, target, understood.refusal, body.bytes.length);
      const accepted = await commit(understood.item).catch((error: unknown) => {
        deps.log.error({ err: error, event: understood.item.event, externalId: understood.item.externalId }, "delivery not stored");
      });
      if (accepted === undefined) return refuse(req, res, target, { status: 503, code: "not-stored", message: "the delivery cannot be stored now; send it again later", headers: retryAfter(limits) }, body.bytes.length);
      deps.refused.accepted(accepted.outcome);
      if (accepted.outcome !== "duplicate" && accepted.delivery.state === "received") deps.bell.ring();
      const status = answer(res, accepted);
      logLine(deps.log, understood.item, accepted, { status, ms: Math.round(deps.clock.monotonic() - started), ...(understood.note === undefined ? {} : { note: understood.note }) });
    } finally {
      body.release();
    }
  };

  return (req, res, signal) => {
    const target = targetOf(deps.receivers(), req.url ?? "", req.headers);
    if (target === undefined) return false;
    receive(req, res, target, signal).catch((error: unknown) => {
      deps.log.error({ err: error }, "request failed");
      refuse(req, res, target, refusalOf(undefined), 0);
    });
    return true;
  };
}

/** Nobody is left to be answered; only the counter sees it. */
const GONE: Refusal = { status: 400, code: "aborted", message: "the request ended early" };

/** The path tells where, the headers tell whose: they only choose who has to prove it. */
function targetOf(receivers: readonly Receiver[], url: string, headers: Headers): Target | undefined {
  const path = url.split("?", 1)[0] as string;
  const bases = new Set(receivers.flatMap((r) => r.paths).filter((base) => path === base || path.startsWith(`${base}/`)));
  const [base] = [...bases].sort((a, b) => b.length - a.length);
  if (base === undefined) return undefined;
  const sender = senderOf(headers);
  const receiver = receivers.find((r) => r.forge === sender && r.paths.includes(base));
  return { path, ...(receiver === undefined ? {} : { receiver }), ...(sender === undefined ? {} : { sender }), ...(path === base ? {} : { suffix: path.slice(base.length + 1) }) };
}

/** Everything that can be refused before a byte of the body is read. */
function checkRequest(req: IncomingMessage, target: Target): Refusal | MediaType {
  if (target.suffix !== undefined && !isSubsystemName(target.suffix)) return NOT_FOUND;
  if (req.method !== "POST") return { status: 405, code: "method-not-allowed", message: "only POST is answered here", headers: { allow: "POST" } };
  if (target.sender === "gogs") return NO_GOGS;
  const type = req.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  const form = type === "application/x-www-form-urlencoded";
  const media = type === "application/json" ? "json" : form && target.receiver?.form === true ? "form" : undefined;
  if (media === undefined) return { status: 415, code: "content-type-not-supported", message: form && target.sender === "gitea" ? GITEA_FORM : "the content type is not application/json; set it in the webhook's settings" };
  const encoding = req.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return { status: 415, code: "content-encoding-not-supported", message: "the body is compressed, expected it plain" };
  return media;
}

const GITEA_FORM = "the content type is a form, whose bytes Gitea and Forgejo do not sign; choose application/json in the webhook's settings";
const NO_GOGS: Refusal = { status: 400, code: "sender-not-supported", message: "the headers are those of Gogs alone, expected GitHub, Gitea or Forgejo; choose the webhook type Gitea or Forgejo where there is one" };

/** Same words for every kind of bad signature: a stranger learns nothing from the difference. */
const UNSIGNED: Refusal = { status: 401, code: "signature-refused", message: "the signature is missing or does not match the body; check that the webhook's secret is the one slipstream has" };
const NO_EVENT: Refusal = { status: 400, code: "event-missing", message: "the header that names the event is missing or malformed" };

function understand(target: Target, given: Given, concerns: ReceiveDeps["concerns"]): Understood {
  const { receiver } = target;
  const { headers, raw } = given;
  const verified = receiver?.verify(raw, headers);
  if (receiver === undefined || verified?.ok !== true) return { ok: false, refusal: UNSIGNED };
  const payload = decodePayload(raw, given.media);
  if (!payload.ok) return payload;
  const { event, id } = receiver.claims(headers);
  if (event === undefined) return { ok: false, refusal: NO_EVENT };
  const extracted = receiver.extract(event, payload.body);
  if (!extracted.ok) return { ok: false, refusal: { status: 400, code: extracted.code, message: extracted.message } };
  const concerned = (repository: string) => (maySpeakOf(receiver, repository) ? concerns(repository, receiver) : []);
  const change = onlyKnown(extracted.change, receiver, concerned);
  const bodySha256 = createHash("sha256").update(raw).digest("hex");
  const verdict = change.kind === "none" ? ({ state: "ignored", reason: change.reason, subsystems: change.repository === undefined ? [] : concerned(change.repository) } as const) : ({ state: "received" } as const);
  const item: NewDelivery = { receiver: receiver.name, externalId: id ?? `sha256:${bodySha256}`, event, key: verified.key, bodySha256, body: raw, change, ...verdict, ...(target.suffix === undefined ? {} : { hint: target.suffix }) };
  return { ok: true, item, ...(extracted.note === undefined ? {} : { note: extracted.note }) };
}

/** What a request brought. */
interface Given {
  readonly headers: Headers;
  readonly raw: Buffer;
  readonly media: MediaType;
}

function maySpeakOf(receiver: Receiver, repository: string): boolean {
  return receiver.repositories.length === 0 || receiver.repositories.some((pattern) => fits(repository, pattern));
}

/** The change with the forge that proved it, so that it reaches no subsystem of another one; nothing where it is about nobody's repository. */
function onlyKnown(change: Change, receiver: Receiver, concerned: (repository: string) => readonly string[]): Change {
  if (change.kind === "none" || change.kind === "request") return change;
  if (concerned(change.repository).length > 0) return { ...change, forge: receiver.forge };
  return { kind: "none", reason: "repository-not-configured", repository: change.repository };
}

/** 202 for what is new or opened again, 200 for duplicates and pings (requirements §8). */
function answer(res: ServerResponse, { delivery, outcome }: Accepted): number {
  const status = outcome === "duplicate" || delivery.reason === "ping" ? 200 : 202;
  sendJson(res, status, {
    delivery: delivery.id,
    state: delivery.state,
    ...(delivery.reason === undefined ? {} : { reason: delivery.reason }),
    ...(delivery.runId === undefined ? {} : { runId: delivery.runId }),
    ...(outcome === "duplicate" ? { duplicate: true } : {}),
  });
  return status;
}

/** The one line per delivery. Headers and body stay out of it: GitHub once leaked hook secrets in a header (facts: §8). */
function logLine(log: Log, item: NewDelivery, { delivery, outcome }: Accepted, more: Readonly<Record<string, unknown>>): void {
  const repository = "repository" in delivery.change ? delivery.change.repository : undefined;
  log.info({ delivery: delivery.id, externalId: item.externalId, event: item.event, repository, key: item.key, bytes: item.body.byteLength, outcome, state: delivery.state, reason: delivery.reason, hint: item.hint, ...more }, "delivery received");
}
