# Shared by up.sh, rabbit.sh and down.sh: where things lie, and how a process of ours is recognised.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
. "$HERE/places.sh"
FOLDER=$CLUSTER
VENV=$FOLDER/pulsar/venv
RABBIT=$FOLDER/rabbit
export SLURM_CONF=${SLURM_CONF:-$FOLDER/slurm/slurm.conf}

say() { printf '[pulsar] %s\n' "$*"; }
fail() { echo "$(basename "$0"): $*" >&2; exit 2; }

# A pid file counts only while its process still is what we started: a number alone may have been reused.
alive() { # name, word on its command line
    local pid
    pid=$(cat "$FOLDER/$1.pid" 2>/dev/null) && [ -n "$pid" ] && grep -qF "$2" "/proc/$pid/cmdline" 2>/dev/null
}

stop() { # name, word on its command line, seconds until it is killed
    if alive "$1" "$2"; then
        local pid
        pid=$(cat "$FOLDER/$1.pid")
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq $((5 * ${3:-10}))); do alive "$1" "$2" || break; sleep 0.2; done
        # The process leads its own group (setsid), so the group holds its children and nothing else.
        kill -KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -f "$FOLDER/$1.pid"
}

await() { # seconds, command...
    local seconds=$1; shift
    for _ in $(seq $((5 * seconds))); do "$@" > /dev/null 2>&1 && return 0; sleep 0.2; done
    return 1
}
