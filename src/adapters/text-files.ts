/** Text for other programs and for people: added to a file, or written to a new one. */

import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { UsageError } from "../domain/errors.ts";

export async function appendText(path: string, text: string): Promise<void> {
  await appendFile(path, text);
}

/** Writes a file that is not there yet, with its folder. @throws UsageError usage when it is there */
export async function createText(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw new UsageError("usage", `file ${path} is there already, expected none; compare it with what is printed without --out, or remove it first`, { cause: error });
    throw error;
  }
}
