/**
 * Completion for bash (3.2 and newer), and the part of it that zsh shares.
 * Names come from configurations of others: they are compared and quoted, and never go where bash expands words (`compgen -W` does).
 */

import type { CompletedVerb, Place } from "./completion.ts";

export function bashScript(verbs: readonly CompletedVerb[]): string {
  return `# slipstream completion for bash; load it with: source <(slipstream completion bash)

${tables(verbs)}

_slipstream_add() {
  local name
  while IFS= read -r name; do
    if [[ -n $name && $name == "$cur"* ]]; then
      printf -v name %q "$name"
      COMPREPLY+=("$name")
    fi
  done
}

_slipstream_offer() {
  local name
  case $1 in
    words*) _slipstream_add <<< "\${1#words}" ;;
    subsystem|process|run|held) _slipstream_add < <(command slipstream __complete "$1" \${place[@]+"\${place[@]}"} 2>/dev/null </dev/null) ;;
    dir|file)
      compopt -o filenames 2>/dev/null
      while IFS= read -r name; do COMPREPLY+=("$name"); done < <(if [[ $1 == dir ]]; then compgen -d -- "$cur"; else compgen -f -- "$cur"; fi)
      ;;
  esac
}

_slipstream() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev='' verb='' word value ended='' REPLY=''
  local -i i=1 n=0
  local -a place=()
  COMPREPLY=()
  if (( COMP_CWORD > 0 )); then prev=\${COMP_WORDS[COMP_CWORD-1]}; fi
  # bash makes three words of --option=value.
  if [[ $cur == '=' ]]; then cur=''
  elif [[ $prev == '=' ]] && (( COMP_CWORD > 1 )); then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  while (( i < COMP_CWORD )); do
    word=\${COMP_WORDS[i]}
    if [[ -z $ended && $word == -- ]]; then ended=1
    elif [[ -z $ended && $word == -* ]]; then
      if _slipstream_takes "$verb" "$word"; then
        i=i+1
        if [[ \${COMP_WORDS[i]} == '=' ]]; then i=i+1; fi
        if (( i < COMP_CWORD )); then
          value=\${COMP_WORDS[i]}
          if [[ $value == '~/'* ]]; then value=$HOME/\${value#'~/'}; fi
          case $word in -w|--workspace|-c|--config) place+=("$word" "$value") ;; esac
        fi
      fi
    elif [[ -z $verb ]]; then verb=$word
    else n=n+1; fi
    i=i+1
  done
  if [[ -z $ended && $prev == -* ]] && _slipstream_takes "$verb" "$prev"; then _slipstream_offer "$REPLY"
  elif [[ -z $ended && $cur == -* ]]; then
    _slipstream_options "$verb"
    _slipstream_offer "words$REPLY"
  elif _slipstream_place "$verb" "$n"; then _slipstream_offer "$REPLY"; fi
}

complete -F _slipstream slipstream
`;
}

/** Three functions that answer in REPLY: what an option's value is (they fail where there is none), a verb's options, what stands in its nth place. */
export function tables(verbs: readonly CompletedVerb[]): string {
  const keys = (v: CompletedVerb): readonly string[] => (v.names.length === 0 ? [""] : v.names);
  const cases = (lines: readonly string[]) => [...lines, "    *) return 1 ;;"].join("\n");
  const takes = verbs.flatMap((v) => v.options.flatMap((o) => (o.takes === undefined ? [] : [`    ${keys(v).flatMap((name) => o.flags.map((flag) => quoted(`${name} ${flag}`))).join("|")}) REPLY=${placed(o.takes)} ;;`])));
  const options = verbs.map((v) => `    ${keys(v).map(quoted).join("|")}) REPLY=${quoted(v.options.flatMap((o) => o.flags).join("\n"))} ;;`);
  const places = verbs.flatMap((v) => v.places.map((place, n) => `    ${keys(v).map((name) => quoted(`${name} ${n}`)).join("|")}) REPLY=${placed(place)} ;;`));
  const body = (name: string, subject: string, lines: readonly string[]) => `${name}() {\n  REPLY=''\n  case ${subject} in\n${cases(lines)}\n  esac\n}`;
  return [body("_slipstream_takes", '"$1 $2"', takes), body("_slipstream_options", '"$1"', options), body("_slipstream_place", '"$1 $2"', places)].join("\n\n");
}

function placed(place: Place): string {
  return typeof place === "string" ? place : quoted(`words${place.words.join("\n")}`);
}

/** A word of sh that stands for exactly this text. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
