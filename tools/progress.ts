/** Says that something long is going on: a counting line on a terminal, a plain start and end line elsewhere. */

const TICK_MS = 1_000;

export interface Progress {
  /** Ends the line. `failure` is one line on what went wrong. */
  end(failure?: string): void;
}

export type StartProgress = (label: string) => Progress;

/** Progress on a stream, usually stderr so that stdout stays for results. */
export function createProgress(stream: NodeJS.WriteStream): StartProgress {
  return (label) => {
    const started = performance.now();
    const seconds = () => `${Math.round((performance.now() - started) / 1000)} s`;
    const tty = stream.isTTY;
    // One row only: a wrapped line could not be redrawn.
    const draw = () => stream.write(`\r\x1b[2K${label.slice(0, Math.max(20, stream.columns - 12))} … ${seconds()}`);
    if (tty) draw();
    else stream.write(`${label} …\n`);
    const timer = tty ? setInterval(draw, TICK_MS) : undefined;
    return {
      end(failure) {
        clearInterval(timer);
        stream.write(`${tty ? "\r\x1b[2K" : ""}${label}: ${failure === undefined ? "done" : "failed"} after ${seconds()}${failure === undefined ? "" : ` (${failure})`}\n`);
      },
    };
  };
}

export const silent: StartProgress = () => ({ end() {} });
