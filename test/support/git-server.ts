/** Real upstreams for tests and the demo: repositories with real commits, and git's own smart-HTTP server on a free port of 127.0.0.1. */

import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";

export interface GitServer {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  /** Paths with queries, in order of arrival. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export interface GitServerOptions {
  /** Any free one by default. */
  readonly port?: number;
  /** The exact Authorization header to demand; anything else is answered 401. */
  readonly authorization?: string;
  /** Called after each complete answer. */
  readonly onServed?: (path: string) => void;
}

/** Serves every repository below `rootDir`, read-only. */
export async function startGitServer(rootDir: string, options: GitServerOptions = {}): Promise<GitServer> {
  const requests: string[] = [];
  const running = new Set<Promise<void>>();
  const server = createServer((req, res) => {
    const url = req.url ?? "/";
    requests.push(url);
    res.on("finish", () => options.onServed?.(url));
    if (options.authorization !== undefined && req.headers.authorization !== options.authorization) {
      res.writeHead(401, { "www-authenticate": "Basic" }).end();
      return;
    }
    // A client that hangs up in the middle of its request is no failure of the server.
    const ended = answer(rootDir, req, res).catch(() => res.destroy()).then(() => void running.delete(ended));
    running.add(ended);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([closed, ...running]);
    },
  };
}

