import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import { createGiteaReceiver } from "../../../src/ingest/receivers/gitea.ts";
import { createGithubReceiver } from "../../../src/ingest/receivers/github.ts";
import { createReceivers, senderOf } from "../../../src/ingest/receivers/receivers.ts";
import { Secret } from "../../../src/kit/secret.ts";
import { giteaBranchPushed, giteaCreated, giteaDeleted, giteaIssueOpened, giteaRefDeleted, giteaReleased, giteaTagPushed, signGitea } from "../../support/gitea.ts";
import { branchPushed, issueOpened, type Payload, releasePublished, signDelivery, tagCreated, tagPushed } from "../../support/github.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);
const ZERO = "0".repeat(40);
const REPO = "Acme/Tea-Pot";
const repository = "acme/tea-pot";
const secrets = [new Secret("new", "second secret"), new Secret("old", "It's a Secret to Everybody")];
const receiver = createGiteaReceiver({ secrets });

function change(p: Payload) {
  const extracted = receiver.extract(p.event, p.body);
  assert.ok(extracted.ok, JSON.stringify(extracted));
  return extracted.change;
}
function refusal(event: string, body: Record<string, unknown>) {
  const extracted = receiver.extract(event, body);
  assert.ok(!extracted.ok, "expected it to be refused");
  return extracted;
}
const withBody = (p: Payload, fields: Record<string, unknown>): Payload => ({ event: p.event, body: { ...p.body, ...fields } });

