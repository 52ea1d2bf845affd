/** Completion for fish. What a command substitution prints is a list of candidates there, and is never run. */

import type { CompletedOption, CompletedVerb, Place } from "./completion.ts";

export function fishScript(verbs: readonly CompletedVerb[]): string {
  const [program, ...others] = verbs as [CompletedVerb, ...CompletedVerb[]];
  const shared = new Set(program.options.filter((o) => others.some((v) => v.options.some((p) => p.flags[0] === o.flags[0] && (p.takes === undefined) === (o.takes === undefined)))).map((o) => o.flags[0]));
  const lines = [
    ...program.options.map((o) => option(o, shared.has(o.flags[0]) ? undefined : "__slipstream_none")),
    ...others.flatMap((v) => v.names.map((name) => line("__slipstream_none", `-a ${quoted(name)} -d ${quoted(v.description)}`))),
    ...others.flatMap((v) => [...v.places.flatMap((place) => offer(place, is(v))), ...v.options.filter((o) => !shared.has(o.flags[0])).map((o) => option(o, is(v)))]),
  ];
  return `# slipstream completion for fish; put it at ~/.config/fish/completions/slipstream.fish

# The words of a kind: verb (what is asked for), place (-w and -c as they stand on the line).
function __slipstream_line
    set -l skipped ''
    for token in (commandline -opc)[2..-1]
        if test -n "$skipped"
            test $argv[1] = place; and printf '%s\\n' $skipped $token
            set skipped ''
            continue
        end
        switch $token
            case -w --workspace -c --config
                set skipped $token
            case '-*'
            case '*'
                test $argv[1] = verb; and printf '%s\\n' $token; and return
        end
    end
end

function __slipstream_none
    set -l verb (__slipstream_line verb)
    test -z "$verb"
end

function __slipstream_is
    set -l verb (__slipstream_line verb)
    test -n "$verb"; and contains -- $verb $argv
end

function __slipstream_names
    command slipstream __complete $argv (__slipstream_line place) 2>/dev/null </dev/null
end

complete -c slipstream -f
${lines.join("\n")}
`;
}

function is(v: CompletedVerb): string {
  return `__slipstream_is ${v.names.join(" ")}`;
}

function line(condition: string | undefined, rest: string): string {
  return `complete -c slipstream ${condition === undefined ? "" : `-n ${quoted(condition)} `}${rest}`;
}

function offer(place: Place, condition: string): string[] {
  if (place === "any") return [];
  if (place === "file") return [line(condition, "-F")];
  return [line(condition, `-a ${candidates(place)}`)];
}

function option(o: CompletedOption, condition: string | undefined): string {
  const flags = o.flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(" ");
  const value = o.takes === undefined ? "" : o.takes === "file" ? " -r -F" : o.takes === "any" ? " -x" : ` -x -a ${candidates(o.takes)}`;
  return line(condition, `${flags}${value} -d ${quoted(o.description)}`);
}

function candidates(place: Exclude<Place, "any" | "file">): string {
  if (typeof place !== "string") return quoted(place.words.join(" "));
  return quoted(place === "dir" ? "(__fish_complete_directories)" : `(__slipstream_names ${place})`);
}

/** fish knows two escapes in single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
