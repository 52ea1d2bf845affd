/** Receivers: whose webhooks are listened to, where, proved by which secrets, and about which repositories. */

import type { Problem } from "../domain/errors.ts";
import type { ForgeKind } from "../domain/subsystem.ts";
import type { Secret } from "../kit/secret.ts";
import type { YamlFile } from "./files.ts";
import type { ConfigFile } from "./schema.ts";

export interface ReceiverConfig {
  /** Stored with each delivery. */
  readonly name: string;
  readonly forge: ForgeKind;
  /** `/webhook`; several receivers may share one, then the headers tell whose a request is. */
  readonly path: string;
  readonly secrets: readonly Secret[];
  /** `owner/name` patterns in lower case that its secrets may speak about; empty for all. */
  readonly repositories: readonly string[];
}

export interface ReceiversInput {
  readonly workspace: string;
  readonly file: ConfigFile;
  readonly yaml: YamlFile | null;
  /** `Secrets.webhook` */
  readonly webhook: readonly Secret[];
}

/** The receivers of a workspace, sorted by name; what is wrong goes to `problems`. Without secrets there are none. */
export function receiversOf(input: ReceiversInput, _problems: Problem[], _warnings: string[]): readonly ReceiverConfig[] {
  return input.webhook.length === 0 ? [] : [{ name: "github", forge: "github", path: "/webhook", secrets: input.webhook, repositories: [] }];
}
