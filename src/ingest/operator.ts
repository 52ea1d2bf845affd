/** The operator's path: what a person asks for becomes a row in the inbox (receiver `operator`), never a direct change of a run. */

import { createHash } from "node:crypto";
import type { OperatorRequest } from "../domain/change.ts";
import type { Delivery } from "../domain/delivery.ts";
import { UsageError, unknownSubsystem } from "../domain/errors.ts";
import type { Bell } from "../kit/bell.ts";
import { newId } from "../kit/id.ts";
import type { Store } from "../store/store.ts";

export interface OperatorDeps {
  readonly store: Store;
  readonly now: () => number;
  readonly bell: Bell;
  readonly names: () => readonly string[];
}

/** Stores a request durably and wakes resolve. @throws UsageError unknown-subsystem, unknown-run, not-held */
export function acceptRequest(deps: OperatorDeps, request: OperatorRequest): Delivery {
  check(deps, request);
  const id = newId(deps.now());
  const body = Buffer.from(JSON.stringify({ id, ...request }));
  const [accepted] = deps.store.inbox.accept([
    { receiver: "operator", externalId: id, event: request.verb, key: request.actor, bodySha256: createHash("sha256").update(body).digest("hex"), body, change: { kind: "request", request }, state: "received" },
  ]);
  deps.bell.ring();
  return (accepted as { delivery: Delivery }).delivery;
}

function check(deps: OperatorDeps, request: OperatorRequest): void {
  if ("subsystem" in request) {
    if (!deps.names().includes(request.subsystem)) throw unknownSubsystem(request.subsystem, deps.names());
    return;
  }
  const run = deps.store.runs.get(request.runId);
  if (run === undefined) throw new UsageError("unknown-run", `run ${request.runId} is unknown; slipstream runs lists what there is`);
  if (run.status !== "held") throw new UsageError("not-held", `run ${run.id} is ${run.status}, expected one that waits for approval`);
}
