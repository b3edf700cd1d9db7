# Shared by up.sh and down.sh: where things lie, and how a process of ours is recognised.
# An instance is a folder and a block of ports: S3_FOLDER (default: .cluster/s3 of the checkout), S3_PORTS (the first
# of 4 ports, default 17860).
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
FOLDER=$(realpath -m "${S3_FOLDER:-$ROOT/.cluster/s3}")
PORTS=${S3_PORTS:-17860}
UV=$ROOT/.venv/bin/uv
SERVERS=(account container object proxy)
declare -A PORT=([proxy]=$PORTS [account]=$((PORTS + 1)) [container]=$((PORTS + 2)) [object]=$((PORTS + 3)))

say() { printf '[s3] %s\n' "$*"; }
fail() { echo "$(basename "$0"): $*" >&2; exit 2; }

# A pid file counts only while its process was started with a file of this folder: a number alone may have been reused.
alive() {
    local pid
    pid=$(cat "$FOLDER/$1.pid" 2>/dev/null) && [ -n "$pid" ] \
        && grep -qF "$FOLDER/config/$1.conf" "/proc/$pid/cmdline" 2>/dev/null
}

stop() {
    if alive "$1"; then
        local pid
        pid=$(cat "$FOLDER/$1.pid")
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq 25); do alive "$1" || break; sleep 0.2; done
        if alive "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
    fi
    rm -f "$FOLDER/$1.pid"
}
