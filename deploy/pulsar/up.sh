#!/bin/bash
# Start a real Pulsar whose managers submit to Slurm: up.sh rest (a web server on loopback), or up.sh mq (by RabbitMQ).
# Does nothing where it already runs. Everything it makes lies in .cluster/ of the checkout.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
kind=${1:-rest}
[ "$kind" = rest ] || [ "$kind" = mq ] || fail "say rest or mq."
squeue -h > /dev/null 2>&1 || fail "Slurm does not answer; start deploy/slurm/up.sh first."
mkdir -p "$FOLDER/pulsar"
exec 9>"$FOLDER/pulsar/lock"
flock 9

if ! cmp -s "$HERE/pulsar.lock" "$VENV/installed.lock"; then
    started=$SECONDS
    base=$("$ROOT/.venv/bin/python" -c 'import sys; print(sys._base_executable)')
    rm -rf "$VENV"
    "$ROOT/.venv/bin/uv" venv -q --no-project --python "$base" "$VENV"
    "$ROOT/.venv/bin/uv" pip sync -q --python "$VENV/bin/python" "$HERE/pulsar.lock"
    cp "$HERE/pulsar.lock" "$VENV/installed.lock"
    say "installed in $((SECONDS - started)) s"
fi

run=$FOLDER/pulsar-$kind
mkdir -p "$run"/{staging,persistence,dependencies}
chmod 700 "$run"
# The line of the other language goes.
case $kind in
    rest) unused=message_queue_url ;;
    mq) unused=private_token ;;
esac
fill() {
    sed -e "/^$unused:/d" -e "s|@FOLDER@|$run|g" -e "s|@PORT@|$PULSAR_PORT|g" \
        -e "s|@TOKEN@|$(secret "$FOLDER/pulsar/secret")|g" \
        -e "s|@QUEUE@|pyamqp://chunkwise:$(secret "$RABBIT/secret")@127.0.0.1:$AMQP_PORT//|g" "$HERE/config/$1"
}
(umask 077; fill app.yml > "$run/app.new"; fill server.ini > "$run/server.ini")
if alive "pulsar-$kind" "$VENV/" && cmp -s "$run/app.new" "$run/app.yml"; then
    rm "$run/app.new"
    say "runs already ($kind)"
    exit 0
fi
stop "pulsar-$kind" "$VENV/"
mv "$run/app.new" "$run/app.yml"

started=$SECONDS
launch() {
    # Pulsar's web server writes the token into its log, as part of an address.
    (umask 077; : >> "$run/pulsar.log")
    chmod 600 "$run/pulsar.log"
    (cd "$run" && exec env PATH="$VENV/bin:$PATH" setsid "$@" >> "$run/pulsar.log" 2>&1 < /dev/null 9>&-) &
    echo $! > "$FOLDER/pulsar-$kind.pid"
}
if [ "$kind" = rest ]; then
    launch "$VENV/bin/python" "$VENV/bin/pulsar-serve" "$run/server.ini"
    # Any answer will do, also "not found" or "no token": the application is loaded.
    answers() { (exec 3<> "/dev/tcp/127.0.0.1/$PULSAR_PORT"; printf 'GET / HTTP/1.0\r\n\r\n' >&3; read -r line <&3); }
else
    launch "$VENV/bin/python" "$VENV/bin/pulsar-main" -c "$run" --app_conf_path "$run/app.yml"
    answers() { "$HERE/rabbit.sh" consumers | grep -q pulsar_small__setup; }
fi
for _ in $(seq 150); do
    answers > /dev/null 2>&1 && break
    alive "pulsar-$kind" "$VENV/" || { tail -20 "$run/pulsar.log" >&2; fail "Pulsar did not start; see $run/pulsar.log"; }
    sleep 0.2
done
say "$kind up in $((SECONDS - started)) s"
