/** D13 and D14 in the process-compose file: processes that are stopped without a limit, and probes through Task. */

import { isMap, type YAMLMap } from "yaml";
import { addPair } from "./edits.ts";
import { type Detector, type Edit, type Model, offsetOf, type ProcessFileView, type ProcessView, scriptOf, type Sighting } from "./model.ts";
import { nestedTasks } from "./shell.ts";

/** What Process Compose's own page on shutdown promises as the default, and its code does not keep (src/app/process.go, stopProcess). */
const STOP_SECONDS = 10;
/** A probe through Task parses every Taskfile first; Process Compose gives it 1 s unless told otherwise (src/health/probe.go). */
const PROBE_SECONDS = 5;
const LEAST_PROBE_SECONDS = 3;

type Values = Readonly<Record<string, unknown>>;

/** Processes that run a program of the workspace for as long as they are let. */
function services(model: Model): readonly { readonly file: ProcessFileView; readonly process: ProcessView; readonly include?: string }[] {
  const file = model.processFile;
  if (file === undefined) return [];
  return file.processes.flatMap((process) => {
    const include = includeOf(model, process);
    const runs = include !== undefined || /(?:^|[\s/"'=])\.bin\/[\w.-]/.test(process.command);
    return runs && process.value.is_foreground !== true ? [{ file, process, ...(include === undefined ? {} : { include }) }] : [];
  });
}

function includeOf(model: Model, process: ProcessView): string | undefined {
  const names = nestedTasks(process.command);
  return model.taskfiles.find((f) => f.include !== undefined && f.prefix !== "" && names.includes(`${f.prefix}run`))?.include;
}

export const unlimitedStop: Detector = (model) =>
  services(model).flatMap(({ file, process, include }) => {
    const shutdown = process.value.shutdown as Values | undefined | null;
    if (shutdown?.timeout_seconds !== undefined || shutdown?.command !== undefined || shutdown?.send_keys !== undefined) return [];
    return [
      sighting("D13", { file, process, ...(include === undefined ? {} : { include }) }, offsetOf(process.key), {
        message: `process ${process.name} has no shutdown.timeout_seconds: Process Compose does not wait until it is gone, so the new one starts beside the old one`,
        mend: `give it time to stop: ${STOP_SECONDS} s, after which it is killed`,
        edits: stopEdit(file, process, shutdown),
      }),
    ];
  });

function stopEdit(file: ProcessFileView, { map }: ProcessView, shutdown: Values | undefined | null): readonly Edit[] {
  if (map === undefined) return [];
  const node = map.get("shutdown", true);
  if (shutdown != null && !isMap(node)) return [];
  const edit = isMap(node) ? addPair(file.text, node, "timeout_seconds", { flow: `${STOP_SECONDS}`, block: `${STOP_SECONDS}` }) : map.has("shutdown") ? undefined : addPair(file.text, map, "shutdown", { flow: `{ timeout_seconds: ${STOP_SECONDS} }`, block: [`timeout_seconds: ${STOP_SECONDS}`] });
  return edit === undefined ? [] : [edit];
}

export const fragileProbe: Detector = (model) => [...services(model).flatMap((s) => probesOf(s.process).flatMap(({ key, probe, map }) => throughTask(model, s, key, { probe, map }))), ...satisfiedByAnyone(model)];

interface Probe {
  readonly key: string;
  readonly probe: Values;
  readonly map: YAMLMap | undefined;
}

function probesOf(process: ProcessView): readonly Probe[] {
  return ["readiness_probe", "liveness_probe"].flatMap((key) => {
    const probe = process.value[key];
    const node = process.map?.get(key, true);
    return typeof probe === "object" && probe !== null ? [{ key, probe: probe as Values, map: isMap(node) ? node : undefined }] : [];
  });
}

function probedTask({ probe }: Pick<Probe, "probe">): string | undefined {
  const command = (probe.exec as Values | undefined)?.command;
  return typeof command === "string" ? nestedTasks(command)[0] : undefined;
}

function throughTask(model: Model, service: { file: ProcessFileView; process: ProcessView; include?: string }, key: string, { probe, map }: Omit<Probe, "key">): readonly Sighting[] {
  const task = probedTask({ probe });
  if (task === undefined) return [];
  const { file, process } = service;
  const seconds = probe.timeout_seconds;
  const at = map === undefined ? offsetOf(process.key) : offsetOf(map.get("exec", true) as { range?: readonly number[] } | undefined);
  const found: Sighting[] = [];
  if (seconds === undefined) {
    const edit = map === undefined ? undefined : addPair(file.text, map, "timeout_seconds", { flow: `${PROBE_SECONDS}`, block: `${PROBE_SECONDS}` });
    found.push(sighting("D14", service, at, { message: `${key} of ${process.name} runs Task and has 1 s for it (the default), expected at least ${LEAST_PROBE_SECONDS}: while something is built it fails, and Process Compose ends a healthy service`, mend: `give it ${PROBE_SECONDS} s`, edits: edit === undefined ? [] : [edit] }));
  }
  const http = httpOf(model, task);
  const exec = map?.get("exec", true);
  const direct = http !== undefined && isMap(exec) && map !== undefined ? httpEdit(file, map, http) : undefined;
  found.push(sighting("D14", service, at, { message: `${key} of ${process.name} goes through Task (${task}), which reads every Taskfile each time`, mend: "let Process Compose ask by itself: http_get", edits: direct === undefined ? [] : [direct], unsafe: "http_get wants status 200, and the address is read out of the task: look whether it is the right one" }));
  return found;
}

interface Http {
  readonly host: string;
  readonly port: string;
  readonly path: string;
}

/** The address a health task asks with curl, where that is all it does. */
function httpOf(model: Model, name: string): Http | undefined {
  const file = model.taskfiles.find((f) => f.tasks.some((t) => t.full === name));
  const [shell, ...more] = file?.tasks.find((t) => t.full === name)?.shells ?? [];
  if (file === undefined || shell === undefined || more.length > 0) return undefined;
  const value = file.scope.evaluate(shell.text.trim());
  const m = value.known ? /^curl(?: -{1,2}[\w-]+(?: \d+)?)* ["']?http:\/\/(localhost|[\d.]+):(\d+)(\/[\w./-]*)?["']?(?: *> *\/dev\/null)?$/.exec(value.text) : null;
  return m === null ? undefined : { host: m[1] === "localhost" ? "127.0.0.1" : (m[1] as string), port: m[2] as string, path: m[3] ?? "/" };
}

function httpEdit({ text }: ProcessFileView, probe: YAMLMap, { host, port, path }: Http): Edit | undefined {
  const pair = probe.items.find((p) => (p.key as { value?: unknown }).value === "exec");
  const start = (pair?.key as { range?: readonly number[] } | undefined)?.range?.[0];
  const end = (pair?.value as { range?: readonly number[] } | undefined)?.range?.[1];
  if (start === undefined || end === undefined) return undefined;
  const shown = text.slice(start, end).trimEnd();
  const value = probe.flow === true && text[start] === '"' ? `"http_get": {"host": "${host}", "port": ${port}, "path": "${path}"}` : `http_get: { host: ${host}, port: ${port}, path: ${path} }`;
  return { start, end: start + shown.length, text: value };
}

/** Health tasks of services that ask no program: the old one, and a new one that does not work, satisfy them as well. */
function satisfiedByAnyone(model: Model): readonly Sighting[] {
  const probed = new Set(services(model).flatMap((s) => probesOf(s.process).flatMap((p) => probedTask(p) ?? [])));
  return model.taskfiles.flatMap((file) =>
    file.tasks.flatMap((task): Sighting[] => {
      const m = probed.has(task.full) ? /^\s*(pgrep|nc|pidof)\b/.exec(scriptOf(task)) : null;
      const [shell, ...more] = task.shells;
      if (m === null || shell === undefined || more.length > 0 || /\bcurl\b/.test(shell.text)) return [];
      return [{ id: "D14", path: file.path, text: file.text, at: shell.start, ...(file.include === undefined ? {} : { subsystem: file.include }), message: `${task.full} only asks ${m[1] === "nc" ? "whether the port is open" : "whether a process of that name is there"}: the old program satisfies it, and so does a new one that does not work`, mend: "ask the program itself, by an address that answers only when it works; slipstream also compares pid and digest" }];
    }),
  );
}

function sighting(id: "D13" | "D14", { file, process, include }: { file: ProcessFileView; process: ProcessView; include?: string }, at: number, { edits = [], unsafe, ...more }: Pick<Sighting, "message" | "mend" | "edits" | "unsafe">): Sighting {
  const how = edits.length === 0 ? {} : { edits, ...(unsafe === undefined ? {} : { unsafe }) };
  return { id, path: file.path, text: file.text, at, within: ["processes", process.name], ...(include === undefined ? {} : { subsystem: include }), ...more, ...how };
}
