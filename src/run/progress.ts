/** How far the long stages are: kept in memory, for whoever watches. */

import type { Progress } from "../domain/app.ts";

export interface ProgressBoard {
  set(runId: string, progress: Progress): void;
  get(runId: string): Progress | undefined;
  clear(runId: string): void;
}

export function createProgress(): ProgressBoard {
  const board = new Map<string, Progress>();
  return {
    set: (runId, progress) => void board.set(runId, progress),
    get: (runId) => board.get(runId),
    clear: (runId) => void board.delete(runId),
  };
}
