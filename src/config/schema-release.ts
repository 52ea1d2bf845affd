/** Values of release mode in `slipstream.yaml`: where releases are, what an asset is called, how fast it may come. */

import * as z from "zod";
import { closest } from "./closest.ts";
import { releaseRepository } from "./repository.ts";

const NO_REPOSITORY = { error: "expected owner/name or a clone URL on github.com without a login; where another forge has it, give owner/name here and the forge as api beside it" };
export const repository = z.string(NO_REPOSITORY).refine((text) => releaseRepository(text) !== null, NO_REPOSITORY).describe("owner/name");

const NO_API = { error: "expected the address of a forge's API such as https://api.github.com or https://gitea.example/api/v1, with neither login nor query; http only on this machine" };
/** Names of this machine, where http is as good as https. */
export const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const MAX_URL_CHARS = 2_048;

/** Base URL of a forge's REST API; loses the slash at its end. */
export const apiUrl = z
  .string(NO_API)
  .refine(isApiUrl, NO_API)
  .transform((text) => `${new URL(text).origin}${new URL(text).pathname.replace(/\/+$/, "")}`)
  .describe("https, or http on this machine");

function isApiUrl(text: string): boolean {
  if (text.length > MAX_URL_CHARS || /[\s?#\\]/.test(text) || !URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== "" || password !== "" || hostname === "") return false;
  return protocol === "https:" || (protocol === "http:" && LOOPBACK.test(hostname));
}

const NO_HOST = { error: "expected a host such as mirror.example, mirror.example:8443 or *.mirror.example" };
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
/** A star needs two labels behind it, so that nobody allows a whole top level. */
const HOST = new RegExp(`^(?:\\*\\.${LABEL}(?:\\.${LABEL})+|${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:.]+\\])(?::(?<port>\\d{1,5}))?$`, "i");

/** A host that assets may come from; becomes lower case, and loses the port that https has anyway. */
export const assetHost = z.string(NO_HOST).refine(isHost, NO_HOST).transform((text) => text.toLowerCase().replace(/:443$/, ""));

function isHost(text: string): boolean {
  const found = HOST.exec(text);
  const port = Number(found?.groups?.port ?? 1);
  return text.length <= 255 && found !== null && port >= 1 && port <= 65_535;
}

const PLACEHOLDERS = ["name", "binary", "tag", "version", "os", "arch"];
const MAX_NAME_CHARS = 255;

/** The name of an asset, exact but for its placeholders. */
export const assetName = z.string().superRefine((text, context) => {
  const message = assetNameProblem(text);
  if (message !== null) context.addIssue({ code: "custom", message });
});

function assetNameProblem(text: string): string | null {
  const expected = `expected ${PLACEHOLDERS.map((p) => `{${p}}`).join(" ")}`;
  for (const [whole, name = ""] of text.matchAll(/\{([^{}]*)\}/g)) {
    const guess = closest(name, PLACEHOLDERS);
    if (!PLACEHOLDERS.includes(name)) return `${whole} is no placeholder, ${expected}${guess === null ? "" : `; did you mean {${guess}}?`}`;
  }
  if (/[{}]/.test(text.replace(/\{[^{}]*\}/g, ""))) return `has a brace without its partner, ${expected}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return text === "" || text.length > MAX_NAME_CHARS || /[/\\\u0000-\u001f\u007f]/.test(text) ? "expected the name of a file, without a folder" : null;
}

/** As `max_mb` counts them. */
const UNIT_BYTES = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 } as const;
const RATE = /^(?<amount>\d+(?:\.\d+)?)(?<unit>KB|MB|GB)$/;
const NO_RATE = { error: "expected bytes per second, at least 1024, or text such as 500KB, 10MB, 1GB" };

/** Speed of a download; becomes bytes per second. */
export const byteRate = z
  .union([z.number(NO_RATE), z.string(NO_RATE).regex(RATE, NO_RATE)], NO_RATE)
  .transform((value) => Math.round(typeof value === "number" ? value : bytesOf(value)))
  .refine((bytes) => Number.isSafeInteger(bytes) && bytes >= UNIT_BYTES.KB, NO_RATE)
  .meta({ description: "bytes per second, or text such as 500KB, 10MB, 1GB" });

function bytesOf(text: string): number {
  const { amount, unit } = RATE.exec(text)?.groups ?? {};
  return Number(amount) * UNIT_BYTES[unit as keyof typeof UNIT_BYTES];
}
