import assert from "node:assert/strict";
import { test } from "node:test";
import { createForges, tokenOrigin } from "../../../src/adapters/forge/forges.ts";
import { systemClock } from "../../../src/kit/clock.ts";
import { Secret } from "../../../src/kit/secret.ts";
import { releaseFeed } from "../../support/subsystem.ts";

const github = releaseFeed();
const own = releaseFeed({ api: "https://ghe.example/api/v3", assetHosts: ["ghe.example"] });
const gitea = releaseFeed({ api: "https://gitea.example/api/v1" });

test("a token for github.com is not told to another forge of the same workspace", () => {
  const forge = createForges({ clock: systemClock, token: new Secret("github", "t0ken-value"), feeds: [github, own] });
  assert.equal(forge.source(github, { id: "7" }).token?.reveal(), "t0ken-value");
  assert.equal(forge.source(own, { id: "7" }).token, undefined);
});

test("the token goes to the only forge there is, and to none where it is not clear which one is meant", () => {
  assert.equal(tokenOrigin([own, own]), "https://ghe.example");
  assert.equal(tokenOrigin([own, gitea]), undefined);
  assert.equal(tokenOrigin([]), undefined);
});
