import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { EXAMPLE_ENTRIES } from "../../../src/config/example.ts";
import { holdsLogin, originUrl, withoutLogin } from "../../../src/config/git-remote.ts";
import { asConfig, type Entry, ownFileText } from "../../../src/config/proposal.ts";
import { ConfigFile } from "../../../src/config/schema.ts";
import { SHIPPED_TASKFILES } from "../../../src/config/shipped-taskfiles.ts";
import { quoted } from "../../../src/config/survey-socket.ts";
import { webhookSettings } from "../../../src/config/webhook-settings.ts";
import { StateError } from "../../../src/domain/errors.ts";
import type { Subsystem } from "../../../src/domain/subsystem.ts";
import { newSecret } from "../../../src/kit/secret.ts";
import { shippedTaskfilesModule } from "../../../tools/ship-taskfiles.ts";
import { ROOT } from "../../support/launcher.ts";

describe("the shipped taskfiles", () => {
  it("are the files of taskfiles/, byte for byte", async () => {
    for (const [name, text] of Object.entries(SHIPPED_TASKFILES)) {
      assert.deepEqual(Buffer.from(text), await readFile(join(ROOT, "taskfiles", name)), `${name}: run node tools/ship-taskfiles.ts`);
    }
    assert.equal(await readFile(join(ROOT, "src/config/shipped-taskfiles.ts"), "utf8"), await shippedTaskfilesModule());
  });
});

describe("the remote of a checkout", () => {
  it("is read as git writes it: sections and keys in any case, quotes, comments, continued lines", () => {
    const cases: [string, string | undefined][] = [
      ['[core]\n\tbare = false\n[remote "origin"]\n\turl = https://github.com/acme/web.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n', "https://github.com/acme/web.git"],
      ['[Remote "origin"]\nURL=git@github.com:acme/web.git ; mine\n', "git@github.com:acme/web.git"],
      ['[remote "origin"]\r\n  url = "/srv/a b/web" # a path\r\n', "/srv/a b/web"],
      ['[remote "origin"]\n  url = https://github.com/\\\nacme/web\n', "https://github.com/acme/web"],
      ['[remote "origin"]\n url = first\n url = second\n', "first"],
      ['[remote "upstream"]\n url = https://github.com/acme/web\n', undefined],
      ['[remote "Origin"]\n url = https://github.com/acme/web\n', undefined],
      ['[remote "origin"]\n pushurl = https://github.com/acme/web\n[branch "main"]\n url = no\n', undefined],
      ["", undefined],
    ];
    for (const [config, url] of cases) assert.equal(originUrl(config), url, config);
  });

  it("loses every login, whatever the transport, and the account name only where it opens something", () => {
    const cases: [string, string, boolean][] = [
      ["https://octocat:ghp_0123456789@github.com/acme/web.git", "https://github.com/acme/web.git", true],
      ["https://ghp_0123456789@github.com/acme/web", "https://github.com/acme/web", true],
      ["https://github.com/acme/web?access_token=ghp_0123456789#x", "https://github.com/acme/web", false],
      ["ssh://git:pw@github.com/acme/web", "ssh://git@github.com/acme/web", true],
      ["ssh://git@github.com:22/acme/web", "ssh://git@github.com:22/acme/web", false],
      ["git@github.com:acme/web.git", "git@github.com:acme/web.git", false],
      ["/srv/upstream/web", "/srv/upstream/web", false],
    ];
    for (const [url, clean, login] of cases) assert.deepEqual([withoutLogin(url), holdsLogin(url)], [clean, login], url);
  });
});

