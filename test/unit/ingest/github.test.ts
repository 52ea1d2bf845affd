import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import { ConfigError } from "../../../src/domain/errors.ts";
import { createGithubReceiver } from "../../../src/ingest/receivers/github.ts";
import { Secret } from "../../../src/kit/secret.ts";
import { branchPushed, issueOpened, type Payload, ping, refDeleted, releasePublished, tagCreated, tagPushed } from "../../support/github.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);
const ZERO = "0".repeat(40);
const REPO = "Nats-IO/Nats-Server";
const repository = "nats-io/nats-server";
const receiver = createGithubReceiver({ secrets: [new Secret("new", "second secret"), new Secret("old", "It's a Secret to Everybody")] });

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
function withBody(p: Payload, fields: Record<string, unknown>): Payload {
  return { event: p.event, body: { ...p.body, ...fields } };
}

describe("the signature", () => {
  const body = Buffer.from("Hello, World!");
  const official = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const verify = (signature: string | undefined) => receiver.verify(body, signature === undefined ? {} : { "x-hub-signature-256": signature });

  it("accepts GitHub's official test vector and names the key that matched", () => {
    assert.deepEqual(verify(`sha256=${official}`), { ok: true, key: "old" });
  });
  it("accepts either of two active secrets, so that a rotation has no gap", () => {
    assert.deepEqual(verify(`sha256=${createHmac("sha256", "second secret").update(body).digest("hex")}`), { ok: true, key: "new" });
  });
  for (const [what, signature] of [
    ["none", undefined],
    ["an empty one", ""],
    ["an empty digest", "sha256="],
    ["a digest that is one character short", `sha256=${official.slice(1)}`],
    ["a digest that is one character long", `sha256=${official}0`],
    ["upper-case hex", `sha256=${official.toUpperCase()}`],
    ["an upper-case prefix", `SHA256=${official}`],
    ["no prefix", official],
    ["a SHA-1 signature", `sha1=${createHmac("sha1", "It's a Secret to Everybody").update(body).digest("hex")}`],
    ["two signatures in one", `sha256=${official}, sha256=${official}`],
    ["one over an empty key", `sha256=${createHmac("sha256", "").update(body).digest("hex")}`],
    ["one of other bytes", `sha256=${createHmac("sha256", "second secret").update("Hello, World").digest("hex")}`],
  ] as const) {
    it(`refuses ${what}`, () => assert.equal(verify(signature).ok, false));
  }
  it("cannot be switched off: a receiver without a secret, or with an empty one, is not made", () => {
    assert.throws(() => createGithubReceiver({ secrets: [] }), ConfigError);
    assert.throws(() => createGithubReceiver({ secrets: [new Secret("a", "good secret"), new Secret("b", "")] }), ConfigError);
  });
});

describe("push", () => {
  it("of a branch means its new commit", () => {
    const { at, ...rest } = change(branchPushed(REPO, "release/2.x", A, B)) as { at?: string };
    assert.deepEqual(rest, { kind: "branch", repository, branch: "release/2.x", commit: B, forced: false });
    assert.match(at ?? "", /^2025-10-\d\dT.*Z$/);
  });
  it("of a rewritten branch says so", () => {
    assert.partialDeepStrictEqual(change(branchPushed(REPO, "main", A, B, { forced: true })), { kind: "branch", forced: true });
  });
  it("of a lightweight tag means its commit", () => {
    assert.partialDeepStrictEqual(change(tagPushed(REPO, "v1.2.3", A)), { kind: "tag", repository, tag: "v1.2.3", commit: A });
  });
  it("of an annotated tag means the commit, never the tag object", () => {
    const p = tagPushed(REPO, "v1.2.3", A, { annotated: true });
    assert.notEqual(p.body.after, A);
    assert.partialDeepStrictEqual(change(p), { kind: "tag", tag: "v1.2.3", commit: A });
  });
  it("of a tag without head_commit leaves the commit open instead of guessing", () => {
    assert.equal("commit" in change(withBody(tagPushed(REPO, "v1", A, { annotated: true }), { head_commit: null })), false);
  });
  it("that deletes a branch or tag is ignored as ref-deleted", () => {
    for (const ref of ["refs/heads/main", "refs/tags/v1"]) assert.deepEqual(change(refDeleted(REPO, ref, A)), { kind: "none", reason: "ref-deleted", repository });
    assert.partialDeepStrictEqual(change(withBody(branchPushed(REPO, "main", A, B), { after: ZERO })), { kind: "none", reason: "ref-deleted" });
  });
  it("of a ref that git could not have is refused", () => {
    for (const ref of ["refs/heads/a..b", "refs/heads/a b", "refs/heads/x\n", "refs/tags/a@{1}", "refs/heads/a:b", "refs/heads/../../etc", "refs/tags/", "refs/heads//x", "refs/heads/x.lock", "main", "refs/heads/.x", ""]) {
      assert.partialDeepStrictEqual(refusal("push", { ...branchPushed(REPO, "x", A, B).body, ref }), { code: "payload-invalid" }, JSON.stringify(ref));
    }
  });
  it("of a ref that is legal but reads like an option is not used, and the log hears why", () => {
    for (const ref of ["refs/heads/-upload-pack=x", "refs/tags/--help", "refs/heads/fix#1"]) {
      const extracted = receiver.extract("push", { ...branchPushed(REPO, "x", A, B).body, ref });
      assert.partialDeepStrictEqual(extracted, { ok: true, change: { kind: "none", reason: "event-not-used" } }, ref);
      assert.ok(extracted.ok && extracted.note);
    }
  });
  it("of notes or other refs is not used", () => {
    assert.partialDeepStrictEqual(change(withBody(branchPushed(REPO, "x", A, B), { ref: "refs/notes/commits" })), { kind: "none", reason: "event-not-used" });
  });
  it("with a commit that is no object id is refused by the field's name only", () => {
    for (const after of ["HEAD", `${A}0`, A.toUpperCase(), "--exec=x", 5, null]) {
      const r = refusal("push", { ...branchPushed(REPO, "x", A, B).body, after });
      assert.equal(r.message, "the field after of the payload is not as its forge documents it");
    }
  });
  it("takes SHA-256 repositories too", () => {
    assert.partialDeepStrictEqual(change(branchPushed(REPO, "main", "a".repeat(64), "b".repeat(64))), { commit: "b".repeat(64) });
  });
});

