#!/bin/bash
# Start a real Slurm of several nodes on this one machine, with accounting; do nothing where it already runs.
# Everything it makes lies in one folder (common.sh), except munge, which has one place on a machine. Needs root.
# Clients find it by SLURM_CONF=FOLDER/slurm.conf; nothing is written to /etc/slurm.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ "$(id -u)" = 0 ] || fail "Slurm's nodes start jobs as their owners, so they have to be started by root."
# Slurm and MariaDB open sockets below the folder, and a socket's path has at most 107 characters.
[ ${#FOLDER} -le 70 ] || fail "The folder $FOLDER has too long a path for sockets; choose one of 70 characters at most."
mkdir -p "$FOLDER"/{log,run,state,spool}
chmod 755 "$FOLDER"
exec 9>"$FOLDER/run/lock"
flock 9
started=$SECONDS

packages=(munge slurmctld slurmd slurmdbd slurm-client slurm-wlm-basic-plugins slurm-wlm-mysql-plugin mariadb-server)
if ! dpkg -s "${packages[@]}" > /dev/null 2>&1; then
    . "$ROOT/deploy/packages.sh"
    install_packages "${packages[@]}" > "$FOLDER/log/apt.log" 2>&1 \
        || fail "the Debian packages could not be installed; see $FOLDER/log/apt.log"
fi

# --- munge: who speaks. Its daemon insists on places of its own; one that runs already is used, and left alone.
if ! munge -n 2> /dev/null | unmunge > /dev/null 2>&1; then
    install -d -o munge -g munge -m 755 /run/munge
    install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge /etc/munge
    if [ ! -s /etc/munge/munge.key ]; then
        (umask 077; head -c 128 /dev/urandom > /etc/munge/munge.key)
        chown munge:munge /etc/munge/munge.key
    fi
    setpriv --reuid=munge --regid=munge --init-groups env "SLURM_CONF=$SLURM_CONF" /usr/sbin/munged 9>&- || true
    # Where another Slurm starts it at this moment, the second one ends at once, and the first answers.
    await 30 sh -c 'munge -n | unmunge' || fail "munged does not answer; see /var/log/munge"
fi

free() { # port, daemon
    if alive "$2" || ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; then return 0; fi
    fail "something else listens on port $1, which $2 needs; set SLURM_PORTS to another number."
}

# --- MariaDB and slurmdbd: what jobs used
[ -s "$FOLDER/run/secret" ] || (umask 077; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$FOLDER/run/secret")
secret=$(cat "$FOLDER/run/secret")
socket=$FOLDER/run/mysql/sock
sql() { mariadb --no-defaults -S "$socket" -u root "$@"; }
if ! alive mariadbd; then
    free "$SQL_PORT" mariadbd
    # A checkout below /root, say, is closed to MariaDB's own account.
    account=mysql
    setpriv --reuid=mysql --regid=mysql --clear-groups test -x "$FOLDER" || account=root
    install -d -o "$account" "$FOLDER/mysql" "$FOLDER/run/mysql"
    [ -d "$FOLDER/mysql/mysql" ] || mariadb-install-db --no-defaults --user="$account" --datadir="$FOLDER/mysql" \
        --auth-root-authentication-method=socket --auth-root-socket-user=root --skip-test-db \
        > "$FOLDER/log/mysql-install.log" 2>&1 \
        || { rm -rf "$FOLDER/mysql"; fail "MariaDB made no database; see $FOLDER/log/mysql-install.log"; }
    setsid /usr/sbin/mariadbd --no-defaults --user="$account" --datadir="$FOLDER/mysql" --socket="$socket" \
        --bind-address=127.0.0.1 --port="$SQL_PORT" --innodb-buffer-pool-size=64M \
        --innodb-lock-wait-timeout=900 > "$FOLDER/log/mariadb.log" 2>&1 < /dev/null 9>&- &
    echo $! > "$FOLDER/run/mariadbd.pid"
    await 60 sql -e "SELECT 1" || fail "MariaDB did not start; see $FOLDER/log/mariadb.log"
    sql <<< "CREATE DATABASE IF NOT EXISTS accounting;
             CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1'; CREATE USER IF NOT EXISTS 'slurm'@'localhost';
             ALTER USER 'slurm'@'127.0.0.1' IDENTIFIED BY '$secret';
             ALTER USER 'slurm'@'localhost' IDENTIFIED BY '$secret';
             GRANT ALL ON accounting.* TO 'slurm'@'127.0.0.1'; GRANT ALL ON accounting.* TO 'slurm'@'localhost';"
fi

# --- Configuration, made anew each time: the host's name may be another one today. Where all runs, nothing changes.
fill() {
    sed -e "s|@FOLDER@|$FOLDER|g" -e "s|@HOST@|$(hostname -s)|g" -e "s|@CTLD_PORT@|$CTLD_PORT|g" \
        -e "s|@DBD_PORT@|$DBD_PORT|g" -e "s|@SQL_PORT@|$SQL_PORT|g" -e "s|@SECRET@|$secret|g" \
        -e "s|@NODES@|$NODES|g" "$HERE/$1"
}
(umask 077; fill slurmdbd.conf > "$FOLDER/slurmdbd.conf")
{
    fill slurm.conf
    for i in $(seq "$NODES"); do
        echo "NodeName=node$i NodeHostname=node$i NodeAddr=127.0.0.1 Port=$((PORTS + 2 + i))" \
            "CPUs=${SLURM_CPUS:-4} RealMemory=${SLURM_MEM:-8000} State=UNKNOWN"
    done
} > "$FOLDER/slurm.conf.new"
if alive slurmctld && ! cmp -s "$FOLDER/slurm.conf.new" "$FOLDER/slurm.conf"; then
    for pid in "$FOLDER"/run/slurmd-*.pid; do stop "$(basename "$pid" .pid)"; done
    stop slurmctld
fi
mv "$FOLDER/slurm.conf.new" "$FOLDER/slurm.conf"
echo "# no special hardware" > "$FOLDER/gres.conf"
echo "# none" > "$FOLDER/cgroup.conf"

if ! alive slurmdbd; then
    free "$DBD_PORT" slurmdbd
    slurmdbd 9>&- || fail "slurmdbd did not start; see $FOLDER/log/slurmdbd.log"
    await 60 sacctmgr -n -i show cluster || fail "slurmdbd did not start; see $FOLDER/log/slurmdbd.log"
fi
[ -n "$(sacctmgr -n -P show cluster chunkwise format=cluster)" ] || sacctmgr -i -Q add cluster chunkwise > /dev/null
if ! alive slurmctld; then
    free "$CTLD_PORT" slurmctld
    slurmctld 9>&- || fail "slurmctld did not start; see $FOLDER/log/slurmctld.log"
    await 30 sh -c 'scontrol ping | grep -q "is UP"' || fail "slurmctld did not start; see $FOLDER/log/slurmctld.log"
fi
for i in $(seq "$NODES"); do
    alive "slurmd-node$i" && continue
    free $((PORTS + 2 + i)) "slurmd-node$i"
    mkdir -p "$FOLDER/spool/node$i"
    slurmd -N "node$i" 9>&- || fail "slurmd did not start; see $FOLDER/log/slurmd-node$i.log"
done

# --- A node that a test drained or killed comes back into service.
ready() { [ "$(sinfo -h -N -p main -t idle,mixed,allocated -o %N | sort -u | wc -l)" -ge "$NODES" ]; }
for _ in $(seq 60); do
    ready && break
    for node in $(sinfo -h -N -p main -t down,drain,fail -o %N | sort -u); do
        scontrol update "nodename=$node" state=resume 2> /dev/null || true
    done
    sleep 0.5
done
ready || fail "not all nodes came up: $(sinfo -h -N -o '%N %T' | sort -u | tr '\n' ' '); see $FOLDER/log"
say "$NODES nodes up in $((SECONDS - started)) s: SLURM_CONF=$SLURM_CONF"
