/** Clone URLs: which ones may be used, and which `owner/name` a signed webhook would call them. */

/** The transports git may be given; `ext::` and the like would run programs. */
const URL_FORM = /^(?:https?|ssh|git|file):\/\/\S+$/;
const SCP_FORM = /^[\w.-]+@[\w.-]+:(?!\/\/)\S+$/;
const OWNER_NAME = /^[a-z0-9_.-]+\/[a-z0-9_.-]+$/;
/** The last is where ssh goes when port 22 is closed (docs.github.com, "Using SSH over the HTTPS port"). */
const GITHUB_HOSTS = ["github.com", "www.github.com", "ssh.github.com"];

/** What is wrong with a clone URL, or null. The answer never repeats the URL, which may hold a password. */
export function upstreamProblem(url: string): string | null {
  if (SCP_FORM.test(url) || /^\/\S/.test(url)) return null;
  if (!URL_FORM.test(url) || !URL.canParse(url)) return "is no clone URL, expected https://, ssh://, git@host:owner/name, file:// or an absolute path";
  const { username, password, protocol } = new URL(url);
  if (password !== "" || (username !== "" && protocol.startsWith("http"))) return "holds a login, expected none; give it to git through a credential helper";
  return null;
}

/** `owner/name` in lower case from a clone URL, a path or `owner/name` itself; null when it has none. */
export function repositoryName(url: string): string | null {
  const path = URL_FORM.test(url) && URL.canParse(url) ? new URL(url).pathname : SCP_FORM.test(url) ? url.slice(url.indexOf(":") + 1) : url;
  const segments = path.split("/").filter((s) => s !== "");
  const name = segments.slice(-2).join("/").replace(/\.git$/, "").toLowerCase();
  return isName(name) ? name : null;
}

/** `owner/name` in lower case where somebody said which repository has the releases: `owner/name` itself, or a clone URL on github.com; else null. */
export function releaseRepository(given: string): string | null {
  if (!URL_FORM.test(given) && !SCP_FORM.test(given)) return isName(given.toLowerCase()) ? given.toLowerCase() : null;
  if (!isOnGitHub(given) || upstreamProblem(given) !== null) return null;
  const path = SCP_FORM.test(given) ? given.slice(given.indexOf(":") + 1) : new URL(given).pathname;
  return path.split("/").filter((s) => s !== "").length === 2 ? repositoryName(given) : null;
}

/** The host of a clone URL in lower case, without a port; undefined where it names none. */
export function hostOf(url: string): string | undefined {
  const host = SCP_FORM.test(url) ? url.slice(url.indexOf("@") + 1, url.indexOf(":")) : URL_FORM.test(url) && URL.canParse(url) ? new URL(url).hostname : "";
  return host === "" ? undefined : host.toLowerCase();
}

/** Whether a clone URL leads to github.com, by whichever of its names. */
export function isOnGitHub(url: string): boolean {
  return GITHUB_HOSTS.includes(hostOf(url) ?? "");
}

/** Two segments, none of which would climb in a path. */
function isName(text: string): boolean {
  return OWNER_NAME.test(text) && !text.split("/").some((part) => /^\.+$/.test(part));
}
