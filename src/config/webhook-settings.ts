/** What a person has to enter on GitHub, per repository that sends news. */

import type { Subsystem } from "../domain/subsystem.ts";
import { withoutLogin } from "./git-remote.ts";
import { upstreamOf } from "./release.ts";
import { isOnGitHub, repositoryName } from "./repository.ts";

export interface WebhookSettings {
  /** `owner/name`, or the path of a repository on this machine. */
  readonly repository: string;
  readonly subsystems: readonly string[];
  /** Page to open; null where nothing sends webhooks. */
  readonly open: string | null;
  readonly payloadUrl: string;
  readonly contentType: "application/json";
  readonly sslVerification: true;
  /** As GitHub's page words them. */
  readonly events: readonly string[];
  readonly note?: string;
}

const PAYLOAD_URL = "https://<your public address>/webhook";
const EVENTS = { tags: ["Branch or tag creation", "Pushes"], commits: ["Pushes"], releases: ["Releases"] } as const;

/** One entry per distinct repository, sorted by name. */
export function webhookSettings(subsystems: readonly Subsystem[]): WebhookSettings[] {
  const settings = new Map<string, WebhookSettings>();
  for (const s of subsystems.filter((one) => one.notManaged === undefined)) {
    const url = s.mode === "release" && s.release !== undefined ? upstreamOf(s.release) : s.upstream;
    const host = hostOf(url);
    const repository = (host === null ? null : repositoryName(url)) ?? withoutLogin(url);
    const key = `${host ?? ""} ${repository}`;
    const before = settings.get(key);
    const events = EVENTS[s.mode === "release" ? "releases" : s.strategy];
    settings.set(key, {
      repository,
      subsystems: [...(before?.subsystems ?? []), s.name],
      open: host === null || !receives(s) ? null : `https://${host}/${repository}/settings/hooks/new`,
      payloadUrl: PAYLOAD_URL,
      contentType: "application/json",
      sslVerification: true,
      events: [...new Set([...(before?.events ?? []), ...events])].sort(),
      ...(receives(s) ? noteOf(host) : { note: UNHEARD }),
    });
  }
  return [...settings.values()].sort((a, b) => (a.repository < b.repository ? -1 : 1));
}

/** Gitea and Forgejo have their API there; they sign and word their deliveries in a way of their own. */
function receives(s: Subsystem): boolean {
  return s.release?.api.endsWith("/api/v1") !== true;
}

const UNHEARD = "is on a Gitea or Forgejo, whose deliveries are not received yet: run slipstream update --all now and then, for example by cron, or slipstream update <subsystem>";

function noteOf(host: string | null): { note?: string } {
  if (host === null) return { note: "lies on this machine, so nothing sends webhooks for it: use slipstream simulate or slipstream update" };
  return host === "github.com" ? {} : { note: `${host} has to be a GitHub Enterprise Server: other forges send other webhooks` };
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
