#!/bin/sh
# get_node_token_script NAME: prints the node's token, without its newline.
set -eu
PATH=/usr/bin:/bin
node=$1
case $node in '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]* | *..*) echo 'not a node name' >&2; exit 1 ;; esac

token=$(cat "$REFERENCE_DIR/${node}_token.txt")
[ -n "$token" ] || { echo 'the token file is empty' >&2; exit 1; }
printf %s "$token"
