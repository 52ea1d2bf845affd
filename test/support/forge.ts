/** A fake forge: GitHub's release API in the shape it answers, on one host of 127.0.0.1, and the assets behind signed addresses on another. */

import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { answer, type State } from "./forge-api.ts";
import { createAssetHost, type Fault } from "./forge-assets.ts";
import { type ForgeStyle, releaseJson } from "./forge-shape.ts";
import { type Payload, releasePublished } from "./github.ts";

export type { Fault } from "./forge-assets.ts";
export type { ForgeStyle } from "./forge-shape.ts";

export interface AssetSpec {
  readonly name: string;
  readonly content: Buffer;
  /** `uploaded` unless told otherwise; GitHub says `starter` or `open` before. */
  readonly state?: string;
  /** The true one unless told otherwise; `none` is what GitHub says of assets older than digests. */
  readonly digest?: string;
  /** Also fields that no forge would send. */
  readonly odd?: Readonly<Record<string, unknown>>;
}
export interface StoredAsset extends AssetSpec {
  readonly id: string;
  readonly uuid: string;
}
export interface ReleaseSpec {
  readonly tag: string;
  readonly draft?: boolean;
  readonly prerelease?: boolean;
  /** ms since the epoch. */
  readonly publishedAt?: number;
  readonly body?: string;
  readonly assets?: readonly AssetSpec[];
  /** Replaces fields of the answer, also by what no forge would send. */
  readonly odd?: Readonly<Record<string, unknown>>;
}
export interface StoredRelease extends Omit<ReleaseSpec, "assets"> {
  readonly id: string;
  readonly repo: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly assets: readonly StoredAsset[];
}
export interface ForgeRequest {
  readonly host: "api" | "asset";
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly authorization: boolean;
  readonly range?: string;
  /** Name of the asset whose bytes were asked for. */
  readonly asset?: string;
}
export interface Limit {
  /** Answers that are still given. */
  readonly remaining: number;
  readonly resetInS: number;
  /** 403 unless told otherwise. */
  readonly status?: 403 | 429;
  /** Says `retry-after` instead of naming the reset. */
  readonly retryAfterS?: number;
  /** A secondary limit that only its text tells of. */
  readonly onlyText?: boolean;
}
/** What the API answers instead of all else. */
export interface ApiFault {
  readonly status: number;
  readonly type?: string;
  readonly body?: string;
}
export interface ForgeOptions {
  readonly style?: ForgeStyle;
  /** Release and asset ids count up from here. */
  readonly firstId?: bigint;
  /** How long signed addresses are good for. */
  readonly ttlMs?: number;
}

export interface FakeForge {
  /** Base URL of the API, without a slash at its end. */
  readonly api: string;
  /** `host:port` that assets are served from. */
  readonly assetHost: string;
  readonly requests: readonly ForgeRequest[];
  countApi(): number;
  /** How often the bytes of an asset were asked for. */
  downloadsOf(assetName: string): number;
  publish(repo: string, release: ReleaseSpec): { readonly id: string };
  edit(id: string, patch: Partial<Omit<ReleaseSpec, "assets">>): void;
  addAsset(id: string, asset: AssetSpec): void;
  /** Takes the place of the one with its name, under a new id. */
  replaceAsset(id: string, asset: AssetSpec): void;
  removeAsset(id: string, name: string): void;
  delete(id: string): void;
  /** A private repository: without this token everything is unknown. */
  requireToken(token: string | null): void;
  limitRate(limit: Limit | null): void;
  /** The API lags behind: a release is not seen in the next answers that it belongs into. */
  lag(tag: string, answers: number): void;
  breakApi(fault: ApiFault | null): void;
  fault(assetName: string, fault: Fault | null): void;
  /** Every signed address that was given out so far is no longer good. */
  expireNow(): void;
  /** A release as the API would show it, also after it was deleted. */
  shown(id: string): { readonly repo: string; readonly release: Record<string, unknown> };
  close(): Promise<void>;
}