describe("create", () => {
  it("of a tag names the tag and no commit", () => {
    assert.deepEqual(change(tagCreated(REPO, "v2.0.0")), { kind: "tag", repository, tag: "v2.0.0" });
  });
  it("of a branch is not used: its push says more", () => {
    assert.partialDeepStrictEqual(change(tagCreated(REPO, "main", "branch")), { kind: "none", reason: "event-not-used" });
  });
});

describe("release", () => {
  for (const action of ["published", "released", "edited"]) {
    it(`${action} counts`, () => {
      assert.partialDeepStrictEqual(change(releasePublished(REPO, "v1.0.0", { action, id: 42 })), { kind: "release", repository, tag: "v1.0.0", releaseId: "42", action, draft: false, prerelease: false });
    });
  }
  for (const action of ["created", "prereleased", "unpublished", "deleted", "invented-tomorrow"]) {
    it(`${action} is ignored as action-not-used`, () => {
      assert.deepEqual(change(releasePublished(REPO, "v1.0.0", { action })), { kind: "none", reason: "action-not-used", repository });
    });
  }
  it("of a draft is ignored as draft", () => {
    assert.deepEqual(change(releasePublished(REPO, "v1.0.0", { action: "edited", draft: true })), { kind: "none", reason: "draft", repository });
  });
  it("keeps the prerelease flag and the time", () => {
    const c = change(releasePublished(REPO, "v1.0.0-rc.1", { prerelease: true }));
    assert.ok(c.kind === "release" && c.prerelease && c.at?.endsWith("Z"));
  });
  it("keeps ids beyond 2^53 as the digits that were sent", () => {
    const p = releasePublished(REPO, "v1.0.0");
    const release = { ...(p.body.release as object), id: "9223372036854775807" };
    assert.partialDeepStrictEqual(change(withBody(p, { release })), { releaseId: "9223372036854775807" });
  });
});

describe("other events", () => {
  it("ping is answered and leads to nothing", () => {
    assert.deepEqual(change(ping(REPO)), { kind: "none", reason: "ping", repository });
    const { repository: _, ...organisation } = ping(REPO).body;
    assert.deepEqual(change({ event: "ping", body: organisation }), { kind: "none", reason: "ping" });
  });
  it("unknown ones are ignored as event-not-used", () => {
    assert.deepEqual(change(issueOpened(REPO)), { kind: "none", reason: "event-not-used", repository });
    assert.deepEqual(change({ event: "brand_new", body: { anything: 1 } }), { kind: "none", reason: "event-not-used" });
  });
  it("delete is ignored as ref-deleted", () => {
    const { master_branch: _, ...body } = tagCreated(REPO, "v1").body;
    assert.deepEqual(change({ event: "delete", body }), { kind: "none", reason: "ref-deleted", repository });
  });
});

describe("a captured body under another event's name", () => {
  const payloads: Payload[] = [branchPushed(REPO, "main", A, B), tagCreated(REPO, "v1"), releasePublished(REPO, "v1"), ping(REPO), { event: "delete", body: { ref: "v1", ref_type: "tag", pusher_type: "user" } }];
  for (const p of payloads) {
    for (const event of ["push", "create", "delete", "release", "ping", "issues"].filter((e) => e !== p.event)) {
      it(`${p.event} replayed as ${event} is refused`, () => assert.equal(refusal(event, p.body).code, "event-mismatch"));
    }
  }
});

describe("hostile payloads", () => {
  it("a repository name that is no owner/name is refused", () => {
    for (const full_name of ["../../etc", "a/b/c", "a", "a/b\n", "", 5, null, "a b/c", "x".repeat(300)]) {
      assert.equal(refusal("push", { ...branchPushed(REPO, "main", A, B).body, repository: { full_name } }).code, "payload-invalid");
    }
  });
  it("a body without its documented fields is refused, an empty one mismatches", () => {
    for (const p of [branchPushed(REPO, "x", A, B), tagCreated(REPO, "v1"), releasePublished(REPO, "v1")]) {
      const { repository: _, ...body } = p.body;
      assert.equal(refusal(p.event, body).code, "payload-invalid");
      assert.equal(refusal(p.event, {}).code, "event-mismatch");
    }
  });
  it("keys of Object.prototype are only keys", () => {
    const body = JSON.parse('{"__proto__":{"ref":"refs/heads/main","before":"x","after":"y"},"constructor":{"prototype":{"polluted":1}},"zen":1}');
    assert.equal(refusal("push", body).code, "event-mismatch");
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
});
