#!/usr/bin/env bash
# Node and npm, with which the viewer of images in Galaxy is made; installed where we may, else its tests say why they skip.
set -euo pipefail
command -v npm >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    . "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
    install_packages nodejs npm >/dev/null || echo "npm could not be installed; the tests of the viewer will be skipped"
fi
