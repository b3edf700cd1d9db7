#!/bin/bash
# Stop what up.sh and rabbit.sh started, by pid. Batch jobs that were submitted go on; Slurm's down.sh ends those.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
stop pulsar-mq "$VENV/"
stop pulsar-rest "$VENV/"
stop rabbit "$RABBIT" 30
# Erlang's port mapper was started beside RabbitMQ, with a port of our own.
for process in /proc/[0-9]*; do
    if [ "$(cat "$process/comm" 2>/dev/null)" = epmd ] \
        && tr '\0' '\n' 2>/dev/null < "$process/environ" | grep -qx "ERL_EPMD_PORT=$((AMQP_PORT + 2))"; then
        kill "${process#/proc/}" 2>/dev/null || true
    fi
done
say "stopped"
