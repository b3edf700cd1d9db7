#!/usr/bin/env bash
# Make the environment that trains the model and measures accuracy, beside the one of the package. usage: setup.sh FOLDER
# Where a GPU is, torch comes with CUDA (some gigabytes); else it is the CPU build, which pip has to find: it is no
# part of the common index, so PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL has to name a place that has it.
set -euo pipefail
venv=$1
cd "$(dirname "$0")/.."

lock=training/requirements.lock
if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    lock=training/requirements-cuda.lock
fi
export UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}
export UV_EXTRA_INDEX_URL=${UV_EXTRA_INDEX_URL:-${PIP_EXTRA_INDEX_URL:-}}

echo "setting up $venv from $lock"
[ -x "$venv/bin/python" ] || .venv/bin/uv venv --quiet --python .venv/bin/python "$venv"
.venv/bin/uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"
