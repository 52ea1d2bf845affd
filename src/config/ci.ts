/** What a build machine offers to the programs of a job (GitHub docs: workflow commands; Gitea and Forgejo Actions set the same variables). */

export interface CiOffers {
  /** File that takes `name=value` lines. */
  readonly outputs?: string;
  /** File that takes markdown. */
  readonly summary?: string;
  /** Whether lines such as `::group::` are understood. */
  readonly commands: boolean;
}

export function ciOffers(env: Readonly<Record<string, string | undefined>>): CiOffers {
  const file = (name: string) => (env[name] === undefined || env[name] === "" ? undefined : env[name]);
  const [outputs, summary] = [file("GITHUB_OUTPUT"), file("GITHUB_STEP_SUMMARY")];
  return { ...(outputs === undefined ? {} : { outputs }), ...(summary === undefined ? {} : { summary }), commands: env.GITHUB_ACTIONS === "true" };
}
