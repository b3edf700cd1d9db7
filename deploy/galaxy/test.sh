#!/bin/bash
# Test every tool and the workflow in the real Galaxy; starts it if it does not run, and then stops it again.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"
exec .venv/bin/python -m pytest -m galaxy tests/galaxy -s --durations=10 "$@"
