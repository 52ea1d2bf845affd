/** How far a download is, as text for a terminal. */

/** Rates over less than this would jump about. */
const WINDOW_MS = 3_000;

/** The speed of something that grows, over the last few seconds. */
export interface Meter {
  /** Bytes per second; undefined until something has come between two looks. */
  add(atMs: number, done: number): number | undefined;
}

/** Starts over by itself when the number goes back, as that of a next download does. */
export function createMeter(): Meter {
  let samples: { readonly at: number; readonly done: number }[] = [];
  let moved = false;
  return {
    add(at, done) {
      const before = samples.at(-1)?.done ?? done;
      if (done < before) samples = [];
      moved = done > before || (moved && done === before);
      samples.push({ at, done });
      while (samples.length > 2 && at - (samples[0]?.at ?? at) > WINDOW_MS) samples.shift();
      const [first] = samples;
      return first === undefined || !moved || at <= first.at ? undefined : ((done - first.done) * 1_000) / (at - first.at);
    },
  };
}

/** `[#########-----------] 45 %  20.1 of 44.6 MB  5.2 MB/s`; `total` 0 is an unknown size. `width` is that of the bar, in characters. */
export function progressLine(done: number, total: number, rate: number | undefined, width: number): string {
  const speed = rate === undefined ? "" : `  ${bytes(rate)}/s`;
  if (total <= 0) return `${bytes(done)}${speed}`;
  const part = Math.min(1, Math.max(0, done / total));
  const filled = Math.floor(part * width);
  const [unit, size] = unitOf(total);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${Math.floor(part * 100)} %  ${amount(done, size)} of ${amount(total, size)} ${unit}${speed}`;
}

/** `20.1 MB`: decimal units, as download pages use them. */
export function bytes(n: number): string {
  const [unit, size] = unitOf(n);
  return `${amount(n, size)} ${unit}`;
}

function unitOf(n: number): readonly [string, number] {
  if (n >= 1e9) return ["GB", 1e9];
  if (n >= 1e6) return ["MB", 1e6];
  return n >= 1e3 ? ["kB", 1e3] : ["B", 1];
}

function amount(n: number, size: number): string {
  return size === 1 ? String(Math.round(n)) : (n / size).toFixed(1);
}
