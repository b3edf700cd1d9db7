# Shared by up.sh, down.sh and test.sh: where things lie, and how a process of ours is recognised.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
RUN=$ROOT/.galaxy
UV=$ROOT/.venv/bin/uv
GALAXY=$RUN/galaxy
PLANEMO=$RUN/planemo
RUNCRATE=$RUN/runcrate

say() { printf '[galaxy] %s\n' "$*"; }

# A pid file counts only while its process still runs out of this checkout: a number alone may have been reused.
alive() {
    local pid
    pid=$(cat "$RUN/$1.pid" 2>/dev/null) && [ -n "$pid" ] && grep -qF "$RUN" "/proc/$pid/cmdline" 2>/dev/null
}

stop() {
    alive "$1" || { rm -f "$RUN/$1.pid"; return 0; }
    local pid
    pid=$(cat "$RUN/$1.pid")
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 40); do alive "$1" || break; sleep 0.5; done
    # The process leads its own group (setsid), so the group holds its children and nothing else.
    if alive "$1"; then kill -KILL -- "-$pid" 2>/dev/null || true; fi
    rm -f "$RUN/$1.pid"
}
