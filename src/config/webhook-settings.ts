/** What a person has to enter on a forge, per repository that sends news. */

import { type ForgeKind, type Origin, originsOf, type Subsystem } from "../domain/subsystem.ts";
import { withoutLogin } from "./git-remote.ts";
import { upstreamOf } from "./release.ts";
import { isOnGitHub, repositoryName } from "./repository.ts";

export interface WebhookSettings {
  /** `owner/name`, or the path of a repository on this machine. */
  readonly repository: string;
  /** Missing where it is not known; the words are GitHub's then. */
  readonly forge?: ForgeKind;
  readonly subsystems: readonly string[];
  /** Page to open; null where nothing sends webhooks. */
  readonly open: string | null;
  readonly payloadUrl: string;
  readonly contentType: "application/json";
  readonly sslVerification: true;
  /** As the forge's page words them. */
  readonly events: readonly string[];
  readonly note?: string;
}

const PUBLIC = "https://<your public address>";
const DEFAULT_PATHS: Readonly<Record<ForgeKind, string>> = { github: "/webhook", gitea: "/webhook" };
type What = "tags" | "commits" | "releases";
const EVENTS: Readonly<Record<ForgeKind, Readonly<Record<What, readonly string[]>>>> = {
  github: { tags: ["Branch or tag creation", "Pushes"], commits: ["Pushes"], releases: ["Releases"] },
  gitea: { tags: ["Create", "Push"], commits: ["Push"], releases: ["Release"] },
};

/** One entry per distinct repository, sorted by name. `paths`: where each forge's deliveries are taken. */
export function webhookSettings(subsystems: readonly Subsystem[], paths: Readonly<Record<ForgeKind, string>> = DEFAULT_PATHS): WebhookSettings[] {
  const settings = new Map<string, WebhookSettings>();
  for (const s of subsystems.filter((one) => one.notManaged === undefined)) {
    for (const origin of originsOf(s)) {
      const made = settingsOf(s, origin, paths);
      const before = settings.get(made.key);
      const names = new Set([...(before?.subsystems ?? []), s.name]);
      settings.set(made.key, { ...made.settings, subsystems: [...names], events: [...new Set([...(before?.events ?? []), ...made.settings.events])].sort() });
    }
  }
  return [...settings.values()].sort((a, b) => (a.repository < b.repository ? -1 : 1));
}

function settingsOf(s: Subsystem, origin: Origin, paths: Readonly<Record<ForgeKind, string>>): { readonly key: string; readonly settings: WebhookSettings } {
  const url = s.mode === "release" && origin.release !== undefined ? upstreamOf(origin.release) : origin.upstream;
  const host = hostOf(url);
  const repository = (host === null ? null : repositoryName(url)) ?? withoutLogin(url);
  const forge = forgeOf(origin, host);
  const settings: WebhookSettings = {
    repository,
    ...(forge === undefined ? {} : { forge }),
    subsystems: [s.name],
    open: host === null ? null : `${webOf(url, host)}/${repository}/settings/hooks${forge === "gitea" ? "" : "/new"}`,
    payloadUrl: `${PUBLIC}${paths[forge ?? "github"]}`,
    contentType: "application/json",
    sslVerification: true,
    events: EVENTS[forge ?? "github"][s.mode === "release" ? "releases" : s.strategy],
    ...noteOf(s.name, host, forge),
  };
  return { key: `${host ?? ""} ${repository}`, settings };
}

function forgeOf(origin: Origin, host: string | null): ForgeKind | undefined {
  if (host === null || origin.forge !== undefined) return host === null ? undefined : origin.forge;
  if (origin.release?.api.endsWith("/api/v1") === true) return "gitea";
  return host === "github.com" || origin.release !== undefined ? "github" : undefined;
}

function noteOf(name: string, host: string | null, forge: ForgeKind | undefined): { note?: string } {
  if (host === null) return { note: "lies on this machine, so nothing sends webhooks for it: use slipstream simulate or slipstream update" };
  if (forge === "gitea") return { note: "Gitea and Forgejo send nothing to private addresses unless [webhook] ALLOWED_HOST_LIST in the server's app.ini allows them" };
  return forge === "github" ? {} : { note: `what ${host} is, is not known: the words are GitHub's; set subsystems.${name}.forge to github (GitHub Enterprise Server) or gitea (Gitea, Forgejo)` };
}

/** The web address of a clone URL's forge; null for a path. */
function hostOf(url: string): string | null {
  if (isOnGitHub(url)) return "github.com";
  const scp = /^[\w.-]+@([\w.-]+):/.exec(url)?.[1];
  if (scp !== undefined) return scp.toLowerCase();
  if (!/^(?:https?|ssh|git):\/\//.test(url)) return null;
  const { protocol, host, hostname } = new URL(url);
  return protocol.startsWith("http") ? host : hostname;
}

/** Plain http where the clone URL itself is. */
function webOf(url: string, host: string): string {
  return `${url.startsWith("http://") && host !== "github.com" ? "http" : "https"}://${host}`;
}
