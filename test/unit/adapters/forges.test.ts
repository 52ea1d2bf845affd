import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createForges, giteaOrigin, tokenOrigin } from "../../../src/adapters/forge/forges.ts";
import type { ReleaseFeed } from "../../../src/domain/subsystem.ts";
import { firstHop, headersFor } from "../../../src/adapters/http-hops.ts";
import { systemClock } from "../../../src/kit/clock.ts";
import { Secret } from "../../../src/kit/secret.ts";
import { releaseFeed } from "../../support/subsystem.ts";

const github = releaseFeed();
const own = releaseFeed({ api: "https://ghe.example/api/v3", assetHosts: ["ghe.example"] });
const gitea = releaseFeed({ api: "https://gitea.example/api/v1" });
const second = releaseFeed({ api: "https://second.example/api/v1" });

test("a token for github.com is not told to another forge of the same workspace", () => {
  const forge = createForges({ clock: systemClock, token: new Secret("github", "t0ken-value"), feeds: [github, own] });
  assert.equal(forge.source(github, { id: "7" }).token?.reveal(), "t0ken-value");
  assert.equal(forge.source(own, { id: "7" }).token, undefined);
});

test("the token goes to the only GitHub there is, else to the only forge, and to none where it is not clear which one is meant", () => {
  assert.equal(tokenOrigin([own, own]), "https://ghe.example");
  assert.equal(tokenOrigin([own, releaseFeed({ api: "https://other.example/api/v3" })]), undefined);
  assert.equal(tokenOrigin([own, gitea]), "https://ghe.example");
  assert.equal(tokenOrigin([gitea]), "https://gitea.example");
  assert.equal(tokenOrigin([gitea, second]), undefined);
  assert.equal(tokenOrigin([]), undefined);
});

describe("of the tokens of two forges", () => {
  const token = new Secret("github", "t0ken-of-github");
  const giteaToken = new Secret("gitea", "t0ken-of-gitea");
  const asset = { id: "7", url: "https://gitea.example/acme/api/releases/download/v1/a" };
  const toldTo = (feed: ReleaseFeed, deps: Omit<Parameters<typeof createForges>[0], "clock">) => {
    const source = createForges({ clock: systemClock, ...deps }).source(feed, feed === second ? { ...asset, url: "https://second.example/a" } : asset);
    return headersFor(source, {}, firstHop(source))["authorization"];
  };

  test("each is told to its own, in its forge's words", () => {
    for (const first of [github, own]) {
      const feeds = [first, gitea];
      assert.equal(toldTo(first, { token, giteaToken, feeds }), "Bearer t0ken-of-github");
      assert.equal(toldTo(gitea, { token, giteaToken, feeds }), "token t0ken-of-gitea");
    }
  });

  test("GitHub's is never told to a Gitea beside a GitHub, and not to one that has a token of its own", () => {
    assert.equal(toldTo(gitea, { token, feeds: [own, gitea] }), undefined);
    assert.equal(toldTo(gitea, { token, feeds: [github, gitea] }), undefined);
    assert.equal(toldTo(gitea, { token, giteaToken, feeds: [gitea] }), "token t0ken-of-gitea");
    assert.equal(toldTo(gitea, { token, feeds: [gitea] }), "token t0ken-of-github", "the only forge there is, as ever");
    const sameHost = releaseFeed({ api: "https://gitea.example/api/v3" });
    assert.equal(toldTo(gitea, { token, feeds: [sameHost, gitea] }), undefined, "on one host both");
  });

  test("Gitea's is told to none where there are two of them, and never to a GitHub", () => {
    for (const feed of [gitea, second]) assert.equal(toldTo(feed, { token, giteaToken, feeds: [gitea, second, github] }), undefined);
    assert.equal(giteaOrigin([gitea, second]), undefined);
    assert.equal(toldTo(own, { giteaToken, feeds: [own, gitea] }), undefined);
  });
});
