# Shared by up.sh and down.sh: where things lie, and how a process of ours is recognised.
# An instance is a folder and a block of ports, so that tests that break nodes can have one of their own:
#   SLURM_FOLDER (default: .cluster/slurm of the checkout), SLURM_PORTS (the first of 20 ports, default 17800)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
FOLDER=$(realpath -m "${SLURM_FOLDER:-$ROOT/.cluster/slurm}")
PORTS=${SLURM_PORTS:-17800}
NODES=${SLURM_NODES:-4}
CTLD_PORT=$PORTS DBD_PORT=$((PORTS + 1)) SQL_PORT=$((PORTS + 2))
export SLURM_CONF=$FOLDER/slurm.conf

say() { printf '[slurm] %s\n' "$*"; }
fail() { echo "$(basename "$0"): $*" >&2; exit 2; }

# A pid file counts only while its process was started for this folder: a number alone may have been reused.
alive() {
    local pid
    pid=$(cat "$FOLDER/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] \
        && { tr '\0' '\n' < "/proc/$pid/environ" | grep -qxF "SLURM_CONF=$SLURM_CONF"; } 2>/dev/null
}

stop() { # name, seconds until it is killed
    if alive "$1"; then
        local pid
        pid=$(cat "$FOLDER/run/$1.pid")
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq $((5 * ${2:-15}))); do alive "$1" || break; sleep 0.2; done
        if alive "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$FOLDER/run/$1.pid"
}

# Wait up to so many seconds until a command succeeds.
await() {
    local seconds=$1; shift
    for _ in $(seq $((5 * seconds))); do "$@" > /dev/null 2>&1 && return 0; sleep 0.2; done
    return 1
}
