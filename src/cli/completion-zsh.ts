/** Completion for zsh. Names of others go to `compadd` alone, which takes and inserts them as they are. */

import type { CompletedVerb } from "./completion.ts";
import { quoted, tables } from "./completion-bash.ts";

export function zshScript(verbs: readonly CompletedVerb[]): string {
  const described = verbs.flatMap((v) => v.names.map((name) => `    ${quoted(`${name}:${v.description}`)}`));
  return `#compdef slipstream
# slipstream completion for zsh; put it as _slipstream into a folder of $fpath, or load it with: source <(slipstream completion zsh)

${tables(verbs)}

_slipstream_offer() {
  local -a names
  case $1 in
    words*) names=("\${(@f)\${1#words}}") ;;
    subsystem|process|run|held) names=("\${(@f)$(command slipstream __complete "$1" "\${place[@]}" 2>/dev/null </dev/null)}") ;;
    dir) _files -/; return ;;
    file) _files; return ;;
    *) return 1 ;;
  esac
  names=(\${names:#})
  compadd -- "\${names[@]}"
}

_slipstream() {
  local cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} verb='' word value ended='' REPLY=''
  local -i i=2 n=0
  local -a place described
  while (( i < CURRENT )); do
    word=\${words[i]}
    value=''
    if [[ -z $ended && $word == -- ]]; then ended=1
    elif [[ -z $ended && $word == -* ]]; then
      if [[ $word == --*=* ]]; then
        value=\${word#*=}
        word=\${word%%=*}
      elif _slipstream_takes "$verb" "$word"; then
        (( i += 1 ))
        if (( i < CURRENT )); then value=\${words[i]}; fi
      fi
      value=\${(Q)value}
      if [[ $value == '~/'* ]]; then value=$HOME/\${value#'~/'}; fi
      if [[ -n $value && $word == (-w|--workspace|-c|--config) ]]; then place+=("$word" "$value"); fi
    elif [[ -z $verb ]]; then verb=$word
    else (( n += 1 )); fi
    (( i += 1 ))
  done
  if [[ -z $ended && $cur == --*=* ]] && _slipstream_takes "$verb" "\${cur%%=*}"; then
    compset -P '*='
    _slipstream_offer "$REPLY"
  elif [[ -z $ended && $prev == -* ]] && _slipstream_takes "$verb" "$prev"; then _slipstream_offer "$REPLY"
  elif [[ -z $ended && $cur == -* ]]; then
    _slipstream_options "$verb"
    _slipstream_offer "words$REPLY"
  elif [[ -z $verb ]]; then
    described=(
${described.join("\n")}
    )
    _describe -t commands command described
  elif _slipstream_place "$verb" "$n"; then _slipstream_offer "$REPLY"; fi
}

if [[ \${funcstack[1]} == _slipstream ]]; then _slipstream "$@"
elif (( $+functions[compdef] )); then compdef _slipstream slipstream; fi
`;
}
