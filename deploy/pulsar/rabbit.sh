#!/bin/bash
# Start a real RabbitMQ on loopback: rabbit.sh; or ask it which queues are listened to: rabbit.sh consumers.
# Debian's package, with folder, ports and Erlang's port mapper of our own, so that another one is not disturbed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ "$(id -u)" = 0 ] || fail "RabbitMQ runs as its own account, so it has to be started by root."
as_rabbit() {
    # A checkout below /root, say, is closed to RabbitMQ's own account.
    local account=rabbitmq
    setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups test -x "$FOLDER" || account=root
    setpriv --reuid=$account --regid=$account --init-groups env -C "$RABBIT" HOME="$RABBIT/home" \
        RABBITMQ_NODENAME=chunkwise@localhost RABBITMQ_CONFIG_FILE="$RABBIT/rabbitmq.conf" \
        RABBITMQ_MNESIA_BASE="$RABBIT/mnesia" RABBITMQ_LOG_BASE="$RABBIT/log" RABBITMQ_PID_FILE="$RABBIT/rabbit.pid" \
        RABBITMQ_DIST_PORT=$((AMQP_PORT + 1)) ERL_EPMD_PORT=$((AMQP_PORT + 2)) ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_ENABLED_PLUGINS_FILE="$RABBIT/enabled_plugins" "$@"
}
control() { as_rabbit /usr/lib/rabbitmq/bin/rabbitmqctl -q --timeout 60 "$@"; }
if [ "${1:-}" = consumers ]; then control list_consumers queue_name; exit; fi

mkdir -p "$FOLDER"
exec 8>"$FOLDER/rabbit.lock"
flock 8
if alive rabbit "$RABBIT"; then say "RabbitMQ runs already"; exit 0; fi
if ! dpkg -s rabbitmq-server > /dev/null 2>&1; then
    . "$ROOT/deploy/packages.sh"
    install_packages rabbitmq-server > "$FOLDER/rabbit-apt.log" 2>&1 \
        || fail "rabbitmq-server could not be installed; see $FOLDER/rabbit-apt.log"
fi
started=$SECONDS
password=$(secret "$RABBIT/secret")
mkdir -p "$RABBIT"/{mnesia,log,home}
(umask 077; sed -e "s|@AMQP_PORT@|$AMQP_PORT|" -e "s|@SECRET@|$password|" "$HERE/config/rabbitmq.conf" > "$RABBIT/rabbitmq.conf")
echo '[].' > "$RABBIT/enabled_plugins"
chown -R rabbitmq:rabbitmq "$RABBIT"
as_rabbit setsid /usr/lib/rabbitmq/bin/rabbitmq-server > "$RABBIT/log/start.log" 2>&1 < /dev/null 8>&- &
await 60 test -s "$RABBIT/rabbit.pid" || fail "RabbitMQ did not start; see $RABBIT/log/start.log"
cp "$RABBIT/rabbit.pid" "$FOLDER/rabbit.pid"
for _ in $(seq 60); do control await_startup > /dev/null 2>&1 && break; sleep 0.5; done
control status > /dev/null 2>&1 || fail "RabbitMQ did not start; see $RABBIT/log"
say "RabbitMQ up in $((SECONDS - started)) s on 127.0.0.1:$AMQP_PORT"
