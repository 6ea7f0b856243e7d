#!/bin/sh
# sign_csr_script CSR: prints a certificate for the request's key and name, and for nothing else of it.
set -eu
PATH=/usr/bin:/bin
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%s\n' "$1" >"$work/request.pem"

# The whole subject must be one common name that is a node name ...
subject=$(openssl req -in "$work/request.pem" -noout -subject -nameopt RFC2253)
node=${subject#subject=CN=}
case $node in '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9._-]* | *..*) echo 'not a node name' >&2; exit 1 ;; esac
# ... of a node on the list.
cut -d ' ' -f 1 "$REFERENCE_DIR/node_token_list.txt" | grep -Fxq -e "$node" ||
    { echo 'the node is not on the list' >&2; exit 1; }

# The extensions are the signer's own; `openssl x509` copies none from a request unless told to.
cat >"$work/extensions" <<END
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:$node
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END

# `openssl x509 -req` checks the self-signature, and reports on stderr even when all is well; Slurm
# would take that for a part of the certificate.
openssl x509 -req -in "$work/request.pem" -sha256 -days 7 -extfile "$work/extensions" \
    -CA "$REFERENCE_DIR/root_cert.pem" -CAkey "$REFERENCE_DIR/root_key.pem" \
    -set_serial "0x$(openssl rand -hex 16)" -out "$work/certificate.pem" 2>"$work/messages" ||
    { cat "$work/messages" >&2; exit 1; }
cat "$work/certificate.pem"
