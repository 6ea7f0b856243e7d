#!/bin/sh
# certgen_script KEY: prints a self-signed certificate for the key in argument 1 (or, as the manual has
# it, on standard input).
set -eu
PATH=/usr/bin:/bin
if [ $# -gt 0 ]; then key=$1; else key=$(cat); fi
name=$(uname -n)
name=${name%%.*}
printf '%s\n' "$key" |
    openssl req -x509 -new -sha256 -key /dev/stdin -days 400 -subj "/CN=$name" \
        -addext 'basicConstraints = critical, CA:FALSE' -addext 'keyUsage = critical, digitalSignature' \
        -addext 'extendedKeyUsage = serverAuth, clientAuth'
