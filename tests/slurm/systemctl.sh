#!/bin/sh
# What systemd does for daemons, as far as the cases need it: systemctl start|stop|restart|reload UNIT, on this host.
set -eu
verb=$1 unit=$2
read -r host < /proc/sys/kernel/hostname
file=/run/$unit.unit
folders() { for path; do mkdir -p "$path"; done; }

running() {
    [ -s "$file" ] || return 1
    read -r pid < "$file"
    # One that ends between two looks is gone, too: its state is read once, and none is an end like Z.
    state=$(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) || return 1
    case $state in '' | Z*) return 1 ;; esac
}

start() {
    ! running || { echo "$unit is running on $host" >&2; exit 1; }
    case $unit in
    slurmctld | slurmdbd)
        folders "/run/$unit"
        chown slurm "/run/$unit"
        set -- "$unit" -D
        ;;
    slurmd)
        folders "/var/spool/slurmd-$host"
        set -- slurmd -D -N "$host"
        ;;
    slurmrestd)
        # As packaging/systemd/slurmrestd-behind-proxy.conf has it, and a port for curl.
        getent passwd slurmrestd > /dev/null || useradd --system --user-group --no-create-home slurmrestd
        usermod --append --groups slurmrestd www-data
        rm -rf /run/slurmrestd
        install -d -m 0750 -o slurmrestd -g slurmrestd /run/slurmrestd
        umask 0007
        set -- env SLURM_JWT=daemon chroot --userspec=slurmrestd:slurmrestd / \
            slurmrestd -a rest_auth/jwt unix:/run/slurmrestd/slurmrestd.socket 127.0.0.1:6820
        ;;
    mariadb)
        # The library looks in one of them, by its version.
        folders /run/mysqld /run/mariadbd /var/lib/mysql
        ln -sf /run/mysqld/mysqld.sock /run/mariadbd/mysqld.sock
        chown mysql /run/mysqld /var/lib/mysql
        [ -d /var/lib/mysql/mysql ] ||
            mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db > /var/log/slurm/mariadb-install 2>&1
        # The settings that slurmdbd asks for; nothing here has to outlive a power failure.
        set -- mariadbd --no-defaults --user=mysql --datadir=/var/lib/mysql --skip-networking --skip-log-bin \
            --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/pid --innodb-buffer-pool-size=64M \
            --innodb-flush-log-at-trx-commit=0 --innodb-snapshot-isolation=OFF --innodb-lock-wait-timeout=900
        ;;
    nginx)
        folders /var/log/nginx /var/lib/nginx
        set -- nginx -g 'daemon off;'
        ;;
    apache2)
        folders /var/log/apache2 /run/apache2
        set -- apache2ctl -D FOREGROUND
        ;;
    oidc) set -- node /slurm-pki/oidc/provider.mjs /oidc 4443 ;;
    *) echo "systemctl: no unit $unit" >&2; exit 5 ;;
    esac
    setsid "$@" < /dev/null >> "/var/log/slurm/$unit.$host.log" 2>&1 &
    echo $! > "$file"
}

stop() {
    running || return 0
    kill -TERM "$pid"
    n=0
    while running; do
        n=$((n + 1))
        [ $n -lt 600 ] || kill -KILL "$pid"
        sleep 0.05
    done
}

case $verb in
start) start ;;
stop) stop ;;
restart) stop; start ;;
reload)
    running
    case $unit in apache2) kill -USR1 "$pid" ;; *) kill -HUP "$pid" ;; esac
    ;;
*) exit 64 ;;
esac
