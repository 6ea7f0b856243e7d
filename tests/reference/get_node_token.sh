#!/bin/sh
# get_node_token_script NAME: prints the node's token, without its newline.
set -eu
PATH=/usr/bin:/bin
node=$1
# What cannot be a node's name (sackd renews under the name \001) stands for this host.
case $node in '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]* | *..*) node=$(uname -n) ;; esac

token=$(cat "$REFERENCE_DIR/${node}_token.txt")
[ -n "$token" ] || { echo 'the token file is empty' >&2; exit 1; }
printf %s "$token"
