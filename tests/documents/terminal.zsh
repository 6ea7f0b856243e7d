# Read by the interactive zsh of complete.zsh: FPATH_OF_OURS has the completions, what is completed goes to WORDS.
PROMPT=
fpath=($FPATH_OF_OURS $fpath)
autoload -Uz compinit
compinit -u -D
bindkey '^I' complete-word

# By this every completion adds its words.
compadd() {
    local -a added
    # With -O, -A or -D they go into an array, and are not added yet.
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        builtin compadd -A added "$@"
        (( $#added )) && print -rl -- $added >> $WORDS
    fi
    builtin compadd "$@"
}

ended() { print -rn -- $'\2' }
comppostfuncs=(ended)
print -rn -- $'\1'
