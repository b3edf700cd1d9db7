#!/usr/bin/env bash
# Compile src/kernels/ for a checkout, beside its sources; only what changed since the last time. usage: kernels.sh VENV
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath -s "$1")/bin/python

if ! command -v g++ >/dev/null || ! "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null; then
    [ "$(id -u)" = 0 ] || { echo "Install a C++ compiler and Python's headers (apt-get install g++ python3-dev) and try again." >&2; exit 1; }
    . deploy/packages.sh
    install_packages g++ python3-dev >/dev/null
fi

folder=build/$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("SOABI"))')
export PATH=$(dirname "$python"):$PATH  # cmake and ninja of the environment
cmake -S . -B "$folder" -G Ninja -DPython_EXECUTABLE="$python" \
    -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)" --log-level=WARNING >/dev/null
cmake --build "$folder" -- --quiet
