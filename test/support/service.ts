/** The source of a small real program: what the upstream repositories of tests and of the demo hold, and what Go builds from them. */

/** How a release behaves once it is built and started. */
export type Behaviour =
  /** Healthy at once; ends within 100 ms of SIGTERM. */
  | "good"
  /** Ends with exit code 1 right after its start. */
  | "crash"
  /** Runs and answers, but `/healthz` says 500 for ever. */
  | "never-ready"
  /** Healthy for `DIES_AFTER_MS`, then ends with exit code 1. */
  | "dies"
  /** Takes `SLOW_TERM_MS` to end after SIGTERM. */
  | "slow-term"
  /** Does not compile. */
  | "broken-build"
  /** Compiles and runs well, but its own test fails. */
  | "broken-test";

export interface ServiceSource {
  readonly name: string;
  readonly version: string;
  readonly behaviour?: Behaviour;
}

/** How long a release that `dies` stays healthy, in ms: longer than a probe period of 1 s, shorter than that and a soak of 2 s. */
export const DIES_AFTER_MS = 1_500;
/** How long a `slow-term` release takes to end, in ms. */
export const SLOW_TERM_MS = 1_500;

/** What `GET /version` of the program answers. */
export interface ServiceAnswer {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
}

/** The files of one release by path: a Go program of the standard library alone, with one test. It listens on 127.0.0.1 at `-port` or `PORT`. */
export function serviceFiles({ name, version, behaviour = "good" }: ServiceSource): Record<string, string> {
  return {
    "go.mod": `module example.com/${name}\n\ngo 1.22\n`,
    "main.go": mainGo(name, version, behaviour),
    "main_test.go": testGo(version, behaviour),
    "README.md": `# ${name}\n\nRelease ${version}.\n`,
  };
}

function testGo(version: string, behaviour: Behaviour): string {
  const wanted = behaviour === "broken-test" ? `${version}-not` : version;
  return `package main

import "testing"

func TestVersion(t *testing.T) {
	if version != "${wanted}" {
		t.Fatalf("version is %s, expected ${wanted}", version)
	}
}
`;
}

function mainGo(name: string, version: string, behaviour: Behaviour): string {
  return `// Command ${name} is a small HTTP program.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	name      = "${name}"
	version   = "${version}"
	behaviour = "${behaviour}"
)

func main() {
	port := flag.String("port", os.Getenv("PORT"), "port on 127.0.0.1")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix(name + " " + version + ": ")
	if behaviour == "crash" {
		log.Fatal("cannot load the catalogue: unexpected end of file")
	}
	http.HandleFunc("GET /healthz", health)
	http.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\\"name\\":%q,\\"version\\":%q,\\"pid\\":%d}\\n", name, version, os.Getpid())
	})
	go endOnSignal()
	if behaviour == "dies" {
		time.AfterFunc(${DIES_AFTER_MS}*time.Millisecond, func() { log.Fatal("lost the connection to its store") })
	}
	log.Printf("listening on 127.0.0.1:%s with pid %d", *port, os.Getpid())
	log.Fatal(http.ListenAndServe("127.0.0.1:"+*port, nil))${behaviour === "broken-build" ? "\n\tthis does not compile" : ""}
}

func health(w http.ResponseWriter, _ *http.Request) {
	if behaviour == "never-ready" {
		http.Error(w, "the catalogue is not loaded", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "ok")
}

func endOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	log.Printf("ending on %s", <-signals)
	if behaviour == "slow-term" {
		time.Sleep(${SLOW_TERM_MS} * time.Millisecond)
	}
	os.Exit(0)
}
`;
}
