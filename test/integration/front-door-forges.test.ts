/** The front door with receivers for several forges: who is believed, about what, and what is no longer believed once headers or paths are mixed up. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { ForgeKind } from "../../src/domain/subsystem.ts";
import type { Receiver } from "../../src/ingest/receivers/receiver.ts";
import { createReceivers } from "../../src/ingest/receivers/receivers.ts";
import { Secret } from "../../src/kit/secret.ts";
import { match, type UpstreamChange } from "../../src/resolve/match.ts";
import { bothReceivers, type FrontDoor, GITEA_SECRET, openFrontDoor, rawConnection, REPO, SECRET } from "../support/front-door.ts";
import { type GiteaDelivery, giteaBranchPushed, giteaCreated, giteaIssueOpened, giteaReleased, giteaTagPushed, signGitea } from "../support/gitea.ts";
import { type Answer, branchPushed, deliver, type Payload, releasePublished, type Signed, signDelivery, tagPushed } from "../support/github.ts";
import { subsystem } from "../support/subsystem.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);

let door: FrontDoor;
const post = (signed: Signed, path = "/webhook"): Promise<Answer> => deliver(door.url + path, signed);
const fromGitea = (p: Payload, how: Partial<GiteaDelivery> = {}) => signGitea({ secret: GITEA_SECRET, ...p, ...how });
const fromGithub = (p: Payload, secret = SECRET) => signDelivery({ secret, ...p });
function withHeaders(signed: Signed, changed: Record<string, string | undefined>): Signed {
  const headers = Object.entries({ ...signed.headers, ...changed }).filter((e): e is [string, string] => e[1] !== undefined);
  return { headers: Object.fromEntries(headers), body: signed.body };
}
const without = (signed: Signed, pattern: RegExp): Signed => withHeaders(signed, Object.fromEntries(Object.keys(signed.headers).filter((name) => pattern.test(name)).map((name) => [name, undefined])));
const stored = (answer: Answer) => door.store.inbox.get(answer.body.delivery);
const refused = (answer: Answer, status: number, code: string) => assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(answer.body));

describe("a delivery of Gitea or Forgejo", () => {
  before(async () => {
    door = await openFrontDoor();
  });
  after(() => door.close());

  for (const kind of ["gitea", "forgejo"] as const) {
    for (const [what, p, change] of [
      ["a pushed branch", () => giteaBranchPushed(REPO, "main", A, B), "branch"],
      ["a pushed tag", () => giteaTagPushed(REPO, "v1.0.0", A), "tag"],
      ["a created tag", () => giteaCreated(REPO, `v1.${kind.length}.0`, A), "tag"],
      ["a release", () => giteaReleased(REPO, "v1.0.0", { kind }), "release"],
    ] as const) {
      it(`of ${kind} about ${what} is on disk when it is answered with 202`, async () => {
        const signed = fromGitea(p(), { kind });
        const answer = await post(signed);
        assert.equal(answer.status, 202, JSON.stringify(answer.body));
        const row = stored(answer);
        assert.partialDeepStrictEqual(row, { receiver: "gitea", key: "gitea", state: "received", event: p().event, change: { kind: change, forge: "gitea", repository: "acme/one" } });
        assert.equal(row?.bodySha256, createHash("sha256").update(signed.body).digest("hex"));
      });
    }
  }
  it("is known again under another delivery id by its bytes: every attempt there has a new one", async () => {
    const p = giteaTagPushed(REPO, "v2.0.0", A);
    const first = await post(fromGitea(p));
    const rings = door.rings();
    const again = await post(fromGitea(p));
    assert.deepEqual([first.status, again.status, again.body.duplicate, again.body.delivery, door.rings()], [202, 200, true, first.body.delivery, rings]);
  });
  it("has its event and id from its own headers, whatever those for GitHub say", async () => {
    const answer = await post(withHeaders(fromGitea(giteaTagPushed(REPO, "v2.1.0", A), { deliveryId: "tea-1" }), { "x-github-event": "release", "x-github-delivery": "hub-1", "x-gogs-event": "fork" }));
    assert.partialDeepStrictEqual(stored(answer), { event: "push", externalId: "tea-1" });
  });
  it("that is of no use, or about nobody's repository, is answered 202 with the reason", async () => {
    for (const [p, reason] of [[giteaIssueOpened(REPO), "event-not-used"], [giteaTagPushed("acme/other", "v1", A), "repository-not-configured"], [giteaReleased(REPO, "v1", { draft: true }), "draft"]] as const) {
      const answer = await post(fromGitea(p));
      assert.equal(answer.status, 202);
      assert.partialDeepStrictEqual(answer.body, { state: "ignored", reason });
    }
  });
  it("as a form is refused in words that say what to choose, before its body counts", async () => {
    const answer = await post(fromGitea(giteaTagPushed(REPO, "v3", A), { form: true }));
    refused(answer, 415, "content-type-not-supported");
    assert.match(answer.body.error.message, /Gitea and Forgejo do not sign; choose application\/json/);
  });
  it("as a GET with the payload in the query is 405, and the payload is in no log", async () => {
    const { body, headers } = fromGitea(giteaTagPushed(REPO, "v3", A));
    const answer = await fetch(`${door.url}/webhook?payload=${encodeURIComponent(body.toString())}`, { headers });
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "POST"]);
    await answer.text();
    assert.doesNotMatch(door.lines.join(""), /tea-maker|Tea Maker/);
    assert.equal(door.refused.list()[0]?.path, "/webhook");
  });
  it("of a hook without a secret carries empty digests, and is refused", async () => {
    for (const kind of ["gitea", "forgejo"] as const) refused(await post(fromGitea(giteaTagPushed(REPO, "v3", A), { kind, secret: "" })), 401, "signature-refused");
  });
  it("of Gogs alone is refused in words that say what to choose", async () => {
    const answer = await post(without(fromGitea(giteaTagPushed(REPO, "v3", A)), /^x-gitea-/));
    refused(answer, 400, "sender-not-supported");
    assert.match(answer.body.error.message, /Gogs alone/);
  });
});

describe("who is believed is told by the secret, not by the headers", () => {
  before(async () => {
    door = await openFrontDoor();
  });
  after(() => door.close());
  const tag = () => giteaTagPushed(REPO, "v1.0.0", A);

  it("GitHub's secret signs nothing of Gitea's, and the other way round", async () => {
    refused(await post(fromGitea(tag(), { secret: SECRET })), 401, "signature-refused");
    refused(await post(await fromGithub(tagPushed(REPO, "v1.0.0", A), GITEA_SECRET)), 401, "signature-refused");
  });
  it("GitHub's delivery is not believed with a header of Gitea's or Forgejo's added", async () => {
    for (const name of ["x-gitea-event", "x-forgejo-event", "x-gitea-anything"]) refused(await post(withHeaders(await fromGithub(tagPushed(REPO, "v1.0.0", A)), { [name]: "push" })), 401, "signature-refused");
  });
  it("Gitea's delivery is not believed as GitHub's once its own headers are gone", async () => {
    refused(await post(without(fromGitea(tag()), /^x-(gitea|gogs)-/)), 401, "signature-refused");
  });
  it("of two signatures both have to hold", async () => {
    const signed = fromGitea(tag(), { kind: "forgejo" });
    for (const name of ["x-forgejo-signature", "x-gitea-signature"]) {
      for (const bad of ["0".repeat(64), "g".repeat(64), "", signed.headers["x-hub-signature-256"] as string]) refused(await post(withHeaders(signed, { [name]: bad })), 401, "signature-refused");
    }
    assert.equal((await post(signed)).status, 202);
  });
  it("a signature header sent twice is refused, even if both are right", async () => {
    const signed = fromGitea(tag());
    const connection = await rawConnection(door.port);
    const lines = Object.entries(signed.headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    connection.send(Buffer.concat([Buffer.from(`POST /webhook HTTP/1.1\r\nhost: x\r\n${lines}x-gitea-signature: ${signed.headers["x-gitea-signature"]}\r\ncontent-length: ${signed.body.length}\r\n\r\n`), signed.body]));
    assert.match(await connection.until((text) => text.includes("signature-refused")), /^HTTP\/1\.1 401 /);
    connection.destroy();
  });
  it("GitHub Enterprise Server and GHE.com are GitHub: what they add to its headers changes nothing", async () => {
    for (const more of [{ "x-github-enterprise-version": "3.19.0", "x-github-enterprise-host": "ghe.example.com" }, { "x-github-tenant": "sub" }]) {
      const answer = await post(withHeaders(await fromGithub(tagPushed(REPO, "v1.0.0", A)), more));
      assert.deepEqual([answer.status, stored(answer)?.receiver], [202, "github"]);
    }
  });
  it("a request that claims no forge at all is refused like one with a bad signature", async () => {
    const bare = { headers: { "content-type": "application/json" }, body: Buffer.from("{}") };
    const forged = withHeaders(fromGitea(tag()), { "x-gitea-signature": "0".repeat(64) });
    const [a, b] = [await post(bare), await post(forged)];
    refused(a, 401, "signature-refused");
    assert.deepEqual(a.body, b.body);
  });
  it("one secret for both still lets neither repeat the other's bytes as its own", async () => {
    await door.close();
    const shared = [new Secret("default", SECRET)];
    const both = createReceivers((["github", "gitea"] as const).map((forge) => ({ name: forge, forge, path: "/webhook", secrets: shared, repositories: [] })));
    door = await openFrontDoor({ receivers: () => both });
    const hub = await fromGithub(releasePublished(REPO, "v9.0.0"));
    const hex = (hub.headers["x-hub-signature-256"] as string).slice("sha256=".length);
    refused(await post(withHeaders(without(hub, /^x-(github|hub)-/), { "x-gitea-event": "release", "x-gitea-signature": hex })), 400, "event-mismatch");
    refused(await post(without(fromGitea(giteaReleased(REPO, "v9.0.0"), { secret: SECRET }), /^x-(gitea|gogs)-/)), 400, "event-mismatch");
    assert.equal((await post(hub)).status, 202);
  });
});

describe("receivers that are configured", () => {
  const own = (name: string, forge: ForgeKind, path: string, repositories: readonly string[] = []) => ({ name, forge, path, repositories, secrets: [new Secret(name, `the secret of ${name}`)] });
  const hub = subsystem({ name: "hub", repositories: ["acme/one"], forge: "github" });
  const tea = subsystem({ name: "tea", repositories: ["acme/one"], forge: "gitea" });
  const both = [hub, tea];
  const concerns = (repository: string, { forge }: Receiver) => both.filter((s) => s.repositories.includes(repository) && s.forge === forge).map((s) => s.name);
  let receivers: readonly Receiver[] = createReceivers([own("github", "github", "/webhook"), own("gitea", "gitea", "/hooks/tea", ["acme/*"]), own("work", "gitea", "/hooks/work", ["work/*", "acme/two"])]);
  before(async () => {
    door = await openFrontDoor({ receivers: () => receivers, concerns });
  });
  after(() => door.close());
  const gitea = (name: string, p: Payload, path: string) => post(signGitea({ secret: `the secret of ${name}`, ...p }), path);

  it("are found by their own paths, and a forge nobody listens to there is refused like a bad signature", async () => {
    assert.equal((await gitea("gitea", giteaTagPushed(REPO, "v1", A), "/hooks/tea")).status, 202);
    assert.equal((await gitea("gitea", giteaTagPushed(REPO, "v2", A), "/hooks/tea/tea")).status, 202);
    refused(await gitea("gitea", giteaTagPushed(REPO, "v3", A), "/webhook"), 401, "signature-refused");
    refused(await gitea("gitea", giteaTagPushed(REPO, "v3", A), "/hooks/work"), 401, "signature-refused");
    refused(await post(await fromGithub(tagPushed(REPO, "v3", A), "the secret of github"), "/hooks/tea"), 401, "signature-refused");
    for (const path of ["/hooks", "/hooks/", "/hooks/other", "/HOOKS/tea", "/hooks/tea2"]) assert.equal((await gitea("gitea", giteaTagPushed(REPO, "v3", A), path)).status, 404, path);
    // Sent as they are: a client would have tidied them up.
    const { headers } = signGitea({ secret: "the secret of gitea", ...giteaTagPushed(REPO, "v3", A) });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    for (const path of ["/hooks/tea/", "/hooks/tea/..", "/hooks/tea/a/b", "/hooks/tea/%2e%2e", "/hooks/tea/../tea", "/hooks/work/../tea", "//hooks/tea", "http://x/hooks/tea"]) {
      const connection = await rawConnection(door.port);
      connection.send(`POST ${path} HTTP/1.1\r\nhost: x\r\n${lines}content-length: 2\r\n\r\n{}`);
      assert.match(await connection.until((text) => text.includes("\r\n\r\n")), /^HTTP\/1\.1 404 /, path);
      connection.destroy();
    }
  });
  it("speak only about the repositories their patterns allow", async () => {
    const answer = await gitea("work", giteaTagPushed(REPO, "v4", A), "/hooks/work");
    assert.partialDeepStrictEqual([answer.status, answer.body], [202, { state: "ignored", reason: "repository-not-configured" }]);
    assert.equal(stored(answer)?.receiver, "work");
  });
  it("reach only the subsystems of their own forge, in resolve too, where two forges have a repository of one name", async () => {
    const fromTea = stored(await gitea("gitea", giteaTagPushed(REPO, "v5", A), "/hooks/tea"))?.change as UpstreamChange;
    const fromHub = stored(await post(await fromGithub(tagPushed(REPO, "v5", B), "the secret of github")))?.change as UpstreamChange;
    assert.deepEqual([fromTea.forge, match(fromTea, both).map((m) => m.subsystem.name)], ["gitea", ["tea"]]);
    assert.deepEqual([fromHub.forge, match(fromHub, both).map((m) => m.subsystem.name)], ["github", ["hub"]]);
  });
  it("may change between two requests: the next one is judged by the new ones", async () => {
    const pushed = signGitea({ secret: "the secret of late", ...giteaTagPushed(REPO, "v6", A) });
    assert.equal((await post(pushed, "/hooks/late")).status, 404);
    receivers = createReceivers([own("late", "gitea", "/hooks/late")]);
    assert.equal((await post(pushed, "/hooks/late")).status, 202);
    assert.equal((await post(await fromGithub(branchPushed(REPO, "main", A, B), "the secret of github"))).status, 404, "nobody listens there any more");
    receivers = bothReceivers();
  });
});
