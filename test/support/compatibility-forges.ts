/** What works with which forge, how that was tried out, and the tests: docs/compatibility.md shows it. */

/** Recorded shapes are requests and answers as the forge documents them, from servers of our own: nothing came from the forge itself. */
export type ForgeTried = "live with real git; not at the forge itself" | "against recorded shapes; untested live" | "not supported";

export interface ForgePart {
  readonly forge: string;
  readonly part: "webhooks" | "releases API" | "digest" | "source mode";
  readonly behaviour: string;
  readonly tried: ForgeTried;
  readonly test: readonly string[];
}

const RECORDED = "against recorded shapes; untested live";
/** Cloning speaks git, whichever forge it is: a real git server over HTTP, and folders. */
const GIT = { part: "source mode", behaviour: "cloned by git, https or ssh; the exact commit is checked out", tried: "live with real git; not at the forge itself", test: ["checks out exactly the commit asked for"] } as const;
/** A test of test/contract/forge.test.ts runs for each style of server: github, old-ghes, gitea. */
const API = ["are read with ids beyond 2^53 exact, by list, by id and by tag alike", "are fetched from the other host, which never sees the token"] as const;

export const FORGES: readonly ForgePart[] = [
  { forge: "github.com", part: "webhooks", behaviour: "`push`, `create`, `release`, `ping`; JSON or form; `X-Hub-Signature-256`", tried: RECORDED, test: ["accepts GitHub's official test vector and names the key that matched", "a tag push, its create and its release lead to one run that restarts exactly that program"] },
  { forge: "github.com", part: "releases API", behaviour: "lists, single releases, conditional requests, rate limits, private assets", tried: RECORDED, test: [...API, "that answer 403 hold all questions until the reset, without another request"] },
  { forge: "github.com", part: "digest", behaviour: "the asset's own `digest`, else a checksum file", tried: RECORDED, test: ["state a digest only where it is one, and an upload under way as such", "without the forge's digest the checksum file decides, and nothing to check against is not installed"] },
  { forge: "github.com", ...GIT },
  { forge: "GitHub Enterprise Server", part: "webhooks", behaviour: "as github.com; its further headers change nothing", tried: RECORDED, test: ["GitHub Enterprise Server and GHE.com are GitHub: what they add to its headers changes nothing"] },
  { forge: "GitHub Enterprise Server", part: "releases API", behaviour: "`https://HOST/api/v3`; older servers without digests and conditional answers too", tried: RECORDED, test: [...API, "says where its API is"] },
  { forge: "GitHub Enterprise Server", part: "digest", behaviour: "where the server states one, else a checksum file", tried: RECORDED, test: ["a release that states no digest waits until a checksum file does; trust: none installs without"] },
  { forge: "GitHub Enterprise Server", ...GIT },
  { forge: "GHE.com", part: "webhooks", behaviour: "as github.com", tried: RECORDED, test: ["GitHub Enterprise Server and GHE.com are GitHub: what they add to its headers changes nothing"] },
  { forge: "GHE.com", part: "releases API", behaviour: "`https://api.NAME.ghe.com`", tried: RECORDED, test: ["says where its API is"] },
  { forge: "GHE.com", part: "digest", behaviour: "as github.com", tried: RECORDED, test: ["state a digest only where it is one, and an upload under way as such"] },
  { forge: "GHE.com", ...GIT },
  { forge: "Gitea", part: "webhooks", behaviour: "`push`, `create`, `release`; indented JSON, `X-Gitea-Signature`; forms are refused with words", tried: RECORDED, test: ["is over the indented bytes as they came: the same JSON in one line does not fit", "as a form is refused in words that say what to choose, before its body counts"] },
  { forge: "Gitea", part: "releases API", behaviour: "`https://HOST/api/v1`, 50 releases", tried: RECORDED, test: [...API, "the newest is downloaded from the forge that has it, another style of forge or not"] },
  { forge: "Gitea", part: "digest", behaviour: "states none: a checksum file is needed, or `release.trust: none`", tried: RECORDED, test: ["an asset that nothing states a digest for is not installed: Gitea states none itself"] },
  { forge: "Gitea", ...GIT, test: ["checks out exactly the commit asked for", "a tag pushed to Gitea builds the subsystem that is bound to Gitea, and not the one of the same repository's name on GitHub"] },
  { forge: "Forgejo", part: "webhooks", behaviour: "as Gitea, with `X-Forgejo-Signature`; where both are there both have to hold", tried: RECORDED, test: ["is taken from x-forgejo-signature as bare hex, under the key that matched", "has to hold twice where both headers are there"] },
  { forge: "Forgejo", part: "releases API", behaviour: "as Gitea; an external asset only from hosts in `release.asset_hosts`", tried: RECORDED, test: ["a release announced by Forgejo is downloaded with the forge's own token, checked by its SHA256SUMS and installed", "an external asset, which may name any address, is not fetched from a host nobody allowed"] },
  { forge: "Forgejo", part: "digest", behaviour: "as Gitea", tried: RECORDED, test: ["a release announced by Forgejo is downloaded with the forge's own token, checked by its SHA256SUMS and installed"] },
  { forge: "Forgejo", ...GIT },
  { forge: "Gogs", part: "webhooks", behaviour: "refused with `sender-not-supported`", tried: "not supported", test: ["of Gogs alone is refused in words that say what to choose"] },
  { forge: "Gogs", part: "releases API", behaviour: "has none", tried: "not supported", test: [] },
  { forge: "Gogs", part: "digest", behaviour: "none", tried: "not supported", test: [] },
  { forge: "Gogs", ...GIT, behaviour: "cloned by git; `slipstream update`, no webhook" },
];
