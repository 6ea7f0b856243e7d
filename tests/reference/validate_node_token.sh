#!/bin/sh
# validate_node_script NAME TOKEN: exit status 0 when the list has exactly the line "NAME TOKEN".
set -eu
PATH=/usr/bin:/bin
# One argument only: the request came without a token.
[ $# -eq 2 ] || { echo 'no token' >&2; exit 1; }
# Nothing that could end a line or begin another field gets as far as grep.
case $1 in '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]* | *..*) echo 'not a node name' >&2; exit 1 ;; esac
case $2 in '' | *[!A-Za-z0-9._~+/=:-]*) echo 'token rejected' >&2; exit 1 ;; esac

grep -Fxq -e "$1 $2" "$REFERENCE_DIR/node_token_list.txt" || { echo 'token rejected' >&2; exit 1; }
