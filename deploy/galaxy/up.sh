#!/bin/bash
# Start a real Galaxy with our tools, on loopback; do nothing where it already runs.
# Everything it makes lies in .galaxy/ of the checkout. Needs .venv (make setup); no conda, no containers.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ -x "$ROOT/.venv/bin/chunkwise" ] && [ -x "$UV" ] || { echo "up.sh: .venv is missing; run 'make setup' first." >&2; exit 2; }
mkdir -p "$RUN"
exec 9>"$RUN/lock"
flock 9

# What a newcomer does next. 'site' has a site file: images, a workspace for results, and cores of this machine.
first_steps() {
    say "Open that address in a browser, click Login, and log in as site@example.org with the password a-password-for-tests."
    say "Then: Tools, Large images in place (chunkwise), Open an image, Run Tool. The next clicks are in docs/galaxy.md;"
    say "Galaxy itself shows all of them at $URL/tours/chunkwise"
    say "The administrator is admin@example.org, with the same password."
}

# The environments must stay apart: planemo brings its own galaxy-tool-util. Locked files say what is in them.
base=$("$ROOT/.venv/bin/python" -c 'import sys; print(sys._base_executable)')
ask() { "$base" "$HERE/ask.py" "$@"; }
publish() { # One that is not complete, as while somebody works on it, shall not keep Galaxy from being there.
    "$base" "$HERE/publish.py" "$URL" "$RUN/admin.key" "$ROOT"/workflows/*/*.gxwf.yml || say "not all workflows are there"
}
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

# The viewer of images and labels, in the folder that a Galaxy from PyPI serves as /static. It has settings of its own.
viewer=
if ! command -v npm > /dev/null; then
    say "npm is missing, so that the viewer of images is left out: apt-get install nodejs npm"
elif ! viewer=$(bash "$HERE/visualisation/install.sh" "$GALAXY"/lib/python*/site-packages/galaxy/webapps/base/static); then
    say "the viewer of images could not be installed"
fi

# Configuration: that of the example for administrators, and what only the tests need appended to its files.
[ -s "$RUN/secret" ] || (umask 077 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$RUN/secret")
[ -s "$RUN/port" ] || "$base" "$HERE/free_port.py" 8790 > "$RUN/port"
PORT=$(cat "$RUN/port")
URL=http://127.0.0.1:$PORT
mkdir -p "$RUN/data" "$RUN/workspace" "$RUN/images" "$RUN/private"
rm -rf "$RUN/config.new"
# The cluster of 'make cluster' may be there or not: same files, and jobs of its users wait until it is.
. "$ROOT/deploy/pulsar/places.sh"
(
    umask 077
    cp -r --no-preserve=mode "$HERE/example" "$RUN/config.new"
    cd "$HERE/only_for_tests"
    find . -mindepth 1 -not -type d | while read -r file; do cat "$file" >> "$RUN/config.new/$file"; done
    cat "$ROOT/tools/chunkwise/test-data/chunkwise_models.loc.test" >> "$RUN/config.new/tool-data/chunkwise_models.loc"
    export GALAXY=$RUN CHUNKWISE=$ROOT IMAGES=$RUN/images RESULTS=$RUN/workspace URL ADMIN=admin@example.org
    export PULSAR_URL=http://127.0.0.1:$PULSAR_PORT PULSAR_REST=$CLUSTER/pulsar-rest PULSAR_MQ=$CLUSTER/pulsar-mq
    SECRET=$(cat "$RUN/secret") PULSAR_TOKEN=$(secret "$CLUSTER/pulsar/secret") \
        QUEUE=pyamqp://chunkwise:$(secret "$CLUSTER/rabbit/secret")@127.0.0.1:$AMQP_PORT// \
        "$base" "$HERE/fill.py" "$RUN/config.new"
    echo "$viewer" >> "$RUN/config.new/galaxy.yml"
)
# The facility's storage, as a user sees it: the sample images.
for store in "$ROOT"/test-data/*.zarr; do
    # Only these: what else lies there may be in use by a job.
    rm -rf "$RUN/images/$(basename "$store")" && cp -r "$store" "$RUN/images/"
done

if alive gunicorn && alive celery && diff -rq "$RUN/config.new" "$RUN/config" >/dev/null \
    && ask GET "$URL/api/version"; then
    rm -rf "$RUN/config.new"
    # Wrappers may have been edited since: have Galaxy read them again. It answers before it has done so.
    if [ -n "$(find "$ROOT/tools" "$ROOT/test-data" "$ROOT/workflows" -newer "$RUN/loaded" -print -quit)" ]; then
        touch "$RUN/loaded"
        ask PUT "$URL/api/configuration/toolbox" "$RUN/admin.key"
        ask GET "$URL/api/tool_data/chunkwise_stores/reload" "$RUN/admin.key"
        ask GET "$URL/api/tool_data/chunkwise_models/reload" "$RUN/admin.key"
        sleep 4
        publish
        say "read the tools again"
    fi
    say "runs already: $URL"
    first_steps
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
# Galaxy remembers where each tool stood in the panel, which outlives a new order in tool_conf.xml.
rm -f "$RUN/data/config/integrated_tool_panel.xml"
launch() { # name, command...: in a process group of its own, without our lock
    local name=$1; shift
    # Galaxy writes the tokens of its runners into its log; an older log may be one that others can read.
    rm -f "$RUN/$name.log"
    (umask 077; : > "$RUN/$name.log")
    SLURM_CONF=$CLUSTER/slurm/slurm.conf setsid "$HERE/serve.sh" "$@" > "$RUN/$name.log" 2>&1 < /dev/null 9>&- &
    echo $! > "$RUN/$name.pid"
}
launch gunicorn web "$RUN" "127.0.0.1:$PORT"
for _ in $(seq 600); do
    ask GET "$URL/api/version" && break
    alive gunicorn || { tail -30 "$RUN/gunicorn.log" >&2; echo "up.sh: Galaxy did not start; see $RUN/gunicorn.log" >&2; exit 1; }
    sleep 0.5
done
# After Galaxy, which makes the database that both use.
launch celery celery "$RUN"
"$base" "$HERE/users.py" "$URL" "$RUN"
publish
say "up in $((SECONDS - started)) s: $URL"
first_steps
