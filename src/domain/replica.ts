/** Names of processes that run several times: `replicas: 3` of web are web-0, web-1 and web-2 (with ten and more web-00, web-01 …). */

/** Whether a process may be a replica of another by its name; a process of its own may be called so, too. */
export function isReplicaName(process: string, name: string): boolean {
  return process.startsWith(`${name}-`) && /^\d+$/.test(process.slice(name.length + 1));
}
