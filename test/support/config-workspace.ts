/** A workspace folder made of a few files, for tests of what is read from it. */

import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import type { TestContext } from "node:test";
import { type Config, type LoadInput, loadConfig } from "../../src/config/load.ts";
import { ConfigError, type Problem } from "../../src/domain/errors.ts";

export interface ConfigWorkspace {
  readonly dir: string;
  write(path: string, text: string, mode?: number): Promise<string>;
  load(more?: Omit<LoadInput, "workspace" | "env"> & { readonly env?: LoadInput["env"] }): Promise<Config>;
  /** The problems loading reports, files relative to the workspace; fails when it loads. */
  problems(more?: Omit<LoadInput, "workspace" | "env"> & { readonly env?: LoadInput["env"] }): Promise<Problem[]>;
}

/** Writes the files into a fresh folder that goes away with the test. */
export async function configWorkspace(t: TestContext, files: Readonly<Record<string, string>>): Promise<ConfigWorkspace> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "slipstream-config-")));
  t.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  const workspace: ConfigWorkspace = {
    dir,
    async write(path, text, mode) {
      const full = join(dir, path);
      await mkdir(dirname(full), { recursive: true });
      await writeFile(full, text);
      if (mode !== undefined) await chmod(full, mode);
      return full;
    },
    load: (more = {}) => loadConfig({ workspace: dir, env: {}, ...more }),
    async problems(more) {
      const thrown = await workspace.load(more).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (!(thrown instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${String(thrown)}`);
      return thrown.problems.map((p) => ({ ...p, file: p.file.startsWith("/") ? relative(dir, p.file) : p.file }));
    },
  };
  for (const [path, text] of Object.entries(files)) await workspace.write(path, text);
  return workspace;
}

/** A root Taskfile whose includes are folders of their own. */
export function rootTaskfile(...names: string[]): string {
  return `version: '3'\nincludes:\n${names.map((n) => `  ${n}: ./${n}\n`).join("")}`;
}

/** A subsystem's Taskfile with these variable lines. */
export function taskfile(...vars: string[]): string {
  return `version: '3'\nvars:\n${vars.map((v) => `  ${v}\n`).join("")}`;
}