describe("the signature of Gitea and Forgejo", () => {
  const body = Buffer.from("Hello, World!");
  // The HMAC of GitHub's own example (GitHub docs, "Validating webhook deliveries"), without GitHub's prefix.
  const good = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const verify = (headers: Record<string, string | string[]>) => receiver.verify(body, headers);
  const NAMES = ["x-gitea-signature", "x-forgejo-signature"] as const;

  for (const name of NAMES) {
    it(`is taken from ${name} as bare hex, under the key that matched`, () => assert.deepEqual(verify({ [name]: good }), { ok: true, key: "old" }));
    for (const [what, signature] of [
      ["an empty one, as is sent without a secret", ""],
      ["one character too few", good.slice(1)],
      ["one character too many", `${good}0`],
      ["upper-case hex", good.toUpperCase()],
      ["GitHub's prefix", `sha256=${good}`],
      ["64 characters that are no hex", "g".repeat(64)],
      ["64 digits of another script", "٠".repeat(64)],
      ["digits that look alike in full width", good.replace("7", "７")],
      ["white space around it", ` ${good}`],
      ["a line break behind it", `${good}\n`],
      ["a repeated header, as Node joins it", `${good}, ${good}`],
      ["a repeated header, as a list", [good, good]],
      ["one over an empty key", createHmac("sha256", "").update(body).digest("hex")],
      ["one of other bytes", createHmac("sha256", "second secret").update("Hello, World").digest("hex")],
    ] as const) {
      it(`${name} is refused with ${what}`, () => assert.equal(verify({ [name]: signature as string }).ok, false));
    }
  }
  it("has to hold twice where both headers are there", () => {
    assert.deepEqual(verify({ [NAMES[0]]: good, [NAMES[1]]: good }), { ok: true, key: "old" });
    for (const [right, wrong] of [NAMES, NAMES.toReversed()] as [string, string][]) {
      for (const bad of ["", "0".repeat(64), "x"]) assert.equal(verify({ [right]: good, [wrong]: bad }).ok, false, `${wrong}: ${bad}`);
    }
  });
  it("is not replaced by GitHub's or Gogs's, which Gitea sends as well", () => {
    assert.equal(verify({}).ok, false);
    assert.equal(verify({ "x-hub-signature-256": `sha256=${good}`, "x-gogs-signature": good }).ok, false);
  });
  it("is over the indented bytes as they came: the same JSON in one line does not fit", () => {
    const { headers, body: sent } = signGitea({ secret: "second secret", ...giteaTagPushed(REPO, "v1.0.0", A) });
    assert.match(sent.toString(), /^\{\n {2}"ref"/);
    assert.deepEqual(receiver.verify(sent, headers), { ok: true, key: "new" });
    assert.equal(receiver.verify(Buffer.from(JSON.stringify(JSON.parse(sent.toString()))), headers).ok, false);
  });
});

describe("what Gitea and Forgejo say", () => {
  const at = { at: "2025-10-09T08:53:20Z" };
  for (const [what, p, expected] of [
    ["a pushed branch", giteaBranchPushed(REPO, "main", A, B), { kind: "branch", repository, branch: "main", commit: B, forced: false }],
    ["a new branch", giteaBranchPushed(REPO, "feature/x", ZERO, B, { commits: 0 }), { kind: "branch", repository, branch: "feature/x", commit: B, forced: false }],
    ["the test delivery of the settings page: nothing moved", giteaBranchPushed(REPO, "main", A, A, { commits: 0 }), { kind: "branch", repository, branch: "main", commit: A, forced: false }],
    ["a branch set back, which brings no commit", giteaBranchPushed(REPO, "main", A, B, { commits: 0 }), { kind: "branch", repository, branch: "main", commit: B, forced: true }],
    ["a pushed tag, whose commit the repository is asked for", giteaTagPushed(REPO, "v1.0.0", A), { kind: "tag", repository, tag: "v1.0.0" }],
    ["an annotated tag, whose object is not taken for a commit", giteaTagPushed(REPO, "v1.0.0", A, { annotated: true }), { kind: "tag", repository, tag: "v1.0.0" }],
    ["a tag without its commit", withBody(giteaTagPushed(REPO, "v1.0.0", A), { head_commit: null }), { kind: "tag", repository, tag: "v1.0.0" }],
    ["a created tag, whose sha is not believed to be a commit", giteaCreated(REPO, "v1.0.0", B), { kind: "tag", repository, tag: "v1.0.0" }],
    ["a created branch", giteaCreated(REPO, "main", B, "branch"), { kind: "none", reason: "event-not-used", repository }],
    ["a deleted branch", giteaRefDeleted(REPO, "refs/heads/x", A), { kind: "none", reason: "ref-deleted", repository }],
    ["a deleted tag", giteaDeleted(REPO, "v1.0.0"), { kind: "none", reason: "ref-deleted", repository }],
    ["an issue", giteaIssueOpened(REPO), { kind: "none", reason: "event-not-used", repository }],
    ["a release that was deleted", giteaReleased(REPO, "v1.0.0", { action: "deleted" }), { kind: "none", reason: "action-not-used", repository }],
    ["a draft", giteaReleased(REPO, "v1.0.0", { draft: true }), { kind: "none", reason: "draft", repository }],
  ] as const) {
    it(`${what} is understood`, () => assert.deepEqual(change(p), expected));
  }
  for (const kind of ["gitea", "forgejo"] as const) {
    for (const action of ["published", "updated"]) {
      it(`a release of ${kind}, ${action}, is one to look at`, () => {
        const p = giteaReleased(REPO, "v1.0.0", { kind, action, prerelease: true });
        const release = { ...(p.body["release"] as object), id: 42, published_at: at.at };
        assert.deepEqual(change(withBody(p, { release })), { kind: "release", repository, tag: "v1.0.0", releaseId: "42", action, draft: false, prerelease: true, ...at });
      });
    }
  }
  it("event and body have to agree", () => {
    const bodies = [giteaBranchPushed(REPO, "main", A, B), giteaCreated(REPO, "v1", A), giteaDeleted(REPO, "v1"), giteaReleased(REPO, "v1"), giteaIssueOpened(REPO)];
    for (const p of bodies) for (const event of ["push", "create", "delete", "release", "issues", "ping"].filter((e) => e !== p.event && !(p.event === "issues" && e === "ping"))) assert.equal(refusal(event, p.body).code, "event-mismatch", `${p.event} as ${event}`);
  });
  it("a field that is not as documented is named, its value is not repeated", () => {
    for (const [p, field] of [
      [withBody(giteaBranchPushed(REPO, "main", A, B), { after: "HEAD" }), "after"],
      [withBody(giteaBranchPushed(REPO, "main", A, B), { ref: "refs/heads/a..b" }), "ref"],
      [withBody(giteaCreated(REPO, "v1", A), { ref: "v1 --upload-pack=x" }), "ref"],
      [withBody(giteaReleased(REPO, "v1"), { release: { id: 1, tag_name: "v 1", draft: false, prerelease: false } }), "release.tag_name"],
      [withBody(giteaReleased(REPO, "v1"), { repository: { full_name: "../../etc" } }), "repository.full_name"],
    ] as const) {
      assert.deepEqual(refusal(p.event, p.body), { ok: false, code: "payload-invalid", message: `the field ${field} of the payload is not as its forge documents it` });
    }
  });
});

describe("one secret for both forges does not let one speak as the other", () => {
  const github = createGithubReceiver({ secrets });
  for (const p of [branchPushed(REPO, "main", A, B), tagPushed(REPO, "v1", A), releasePublished(REPO, "v1"), tagCreated(REPO, "v1"), issueOpened(REPO)]) {
    it(`GitHub's ${p.event} is not Gitea's`, () => assert.equal(refusal(p.event, p.body).code, "event-mismatch"));
  }
  for (const p of [giteaBranchPushed(REPO, "main", A, B), giteaTagPushed(REPO, "v1", A), giteaReleased(REPO, "v1"), giteaCreated(REPO, "v1", A), giteaIssueOpened(REPO)]) {
    it(`Gitea's ${p.event} is not GitHub's, although it carries a signature for it`, () => {
      const { headers, body } = signGitea({ secret: "second secret", ...p });
      assert.equal(github.verify(body, headers).ok, true, "the signature fits, so the body has to tell");
      const extracted = github.extract(p.event, p.body);
      assert.ok(!extracted.ok && extracted.code === "event-mismatch");
    });
  }
});

describe("the headers", () => {
  it("tell the forge: Forgejo's and Gitea's first, Gogs's next, GitHub's last, and none without any", async () => {
    const p = giteaTagPushed(REPO, "v1", A);
    const gitea = signGitea({ secret: "x", ...p }).headers;
    assert.deepEqual([senderOf(gitea), senderOf(signGitea({ secret: "x", kind: "forgejo", ...p }).headers)], ["gitea", "gitea"]);
    const without = (pattern: RegExp) => Object.fromEntries(Object.entries(gitea).filter(([name]) => !pattern.test(name)));
    assert.equal(senderOf(without(/^x-gitea-/)), "gogs");
    assert.equal(senderOf(without(/^x-(gitea|gogs)-/)), "github");
    assert.equal(senderOf((await signDelivery({ secret: "x", ...tagPushed(REPO, "v1", A) })).headers), "github");
    assert.equal(senderOf({ "x-hub-signature-256": "sha256=0" }), "github");
    assert.equal(senderOf({ "content-type": "application/json" }), undefined);
  });
  it("name event and delivery only where those of both names agree", () => {
    assert.deepEqual(receiver.claims({ "x-gitea-event": "push", "x-gitea-delivery": "d-1", "x-github-event": "release" }), { event: "push", id: "d-1" });
    assert.deepEqual(receiver.claims({ "x-gitea-event": "push", "x-forgejo-event": "push", "x-forgejo-delivery": "d-2" }), { event: "push", id: "d-2" });
    assert.deepEqual(receiver.claims({ "x-gitea-event": "push", "x-forgejo-event": "release", "x-gitea-delivery": "a", "x-forgejo-delivery": "b" }), {});
    assert.deepEqual(receiver.claims({ "x-github-event": "push", "x-github-delivery": "d-1" }), {});
  });
});

it("receivers are made as configured, each for its forge", () => {
  const made = createReceivers([
    { name: "tea", forge: "gitea", path: "/hooks/tea", secrets, repositories: ["acme/*"] },
    { name: "hub", forge: "github", path: "/webhook", secrets, repositories: [] },
  ]);
  assert.deepEqual(made.map(({ name, forge, paths, repositories, form }) => ({ name, forge, paths, repositories, form })), [
    { name: "tea", forge: "gitea", paths: ["/hooks/tea"], repositories: ["acme/*"], form: false },
    { name: "hub", forge: "github", paths: ["/webhook"], repositories: [], form: true },
  ]);
});
