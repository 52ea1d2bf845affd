/** A place for git tests: a served folder of upstreams, engines with test limits, and checkouts in folders of their own. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { exec } from "../../src/adapters/exec.ts";
import { type CheckoutRequest, createGit, type Git, type GitDeps } from "../../src/adapters/git.ts";
import { codeOf, type ErrorCode, SlipstreamError } from "../../src/domain/errors.ts";
import { createUpstream, type GitServer, startGitServer, type Upstream } from "./git-server.ts";

const TIMEOUT_MS = 30_000;
/** The environment of every git here: nothing of the user's configuration. */
export const GIT_TEST_ENV = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", GIT_CONFIG_GLOBAL: "/dev/null" };
export const never = new AbortController().signal;

export type Asked = CheckoutRequest & { /** Holds `dest` only, so that leftovers can be seen. */ readonly parent: string };

export interface GitFixture {
  readonly server: GitServer;
  make(engine: GitDeps["engine"], deps?: Partial<GitDeps>): Promise<Git>;
  upstream(options?: { readonly tipsOnly?: boolean }): Promise<Upstream>;
  /** A fresh folder. */
  folder(): Promise<string>;
  request(url: string, ref: string, commit?: string): Promise<Asked>;
  close(): Promise<void>;
}

export async function createGitFixture(): Promise<GitFixture> {
  const root = await mkdtemp(join(tmpdir(), "slipstream-git-"));
  const upstreams = join(root, "upstreams");
  const server = await startGitServer(upstreams);
  let count = 0;
  const folder = async () => {
    const dir = join(root, `f${count++}`);
    await mkdir(dir);
    return dir;
  };
  return {
    server,
    folder,
    make: (engine, deps = {}) => createGit({ exec, env: GIT_TEST_ENV, engine, maxBytes: 50_000_000, timeoutMs: TIMEOUT_MS, lagMs: 0, ...deps }, never),
    upstream: (options) => createUpstream(upstreams, `u${count++}`, options),
    async request(url, ref, commit) {
      const parent = await folder();
      return { url, ref, dest: join(parent, "src"), cacheDir: `${parent}-cache`, parent, ...(commit === undefined ? {} : { commit }) };
    },
    async close() {
      await server.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Asserts the code of a failed checkout, and that it left nothing beside its cache. */
export async function fails(git: Git, asked: Asked, code: ErrorCode, signal = never): Promise<SlipstreamError> {
  const error = await git.checkout(asked, signal).then(
    () => assert.fail(`checkout succeeded, expected ${code}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof SlipstreamError, String(error));
  assert.equal(codeOf(error), code, error.message);
  assert.deepEqual(await readdir(asked.parent), []);
  return error;
}

/** Output of a git command inside a checkout. */
export async function inRepo(dir: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)("git", args, { cwd: dir, env: GIT_TEST_ENV })).stdout.trim();
}
