/** What every receiver promises. A new one adds a row to RECEIVERS. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConfigError } from "../../src/domain/errors.ts";
import { createGiteaReceiver } from "../../src/ingest/receivers/gitea.ts";
import { createGithubReceiver } from "../../src/ingest/receivers/github.ts";
import type { Receiver } from "../../src/ingest/receivers/receiver.ts";
import { Secret } from "../../src/kit/secret.ts";
import { giteaBranchPushed, giteaReleased, giteaTagPushed, signGitea } from "../support/gitea.ts";
import { branchPushed, signDelivery, tagPushed } from "../support/github.ts";

interface Row {
  readonly name: string;
  make(secrets: readonly Secret[]): Receiver;
  /** A delivery the receiver turns into a change, signed with this secret. */
  sign(secret: string): Promise<{ headers: Record<string, string>; body: Buffer }>;
}

const RECEIVERS: readonly Row[] = [
  { name: "github: push of a branch", make: (secrets) => createGithubReceiver({ secrets }), sign: (secret) => signDelivery({ secret, ...branchPushed("acme/one", "main", "a".repeat(40), "b".repeat(40)) }) },
  { name: "github: push of a tag", make: (secrets) => createGithubReceiver({ secrets }), sign: (secret) => signDelivery({ secret, ...tagPushed("acme/one", "v1.0.0", "b".repeat(40)) }) },
  { name: "gitea: push of a branch", make: (secrets) => createGiteaReceiver({ secrets }), sign: async (secret) => signGitea({ secret, ...giteaBranchPushed("acme/one", "main", "a".repeat(40), "b".repeat(40)) }) },
  { name: "gitea: push of a tag by Forgejo", make: (secrets) => createGiteaReceiver({ secrets }), sign: async (secret) => signGitea({ secret, kind: "forgejo", ...giteaTagPushed("acme/one", "v1.0.0", "b".repeat(40)) }) },
  { name: "gitea: a release", make: (secrets) => createGiteaReceiver({ secrets }), sign: async (secret) => signGitea({ secret, ...giteaReleased("Acme/One", "v1.0.0") }) },
];

for (const row of RECEIVERS) {
  describe(`receiver ${row.name}`, () => {
    const receiver = row.make([new Secret("current", "the current secret"), new Secret("former", "the former secret")]);

    it("has a name and absolute paths", () => {
      assert.match(receiver.name, /^[a-z][a-z0-9-]*$/);
      assert.ok(receiver.paths.length > 0);
      assert.ok(receiver.forge === "github" || receiver.forge === "gitea");
      for (const path of receiver.paths) assert.match(path, /^\/[a-z0-9/-]*[a-z0-9]$/);
    });
    it("is not made without a secret", () => {
      assert.throws(() => row.make([]), ConfigError);
    });
    it("accepts every active key and names it", async () => {
      for (const [secret, key] of [["the current secret", "current"], ["the former secret", "former"]] as const) {
        const { headers, body } = await row.sign(secret);
        assert.deepEqual(receiver.verify(body, headers), { ok: true, key });
      }
    });
    it("refuses another key, no headers, and every single changed byte", async () => {
      const forged = await row.sign("another secret");
      assert.equal(receiver.verify(forged.body, forged.headers).ok, false);
      const { headers, body } = await row.sign("the current secret");
      assert.equal(receiver.verify(body, {}).ok, false);
      for (let i = 0; i < body.length; i += 37) {
        const changed = Buffer.from(body);
        changed[i] = (changed[i] as number) ^ 1;
        assert.equal(receiver.verify(changed, headers).ok, false);
      }
    });
    it("verifies bytes, so bytes that are not UTF-8 do no harm", async () => {
      const { headers } = await row.sign("the current secret");
      assert.equal(receiver.verify(Buffer.from([0xff, 0xfe, 0x00]), headers).ok, false);
    });
    it("takes event and id from the headers only when they are well-formed", async () => {
      const { headers } = await row.sign("the current secret");
      const claims = receiver.claims(headers);
      assert.ok(claims.event !== undefined && claims.id !== undefined);
      assert.deepEqual(receiver.claims({}), {});
      const broken = Object.fromEntries(Object.keys(headers).map((name) => [name, "a b\r\nc; DROP TABLE"]));
      assert.deepEqual(receiver.claims(broken), {});
      const long = Object.fromEntries(Object.keys(headers).map((name) => [name, "a".repeat(5_000)]));
      assert.deepEqual(receiver.claims(long), {});
    });
    it("finds the change in the signed body, with the repository in lower case", async () => {
      const { headers, body } = await row.sign("the current secret");
      const extracted = receiver.extract(receiver.claims(headers).event ?? "", JSON.parse(body.toString()));
      assert.ok(extracted.ok && extracted.change.kind !== "none" && extracted.change.kind !== "request");
      assert.equal(extracted.change.repository, "acme/one");
    });
    it("never throws on a body whose fields are of the wrong kind", async () => {
      const { headers, body } = await row.sign("the current secret");
      const { event = "" } = receiver.claims(headers);
      const good = JSON.parse(body.toString()) as Record<string, unknown>;
      for (const key of Object.keys(good)) {
        for (const value of [null, 0, "", [], {}, "x".repeat(100_000), { toString: null }]) receiver.extract(event, { ...good, [key]: value });
      }
    });
  });
}
