/** How versions are read and chosen, with the tests that prove it, and why a delivery may lead to nothing: docs/compatibility.md shows both. */

import type { IgnoreReason } from "../../src/domain/change.ts";

export interface VersionWay {
  readonly topic: "tag styles" | "numbers" | "dates" | "prereleases and channels" | "pins" | "moving tags" | "commits" | "several upstreams";
  /** What upstream has, or what is configured. */
  readonly what: string;
  readonly behaviour: string;
  readonly test: readonly string[];
}

export const VERSION_WAYS: readonly VersionWay[] = [
  { topic: "tag styles", what: "`v1.2.3`, `1.2.3`, `nats-v1.2.3`, `nats/v1.2.3`, `nats@1.2.3`, `v1.2.3-nats`", behaviour: "read without any key", test: ["without a pattern a tag may have the subsystem's name before or behind its version", "a subsystem's own tag styles are understood"] },
  { topic: "tag styles", what: "`tags: \"server/v{version}\"`", behaviour: "only such tags, and `{version}` is what is compared", test: ["what stands for {version} is what is read and compared, in tags of whatever form"] },
  { topic: "tag styles", what: "`tags: [\"v*\", \"!*-nightly\"]`", behaviour: "others end as `tag-not-tracked`", test: ["only tags that fit a pattern and no excluding one are versions", "a delivery about a tag that no pattern takes in says so, in both modes"] },
  { topic: "tag styles", what: "several subsystems in one repository", behaviour: "a tag is for the one whose pattern fits it most closely", test: ["in a shared repository a tag is for the subsystem whose pattern fits it most closely"] },
  { topic: "numbers", what: "`1`, `1.2`, `1.2.3`, `1.2.3.4`, `1.02.03`", behaviour: "one to four numbers, leading zeros read; a fourth number is a patch", test: ["a fourth number and leading zeros are read, and count", "the size of a step decides who may take it"] },
  { topic: "numbers", what: "no number at all", behaviour: "`policy.unparsable`", test: ["patch and minor go by themselves, major and unparsable wait for a person"] },
  { topic: "dates", what: "`versions: date` with `2024.05.12`, `2024-05-12`, `20240512`, `24.04`, `RELEASE.2024-05-12T10-00-00Z`", behaviour: "ordered by time, whatever the style; each newer one is a minor step", test: ["under date every style is read as the same day, and ordered by time, then by the number behind it", "every newer date is a minor step, every older one none"] },
  { topic: "dates", what: "dates without that key", behaviour: "dotted ones are numbers (a new year is a major step); with dashes or in one piece they are no versions", test: ["under semver a date with dashes or in one piece is no version, so it never passes for the newest"] },
  { topic: "prereleases and channels", what: "`v1.2.0-rc.1`, or marked as one by the forge", behaviour: "ignored as `prerelease`, unless `policy.prerelease: allow`", test: ["drafts and prereleases are left alone, and a prerelease that became final is installed"] },
  { topic: "prereleases and channels", what: "`channel: [beta, rc]`", behaviour: "these count like final versions, whatever the forge marks", test: ["a channel lets its prereleases count like final versions, and no others", "a prerelease of a listed channel is installed, though the forge calls it one"] },
  { topic: "prereleases and channels", what: "`rc9` and `rc10`", behaviour: "the tenth comes after the ninth", test: ["the tenth release candidate comes after the ninth, however it is written"] },
  { topic: "pins", what: "`pin: v2.10.24`", behaviour: "only this version, in any tag style", test: ["an exact pin takes its version in any tag style, a series every version that begins so"] },
  { topic: "pins", what: "`pin: 2.x`, `pin: 2.10.x`", behaviour: "the newest within, though newer ones exist outside; never back by itself", test: ["newer versions outside the pin do not hide the newest within it", "a pinned series goes on within itself and never back"] },
  { topic: "pins", what: "a commit, with strategy `commits`", behaviour: "held; installed while it is the head", test: ["of a followed branch a pin is a commit, which may be abbreviated to seven characters", "a followed branch goes to the commit it is pinned to and no further"] },
  { topic: "moving tags", what: "`tags: nightly`", behaviour: "a new commit or new bytes under it is an update under `policy.rewritten`", test: ["a moving tag is followed under policy rewritten, and news of where it was before leads to where it is", "other bytes under a moving tag are an update under policy rewritten, the same bytes are none"] },
  { topic: "moving tags", what: "a version's tag that moved", behaviour: "waits for approval", test: ["a tag that moved to another commit waits for a person", "a tag that is at another commit than the delivery says is not built"] },
  { topic: "moving tags", what: "a release that is made again under the branch's name", behaviour: "told apart by the digest of its asset; `policy.commit`", test: ["a release that is made again for the branch that is followed goes by itself, and any other tag without a number does not", "of a user is updated from a release whose tag stays while its asset is replaced"] },
  { topic: "commits", what: "strategy `commits`", behaviour: "the head of the branch; rewritten history waits", test: ["a tracked branch follows its head, but not through rewritten history", "a push to that branch, named by a configured fork, is installed"] },
  { topic: "several upstreams", what: "`prefer: newest`", behaviour: "the newest version of all; of the same version the higher upstream's", test: ["a newer version of a lower upstream is built from there, at its commit", "of the same version the higher one's is built, whichever told about it"] },
  { topic: "several upstreams", what: "`prefer: order`", behaviour: "a lower one only where those above have no version, or stay silent", test: ["a lower one counts only where those above have no version", "a lower one takes the place of a silent one only after a while, and only with a newer version"] },
  { topic: "several upstreams", what: "one does not answer", behaviour: "a newer version elsewhere is installed all the same; the same version is not replaced", test: ["holds up no newer version of another one, and its own news come later", "is not replaced in the same version, nor by what has no order"] },
  { topic: "several upstreams", what: "releases on forges of different kinds", behaviour: "downloaded from the forge that has it", test: ["the newest is downloaded from the forge that has it, another style of forge or not"] },
  { topic: "several upstreams", what: "the same `owner/name` on two forges", behaviour: "told apart by whose receiver proved the delivery", test: ["a repository that two forges have is told apart by whose receiver proved it"] },
  { topic: "several upstreams", what: "strategy `commits`", behaviour: "only the first one's branch decides; a mirror may hand out the commit", test: ["only the first one's branch decides", "a commit of the first one's branch comes from a mirror while the first is away"] },
];

