# Where the cluster's servers lie and listen; also read by deploy/galaxy/up.sh. ROOT is the checkout.
CLUSTER=$ROOT/.cluster
PULSAR_PORT=18914
AMQP_PORT=18915
