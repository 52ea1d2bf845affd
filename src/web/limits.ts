/** Every cap of the HTTP door in one place; what a stranger can make us hold or wait for ends here. */

export interface Limits {
  readonly headersWithinMs: number;
  readonly requestWithinMs: number;
  readonly checkEveryMs: number;
  readonly headerBytes: number;
  readonly connections: number;
  readonly keepAliveMs: number;
  readonly bodyBytes: number;
  readonly apiBodyBytes: number;
  readonly bufferedBytes: number;
  readonly freeBytes: number;
  readonly bodyWithinMs: number;
  readonly lingerMs: number;
  readonly lingerBytes: number;
  readonly graceMs: number;
  readonly retryAfterSeconds: number;
}

export const LIMITS: Limits = {
  /** A sender that needs longer for its headers is stalling. GitHub gives a whole delivery 10 s (GitHub docs: best practices for using webhooks). */
  headersWithinMs: 5_000,
  /** Headers and body together; above `bodyWithinMs`, so that the kinder answer comes first. */
  requestWithinMs: 30_000,
  /** How often node looks for requests that ran out of time. */
  checkEveryMs: 1_000,
  /** Node's own default (`--max-http-header-size`); GitHub sends about 1 KiB. */
  headerBytes: 16 * 1024,
  /** Open sockets at once; more are dropped. Ours is one of few servers on the machine: half of the usual 1024 file descriptors. */
  connections: 512,
  /** Longer than the 90 s that cloudflared keeps an idle connection and the 60 s of nginx: the side that reuses a connection must be the one that closes it, for GitHub never retries. */
  keepAliveMs: 95_000,
  /** GitHub's payload cap is 25 MB (GitHub docs: webhook events and payloads). */
  bodyBytes: 25 * 1024 * 1024,
  /** Requests of the API are a few fields. */
  apiBodyBytes: 1024 * 1024,
  /** Bodies in memory over all requests: five of the largest at once. */
  bufferedBytes: 128 * 1024 * 1024,
  /** Of each body, what does not count against that: thirty times an ordinary delivery, at most 128 MiB over all connections. */
  freeBytes: 256 * 1024,
  /** GitHub cuts the connection after 10 s (GitHub docs: best practices for using webhooks). */
  bodyWithinMs: 10_000,
  /** How long, and how much, a refused body is still read and thrown away, so that the sender sees the answer and not a reset (RFC 9112 §9.6). */
  lingerMs: 2_000,
  lingerBytes: 32 * 1024 * 1024,
  /** What open requests get at a stop before their connections are cut. */
  graceMs: 5_000,
  /** `Retry-After` of every 503. */
  retryAfterSeconds: 10,
};

/** A shared allowance of bytes. */
export interface Budget {
  /** Takes `bytes` and returns true, or takes nothing and returns false. */
  take(bytes: number): boolean;
  give(bytes: number): void;
  used(): number;
}

export function createBudget(max: number): Budget {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > max) return false;
      used += bytes;
      return true;
    },
    give(bytes) {
      used -= bytes;
    },
    used: () => used,
  };
}
