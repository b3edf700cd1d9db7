#!/bin/bash
# Stop the S3 server that up.sh started. Its data stay in its folder; remove that folder to begin anew.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
for server in proxy object container account; do stop "$server"; done
say "stopped"