/** Hands one request to `git http-backend`, which speaks CGI (RFC 3875). Resolves when its process is gone. */
async function answer(rootDir: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const [path = "/", query = ""] = (req.url ?? "/").split("?", 2);
  const body = Buffer.concat((await req.toArray()) as Buffer[]);
  const repository = join(rootDir, decodeURIComponent(path).split("/")[1] ?? "");
  const tipsOnly = existsSync(join(repository, TIPS_ONLY));
  const refused = tipsOnly ? await wantedBeyondTips(repository, req, body) : undefined;
  if (refused !== undefined) {
    const line = `ERR upload-pack: not our ref ${refused}`;
    res.writeHead(200, { "content-type": "application/x-git-upload-pack-result" }).end((line.length + 4).toString(16).padStart(4, "0") + line);
    return;
  }
  const protocol = tipsOnly ? "" : String(req.headers["git-protocol"] ?? "");
  const child = spawn("git", ["http-backend"], {
    env: {
      ...GIT_ENV,
      GIT_PROJECT_ROOT: rootDir,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: decodeURIComponent(path),
      QUERY_STRING: query,
      REQUEST_METHOD: req.method ?? "GET",
      CONTENT_TYPE: req.headers["content-type"] ?? "",
      ...(req.headers["content-length"] === undefined ? {} : { CONTENT_LENGTH: req.headers["content-length"] }),
      HTTP_CONTENT_ENCODING: req.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: protocol,
      REMOTE_ADDR: "127.0.0.1",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end(body);
  res.on("close", () => child.kill());
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    child.stdout.off("data", onData);
    const lines = head.subarray(0, end).toString("latin1").split("\r\n").map((line) => line.split(/:\s*/, 2) as [string, string]);
    const status = lines.find(([name]) => name.toLowerCase() === "status")?.[1];
    res.writeHead(status === undefined ? 200 : Number.parseInt(status, 10), Object.fromEntries(lines.filter(([name]) => name.toLowerCase() !== "status")));
    res.write(head.subarray(end + 4));
    child.stdout.pipe(res);
  };
  child.stdout.on("data", onData);
  return new Promise((resolve) => {
    child.on("error", () => resolve());
    child.on("close", () => {
      if (!res.headersSent) res.writeHead(500).end();
      resolve();
    });
  });
}

/** Over http git itself serves every commit that is reachable; strict servers (JGit) do not, so this stands in for them. */
async function wantedBeyondTips(repository: string, req: IncomingMessage, body: Buffer): Promise<string | undefined> {
  const text = (req.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("latin1");
  const wanted = [...text.matchAll(/want ([0-9a-f]{40})/g)].map((found) => found[1] as string);
  if (wanted.length === 0) return undefined;
  const tips = (await promisify(execFile)("git", ["show-ref", "--dereference"], { cwd: repository, env: GIT_ENV })).stdout;
  return wanted.find((commit) => !tips.includes(commit));
}

/** A repository with this file offers tips over the old protocol only (in version 2 git hands out any object it has). */
const TIPS_ONLY = ".git/tips-only";

const GIT_ENV: Record<string, string> = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C" };

/** What a commit makes of one path: text (mode 0644), an executable file, a symlink, or nothing any more. */
export type UpstreamFile = string | Uint8Array | { readonly executable: string } | { readonly symlinkTo: string } | null;

export interface Upstream {
  /** The work tree, with `.git` inside; commits happen here and are served at once. */
  readonly dir: string;
  /** The clone url below a server's url. */
  url(base: string): string;
  /** Writes, replaces or deletes files on the current branch, commits, and returns the commit. */
  commitFiles(files: Readonly<Record<string, UpstreamFile>>, message: string): Promise<string>;
  /** Makes or moves a tag (at HEAD unless `at` is given) and returns the commit it stands for. */
  tag(name: string, options?: { readonly annotated?: boolean; readonly at?: string }): Promise<string>;
  /** Switches to a branch for the next commits; makes it at HEAD (or `at`) when it is new. */
  branch(name: string, options?: { readonly at?: string }): Promise<void>;
  /** Moves the current branch to another commit, as a forced push does. */
  reset(commit: string): Promise<void>;
  /** Any other git command in the work tree; returns its trimmed output. */
  git(...args: string[]): Promise<string>;
}

/**
 * Makes an empty upstream on branch `main`, served as `<name>.git`. Author and times are fixed: the same steps give the same commits.
 * With `tipsOnly` the server refuses commits that are no tip of a branch or tag, else it hands out any.
 */
export async function createUpstream(rootDir: string, name: string, options: { readonly tipsOnly?: boolean } = {}): Promise<Upstream> {
  const dir = join(rootDir, `${name}.git`);
  await mkdir(dir, { recursive: true });
  let seconds = 1_700_000_000;
  const git = async (...args: string[]) => {
    const who = { NAME: "Upstream", EMAIL: "upstream@example.com", DATE: `${seconds} +0000` };
    const env = Object.fromEntries(Object.entries(who).flatMap(([key, value]) => [[`GIT_AUTHOR_${key}`, value], [`GIT_COMMITTER_${key}`, value]]));
    return (await promisify(execFile)("git", args, { cwd: dir, env: { ...GIT_ENV, ...env } })).stdout.trim();
  };
  await git("init", "--quiet", "--template=", "--initial-branch=main", ".");
  await git("config", "uploadpack.allowAnySHA1InWant", String(options.tipsOnly !== true));
  if (options.tipsOnly === true) await writeFile(join(dir, TIPS_ONLY), "");
  return {
    dir,
    url: (base) => `${base}/${name}.git`,
    git,
    async commitFiles(files, message) {
      for (const [path, file] of Object.entries(files)) await put(join(dir, path), file);
      seconds += 1;
      await git("add", "--all");
      await git("commit", "--quiet", "--allow-empty", `--message=${message}`);
      return git("rev-parse", "HEAD");
    },
    async tag(tag, { annotated = false, at = "HEAD" } = {}) {
      await git("tag", "--force", ...(annotated ? ["--annotate", `--message=${tag}`] : []), tag, at);
      return git("rev-parse", `${tag}^{commit}`);
    },
    async branch(branch, { at = "HEAD" } = {}) {
      const known = await git("branch", "--list", branch);
      await (known === "" ? git("checkout", "--quiet", "-b", branch, at) : git("checkout", "--quiet", branch));
    },
    async reset(commit) {
      await git("reset", "--quiet", "--hard", commit);
    },
  };
}

async function put(path: string, file: UpstreamFile): Promise<void> {
  await rm(path, { recursive: true, force: true });
  if (file === null) return;
  await mkdir(dirname(path), { recursive: true });
  if (typeof file === "string" || file instanceof Uint8Array) return writeFile(path, file);
  if ("symlinkTo" in file) return symlink(file.symlinkTo, path);
  await writeFile(path, file.executable);
  await chmod(path, 0o755);
}