describe("the proposed slipstream.yaml", () => {
  const entries: Entry[] = [
    { path: ["process_compose", "socket"], value: ".slipstream/pc.sock" },
    { path: ["subsystems", "web", "upstream"], value: "https://github.com/acme/web" },
    { path: ["subsystems", "web", "build", "task"], value: "web:bin:build" },
    { path: ["subsystems", "web", "process"], value: "web-a", hint: true, comment: "or web-b: all of them run it" },
    { path: ["subsystems", "jobs", "release", "repository"], value: "owner/name", hint: true },
  ];

  it("says what is known and leaves the rest as comments", () => {
    assert.deepEqual(asConfig(entries), {
      process_compose: { socket: ".slipstream/pc.sock" },
      subsystems: { web: { upstream: "https://github.com/acme/web", build: { task: "web:bin:build" } } },
    });
    assert.deepEqual(asConfig([]), {});
    assert.deepEqual(asConfig(EXAMPLE_ENTRIES), { process_compose: { socket: ".slipstream/pc.sock" } });
  });

  it("holds valid keys once the hints are uncommented", () => {
    const uncommented = (text: string) => parse(text.split("\n").slice(3).join("\n").replaceAll(/^# /gm, ""));
    const all = ConfigFile.parse(uncommented(ownFileText(entries)));
    assert.deepEqual([all.subsystems?.["web"]?.process, all.subsystems?.["jobs"]?.release?.repository], ["web-a", "owner/name"]);
    assert.equal(ConfigFile.parse(uncommented(ownFileText([]))).listen?.port, 8080);
  });

  it("holds exactly what was found out, whatever the texts hold", () => {
    const texts = ["\nlisten: {port: 9}", `${"x".repeat(60)}\nlisten: {port: 9}\n`, "a\r\nlisten: {}", "\u2028listen: {}", "\u0085listen: {}", "\u0000", "---\nlisten: {}", "...", "# x", "'\"", "*a", "<<", "__proto__", "{a: b}", "😀\ud800", "- a", "? b", "", " "];
    for (const text of texts) {
      const odd: Entry[] = [
        { path: ["subsystems", `${text}1`, "binary"], value: `${text}2`, comment: `${text}3` },
        { path: ["subsystems", `${text}4`, "binary"], value: text, hint: true, comment: text },
        { path: ["process_compose", "socket"], value: text, hint: true, comment: text },
      ];
      const said = ownFileText(odd);
      assert.match(said, /^[\x20-\x7e\n]*$/);
      assert.deepEqual(parse(said), { subsystems: { [`${text}1`]: { binary: `${text}2` } } }, JSON.stringify(text));
    }
  });

  it("is not written when it would not say what was found out", () => {
    const torn: Entry[] = [{ path: ["listen", "port"], value: 1 }, { path: ["listen"], value: 2 }];
    assert.throws(() => ownFileText(torn), (error) => error instanceof StateError && error.code === "internal" && /nothing was written/.test(error.message));
    assert.throws(() => ownFileText([{ path: ["state_dir"], value: "a", hint: true }, { path: ["state_dir"], value: "b" }]), StateError);
  });

  it("quotes what YAML would read as something else", () => {
    const odd: Entry[] = [{ path: ["process_compose", "socket"], value: "a: b #c" }, { path: ["subsystems", "1", "upstream"], value: "/srv/true" }, { path: ["subsystems", "1", "binary"], value: "0x1f" }];
    assert.deepEqual(asConfig(odd), { process_compose: { socket: "a: b #c" }, subsystems: { 1: { upstream: "/srv/true", binary: "0x1f" } } });
  });
});

describe("webhook settings", () => {
  const subsystem = (name: string, more: Partial<Subsystem>) => ({ name, mode: "source", strategy: "tags", upstream: `https://github.com/acme/${name}`, others: [], ...more }) as Subsystem;
  const feed = { api: "https://api.github.com", repository: "acme/dist" } as NonNullable<Subsystem["release"]>;

  it("are one per repository, with the events its subsystems need", () => {
    const settings = webhookSettings([
      subsystem("web", { mode: "release", release: feed }),
      subsystem("api", { mode: "release", release: feed }),
      subsystem("jobs", {}),
      subsystem("tail", { strategy: "commits", upstream: "git@github.com:Acme/Jobs.git" }),
    ]);
    assert.deepEqual(settings.map((s) => [s.repository, s.subsystems, s.open, s.events]), [
      ["acme/dist", ["web", "api"], "https://github.com/acme/dist/settings/hooks/new", ["Releases"]],
      ["acme/jobs", ["jobs", "tail"], "https://github.com/acme/jobs/settings/hooks/new", ["Branch or tag creation", "Pushes"]],
    ]);
    assert.deepEqual([settings[0]?.payloadUrl, settings[0]?.contentType, settings[0]?.sslVerification], ["https://<your public address>/webhook", "application/json", true]);
  });

  it("do not send a person to a page that is not there", () => {
    const [path, other] = webhookSettings([subsystem("web", { upstream: "/srv/upstream/web" }), subsystem("api", { upstream: "https://git.example/acme/api" })]);
    assert.deepEqual([path?.open, path?.note?.includes("slipstream simulate")], [null, true]);
    assert.match(other?.note ?? "", /what git\.example is, is not known.*set subsystems\.api\.forge to github \(GitHub Enterprise Server\) or gitea/);
  });

  it("are in the words of Gitea and Forgejo, with their page and the hint about private addresses", () => {
    const [released, built] = webhookSettings([
      subsystem("web", { mode: "release", release: { ...feed, api: "https://gitea.example:3000/api/v1" } }),
      subsystem("api", { upstream: "git@forgejo.example:ours/api.git", forge: "gitea" }),
    ]);
    assert.deepEqual([released?.repository, released?.open, released?.events, released?.forge], ["acme/dist", "https://gitea.example:3000/acme/dist/settings/hooks", ["Release"], "gitea"]);
    assert.deepEqual([built?.repository, built?.open, built?.events, built?.contentType], ["ours/api", "https://forgejo.example/ours/api/settings/hooks", ["Create", "Push"], "application/json"]);
    for (const one of [released, built]) assert.match(one?.note ?? "", /private addresses unless \[webhook\] ALLOWED_HOST_LIST/);
  });

  it("lead to a GitHub Enterprise Server at its own host, and to each of several upstreams", () => {
    const ghes = { ...feed, api: "https://ghe.example/api/v3" };
    const others = [{ upstream: "https://gitea.example/ours/web", branch: "main", repositories: ["ours/web"], forge: "gitea" as const }];
    const settings = webhookSettings([subsystem("dist", { mode: "release", release: ghes }), subsystem("web", { others })]);
    assert.deepEqual(settings.map((s) => [s.open, s.note?.slice(0, 5)]), [["https://ghe.example/acme/dist/settings/hooks/new", undefined], ["https://github.com/acme/web/settings/hooks/new", undefined], ["https://gitea.example/ours/web/settings/hooks", "Gitea"]]);
  });

  it("name the path of the receiver that takes them", () => {
    const [web] = webhookSettings([subsystem("web", { forge: "gitea", upstream: "https://gitea.example/ours/web" })], { github: "/webhook", gitea: "/hooks/tea" });
    assert.equal(web?.payloadUrl, "https://<your public address>/hooks/tea");
  });

  it("leave out what slipstream does not manage", () => {
    assert.deepEqual(webhookSettings([subsystem("slipstream", { notManaged: "slipstream itself" })]), []);
  });
});

describe("a new secret", () => {
  it("has 256 random bits and never shows itself", () => {
    const made = [newSecret("default"), newSecret("default")];
    assert.notEqual(made[0]?.reveal(), made[1]?.reveal());
    assert.match(made[0]?.reveal() ?? "", /^[0-9a-f]{64}$/);
    assert.equal(`${made[0]} ${JSON.stringify(made)}`, '[secret] ["[secret]","[secret]"]');
  });
});

describe("a printed command", () => {
  it("survives a shell whatever the path is", () => {
    assert.deepEqual([".slipstream/pc.sock", "a b", "it's"].map(quoted), [".slipstream/pc.sock", "'a b'", "'it'\\''s'"]);
  });
});
