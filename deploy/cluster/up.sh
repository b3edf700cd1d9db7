#!/bin/bash
# A cluster and its Galaxy on this one machine, all real, all on loopback: Slurm of four nodes with accounting, a Pulsar
# by REST, a Pulsar by RabbitMQ, and the Galaxy of 'make galaxy' with ways to each. What runs already is left as it is.
# Everything lies in .cluster/ and .galaxy/ of the checkout. Needs root, and .venv (make setup).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "$(id -u)" = 0 ] || { echo "cluster/up.sh: Slurm and RabbitMQ have to be started by root." >&2; exit 2; }
started=$SECONDS
deploy/slurm/up.sh
deploy/pulsar/rabbit.sh
deploy/pulsar/up.sh rest
deploy/pulsar/up.sh mq
deploy/galaxy/up.sh
echo "[cluster] all is up after $((SECONDS - started)) s; users rest, mq, slurm (@example.org) work on it"
