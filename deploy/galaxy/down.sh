#!/bin/bash
# Stop the Galaxy that up.sh started. Its data stay in .galaxy/; remove that folder to begin anew.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
stop celery
stop gunicorn
say "stopped"
