/** Logging: static message, data in fields, one wide line per outcome. Synchronous, so that the last line survives a crash. */

import { type DestinationStream, type Logger, pino } from "pino";
import pretty from "pino-pretty";
import type { Mask } from "./secret.ts";

export type Log = Logger;

const REDACTED = ["secret", "token", "*.secret", "*.token", "*.authorization", "req.headers.authorization", 'req.headers["x-hub-signature-256"]'];

/** A logger to stderr, as JSON lines or for the eye. Every line is masked by value as well as redacted by field name. */
export function createLog(options: { level: string; mask: Mask; destination?: DestinationStream; pretty?: boolean }): Log {
  const out = options.destination ?? (options.pretty === true ? pretty({ destination: 2, sync: true, translateTime: "SYS:HH:MM:ss", singleLine: true }) : pino.destination({ fd: 2, sync: true }));
  // What JSON hides from a terminal the pretty form would show it: names and output of others could then drive it.
  const shown = (line: string) => (options.pretty === true ? line.replace(/\\u00[01][0-9a-f]|[\u007f-\u009f]/gi, "\ufffd") : line);
  const masked: DestinationStream = { write: (line: string) => out.write(shown(options.mask(line))) };
  return pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: { paths: REDACTED, censor: "[secret]" } }, masked);
}

/** For tests and for verbs that must stay quiet. */
export function silentLog(): Log {
  return pino({ level: "silent" });
}
