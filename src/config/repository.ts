/** Clone URLs: which ones may be used, and which `owner/name` a signed webhook would call them. */

/** The transports git may be given; `ext::` and the like would run programs. */
const URL_FORM = /^(?:https?|ssh|git|file):\/\/\S+$/;
const SCP_FORM = /^[\w.-]+@[\w.-]+:(?!\/\/)\S+$/;
const OWNER_NAME = /^[a-z0-9_.-]+\/[a-z0-9_.-]+$/;

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
  return OWNER_NAME.test(name) ? name : null;
}
