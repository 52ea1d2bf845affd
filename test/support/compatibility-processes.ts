/** What slipstream does with every kind of process, on the oldest and the newest Process Compose, and the tests that prove it: docs/compatibility.md says the same. */

export interface ProcessKind {
  readonly kind: string;
  /** On Process Compose v1.85.0. */
  readonly oldest: string;
  /** On Process Compose v1.122.0. */
  readonly newest: string;
  readonly behaviour: string;
  /** Names of tests; those of test/contract run on both versions. */
  readonly test: readonly string[];
}

const BOTH = { oldest: "updated", newest: "updated" } as const;
const SWAPPED = { oldest: "swapped, not started", newest: "swapped, not started" } as const;
const REFUSED = { oldest: "refused, with the mend", newest: "refused, with the mend" } as const;

export const PROCESS_KINDS: readonly ProcessKind[] = [
  { kind: "on a unix socket, without a token", ...BOTH, behaviour: "stopped, waited for until it is gone, started; healthy, and the running digest proved", test: ["replaces the process and leaves its neighbours' pids as they were"] },
  { kind: "on a TCP port", ...BOTH, behaviour: "as on a unix socket", test: ["works over TCP as over a unix socket"] },
  { kind: "with an API token", oldest: "updated, no token is asked for", newest: "updated", behaviour: "asked for from 1.94 on; the token is sent and never shown", test: ["needs the right token where one is set, and never shows it"] },
  { kind: "Ready shown by an instance that is gone", ...BOTH, behaviour: "such a Ready is not believed", test: ["is not given to a Ready that an earlier instance left behind"] },
  { kind: "without `shutdown.timeout_seconds`, slow to end", ...BOTH, behaviour: "old and new never run at once; one that does not end at all stops the update", test: ["never runs old and new at once when nothing bounds the stop", "says stop-timed-out about a program that does not end, and leaves it running"] },
  { kind: "a wrapper that ends before its child", ...BOTH, behaviour: "the whole group is waited for", test: ["waits for the whole group when a wrapper ends before its child"] },
  { kind: "started by `task x:run`", ...BOTH, behaviour: "the pid is Task's; the digest is proved by the program below it", test: ["a process started by a task is proved by the program below Task"] },
  { kind: "with dependencies (`depends_on`)", ...BOTH, behaviour: "reloaded only while they are met, so that Process Compose never skips it", test: ["that come back in time let the reload go on, and the dependant is never skipped", "that are not Ready stop a reload before the process is touched"] },
  { kind: "`exit_on_skipped`", ...BOTH, behaviour: "its dependencies are waited for; `doctor` warns", test: ["exit_on_skipped does not end the project: the dependency is waited for"] },
  { kind: "`exit_on_end`, `restart: exit_on_failure`", oldest: "refused, with the mend", newest: "updated", behaviour: "from 1.122 on by Process Compose's own restart, which needs `shutdown.timeout_seconds`; before that a reload would end the project", test: ["is restarted or refused, and the project lives (exit_on_end)", "is restarted or refused, and the project lives (exit_on_failure)", "one whose end would end the project is restarted only where Process Compose guards that, 1.122.0 on", "is refused when it has no shutdown timeout, before anything is touched"] },
  { kind: "the only running process", oldest: "refused, with the mend", newest: "updated", behaviour: "from 1.100 on", test: ["is restarted or refused when it is the only one running, and the project lives", "the only running process is restarted from 1.100.0 on"] },
  { kind: "`replicas`", ...BOTH, behaviour: "one after the other, each healthy before the next; all with the running digest proved", test: ["replicas are reloaded one after the other, and all run the new program; a process that is only called like one is left alone"] },
  { kind: "`replicas`, and one fails", oldest: "rolled back", newest: "rolled back", behaviour: "all that were touched are taken back, the failed one first; never all are down", test: ["replicas are all taken back when one of them fails, never all down at once", "of replicas the one that is down is taken back first, where one dies after its turn", "by a failure is taken back in a replica too that had taken up the new program by itself"] },
  { kind: "`replicas`, one stopped by a person", ...BOTH, behaviour: "that one stays stopped", test: ["a replica that a person stopped stays stopped"] },
  { kind: "`disabled`, or stopped by a person", ...SWAPPED, behaviour: "its next start takes the new program", test: ["a process that is Disabled gets its new program and is not started", "does not start a process that a person has disabled or stopped"] },
  { kind: "`is_foreground`", ...SWAPPED, behaviour: "its next start takes the new program", test: ["a process that is Foreground gets its new program and is not started"] },
  { kind: "`schedule`", oldest: "no schedules there", newest: "swapped, not started", behaviour: "its next run takes the new program", test: ["a process on a schedule gets its new program for the next run, and where Process Compose knows no schedule it is reloaded like any other"] },
  { kind: "`is_daemon`", ...REFUSED, behaviour: "before anything is touched; `doctor` finds it", test: ["a daemon is refused before anything is touched, with the mend"] },
  { kind: "in another namespace", ...BOTH, behaviour: "as in the default one; several namespaces to a process from 1.122 on", test: ["a process of another namespace is reloaded like one of the default", "is read with several namespaces to a process, and its watch on the program is noted in the plan"] },
  { kind: "a name that needs escaping", ...BOTH, behaviour: "escaped", test: ["a name that needs escaping in a URL is no obstacle"] },
  { kind: "a name with a slash", oldest: "refused, with the mend", newest: "updated", behaviour: "Process Compose before 1.122 does not find it by its API", test: ["a name with a slash is reloaded where Process Compose finds it (1.122), and else refused before anything is touched, with the mend"] },
  { kind: "in a crash loop", ...BOTH, behaviour: "stopped and started; the repaired program is found healthy", test: ["reloads a process that is in a crash loop, and finds the repaired one healthy"] },
  { kind: "unknown to Process Compose", ...REFUSED, behaviour: "before anything is touched, with the names there are", test: ["a process that Process Compose does not know is refused before anything is touched"] },
  { kind: "watched by Process Compose itself (`watch`)", oldest: "no watch there", newest: "updated, with a warning", behaviour: "warned about at the start, in `doctor` with its line, and in the run", test: ["is read with several namespaces to a process, and its watch on the program is noted in the plan", "on the program itself is warned about at the start", "a process file that would disturb updates, with its lines"] },
  { kind: "an answer 400 of Process Compose", ...BOTH, behaviour: "the state counts, not the answer", test: ["answers 400 to a start while it runs, to a stop when it is stopped, and now and then to a stop that worked: the state is what counts"] },
  { kind: "the whole project is restarted in the middle", ...BOTH, behaviour: "the reload and the health check go on when Process Compose is back; 15 s may pass without an answer", test: ["by a restart of the whole project goes on when Process Compose is back, in the reload as in the health check"] },
  { kind: "slipstream is killed in the middle", ...BOTH, behaviour: "goes on at the replica it was at; those before it are left alone", test: ["by a crash between the stop and the start of a replica goes on with that one, and leaves those before it alone"] },
  { kind: "slipstream is stopped between two replicas", ...BOTH, behaviour: "the others follow at its next start", test: ["by a stop of the daemon is left between two replicas, and goes on at the next start"] },
  { kind: "a program that hides its file (`health.proof: off`)", ...BOTH, behaviour: "Ready and the soak time count, without the digest proof", test: ["a program that hides its file is taken without the proof where health.proof is off"] },
  { kind: "to be left alone by the run (`--no-reload`)", ...SWAPPED, behaviour: "keeps running; Process Compose is not asked", test: ["a process that the run is to leave alone keeps running, and Process Compose is not asked"] },
];
