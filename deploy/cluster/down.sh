#!/bin/bash
# Stop what up.sh started, by pid; batch jobs end too. Data stay; remove .cluster/ and .galaxy/ to begin anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/galaxy/down.sh
deploy/pulsar/down.sh
deploy/slurm/down.sh
deploy/s3/down.sh
