#!/bin/bash
# Start a real Galaxy with our tools, on loopback; do nothing where it already runs.
# Everything it makes lies in .galaxy/ of the checkout. Needs .venv (make setup); no conda, no containers.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ -x "$ROOT/.venv/bin/chunkwise" ] && [ -x "$UV" ] || { echo "up.sh: .venv is missing; run 'make setup' first." >&2; exit 2; }
mkdir -p "$RUN"
exec 9>"$RUN/lock"
flock 9

# The environments must stay apart: planemo brings its own galaxy-tool-util. Locked files say what is in them.
base=$("$ROOT/.venv/bin/python" -c 'import sys; print(sys._base_executable)')
ask() { "$base" "$HERE/ask.py" "$@"; }
environment() {
    local target=$1 lock=$HERE/$2.lock started=$SECONDS
    cmp -s "$lock" "$target/installed.lock" && return 0
    rm -rf "$target"
    "$UV" venv -q --no-project --python "$base" "$target"
    "$UV" pip sync -q --python "$target/bin/python" "$lock"
    cp "$lock" "$target/installed.lock"
    say "$2 installed in $((SECONDS - started)) s"
}
environment "$PLANEMO" planemo
environment "$GALAXY" galaxy
environment "$RUNCRATE" runcrate

# Configuration: the files of config/ with the places filled in; the same files are what an administrator would adapt.
[ -s "$RUN/secret" ] || (umask 077 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$RUN/secret")
[ -s "$RUN/port" ] || "$base" "$HERE/free_port.py" 8790 > "$RUN/port"
PORT=$(cat "$RUN/port")
URL=http://127.0.0.1:$PORT
mkdir -p "$RUN/config.new" "$RUN/data" "$RUN/workspace" "$RUN/images" "$RUN/private"
rm -f "$RUN/config.new"/*
# The cluster of 'make cluster' may be there or not: same files, and jobs of its users wait until it is.
. "$ROOT/deploy/pulsar/places.sh"
token=$(secret "$CLUSTER/pulsar/secret")
queue=pyamqp://chunkwise:$(secret "$CLUSTER/rabbit/secret")@127.0.0.1:$AMQP_PORT//
for file in "$HERE"/config/*; do
    (umask 077; sed -e "s|@ROOT@|$ROOT|g" -e "s|@RUN@|$RUN|g" -e "s|@URL@|$URL|g" -e "s|@SECRET@|$(cat "$RUN/secret")|g" \
        -e "s|@CLUSTER@|$CLUSTER|g" -e "s|@PULSAR_PORT@|$PULSAR_PORT|g" -e "s|@PULSAR_TOKEN@|$token|g" \
        -e "s|@QUEUE@|$queue|g" "$file" > "$RUN/config.new/$(basename "$file")")
done
# Not read from here: a table that is new needs a new start, which a difference brings about.
cp "$ROOT/tools/chunkwise/tool_data_table_conf.xml.test" "$RUN/config.new/"
# The facility's storage, as a user sees it: the sample images.
for store in "$ROOT"/test-data/*.zarr; do
    # Only these: what else lies there may be in use by a job.
    rm -rf "$RUN/images/$(basename "$store")" && cp -r "$store" "$RUN/images/"
done

if alive gunicorn && alive celery && diff -rq "$RUN/config.new" "$RUN/config" >/dev/null \
    && ask GET "$URL/api/version"; then
    rm -rf "$RUN/config.new"
    # Wrappers may have been edited since: have Galaxy read them again. It answers before it has done so.
    if [ -n "$(find "$ROOT/tools" "$ROOT/test-data" -newer "$RUN/loaded" -print -quit)" ]; then
        touch "$RUN/loaded"
        ask PUT "$URL/api/configuration/toolbox" "$RUN/admin.key"
        ask GET "$URL/api/tool_data/chunkwise_stores/reload" "$RUN/admin.key"
        ask GET "$URL/api/tool_data/chunkwise_models/reload" "$RUN/admin.key"
        sleep 4
        say "read the tools again"
    fi
    say "runs already: $URL"
    exit 0
fi
stop celery
stop gunicorn
rm -rf "$RUN/config" && mv "$RUN/config.new" "$RUN/config"
if ask GET "$URL/"; then
    echo "up.sh: something else answers at $URL; stop it, or remove $RUN/port so that another port is chosen." >&2
    exit 2
fi

started=$SECONDS
touch "$RUN/loaded"
export GALAXY_CONFIG_FILE=$RUN/config/galaxy.yml
launch() { # name, command...: in a process group of its own, without our lock
    local name=$1; shift
    # Galaxy writes the tokens of its runners into its log; an older log may be one that others can read.
    rm -f "$RUN/$name.log"
    (umask 077; : > "$RUN/$name.log")
    (cd "$RUN" && exec env VIRTUAL_ENV="$GALAXY" PATH="$GALAXY/bin:$PATH" PYTHONPATH="$ROOT/deploy/tpv" SLURM_CONF="$CLUSTER/slurm/slurm.conf" \
        setsid "$@" > "$RUN/$name.log" 2>&1 < /dev/null 9>&-) &
    echo $! > "$RUN/$name.pid"
}
# What gravity would start; gravity itself refuses to run as root.
launch gunicorn "$GALAXY/bin/python" "$GALAXY/bin/gunicorn" 'galaxy.webapps.galaxy.fast_factory:factory()' \
    --timeout 300 --worker-class galaxy.webapps.galaxy.workers.Worker --bind "127.0.0.1:$PORT" --workers 1 \
    --config python:galaxy.web_stack.gunicorn_config --no-control-socket
for _ in $(seq 600); do
    ask GET "$URL/api/version" && break
    alive gunicorn || { tail -30 "$RUN/gunicorn.log" >&2; echo "up.sh: Galaxy did not start; see $RUN/gunicorn.log" >&2; exit 1; }
    sleep 0.5
done
# After Galaxy, which makes the database that both use.
launch celery "$GALAXY/bin/python" "$GALAXY/bin/celery" --app galaxy.celery worker --concurrency 2 --loglevel INFO \
    --pool threads --queues celery,galaxy.internal,galaxy.external
"$base" "$HERE/users.py" "$URL" "$RUN"
say "up in $((SECONDS - started)) s: $URL (admin@example.org, password in deploy/galaxy/users.py)"
