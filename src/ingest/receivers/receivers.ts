/** The receivers of a configuration, and whose request it is by what its headers claim. */

import type { ForgeKind } from "../../domain/subsystem.ts";
import { createGiteaReceiver } from "./gitea.ts";
import { createGithubReceiver } from "./github.ts";
import type { Headers, Receiver, ReceiverSettings } from "./receiver.ts";

const CREATE = { github: createGithubReceiver, gitea: createGiteaReceiver } as const;

/** One receiver each. @throws ConfigError for one without a secret */
export function createReceivers(configs: readonly (ReceiverSettings & { readonly forge: ForgeKind })[]): readonly Receiver[] {
  return configs.map(({ forge, ...settings }) => CREATE[forge](settings));
}

/** Whose headers a request has; a claim like all of them. Gitea and Forgejo send those of Gogs and GitHub as well, Gogs those of GitHub. */
export function senderOf(headers: Headers): ForgeKind | "gogs" | undefined {
  const names = Object.keys(headers);
  const some = (...prefixes: readonly string[]) => names.some((name) => prefixes.some((prefix) => name.startsWith(prefix)));
  if (some("x-forgejo-", "x-gitea-")) return "gitea";
  if (some("x-gogs-")) return "gogs";
  return some("x-github-", "x-hub-signature") ? "github" : undefined;
}
