#!/usr/bin/env bash
# Make a virtual environment with the locked dependencies and this package. usage: setup.sh FOLDER
set -euo pipefail
venv=$1
cd "$(dirname "$0")/.."

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.11 python3.12 python3.13 python3; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || { echo "chunkwise needs Python 3.11 or newer." >&2; exit 1; }

# Debian's python3 comes without ensurepip until python3-venv is installed.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    [ "$(id -u)" = 0 ] || { echo "Install python3-venv (apt-get install python3-venv) and try again." >&2; exit 1; }
    . deploy/packages.sh
    install_packages python3-venv >/dev/null
fi

echo "setting up $venv (a minute or two the first time)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check uv
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements.lock
bash deploy/kernels.sh "$venv"
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
# Installers compile what they copy; an editable package stays where it is.
"$venv/bin/python" -m compileall -q src/chunkwise
