/** The git server as a program of its own, `node git-server-process.ts ROOT PORT`: it may outlive the program that made the upstreams. */

import { startGitServer } from "./git-server.ts";

const [root = ".", port = "0"] = process.argv.slice(2);
const server = await startGitServer(root, { port: Number(port) });
process.stdout.write(`serving ${root} on ${server.url}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void server.close());
