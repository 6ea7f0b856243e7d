#!/bin/sh
# generate_csr_script NAME: prints a certificate signing request for the node's key, which is made once.
set -eu
PATH=/usr/bin:/bin
umask 077
node=$1
# What cannot be a node's name (sackd renews under the name \001) stands for this host.
case $node in '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]* | *..*) node=$(uname -n) ;; esac

key=$REFERENCE_DIR/${node}_private_key.pem
if [ ! -e "$key" ]; then
    # A whole file under another name, then a link: two scripts at once end up with one key.
    new=$(mktemp "$key.XXXXXX")
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$new"
    ln "$new" "$key" 2>/dev/null || [ -e "$key" ]
    rm -f "$new"
fi
exec openssl req -new -sha256 -key "$key" -subj "/CN=$node" -addext "subjectAltName=DNS:$node"
