/** Health and policy: the built-in values, `defaults` over them, the subsystem's own over those. */

import { DEFAULT_POLICY, type Policy } from "../domain/policy.ts";
import type { HealthPolicy } from "../domain/subsystem.ts";
import type { HealthFile, PolicyFile } from "./schema.ts";

/** How long a new process must stay healthy, and the longest wait for Ready. */
const DEFAULT_HEALTH: HealthPolicy = { soakMs: 10_000, timeoutMs: 60_000, proof: "required" };

/** Later layers win, key by key. */
export function mergeHealth(...layers: readonly (HealthFile | undefined)[]): HealthPolicy {
  const merged = Object.assign({}, ...layers.map(present)) as HealthFile;
  return { soakMs: merged.soak ?? DEFAULT_HEALTH.soakMs, timeoutMs: merged.timeout ?? DEFAULT_HEALTH.timeoutMs, proof: merged.proof ?? DEFAULT_HEALTH.proof };
}

/** Later layers win, key by key. */
export function mergePolicy(...layers: readonly (PolicyFile | undefined)[]): Policy {
  const { approval_wait, ...verdicts } = Object.assign({}, ...layers.map(present)) as PolicyFile;
  return { ...DEFAULT_POLICY, ...present(verdicts), approvalWaitMs: approval_wait ?? DEFAULT_POLICY.approvalWaitMs };
}

/** A layer without its unset keys, which must not hide those of the layer below. */
export function present(layer: object | undefined): object {
  return Object.fromEntries(Object.entries(layer ?? {}).filter(([, value]) => value !== undefined));
}
