/** The files of a user's workspace: no source anywhere, programs that come out of releases, two of them from one repository. */

import { stringify } from "yaml";
import type { Places, SubsystemName, SubsystemPlan } from "./workspace-files.ts";

/** `api` and `web` share the releases of one repository; `worker` has its own, and another process name. */
export const RELEASED: Readonly<Record<SubsystemName, SubsystemPlan>> = {
  api: { name: "api", repository: "acme/platform", binary: "api-server", process: "api" },
  worker: { name: "worker", repository: "acme/worker", binary: "worker", process: "jobs" },
  web: { name: "web", repository: "acme/platform", binary: "web", process: "web" },
};

/** The root Taskfile of a user's machine: the shipped pattern once per subsystem, with the repository of its releases. */
export function releaseTaskfile(): string {
  const includes = Object.values(RELEASED).map((plan) => [
    plan.name,
    { taskfile: "./taskfiles/subsystem.yml", dir: `./${plan.name}`, vars: { NAME: plan.name, BIN_NAME: plan.binary, UPSTREAM_REPO: `https://github.com/${plan.repository}.git`, RELEASE_REPO: plan.repository } },
  ]);
  return stringify({ version: "3", includes: Object.fromEntries(includes) });
}

export interface ReleaseYamlOptions {
  readonly soak: string;
  readonly api: string;
  /** `host:port` */
  readonly assetHost: string;
  /** Takes the place of whole keys; `defaults` and `subsystems` are merged. */
  readonly more: Readonly<Record<string, unknown>>;
}

/** `slipstream.yaml`: where the forge is, which no Taskfile says. */
export function releaseYaml(places: Places, options: ReleaseYamlOptions): string {
  const { defaults = {}, ...rest } = options.more as { defaults?: Record<string, object> };
  return stringify({
    process_compose: { socket: places.socket },
    tools: { task: places.task },
    defaults: { health: { soak: options.soak, timeout: "20s" }, release: { api: options.api, asset_hosts: [options.assetHost] }, ...defaults },
    ...rest,
  });
}
