/** Judges who listens for webhooks: whether every forge that sends them has its receiver, and every receiver a secret of its own. Pure. */

import { SECRET_OF } from "../config/receivers.ts";
import type { Examination, Finding, ReceiverFact } from "../domain/examination.ts";
import type { ForgeKind } from "../domain/subsystem.ts";
import { ok, warn } from "./findings-machine.ts";

const NAMES: Readonly<Record<ForgeKind, string>> = { github: "GitHub", gitea: "Gitea and Forgejo" };
const PLACE = "in .slipstream/secrets.env";

/** Nothing where there is no secret at all: that is said already. */
export function receiverFindings({ receivers, secrets }: Examination): readonly Finding[] {
  if (secrets.webhook.length === 0) return [];
  const found = [...receivers.flatMap(silent), ...shared(receivers), ...receivers.flatMap(idle)];
  const told = receivers.filter((r) => r.explicit).map((r) => `${r.name} on ${r.path}`);
  return found.length > 0 || told.length === 0 ? found : [ok("receivers", `webhooks are taken by ${told.join(", ")}`)];
}

function silent({ name, forge, keys, explicit, bound }: ReceiverFact): readonly Finding[] {
  if (keys.length > 0 || (!explicit && bound.length === 0)) return [];
  const whom = bound.length === 0 ? "" : ` (${bound.join(", ")})`;
  return [warn("receivers", `receiver ${name} has no secret, expected one: what comes from ${NAMES[forge]}${whom} is refused`, `set ${SECRET_OF[forge]} ${PLACE}, and the same in the webhook's settings`)];
}

/** Whoever may sign for one may then sign for the other: that matters where both are meant to be heard. */
function shared(receivers: readonly ReceiverFact[]): readonly Finding[] {
  const both = (["github", "gitea"] as const).every((forge) => receivers.some((r) => r.forge === forge && r.bound.length > 0));
  return receivers.flatMap((r) =>
    r.sharedWith
      .filter((other) => r.name < other && (r.explicit || both))
      .map((other) => warn("receivers", `receivers ${r.name} and ${other} share a secret, expected one each: whoever may sign for one may sign for the other`, `${receivers.some((b) => b.name === other && b.forge === r.forge) ? "list different ones under receivers.<name>.secrets" : `set ${SECRET_OF.github} and ${SECRET_OF.gitea} ${PLACE}`}, and each in its webhook's settings`)),
  );
}

function idle({ name, forge, explicit, subsystems }: ReceiverFact): readonly Finding[] {
  if (!explicit || subsystems.length > 0) return [];
  return [warn("receivers", `receiver ${name} is for ${NAMES[forge]}, and no subsystem comes from there, expected at least one`, `remove receivers.${name} from slipstream.yaml, or set forge of the subsystem it is for`)];
}
