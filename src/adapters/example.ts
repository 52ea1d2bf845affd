/** Makes the files and git repositories of an example workspace; needs no git on the machine. */

import fs from "node:fs";
import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";

interface TextFile {
  readonly path: string;
  readonly text: string;
}
interface Repository {
  readonly path: string;
  readonly commits: readonly { readonly tag: string; readonly files: readonly TextFile[] }[];
}

const AUTHOR = { name: "Example", email: "example@localhost" };
/** isomorphic-git takes seconds. */
const MS = 1000;

/** Writes everything, files last; what was begun is removed again when something fails. Nothing that is there is overwritten. @throws what the file system says, `EEXIST` where something is there */
export async function writeExample(dir: string, plan: { readonly files: readonly TextFile[]; readonly repositories: readonly Repository[] }, now: number): Promise<void> {
  const undo: (() => Promise<unknown>)[] = [];
  const folder = async (path: string) => {
    if ((await mkdir(path, { recursive: true })) !== undefined) undo.push(() => removeIfEmpty(path));
  };
  const place = async (path: string) => {
    await folder(dirname(join(dir, path)));
    return join(dir, path);
  };
  try {
    await folder(dir);
    for (const repository of plan.repositories) {
      const path = await place(repository.path);
      await mkdir(path);
      undo.push(() => rm(path, { recursive: true, force: true }));
      await createRepository(path, repository, now);
    }
    for (const file of plan.files) {
      const path = await place(file.path);
      await writeFile(path, file.text, { flag: "wx" });
      undo.push(() => rm(path, { force: true }));
    }
  } catch (error) {
    for (const step of undo.toReversed()) await step();
    throw error;
  }
}

/** Somebody else may have put something into it meanwhile. */
async function removeIfEmpty(path: string): Promise<void> {
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "ENOENT") throw error;
  });
}

async function createRepository(dir: string, { commits }: Repository, now: number): Promise<void> {
  // Loaded only here: it takes longer to load than most verbs take to run.
  const git = await import("isomorphic-git");
  const repository = { fs, dir };
  await git.init({ ...repository, defaultBranch: "main" });
  for (const { tag, files } of commits) {
    for (const file of files) {
      await writeFile(join(dir, file.path), file.text);
      await git.add({ ...repository, filepath: file.path });
    }
    const author = { ...AUTHOR, timestamp: Math.floor(now / MS), timezoneOffset: 0 };
    await git.commit({ ...repository, message: tag, author });
    await git.tag({ ...repository, ref: tag });
  }
}

/** Those of some ports on 127.0.0.1 that something else listens on. */
export async function busyPorts(ports: readonly number[]): Promise<number[]> {
  const busy = await Promise.all(ports.map(isBusy));
  return ports.filter((_, i) => busy[i]);
}

function isBusy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(true));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(false)));
  });
}
