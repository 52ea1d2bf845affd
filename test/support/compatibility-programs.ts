/** How programs are run and how slipstream proves that the new one runs: what docs/compatibility.md shows and test/integration/running-script.test.ts tries out, one test each. */

export interface ProgramWay {
  /** The command as a process-compose file has it; `x` is the subsystem's folder. */
  readonly how: string;
  /** exe: the running process has the new file mapped. command-line: it names the new file and was started after the swap. none: nothing shows it; needs `health.proof: off`. */
  readonly proof: "exe" | "command-line" | "none";
  /** Name of the test. */
  readonly test: string;
}

export const PROGRAM_WAYS: readonly ProgramWay[] = [
  { how: "./x/.bin/app (a native program)", proof: "exe", test: "a native program is proved by what the kernel has mapped" },
  { how: "./x/.bin/app (a script that begins with #!/usr/bin/env node)", proof: "command-line", test: "a script that names its interpreter is proved" },
  { how: "node ./x/.bin/app.js", proof: "command-line", test: "a file that node is told to run is proved" },
  { how: "python3 -u ./x/.bin/app.py", proof: "command-line", test: "a file behind options of its interpreter is proved" },
  { how: "python3 ./x/.bin/app.pyz", proof: "command-line", test: "a zipapp is proved" },
  { how: "java -Xmx64m -jar ./x/.bin/app.jar", proof: "command-line", test: "a jar behind options is proved (with a stand-in for java)" },
  { how: "java -cp lib/a.jar:x/.bin/app.jar Main", proof: "command-line", test: "a jar in a class path is proved (with a stand-in for java)" },
  { how: "sh ./x/.bin/run.sh", proof: "command-line", test: "a shell script is proved" },
  { how: 'bash -c "exec ./x/.bin/run"', proof: "command-line", test: "a script that a shell hands over to is proved" },
  { how: "task x:run", proof: "command-line", test: "a script that Task runs is proved" },
  { how: "cd x/.bin && node app.js", proof: "command-line", test: "a relative name in another folder is proved" },
  { how: "node ./current.js (a link to x/.bin/app.js)", proof: "command-line", test: "a link to the file is proved" },
  { how: "python3 ./x/.bin/app.py (which goes to another folder)", proof: "command-line", test: "a relative name is proved though the program left the folder" },
  { how: "python3 -m app", proof: "none", test: "a module is not proved" },
  { how: "sh ./x/.bin/run.sh (which ends in: exec another program)", proof: "none", test: "a script that became another program is not proved" },
  { how: ". ./x/.bin/run.sh", proof: "none", test: "a script that a shell reads as its own is not proved" },
  { how: "node ./x/.bin/app.js (which sets process.title)", proof: "none", test: "a node program that rewrites its command line is not proved" },
  { how: "python3 ./x/.bin/app.py (which sets its title)", proof: "none", test: "a python program that rewrites its command line is not proved" },
];
