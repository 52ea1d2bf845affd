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
}

export interface Hook {
  /** Of the receiver. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const PREFIX = "sha256=";

/** @throws ConfigError when no receiver listens to that forge about that repository */
export function hookFor(receivers: readonly ReceiverConfig[], sent: ToSend, id: string): Hook {
  const forge = sent.forge ?? "github";
  const receiver = receivers.find((r) => r.forge === forge && (r.repositories.length === 0 || r.repositories.some((pattern) => fits(sent.repository, pattern))));
  const [secret] = receiver?.secrets ?? [];
  if (receiver === undefined || secret === undefined) throw new ConfigError([{ file: "slipstream.yaml", message: `receiver for ${sent.repository} on ${forge} is missing, expected one with a secret; set a webhook secret for it, its receivers, or the forge of the subsystem` }]);
  // Gitea indents by two spaces.
  const body = Buffer.from(forge === "gitea" ? JSON.stringify(sent.body, null, 2) : JSON.stringify(sent.body));
  const signature = signHmacSha256(body, secret);
  const common = { "content-type": "application/json", "x-github-event": sent.event, "x-github-delivery": id, "x-hub-signature-256": signature };
  const headers = forge === "gitea" ? { ...common, "user-agent": "Go-http-client/1.1", "x-gitea-event": sent.event, "x-gitea-delivery": id, "x-gitea-signature": signature.slice(PREFIX.length) } : { ...common, "user-agent": "GitHub-Hookshot/slipstream-simulate" };
  return { path: receiver.path, headers, body };
}
