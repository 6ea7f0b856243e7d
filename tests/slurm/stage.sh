#!/bin/sh
# The first process in new pid, mount, network and UTS namespaces: lays out a root for Slurm and starts the cases beside it.
# With this process everything in the namespaces ends.
#
#   stage.sh LOWER NEW PROGRAMS SLURM PACKAGING OIDC PLUGINS TLS COMMAND...
#
# LOWER     the root with Slurm, "/" for a Slurm that is installed here; nothing is ever written to it
# NEW       an empty folder; what is mounted on it is seen in here only, and gone afterwards
# PROGRAMS  the built programs, to be seen as NEW/slurm-pki/bin
# SLURM     where Slurm is installed below LOWER
# PACKAGING our folder of that name, as NEW/slurm-pki/packaging
# OIDC      the OpenID provider, as NEW/slurm-pki/oidc
# PLUGINS   the folder of Slurm's plugins below LOWER
# TLS       a tls_s2n.so to be seen among them, or nothing
set -eu
umask 022
lower=${1%/} new=$2 programs=$3 slurm=$4 packaging=$5 oidc=$6 plugins=$7 tls=$8
shift 8

mount -t proc proc /proc
echo ctl1 > /proc/sys/kernel/hostname
ip link set lo up
# A second address: with 127.0.0.1 alone getaddrinfo takes the host for one without a network.
ip address add 127.0.0.2/8 dev lo

read_only() { mount --rbind "$1" "$2" && mount -o remount,bind,ro "$2"; }

mount -t tmpfs -o mode=755 tmpfs "$new"
for path in "$lower"/*; do
    name=${path##*/}
    case $name in
    dev | etc | proc | run | sys | tmp | var) ;;
    *)
        if [ -L "$path" ]; then
            cp -P "$path" "$new/$name"
        elif [ -d "$path" ]; then
            mkdir "$new/$name"
            read_only "$path" "$new/$name"
        fi
        ;;
    esac
done
cp -a "$lower/etc" "$new/etc" || echo "stage.sh: a part of $lower/etc is left out" >&2
mkdir -p "$new/proc" "$new/run/slurm" "$new/dev/shm" "$new/tmp" "$new/var/log/slurm" "$new/var/lib" "$new/var/spool" "$new/slurm-pki/bin"
chmod 1777 "$new/tmp" "$new/dev/shm"
mount -t proc proc "$new/proc"
for device in null zero full random urandom tty; do
    : > "$new/dev/$device"
    mount --bind "/dev/$device" "$new/dev/$device"
done
ln -s /proc/self/fd "$new/dev/fd"
ln -s /proc/self/fd/0 "$new/dev/stdin"
mkdir "$new/slurm-pki/packaging" "$new/slurm-pki/oidc"
read_only "$programs" "$new/slurm-pki/bin"
read_only "$packaging" "$new/slurm-pki/packaging"
read_only "$oidc" "$new/slurm-pki/oidc"
# Where Slurm lies in a folder that was left out above.
if [ ! -e "$new$slurm" ]; then
    mkdir -p "$new$slurm"
    read_only "$lower$slurm" "$new$slurm"
fi
if [ -n "$tls" ]; then
    # What Slurm has stays as it is: the folder is covered by a copy with one more.
    mkdir "$new/slurm-pki/plugins"
    cp -a "$new$plugins/." "$new/slurm-pki/plugins"
    install -m 644 "$tls" "$new/slurm-pki/plugins/tls_s2n.so"
    read_only "$new/slurm-pki/plugins" "$new$plugins"
fi

# Not exec: this shell stays, and collects what daemons leave behind.
"$@"
