#!/bin/sh
# get_node_cert_key_script NAME: prints the key that generate_csr.sh signed with.
set -eu
PATH=/usr/bin:/bin
node=$1
# What cannot be a node's name (sackd renews under the name \001) stands for this host.
case $node in '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]* | *..*) node=$(uname -n) ;; esac

exec cat "$REFERENCE_DIR/${node}_private_key.pem"