export interface ReasonProof {
  readonly when: string;
  readonly test: readonly string[];
}

/** Every reason why a delivery leads to no run. */
export const REASONS: Readonly<Record<IgnoreReason, ReasonProof>> = {
  ping: { when: "the forge's test of the webhook", test: ["ping is answered and leads to nothing"] },
  "event-not-used": { when: "another event, or a branch that was created", test: ["unknown ones are ignored as event-not-used"] },
  "action-not-used": { when: "a release was created, unpublished, deleted …", test: ["deleted is ignored as action-not-used"] },
  "ref-deleted": { when: "a branch or tag was deleted", test: ["that deletes a branch or tag is ignored as ref-deleted"] },
  "repository-not-configured": { when: "no subsystem comes from this repository", test: ["a forged delivery is refused and leaves nothing; a foreign one is ignored; a ping is answered"] },
  "other-subsystem": { when: "the tag names another subsystem of the repository", test: ["a shared repository's tag that names one subsystem concerns only that one"] },
  draft: { when: "the release is not published", test: ["of a draft is ignored as draft"] },
  prerelease: { when: "a prerelease without policy or channel", test: ["a release its author calls a prerelease is one, whatever its tag looks like"] },
  "branch-not-tracked": { when: "a push to another branch", test: ["a push to another branch, and a tag, are ignored"] },
  "strategy-differs": { when: "this kind of news does not count for the strategy", test: ["each strategy listens to its own kind of change"] },
  "mode-differs": { when: "a push or tag, but the program comes from releases", test: ["a run of the other mode is not started"] },
  "tag-not-tracked": { when: "no pattern of `tags` fits", test: ["a delivery about a tag that no pattern takes in says so, in both modes"] },
  "lower-priority": { when: "another upstream goes before this one", test: ["what cannot be ordered follows the priority"] },
  "no-asset": { when: "the release has none of this subsystem for this machine", test: ["of a shared repository a plain release without our asset is not waited for"] },
  withdrawn: { when: "the release is not there any more", test: ["a release that the API does not show yet is looked for again, and one that is gone is said to be"] },
  "rolled-back": { when: "a person went back from this version or a newer one", test: ["after a rollback nothing up to the version a person left comes by itself"] },
  "already-current": { when: "it is installed", test: ["a redelivery is a duplicate, and the same news under another id is already current: nothing restarts"] },
  "older-than-current": { when: "a newer one is installed", test: ["an older release is ignored"] },
  quarantined: { when: "that version failed here", test: ["quarantine, pin, prerelease and not-managed are reasons of their own"] },
  pinned: { when: "`pin` names another", test: ["quarantine, pin, prerelease and not-managed are reasons of their own"] },
  "not-managed": { when: "it is slipstream itself, or its supervisor", test: ["what slipstream does not manage is said so"] },
  "policy-refused": { when: "`policy` says refuse", test: ["policy may refuse, and may let majors go"] },
  superseded: { when: "a newer version was on its way", test: ["a newer version takes the place of one that waits, an older one does not"] },
  "already-queued": { when: "the same version is on its way", test: ["the same version twice is one run"] },
  rejected: { when: "a person said no to exactly this", test: ["a rejected commit is not offered again, unless it is asked for by name"] },
};
