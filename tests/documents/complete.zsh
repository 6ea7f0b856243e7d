# What zsh completes: zsh -f complete.zsh FOLDER LINE, with the completions in FOLDER, prints a word per line.
#
# It completes on a terminal alone, so an interactive zsh is given one here.
zmodload zsh/zpty
export FPATH_OF_OURS=$1
export WORDS=$(mktemp)

zpty terminal zsh -f -i
zpty -w terminal "source ${(q)0:A:h}/terminal.zsh"
# Each waits until the other side says so: \1 when it is set up, \2 when it has completed.
zpty -r terminal said $'*\1'
zpty -w -n terminal "$2"$'\t'
zpty -r terminal said $'*\2'
zpty -d terminal
cat $WORDS
rm $WORDS
