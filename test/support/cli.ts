/** The command line in memory: an App port made of a few answers, and a terminal that is read back. */

import { Writable } from "node:stream";
import type { Context } from "../../src/cli/context.ts";
import { createPrinter } from "../../src/cli/io.ts";
import type { App, RunView } from "../../src/domain/app.ts";
import type { Delivery } from "../../src/domain/delivery.ts";
import { examination, NOW } from "./examination.ts";
import { subsystem } from "./subsystem.ts";

export interface Terminal {
  readonly out: () => string;
  readonly err: () => string;
  readonly print: Context["print"];
}

/** `live`: stderr is a terminal. */
export function terminal(options: { readonly live?: boolean } = {}): Terminal {
  const text = { out: "", err: "" };
  const stream = (name: "out" | "err", isTTY: boolean) =>
    Object.assign(
      new Writable({
        write: (chunk, _encoding, done) => {
          text[name] += String(chunk);
          done();
        },
      }),
      { isTTY },
    );
  return { out: () => text.out, err: () => text.err, print: createPrinter({ stdout: stream("out", false), stderr: stream("err", options.live ?? false), plain: true }) };
}

/** Methods that are not given must not be called. */
export function fakeApp(answers: Partial<App>): App {
  const unexpected = (name: string) => () => Promise.reject(new Error(`${name} was not expected to be called`));
  const names = ["status", "runs", "run", "logs", "why", "check", "preview", "request", "delivery", "events"] as const;
  return { ...(Object.fromEntries(names.map((name) => [name, unexpected(name)])) as unknown as App), events: async () => [], close: async () => undefined, ...answers };
}

export function fakeContext(shown: Terminal, fields: Partial<Context> = {}): Context {
  const unexpected = (name: string) => () => Promise.reject(new Error(`${name} was not expected to be called`));
  return { print: shown.print, actor: "cli:test", now: () => NOW, open: unexpected("open"), watch: unexpected("watch"), deliver: unexpected("deliver"), subsystems: async () => [subsystem()], examine: async () => examination(), ...fields } as Context;
}

export function delivery(fields: Partial<Delivery> = {}): Delivery {
  return { id: "d1", receiver: "github", externalId: "simulate-1", event: "push", key: "default", bodySha256: "00", change: { kind: "none", reason: "ping" }, state: "done", receivedAt: NOW, attempts: 1, ...fields };
}

export function run(fields: Partial<RunView> = {}): RunView {
  return { id: "r1", kind: "update", subsystem: "api", status: "succeeded", trigger: "delivery", fromVersion: "v1.0.0", toVersion: "v1.1.0", context: {}, recoveries: 0, createdAt: NOW, stages: [], ...fields };
}
