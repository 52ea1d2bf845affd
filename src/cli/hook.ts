/** A test delivery as its forge would send it: to the receiver that takes it, in the forge's headers, signed with one of the receiver's secrets. Pure. */

import type { ReceiverConfig } from "../config/receivers.ts";
import { ConfigError } from "../domain/errors.ts";
import { fits } from "../domain/pattern.ts";
import type { ForgeKind } from "../domain/subsystem.ts";
import { signHmacSha256 } from "../kit/verify.ts";

export interface ToSend {
  readonly event: string;
  /** GitHub where it is not known. */
  readonly forge?: ForgeKind;
  /** `owner/name` it is about. */
  readonly repository: string;
  readonly body: object;
  /** The same about other names of the repository, for a receiver that may not speak about the first. */
  readonly others?: readonly ToSend[];
}

export interface Hook {
  /** Of the receiver. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The one of its names that the receiver may speak about. */
  readonly repository: string;
}

const PREFIX = "sha256=";

/** @throws ConfigError when no receiver listens to that forge about that repository */
export function hookFor(receivers: readonly ReceiverConfig[], asked: ToSend, id: string): Hook {
  const forge = asked.forge ?? "github";
  const able = receivers.filter((r) => r.forge === forge && r.secrets.length > 0);
  const [found] = [asked, ...(asked.others ?? [])].flatMap((sent) => able.filter((r) => maySpeak(r, sent.repository)).map((receiver) => ({ sent, receiver })));
  const [secret] = found?.receiver.secrets ?? [];
  if (found === undefined || secret === undefined) throw new ConfigError([{ file: "slipstream.yaml", message: unheard(able, asked.repository, forge) }]);
  const { sent, receiver } = found;
  // Gitea indents by two spaces.
  const body = Buffer.from(forge === "gitea" ? JSON.stringify(sent.body, null, 2) : JSON.stringify(sent.body));
  const signature = signHmacSha256(body, secret);
  const common = { "content-type": "application/json", "x-github-event": sent.event, "x-github-delivery": id, "x-hub-signature-256": signature };
  const headers = forge === "gitea" ? { ...common, "user-agent": "Go-http-client/1.1", "x-gitea-event": sent.event, "x-gitea-delivery": id, "x-gitea-signature": signature.slice(PREFIX.length) } : { ...common, "user-agent": "GitHub-Hookshot/slipstream-simulate" };
  return { path: receiver.path, headers, body, repository: sent.repository };
}

function maySpeak({ repositories }: ReceiverConfig, repository: string): boolean {
  return repositories.length === 0 || repositories.some((pattern) => fits(repository, pattern));
}

function unheard(able: readonly ReceiverConfig[], repository: string, forge: ForgeKind): string {
  const [first, ...more] = able;
  if (first === undefined) return `receiver for ${repository} on ${forge} is missing, expected one with a secret; set a webhook secret for it, its receivers, or the forge of the subsystem`;
  const who = more.length === 0 ? `receiver ${first.name}` : `receivers ${able.map((r) => r.name).join(", ")}`;
  return `${who} may not speak about ${repository} (${able.map((r) => `receivers.${r.name}.repositories: ${r.repositories.join(", ")}`).join("; ")}), expected one that may; add it there, or to repositories of the subsystem`;
}
