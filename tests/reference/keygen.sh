#!/bin/sh
# keygen_script: prints the key of one client command.
set -eu
PATH=/usr/bin:/bin
exec openssl ecparam -name prime256v1 -genkey
