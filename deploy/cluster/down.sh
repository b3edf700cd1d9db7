#!/bin/bash
# Stop what up.sh started, by pid; batch jobs end too. Data stay; remove .cluster/ and .galaxy/ to begin anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
code=0
# One that does not go shall not keep the others.
for part in galaxy pulsar slurm s3; do deploy/$part/down.sh || code=$?; done
exit "$code"
