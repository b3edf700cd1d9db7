# Where the cluster's servers lie and listen; also read by deploy/galaxy/up.sh. ROOT is the checkout.
CLUSTER=$ROOT/.cluster
PULSAR_PORT=${PULSAR_PORT:-18914}
AMQP_PORT=${AMQP_PORT:-18915}

secret() { # file: made once, read by its owner only
    [ -s "$1" ] || (umask 077; mkdir -p "$(dirname "$1")"; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$1")
    cat "$1"
}
