#!/usr/bin/env bash
# Make the environments of the peers that `make test-interop` holds beside us, one each: they want different versions of
# the same packages. usage: setup.sh FOLDER
# Locked files say what is in them, for every Python since 3.11; most peers want 3.12 for their newest version, so that is
# taken where it is found (or what PYTHON names). The peers in JavaScript want Node and npm, which root gets from Debian.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$1
uv=.venv/bin/uv

python=${PYTHON:-}
for candidate in python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python python3.13 .venv/bin/python; do
    [ -n "$python" ] && break
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$candidate
done

mkdir -p "$target"
for lock in deploy/interop/*.lock; do
    peer=$(basename "$lock" .lock)
    environment=$target/$peer
    cmp -s "$lock" "$environment/installed.lock" && continue
    echo "setting up $environment"
    rm -rf "$environment"
    "$uv" venv --quiet --no-project --python "$python" "$environment"
    "$uv" pip sync --quiet --python "$environment/bin/python" "$lock"
    cp "$lock" "$environment/installed.lock"
done

environment=$target/node
if ! command -v npm >/dev/null && [ "$(id -u)" = 0 ]; then
    . deploy/packages.sh
    install_packages nodejs npm >/dev/null
fi
if ! command -v npm >/dev/null; then
    echo "setup.sh: npm is missing, so peers in JavaScript are left out: apt-get install npm" >&2
elif ! cmp -s deploy/interop/package-lock.json "$environment/installed.lock"; then
    echo "setting up $environment"
    rm -rf "$environment"
    mkdir -p "$environment"
    cp deploy/interop/package.json deploy/interop/package-lock.json "$environment/"
    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$environment"
    cp deploy/interop/package-lock.json "$environment/installed.lock"
fi