export async function startForge(options: ForgeOptions = {}): Promise<FakeForge> {
  const style = options.style ?? "github";
  const state: State = { style, releases: new Map(), gone: new Set(), faults: new Map(), lags: new Map(), requests: [], token: null, limit: null, broken: null, web: "", api: "" };
  const record = (entry: ForgeRequest) => void state.requests.push(entry);
  const asset = (id: string) => assetsOf(state).find((a) => a.id === id);
  const assets = createAssetHost({ asset, faults: state.faults, record, expiredStatus: style === "github" ? 618 : 403, ttlMs: options.ttlMs ?? 300_000 });
  const assetHost = await listening(assets.server);
  const redirect = (a: StoredAsset) => {
    const fault = state.faults.get(a.name);
    return fault?.kind === "redirect-elsewhere" ? fault.url : `http://${assetHost}${assets.sign(a)}`;
  };
  const server = createServer((req, res) => {
    const path = new URL(req.url ?? "/", state.web).pathname;
    record({ host: "api", method: req.method ?? "", path, authorization: req.headers.authorization !== undefined });
    answer(state, { req, res, redirect });
  });
  const host = await listening(server);
  state.web = `http://${host}`;
  state.api = `${state.web}${style === "gitea" ? "/api/v1" : "/api/v3"}`;
  return {
    api: state.api,
    assetHost,
    requests: state.requests,
    countApi: () => state.requests.filter((r) => r.host === "api").length,
    downloadsOf: (name) => state.requests.filter((r) => r.host === "asset" && r.asset === name).length,
    ...editing(state, options.firstId ?? 250_000_001n),
    ...faults(state),
    expireNow: () => assets.expireNow(),
    close: async () => {
      await Promise.all([server, assets.server].map(closed));
    },
  };
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function closed(server: Server): Promise<unknown> {
  const ended = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  return ended;
}

function assetsOf(state: State): StoredAsset[] {
  return [...state.releases.values()].filter((r) => !state.gone.has(r.id)).flatMap((r) => r.assets);
}

type Editing = Pick<FakeForge, "publish" | "edit" | "addAsset" | "replaceAsset" | "removeAsset" | "delete" | "shown">;

function editing(state: State, firstId: bigint): Editing {
  let ids = firstId;
  // GitHub's times are whole seconds.
  let clock = Math.floor(Date.now() / 1000) * 1000;
  const nextId = () => String(ids++);
  const tick = () => (clock += 1000);
  const stored = (spec: AssetSpec): StoredAsset => ({ ...spec, id: nextId(), uuid: randomUUID() });
  const get = (id: string) => {
    const release = state.releases.get(id);
    if (release === undefined) throw new Error(`release ${id} was never published here`);
    return release;
  };
  const put = (id: string, patch: Partial<StoredRelease>) => void state.releases.set(id, { ...get(id), ...patch, updatedAt: tick() });
  return {
    publish(repo, spec) {
      const id = nextId();
      const at = tick();
      const publishedAt = spec.publishedAt ?? (spec.draft === true ? undefined : at);
      state.releases.set(id, { ...spec, id, repo, createdAt: at - 60_000, updatedAt: at, assets: (spec.assets ?? []).map(stored), ...(publishedAt === undefined ? {} : { publishedAt }) });
      return { id };
    },
    edit(id, patch) {
      const goesPublic = get(id).draft === true && patch.draft === false && get(id).publishedAt === undefined;
      put(id, { ...(goesPublic ? { publishedAt: tick() } : {}), ...patch });
    },
    addAsset: (id, spec) => put(id, { assets: [...get(id).assets, stored(spec)] }),
    replaceAsset: (id, spec) => put(id, { assets: [...get(id).assets.filter((a) => a.name !== spec.name), stored(spec)] }),
    removeAsset: (id, name) => put(id, { assets: get(id).assets.filter((a) => a.name !== name) }),
    delete: (id) => void state.gone.add(get(id).id),
    shown: (id) => ({ repo: get(id).repo, release: releaseJson(state, get(id)) }),
  };
}

type Faults = Pick<FakeForge, "requireToken" | "limitRate" | "lag" | "breakApi" | "fault">;

function faults(state: State): Faults {
  return {
    requireToken: (token) => void (state.token = token),
    limitRate: (limit) => void (state.limit = limit === null ? null : { ...limit, left: limit.remaining, resetAt: Math.floor(Date.now() / 1000) + limit.resetInS }),
    lag: (tag, answers) => void state.lags.set(tag, answers),
    breakApi: (fault) => void (state.broken = fault),
    fault: (name, fault) => void (fault === null ? state.faults.delete(name) : state.faults.set(name, fault)),
  };
}

/** What the forge would send a webhook about a release it has. */
export function releaseDelivery(forge: FakeForge, id: string, action: string): Payload {
  const { repo, release } = forge.shown(id);
  return releasePublished(repo, String(release["tag_name"]), { action, release });
}
