#!/usr/bin/zsh -f
# complete.zsh SCRIPT LINE END: types a line and the tab key into an interactive zsh, and prints what it
# lists, up to END. The zsh has read the script, or has its folder among those of completions where the
# script is called as zsh calls them.
zmodload zsh/zpty || exit 1
export TERM=vt100
zpty shell zsh -f -i
zpty -w shell "stty cols 200 rows 50; PROMPT='' RPROMPT=''; unsetopt beep; bindkey '^I' list-choices"
[[ ${1:t} == _connexactl ]] && setup="fpath=(${(q)1:h} \$fpath)" || setup="source_it=1"
zpty -w shell "$setup; autoload -Uz compinit; compinit -u -D; ((source_it)) && source ${(q)1}; print REA''DY"
zpty -r shell seen '*READY*' || exit 1
zpty -w -n shell "$2"$'\t'
zpty -r shell seen "*$3*" || exit 1
print -r -- "$seen"
zpty -d shell
