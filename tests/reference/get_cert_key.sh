#!/bin/sh
# get_node_cert_key_script NAME: prints the key that generate_csr.sh signed with.
set -eu
PATH=/usr/bin:/bin
node=$1
case $node in '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]* | *..*) echo 'not a node name' >&2; exit 1 ;; esac

exec cat "$REFERENCE_DIR/${node}_private_key.pem"
